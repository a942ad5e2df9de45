"""Executions of the pipeline, told while they run, and the verdicts that they reached."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from local_aws.processes import LocalRunError
from local_aws.run_report import Story, say
from local_aws.stack import HUB, LocalStack
from local_aws.stack_reader import Json, Observer

if TYPE_CHECKING:
    from mypy_boto3_codepipeline.type_defs import ActionExecutionDetailTypeDef

EXECUTION_SECONDS = 3600.0
"""A busy machine has taken half an hour for the tests of the code alone; the countdown says so."""
_LAST = frozenset({"Succeeded", "Failed"})
"""How an execution ends that came to its end: one that the pipeline cancelled starts another."""
LOOK_EVERY = 1.0
"""Twice a second took a twentieth of a core, here and in the local AWS, from what is waited for."""


class Executions:
    """The pipeline's executions in one run of the lifecycle."""

    def __init__(self, stack: LocalStack, observer: Observer, story: Story) -> None:
        self.stack = stack
        self.observer = observer
        self.story = story

    def await_started(self, known: set[str], count: int) -> None:
        """Wait until so many executions have started that are not `known`."""
        deadline = time.monotonic() + 30
        while len(self.observer.running(known)) < count:
            if time.monotonic() > deadline:
                raise LocalRunError("a push started no execution; see the log of the local AWS.")
            time.sleep(0.1)

    def await_execution(self, known: set[str], lines: list[str]) -> str:
        """Tell each action as it ends; the id of the execution that ended last."""
        return self.await_quiet(known, lines)[0]

    def await_quiet(self, known: set[str], lines: list[str]) -> list[str]:
        """Wait until every execution that is not `known` has ended; their ids, newest first."""
        shown: set[str] = set()
        deadline = time.monotonic() + EXECUTION_SECONDS
        quiet_since: float | None = None
        while time.monotonic() < deadline:
            running = self.observer.running(known)
            for execution in reversed(running):
                self._tell_actions(execution, shown, lines, several=len(running) > 1)
            ended = running and all(status != "InProgress" for status in running.values())
            if not ended:
                quiet_since = None
            elif next(iter(running.values())) in _LAST:
                return list(running)
            elif quiet_since is None:
                quiet_since = time.monotonic()
            # A further execution follows within a moment where one starts another.
            elif time.monotonic() - quiet_since > 2:
                return list(running)
            time.sleep(LOOK_EVERY)
        raise LocalRunError(
            f"the pipeline did not end within {EXECUTION_SECONDS:.0f} s. It goes on by itself:"
            " `make status` says what it does, and `make up` again waits for it."
        )

    def _tell_actions(
        self, execution: str, shown: set[str], lines: list[str], *, several: bool
    ) -> None:
        for action in reversed(self.observer.actions(execution)):
            key = action["actionExecutionId"]
            which = f"{execution[:8]}  " if several else ""
            if action["status"] == "InProgress":
                kind = action.get("input", {}).get("actionTypeId", {}).get("category")
                if kind == "Approval" and f"{key} waits" not in shown:
                    shown.add(f"{key} waits")
                    name = f"{action['stageName']} / {action['actionName']}"
                    say(lines, f"{which}{name} waits for somebody: {self.stack.mail} has its token")
                continue
            if key in shown:
                continue
            shown.add(key)
            seconds = (action["lastUpdateTime"] - action["startTime"]).total_seconds()
            say(
                lines,
                f"{which}{action['status']:<9} {action['stageName']} / {action['actionName']}"
                f"  {seconds:.1f} s",
            )

    def require_green(self, execution: str, *, or_blocked: bool = False) -> bool:
        """Write an ended execution into the story; whether no action of it failed.

        Raises:
            LocalRunError: one did. Where a candidate may be blocked (`or_blocked`), the action may
                fail that goes red for it.
        """
        self.note_end(execution)
        failed = self.observer.failed(execution)
        if failed and not (or_blocked and only_verdict(failed)):
            raise LocalRunError(self._reason_of(failed))
        return not failed

    def note_end(self, execution: str) -> None:
        """Write an ended execution into the story."""
        actions = self.observer.actions(execution)
        self.story.executions.append(
            {
                "id": execution,
                "status": self.observer.status(execution),
                "actions": [
                    {
                        "stage": action["stageName"],
                        "action": action["actionName"],
                        "status": action["status"],
                        "seconds": round(
                            (action["lastUpdateTime"] - action["startTime"]).total_seconds(), 2
                        ),
                        "summary": action.get("output", {})
                        .get("executionResult", {})
                        .get("externalExecutionSummary", ""),
                        "provider": action.get("input", {})
                        .get("actionTypeId", {})
                        .get("provider", ""),
                        "log": self._log_of(action),
                    }
                    for action in reversed(actions)
                ],
            }
        )

    def _log_of(self, action: ActionExecutionDetailTypeDef) -> str | None:
        """Return where a build's log lies, from where the page is; None where there is none."""
        build = action.get("output", {}).get("executionResult", {}).get("externalExecutionId", "")
        project, _, number = build.partition(":")
        log = Path("cloud", "logs", "codebuild", project, f"{number}.log")
        return str(log) if number and (self.stack.state / log).is_file() else None

    def _reason_of(self, failed: Sequence[ActionExecutionDetailTypeDef]) -> str:
        """Say in a sentence why the first failed action failed."""
        first = failed[-1]
        result = first.get("output", {}).get("executionResult", {})
        return (
            f"the action {first['stageName']} / {first['actionName']} failed:"
            f" {result.get('externalExecutionSummary', 'no reason given')}"
            f" (logs: {self.stack.state / 'cloud' / 'logs'})"
        )

    @staticmethod
    def paid_calls(record: Json) -> int:
        """Model calls that this execution paid for."""
        if record["remembered"]:
            return 0
        arms = (record["candidate"], record["champion"])
        return sum(int(str(cast(Json, arm)["n"])) for arm in arms if arm)

    def tell_verdicts(self, execution: str, lines: list[str]) -> None:
        """Tell the verdict of every task, and write each arm into the story."""
        for task in self.observer.task_names():
            record = self.observer.record(execution, task)
            verdict = cast(Json, record["verdict"])
            candidate = cast("Json | None", record["candidate"])
            champion = cast("Json | None", record["champion"])
            if candidate is None:
                say(lines, f"{task} {record['version']}: {verdict['status']}")
                continue
            say(
                lines,
                f"{task} {record['version']}: {verdict['status']}: score"
                f" {_score(candidate)} · threshold {record['threshold']:.3f}"
                f" · released {champion['version'] if champion else 'none'}"
                f" {_score(champion)} · majority guess {_shown(record['baseline'], 'unknown')}",
            )
            page = self._evaluation_page(execution, task)
            say(lines, f"  every example: {self.stack.state / page}")
            for arm in (candidate, champion):
                if arm is not None:
                    self.story.versions.append(
                        {
                            "task": task,
                            "version": arm["version"],
                            "model": arm["model"],
                            "score": arm["score"],
                            "threshold": record["threshold"]
                            if arm is candidate
                            else self.observer.locked_threshold(task, str(arm["version"])),
                            "baseline": record["baseline"],
                            "verdict": verdict["status"] if arm is candidate else "RELEASED",
                            "n": arm["n"],
                            "champion_score": champion["score"] if champion else None,
                            "page": page if arm is candidate else None,
                        }
                    )

    def _evaluation_page(self, execution: str, task: str) -> str:
        """Make the report of one evaluation beside the run's page; its file name."""
        folder = self.stack.state / "evaluations"
        folder.mkdir(exist_ok=True)
        for suffix in ("json", "jsonl"):
            kept = self.observer.result(f"evaluations/{execution}/{task}.{suffix}")
            (folder / f"{task}.{suffix}").write_bytes(kept)
        page = f"evaluation-{task}.html"
        record, html = str(folder / f"{task}.json"), str(self.stack.state / page)
        self.stack.run(
            [*HUB, "report", "evaluation", task, "--record", record, "--html", html],
            quiet=True,
            # That clone has the candidate, and the champion that it was compared with.
            extra={"PROMPT_HUB_ROOT": str(self.stack.demo)},
        )
        return page


def only_verdict(failed: Sequence[ActionExecutionDetailTypeDef]) -> bool:
    """Whether nothing failed but the action that is there to go red for a blocked candidate."""
    return [action["actionName"] for action in failed] == ["Verdict"]


def _score(arm: Mapping[str, object] | None) -> str:
    return _shown(arm["score"] if arm else None, "not measured")


def _shown(number: object, otherwise: str) -> str:
    """Return a number as people read it; `otherwise` where there is none."""
    return f"{number:.3f}" if isinstance(number, float | int) else otherwise
