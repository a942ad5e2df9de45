"""The whole lifecycle, told while it happens: a push becomes a served prompt, a bad one goes back.

Everything is done the way a user of AWS does it: the CDK command line, git, the service's HTTP
interface, the product's own commands. This module only starts them, watches and tells.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from local_aws.local_model import FLOATING
from local_aws.processes import LocalRunError
from local_aws.run_report import Story, now, say
from local_aws.stack import LocalStack
from local_aws.stack_reader import LEDGER, PIPELINE, STAGE, Json, Observer
from local_aws.weights import SMALL

if TYPE_CHECKING:
    from mypy_boto3_codepipeline.type_defs import ActionExecutionDetailTypeDef

PIPELINE_STACK = "prompt-hub-pipeline"
TASK = "part-class"
"""The task whose new version is promoted and then goes bad."""
ROLLBACK_SECONDS = 120.0
WATCH_SECONDS = 900.0
EXECUTION_SECONDS = 1500.0


class Lifecycle:
    """One run of the lifecycle on one local stack."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.observer = Observer(stack)
        self.story = Story("Prompt Hub: the whole lifecycle on this machine")
        self._demo = stack.root / "local_aws" / "demo"
        self._told = stack.state / "told.json"
        self._deployed = stack.state / "deployed.json"

    # --- commands ------------------------------------------------------------------------------

    def up(self) -> None:
        """Run everything, from an empty machine to a rolled-back prompt.

        Where an earlier run has told the story already, a further push shows instead that nothing
        is paid for twice and that a quarantined version stays out.
        """
        self._start()
        first = not self._told.exists() and not self._rolled_back_meanwhile()
        if first:
            self._deploy()
            self._first_push()
            self._serve()
            self._regress()
        else:
            self._further_push()
            self._serve()
            self._remember()
        self._finish("run" if first else "push")

    def drill(self) -> None:
        """Two pushes in quick succession, each promoting another task; both must be active."""
        if not self._told.exists():
            raise LocalRunError("the drill builds on a finished run; run `make up` first.")
        self._start()
        with self.story.step(
            "Two pushes in quick succession, each promoting another task"
        ) as lines:
            before = self.observer.executions()
            for number, name in enumerate(("second-push", "third-push"), start=1):
                commit = self._author_push(name, f"Author's {name.replace('-', ' ')}")
                if commit is None:
                    raise LocalRunError(
                        f"{name} was pushed by an earlier drill; `make clean` and `make up` first."
                    )
                say(lines, f"pushed {name} as {commit[:8]}")
                # The second push finds the first one's execution under way.
                self._await_started(before, number)
            for execution in self._await_quiet(before, lines):
                self._failed(execution)
        with self.story.step("Both versions must be released and active") as lines:
            active = self.observer.tasks()
            wanted = self._demo_versions(("second-push", "third-push"))
            for task, version in wanted.items():
                say(lines, f"{task}: active {active[task]['version']}, pushed {version}")
                if active[task]["version"] != version:
                    raise LocalRunError(f"{task} serves {active[task]['version']}, not {version}.")
            self.story.pointers = self.observer.pointers()
        self._finish("drill")

    # --- steps ---------------------------------------------------------------------------------

    def _start(self) -> None:
        with self.story.step("Models, and a local AWS, on loopback") as lines:
            self.stack.fetch_models()
            fresh = self.stack.start()
            say(
                lines,
                f"{'started' if fresh else 'running already'}: model at"
                f" {self.stack.model_url}, AWS at {self.stack.endpoint}",
            )

    def _deploy(self) -> None:
        with self.story.step(
            "cdk bootstrap, cdk deploy of the pipeline: the unmodified app"
        ) as lines:
            if self._deployed.exists():
                say(lines, "deployed by an earlier run")
                return
            self.stack.make_remote()
            cdk = str(self.stack.root / "node_modules" / ".bin" / "cdk")
            account = f"aws://{self.stack.overrides['AWS_ACCESS_KEY_ID']}/{self.stack.region}"
            began = time.monotonic()
            # Outside the app's folder, where it would be synthesised for nothing.
            self.stack.run([cdk, "bootstrap", account], quiet=True, cwd=self.stack.state)
            say(lines, f"cdk bootstrap: {time.monotonic() - began:.1f} s")
            began = time.monotonic()
            self.stack.run(
                [
                    cdk,
                    "deploy",
                    PIPELINE_STACK,
                    "--require-approval",
                    "never",
                    "--output",
                    str(self.stack.state / "cdk.out"),
                ],
                quiet=True,
            )
            say(lines, f"cdk deploy {PIPELINE_STACK}: {time.monotonic() - began:.1f} s")
            self._deployed.write_text(json.dumps({"at": now()}), encoding="utf-8")

    def _first_push(self) -> None:
        with self.story.step("An author commits two prompt changes and pushes") as lines:
            before = self.observer.executions()
            commit = self._author_push("first-push", "Better part classes, a shorter brand prompt")
            for task, version in self._demo_versions(("first-push",)).items():
                say(lines, f"{task}: candidate {version}")
            if commit is None:
                before = self._go_on(before)
                say(lines, "pushed already, by a run that did not end")
            else:
                branch = self.stack.branch
                say(lines, f"pushed {commit[:8]} to {branch}: the pipeline starts by itself")
        with self.story.step("CodePipeline, as CDK synthesised it") as lines:
            execution = self._await_execution(before, lines)
            failed = self._failed(execution)
            if failed and not _only_verdict(failed):
                raise LocalRunError(self._why(failed))
            if not failed and commit is not None:
                raise LocalRunError(
                    "the execution ended green, but one candidate should have been blocked."
                )
            if failed:
                say(
                    lines,
                    "the execution ends red, as designed: a candidate was blocked, and nobody"
                    " may overlook that. Everything else is released.",
                )
                self.story.expected_red()
        with self.story.step("The verdicts, by real scores") as lines:
            self._tell_verdicts(execution, lines)

    def _go_on(self, known: set[str]) -> set[str]:
        """Take up the newest execution of an earlier run, or start one anew where it broke.

        Returns the executions that are not to be waited for.
        """
        newest = next(iter(self.observer.running(set())), None)
        if newest is not None:
            status = self.observer.status(newest)
            if status in {"InProgress", "Succeeded"} or _only_verdict(self.observer.failed(newest)):
                return known - {newest}
        self.stack.pipelines.start_pipeline_execution(name=PIPELINE)
        return known

    def _remember(self) -> None:
        """Note that the story is told: what comes after it may build on that."""
        self._told.write_text(json.dumps({"at": now()}), encoding="utf-8")

    def _rolled_back_meanwhile(self) -> bool:
        """Whether a run that did not end came as far as the rollback, or its score watch did."""
        return self._deployed.exists() and self.observer.rolled_back(TASK)

    def _further_push(self) -> None:
        with self.story.step(
            "Another push: nothing is paid for twice, the quarantined stays out"
        ) as lines:
            self.observer.await_service()
            before = self.observer.executions()
            quarantined = self.observer.tasks()[TASK]["version"]
            clone = self.stack.author_clone()
            metadata = clone / "prompts" / "03-metadata" / f"{TASK}.yaml"
            text = metadata.read_text(encoding="utf-8")
            metadata.write_text(f"{text.rstrip()}\n# looked at {now()}\n", encoding="utf-8")
            commit = self.stack.push("Look at the metadata again")
            assert commit is not None, "the metadata names the time"
            say(lines, f"pushed {commit[:8]}")
            execution = self._await_execution(before, lines)
            failed = self._failed(execution)
            if failed:
                raise LocalRunError(self._why(failed))
            for task in self.observer.task_names():
                record = self.observer.record(execution, task)
                calls = self._calls(record)
                verdict = cast(Json, record["verdict"])
                say(lines, f"{task} {record['version']}: {verdict['status']}, {calls} model calls")
                if calls:
                    raise LocalRunError(f"{task} was evaluated again with unchanged inputs.")
            after = self.observer.tasks()[TASK]["version"]
            if after != quarantined:
                raise LocalRunError(f"{TASK} moved from {quarantined} to {after}: not expected.")
            say(lines, f"{TASK} still serves {after}: its quarantined version did not come back")

    def _serve(self) -> None:
        with self.story.step("The running service answers") as message:
            for task in self.observer.task_names():
                answer = self.observer.ask(task)
                say(
                    message,
                    f"{task} {answer['version']} (sha256 {str(answer['sha256'])[:12]}, release"
                    f" {answer['release']}, {answer['model']}): {json.dumps(answer['output'])}",
                )
            self.story.pointers = self.observer.pointers()
        with self.story.step("run_pipeline.py: a CSV of raw records becomes JSONL") as message:
            output = self.stack.state / "records.jsonl"
            output.unlink(missing_ok=True)
            self.stack.run(
                [
                    sys.executable,
                    "pipeline_image/run_pipeline.py",
                    TASK,
                    str(self._demo / "records.csv"),
                    str(output),
                    "--service",
                    self.observer.url,
                ],
                quiet=True,
            )
            lines = output.read_text(encoding="utf-8").splitlines()
            for line in lines[:3]:
                record = json.loads(line)
                say(
                    message,
                    f"{record['input']['part_number']}: {json.dumps(record['output'])}"
                    f"  by {record['task']} {record['version']}",
                )
            say(message, f"{len(lines)} records in {output}")

    def _regress(self) -> None:
        others = [task for task in self.observer.task_names() if task != TASK]
        untouched = {task: self.observer.history(task) for task in others}
        instance = self.observer.tasks_page()["instance"]
        before = self.observer.pointer(TASK)
        if before["previous"] is None:
            raise LocalRunError(f"{TASK} was rolled back meanwhile; run `make up` again.")
        with self.story.step(f"The provider puts a weaker model behind {FLOATING!r}") as lines:
            self._await_watch_idle()
            good = self.observer.samples(TASK)
            for version, score in self._scores_before(good).items():
                say(lines, f"before: {TASK} {version} scores {score:.3f}")
            self.stack.run(
                [
                    sys.executable,
                    "-m",
                    "local_aws.local_model",
                    "alias",
                    FLOATING,
                    SMALL.name,
                    "--state",
                    str(self.stack.state / "model"),
                ],
                quiet=True,
            )
            self.story.happened(f"provider: {FLOATING} is now {SMALL.name}")
            say(
                lines,
                f"{FLOATING} is now {SMALL.name}; {TASK} {before['version']} names it,"
                f" {cast(Json, before['previous'])['version']} is pinned",
            )
        with self.story.step("Score watch, alarm, rollback Lambda, ledger, service") as lines:
            self._await_rollback(before, len(good), lines)
            page = self.observer.tasks_page()
            if page["instance"] != instance:
                raise LocalRunError("another service process answers; it should be the same one.")
            say(lines, f"the same service process answers (instance {cast(Json, instance)['id']})")
        with self.story.step(
            "The restored version is measured; the other task is untouched"
        ) as lines:
            self.stack.run(
                [*self._watch_command(TASK), "--wait"], quiet=True, extra=self._stage_environment()
            )
            restored = self.observer.samples(TASK)[-1]
            say(
                lines,
                f"{TASK} {restored['version']} scores {restored['score']:.3f}"
                f" (threshold {restored['threshold']:.3f})",
            )
            if self.story.rollback is not None:
                self.story.rollback["restored_score"] = restored["score"]
            for task, history in untouched.items():
                if self.observer.history(task) != history:
                    raise LocalRunError(f"{task} changed during the rollback of {TASK}.")
                say(lines, f"{task}: pointer, history and scores as before")
            self.story.pointers = self.observer.pointers()

    def _await_rollback(self, before: Json, known: int, lines: list[str]) -> None:
        bad_version = before["version"]
        watch = self.stack.start_command(
            [*self._watch_command(TASK), "--wait"], extra=self._stage_environment()
        )
        say(
            lines,
            f"score watch started on {bad_version}; a version below its threshold is measured"
            " again beside the one that a rollback would restore",
        )
        deadline = time.monotonic() + WATCH_SECONDS
        first_bad: Json | None = None
        moved = False
        while time.monotonic() < deadline:
            if first_bad is None:
                if watch.poll():
                    raise LocalRunError(f"the score watch of {TASK} measured nothing.")
                fresh = self.observer.samples(TASK)[known:]
                first_bad = next((s for s in fresh if s["version"] == bad_version), None)
                if first_bad is not None:
                    deadline = time.monotonic() + ROLLBACK_SECONDS
            if first_bad is not None and not moved:
                moved = self.observer.pointer(TASK)["version"] != bad_version
            if moved:
                answer = self.observer.ask(TASK)
                if answer["version"] != bad_version:
                    self._tell_rollback(before, first_bad, answer, known, lines)
                    return
            time.sleep(0.25)
        raise LocalRunError(f"{TASK} was not rolled back in time; see {self.stack.state / 'logs'}.")

    def _tell_rollback(
        self, before: Json, first_bad: Json | None, answer: Json, known: int, lines: list[str]
    ) -> None:
        assert first_bad is not None
        answered = time.time()
        bad_at = _epoch(str(first_bad["at"]))
        samples = self.observer.samples(TASK)
        scores_after = {str(s["version"]): cast(float, s["score"]) for s in samples[known:]}
        for version, score in scores_after.items():
            say(lines, f"after: {TASK} {version} scores {score:.3f}")
        event = self.observer.events(TASK)[-1]
        self.story.happened(
            f"score watch: {TASK} {first_bad['version']} scores {first_bad['score']:.3f}",
            str(first_bad["at"]),
        )
        for at, what in self.observer.alarm_history(TASK):
            self.story.happened(what, at)
        self.story.happened(f"ledger: {event['kind']}, {event['reason']}", str(event["at"]))
        self.story.happened(f"service: answered with {answer['version']}")
        for moment in sorted(self.story.timeline, key=lambda item: _epoch(item["at"])):
            offset = _epoch(moment["at"]) - bad_at
            # The alarm's history is kept in whole seconds, rounded down.
            if offset > -1:
                say(lines, f"{offset:+6.1f} s  {moment['what']}")
        say(lines, f"{answered - bad_at:.1f} s from the first bad sample to the first good answer")
        self._remember()
        self.story.rollback = {
            "task": TASK,
            "from": before["version"],
            "to": answer["version"],
            "seconds_first_bad_sample_to_good_answer": round(answered - bad_at, 2),
            "scores_before": self._scores_before(samples[:known]),
            "scores_after": scores_after,
            "restored_score": None,
        }

    def _scores_before(self, samples: Sequence[Json]) -> dict[str, float]:
        """Scores of the task's versions before the regression: the gate's, then the watch's."""
        judged = [line for line in self.story.versions if line["task"] == TASK]
        return {str(line["version"]): cast(float, line["score"]) for line in (*judged, *samples)}

    def _finish(self, name: str) -> None:
        with self.story.step("The report page") as lines:
            run = self.stack.state / f"{name}.json"
            page = self.stack.state / f"{name}.html"
            self.story.write(run)
            report = [sys.executable, "-m", "prompt_hub.cli", "report"]
            self.stack.run([*report, "run", str(run), "--html", str(page)], quiet=True)
            say(lines, f"open {page}")
        print(f"\nDone in {self.story.seconds:.0f} s. Everything keeps running:", flush=True)
        print(f"  service  {self.observer.url}/v1/tasks")
        print(f"  AWS      {self.stack.endpoint}")
        print(f"  model    {self.stack.model_url}/v1")
        print("`make up` again pushes once more; `make down` stops it; `make clean` removes it.")

    # --- the author ----------------------------------------------------------------------------

    def _author_push(self, name: str, message: str) -> str | None:
        clone = self.stack.author_clone()
        shutil.copytree(self._demo / name, clone, dirs_exist_ok=True)
        return self.stack.push(message)

    def _demo_versions(self, pushes: Sequence[str]) -> dict[str, str]:
        versions = {}
        for push in pushes:
            for path in sorted((self._demo / push / "prompts" / "03-metadata").glob("*.yaml")):
                lines = path.read_text(encoding="utf-8").splitlines()
                version = next(line for line in lines if line.startswith("version:"))
                versions[path.stem] = version.partition(":")[2].split("#")[0].strip(" \"'")
        return versions

    # --- the pipeline --------------------------------------------------------------------------

    def _await_started(self, known: set[str], count: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.observer.running(known)) < count:
            if time.monotonic() > deadline:
                raise LocalRunError("a push started no execution; see the log of the local AWS.")
            time.sleep(0.1)

    def _await_execution(self, known: set[str], lines: list[str]) -> str:
        """Tell each action as it ends; the id of the execution that ended last."""
        return self._await_quiet(known, lines)[0]

    def _await_quiet(self, known: set[str], lines: list[str]) -> list[str]:
        """Wait until every execution that is not `known` has ended; their ids, newest first."""
        message: set[str] = set()
        deadline = time.monotonic() + EXECUTION_SECONDS
        quiet_since: float | None = None
        while time.monotonic() < deadline:
            running = self.observer.running(known)
            for execution in reversed(running):
                self._tell_actions(execution, message, lines, several=len(running) > 1)
            ended = running and all(status != "InProgress" for status in running.values())
            if not ended:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            # A further execution follows within a moment where one starts another.
            elif time.monotonic() - quiet_since > 2:
                return list(running)
            time.sleep(0.5)
        raise LocalRunError(f"the pipeline did not end within {EXECUTION_SECONDS:.0f} s.")

    def _tell_actions(
        self, execution: str, message: set[str], lines: list[str], *, several: bool
    ) -> None:
        for action in reversed(self.observer.actions(execution)):
            key = action["actionExecutionId"]
            if key in message or action["status"] == "InProgress":
                continue
            message.add(key)
            seconds = (action["lastUpdateTime"] - action["startTime"]).total_seconds()
            which = f"{execution[:8]}  " if several else ""
            say(
                lines,
                f"{which}{action['status']:<9} {action['stageName']} / {action['actionName']}"
                f"  {seconds:.1f} s",
            )

    def _failed(self, execution: str) -> list[ActionExecutionDetailTypeDef]:
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
                    }
                    for action in reversed(actions)
                ],
            }
        )
        return self.observer.failed(execution)

    def _why(self, failed: Sequence[ActionExecutionDetailTypeDef]) -> str:
        first = failed[-1]
        result = first.get("output", {}).get("executionResult", {})
        return (
            f"the action {first['stageName']} / {first['actionName']} failed:"
            f" {result.get('externalExecutionSummary', 'no reason given')}"
            f" (logs: {self.stack.state / 'cloud' / 'logs'})"
        )

    # --- verdicts ------------------------------------------------------------------------------

    @staticmethod
    def _calls(record: Json) -> int:
        """Model calls that this execution paid for."""
        if record["remembered"]:
            return 0
        arms = (record["candidate"], record["champion"])
        return sum(int(str(cast(Json, arm)["n"])) for arm in arms if arm)

    def _tell_verdicts(self, execution: str, lines: list[str]) -> None:
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
                f" {_score(champion)} · majority guess {record['baseline']:.3f}",
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
        self.stack.run(
            [
                sys.executable,
                "-m",
                "prompt_hub.cli",
                "report",
                "evaluation",
                task,
                "--record",
                str(folder / f"{task}.json"),
                "--html",
                str(self.stack.state / page),
            ],
            quiet=True,
            # The author's clone has the candidate, and the champion that it was compared with.
            extra={"PROMPT_HUB_ROOT": str(self.stack.author)},
        )
        return page

    # --- the score watch -----------------------------------------------------------------------

    def _watch_command(self, task: str) -> list[str]:
        return [sys.executable, "-m", "prompt_hub.cli", "watch", task, "--now"]

    def _stage_environment(self) -> dict[str, str]:
        return {
            "PROMPT_HUB_STAGE": STAGE,
            "PROMPT_HUB_LEDGER_TABLE": LEDGER,
            "PROMPT_HUB_RESULTS_BUCKET": self.observer.bucket(),
        }

    def _await_watch_idle(self) -> None:
        """Wait for the measurements that activation started."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            if self.observer.samples(TASK):
                return
            time.sleep(1)
        raise LocalRunError("the score watch has not measured the new version.")


def _only_verdict(failed: Sequence[ActionExecutionDetailTypeDef]) -> bool:
    """Whether nothing failed but the action that is there to go red for a blocked candidate."""
    return [action["actionName"] for action in failed] == ["Verdict"]


def _score(arm: Mapping[str, object] | None) -> str:
    score = arm["score"] if arm else None
    return f"{score:.3f}" if isinstance(score, float | int) else "not measured"


def _epoch(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
