"""A released prompt that gets worse by itself, and the rollback that nobody has to start."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import cast

from local_aws.aliases import FLOATING, set_alias
from local_aws.figures import side_by_side
from local_aws.processes import LocalRunError
from local_aws.run_report import Story, say
from local_aws.stack import HUB, STAGE, LocalStack
from local_aws.stack_reader import Json, Observer
from local_aws.weights import SMALL

TASK = "part-class"
"""The task whose new version is promoted and then goes bad."""
ROLLBACK_SECONDS = 120.0
WATCH_SECONDS = 900.0
_WATCH = (*HUB, "watch", TASK, "--now", "--wait")
"""The command that measures the task now, and returns when it is measured."""
_ASKED = {"round": "score watch's round", "alarm": "alarm", "sweep": "sweep"}


class Regression:
    """The weaker model behind the alias, in one run of the lifecycle.

    `on_rollback` is called as soon as the service answers with the version before.
    """

    def __init__(
        self,
        stack: LocalStack,
        observer: Observer,
        story: Story,
        on_rollback: Callable[[], None],
    ) -> None:
        self.stack = stack
        self.observer = observer
        self.story = story
        self._on_rollback = on_rollback

    def run(self) -> None:
        """Put the weaker model behind the alias, and wait until the version before serves again."""
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
            set_alias(self.stack.state / "model", FLOATING, SMALL.name)
            self.story.happened(f"provider: {FLOATING} is now {SMALL.name}")
            say(
                lines,
                f"{FLOATING} is now {SMALL.name}; {TASK} {before['version']} names it,"
                f" {cast(Json, before['previous'])['version']} is pinned",
            )
        with self.story.step("Score watch, rollback Lambda, ledger, service") as lines:
            self._await_rollback(before, len(good), lines)
            page = self.observer.tasks_page()
            if page["instance"] != instance:
                raise LocalRunError("another service process answers; it should be the same one.")
            say(lines, f"the same service process answers (instance {cast(Json, instance)['id']})")
        with self.story.step(
            "The restored version is measured; the other task is untouched"
        ) as lines:
            self.stack.run(_WATCH, quiet=True, extra=self._stage_environment())
            restored = self.observer.samples(TASK)[-1]
            shown, least = side_by_side(
                cast(float, restored["score"]), cast(float, restored["threshold"])
            )
            say(lines, f"{TASK} {restored['version']} scores {shown} (threshold {least})")
            if self.story.rollback is not None:
                self.story.rollback["restored_score"] = restored["score"]
                self.story.rollback["samples"] = self._samples()
            for task, history in untouched.items():
                if self.observer.history(task) != history:
                    raise LocalRunError(f"{task} changed during the rollback of {TASK}.")
                say(lines, f"{task}: pointer, history and scores as before")
            self.story.pointers = self.observer.pointers()

    def _await_rollback(self, before: Json, known: int, lines: list[str]) -> None:
        bad_version = before["version"]
        watch = self.stack.start_command(_WATCH, extra=self._stage_environment())
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
        order = (str(before["version"]), str(answer["version"]))
        scores_after = in_order(
            {str(s["version"]): cast(float, s["score"]) for s in samples[known:]}, order
        )
        for version, score in scores_after.items():
            say(lines, f"after: {TASK} {version} scores {score:.3f}")
        event = self.observer.events(TASK)[-1]
        self.story.happened(
            f"score watch: {TASK} {first_bad['version']} scores {first_bad['score']:.3f}",
            str(first_bad["at"]),
        )
        for at, what in self.observer.alarm_history(TASK):
            self.story.happened(what, not_before(at, str(first_bad["at"])))
        self.story.happened(told(event), str(event["at"]))
        self.story.happened(f"service: answered with {answer['version']}")
        for moment in sorted(self.story.timeline, key=lambda item: _epoch(item["at"])):
            offset = _epoch(moment["at"]) - bad_at
            if offset >= 0:
                say(lines, f"{offset:+6.1f} s  {moment['what']}")
        say(lines, f"{answered - bad_at:.1f} s from the first bad sample to the first good answer")
        self._on_rollback()
        self.story.rollback = {
            "task": TASK,
            "from": before["version"],
            "to": answer["version"],
            "seconds_first_bad_sample_to_good_answer": round(answered - bad_at, 2),
            "scores_before": in_order(self._scores_before(samples[:known]), order),
            "scores_after": scores_after,
            "thresholds": {str(s["version"]): s["threshold"] for s in samples},
            "restored_score": None,
            "samples": self._samples(),
        }

    def _samples(self) -> list[Json]:
        """Return the task's measurements as the run page shows them."""
        shown = ("at", "version", "score", "threshold")
        return [{name: s[name] for name in shown} for s in self.observer.samples(TASK)]

    def _scores_before(self, samples: Sequence[Json]) -> dict[str, float]:
        """Scores of the task's versions before the regression: the gate's, then the watch's."""
        judged = [line for line in self.story.versions if line["task"] == TASK]
        # A gate whose answers did not all come has none.
        scores = ((line["version"], line["score"]) for line in (*judged, *samples))
        return {str(version): score for version, score in scores if isinstance(score, float)}

    def _stage_environment(self) -> dict[str, str]:
        return {
            "PROMPT_HUB_STAGE": STAGE,
            "PROMPT_HUB_INSTALLATION": self.stack.installation,
            "PROMPT_HUB_LEDGER_TABLE": self.observer.ledger,
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


def in_order(scores: Mapping[str, float], first: Sequence[str]) -> dict[str, float]:
    """Return `scores` with the versions `first` before the others, so that two lists compare."""
    return {name: scores[name] for name in dict.fromkeys((*first, *scores)) if name in scores}


def not_before(alarm: str, sample: str) -> str:
    """Return when an alarm rang: in its history whole seconds, rounded down, before its sample."""
    return sample if 0 < _epoch(sample) - _epoch(alarm) < 1 else alarm


def told(event: Json) -> str:
    """Return an event of the ledger in words, with who asked the Lambda to look.

    The round of the score watch and the alarm behind it both do; the first one decides.
    """
    trigger = cast(Json, cast(Json, event["evidence"])["trigger"])
    return (
        f"ledger: {event['kind']}, asked by the {_ASKED[str(trigger['kind'])]}: {event['reason']}"
    )


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
