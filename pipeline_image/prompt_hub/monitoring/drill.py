"""The rollback drill from inside the stage's network: does a bad version leave by itself, in time?

The drill's task has a bad version active when this starts. The same round of the score watch is run
that a schedule runs; whatever follows it (the direct invocation, the alarm, the function) is the
stage's own, and nothing of it is called from here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from pydantic import JsonValue

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.inputs import scored
from prompt_hub.ledger.items import EventKind, Pointer
from prompt_hub.ledger.table import Ledger
from prompt_hub.release.drill_repository import BAD_VERSION, GOOD_VERSION, drill_repository
from prompt_hub.release.service_client import Client, UnreachableServiceError
from prompt_hub.repository.schema import Strict

FOLLOW_SECONDS = 60.0
"""How long the service may take to answer with the bad version before anything is measured."""
WITHIN_SECONDS = 300.0
"""How long a rollback may take by default: on AWS four minutes at worst, where only the alarm acts.
"""
ASK_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.25
_OF_THE_STAGE = frozenset({EventKind.ROLLED_BACK, EventKind.FROZEN, EventKind.PAGED})
"""What a stage itself does with the task of a drill."""


class Drill(Strict):
    """What a drill found; `problems` is empty where the good version came back in time."""

    stage: str
    release: str
    revision: int
    """The ledger's, at which the bad version became active: which drill this is."""
    ok: bool
    problems: tuple[str, ...]
    within: float
    """Seconds that the rollback was given."""
    to_rollback: float | None
    """Seconds from the first bad sample to the rollback in the ledger."""
    to_good_answer: float | None
    """Seconds from the first bad sample to the first good answer of the service."""
    reason: str
    """What the rollback wrote into the ledger."""


class DrillFailedError(PromptHubError):
    """The chain broke; the message says at which link."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=ExitCode.BLOCKED)


def taken_over(ledger: Ledger, revision: int) -> bool:
    """Whether another drill, an activation or a person moved the task since `revision`."""
    since = (e for e in ledger.events(aws_names.DRILL_TASK, 10) if e.revision > revision)
    return any(event.kind not in _OF_THE_STAGE for event in since)


def require_own(ledger: Ledger, stage: str, revision: int) -> None:
    """Raise `PromptHubError` where the drill of `revision` was taken over: it proves nothing."""
    if taken_over(ledger, revision):
        raise PromptHubError(
            f"another drill or an activation moved the drill's task in {stage} meanwhile: this"
            " drill says nothing about the stage.",
            hint=f"Once that is over, run: prompt-hub drill --stage {stage}",
            exit_code=ExitCode.INCONCLUSIVE,
        )


async def run_drill(
    ledger: Ledger,
    client: Client,
    measure: Callable[[], Awaitable[object]],
    *,
    stage: str,
    release: str,
    within: float = WITHIN_SECONDS,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Drill:
    """Let the stage take back the bad version of the drill's task, and say how long it took.

    `measure` is one round of the score watch on that task. Raises `PromptHubError` where somebody
    else moves that task meanwhile.
    """
    pointer = ledger.pointer(aws_names.DRILL_TASK)
    if pointer is None or pointer.version != BAD_VERSION:
        raise PromptHubError(
            f"no drill is prepared in {stage}.", hint=f"Run: prompt-hub drill --stage {stage}"
        )
    drill = _Watcher(ledger, client, pointer, clock=clock, sleep=sleep)
    found = Drill(
        stage=stage,
        release=release,
        revision=pointer.revision,
        ok=False,
        problems=(),
        within=within,
        to_rollback=None,
        to_good_answer=None,
        reason="",
    )
    try:
        drill.await_answer(BAD_VERSION, clock() + FOLLOW_SECONDS)
        await measure()
        bad_at = drill.first_bad_sample()
        rolled_back, reason = drill.await_rollback(bad_at + within)
        found = found.model_copy(
            update={"to_rollback": round(rolled_back - bad_at, 2), "reason": reason}
        )
        answered = drill.await_answer(GOOD_VERSION, bad_at + within)
    except PromptHubError as error:
        require_own(ledger, stage, pointer.revision)
        return found.model_copy(update={"problems": (error.message,)})
    return found.model_copy(update={"ok": True, "to_good_answer": round(answered - bad_at, 2)})


class _Watcher:
    """Looks at ledger and service until they are as a drill wants them."""

    def __init__(
        self,
        ledger: Ledger,
        client: Client,
        begun: Pointer,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._begun = begun
        self._clock = clock
        self._sleep = sleep
        task = begun.task
        self._fields = scored(drill_repository().examples(task))[0].input

    def await_answer(self, version: str, deadline: float) -> float:
        """Return when the service first answered with `version`."""
        while True:
            answer = self._ask()
            if answer == version:
                return self._clock()
            self._wait(deadline, f"the service did not answer with {version} in time: {answer}")

    def first_bad_sample(self) -> float:
        """Return when the first sample of the bad version was taken in this drill."""
        samples = [
            sample
            for sample in self._ledger.samples(self._begun.task, 50)
            if sample.at >= self._begun.at and sample.version == BAD_VERSION
        ]
        if not samples or not samples[-1].below_threshold:
            raise DrillFailedError(f"the score watch left no bad sample of {BAD_VERSION}.")
        return _epoch(samples[-1].at)

    def await_rollback(self, deadline: float) -> tuple[float, str]:
        """Return when the ledger was rolled back, and the reason that stands there."""
        while True:
            for event in self._ledger.events(self._begun.task, 10):
                if event.revision <= self._begun.revision:
                    break
                if event.kind is EventKind.ROLLED_BACK and event.reached.version == GOOD_VERSION:
                    return _epoch(event.at), event.reason
                raise DrillFailedError(
                    f"the ledger says {event.kind.value} by {event.by} instead of a rollback:"
                    f" {event.reason}."
                )
            self._wait(deadline, "nothing rolled the bad version back in time")

    def _ask(self) -> str:
        """Return the version of a right answer of the drill's, or what was answered instead."""
        try:
            answer = self._client.ask(f"/v1/tasks/{self._begun.task}/run", {"fields": self._fields})
        except UnreachableServiceError as error:
            return error.message
        body: dict[str, JsonValue] = answer.object()
        if answer.status != 200 or body.get("valid") is not True:
            return f"{answer.status} {str(body.get('error', body))[:200]}"
        return str(body.get("version"))

    def _wait(self, deadline: float, failure: str) -> None:
        if self._clock() > deadline:
            raise DrillFailedError(f"{failure}.")
        self._sleep(LOOK_EVERY_SECONDS)


def _epoch(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
