"""The score watch of a stage: what is due, in turn, and what becomes of each round."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.heartbeats import count_heartbeats
from prompt_hub.core.wording import score
from prompt_hub.evaluation.results import Results
from prompt_hub.ledger.errors import LedgerConflictError
from prompt_hub.ledger.items import Pointer, timestamp
from prompt_hub.ledger.rounds import WatchRound, WatchRounds
from prompt_hub.ledger.table import Ledger
from prompt_hub.llm.client import ModelClient
from prompt_hub.monitoring import metrics
from prompt_hub.monitoring.due import is_due, longest_waiting, refusal
from prompt_hub.monitoring.lease import Lease, LeaseLostError
from prompt_hub.monitoring.monitor import ScoreMonitor
from prompt_hub.release.drill_repository import repository_of
from prompt_hub.release.manifest import Release
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.reader import PromptRepository, no_task

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

DECIDED_SECONDS = 10.0
"""How long a rollback that was asked for takes at worst, where nothing fails."""
_LOOK_EVERY_SECONDS = 0.5


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class ScoreWatch:
    """Measures tasks of one stage with what its image carries.

    All rounds of a run share `caller`, and with it the limiter of each model.
    """

    stage: str
    repository: PromptRepository
    release: Release
    ledger: Ledger
    rounds: WatchRounds
    results: Results
    caller: ModelClient
    cloudwatch: CloudWatchClient
    ask_for_rollback: Callable[[str], bool]
    """Has somebody look at a task whose samples are in the ledger; whether they were reached.

    It must not raise.
    """
    say: Callable[[str], None] = print
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def measure_due(self) -> ExitCode:
        """Measure every task that is due, one after the other; return the worst exit code.

        What comes due meanwhile, because a pointer moves, is measured too. Where another run has
        the lease it does that, and this one leaves.
        """
        lease = Lease(self.rounds, self.release.release, clock=self.clock)
        tried: set[tuple[str, int]] = set()
        codes = [self._tell_of_idle_tasks()]
        while True:
            if not await lease.take():
                self.say(f"{self.stage}: another run measures what is due")
                break
            try:
                async with lease.kept():
                    while due := self._due(tried):
                        lease.check()
                        codes.append(await self._measure_next(due, tried))
            except LeaseLostError:
                self.say(f"{self.stage}: another run has taken over what is due")
                break
            # A run that came while the lease was held has left: what it came for must not wait.
            if not self._due(tried):
                break
        return max(codes)

    async def measure(self, task: str, *, compare: bool = False) -> ExitCode:
        """Measure one task now, due or not; raises `NotMeasuredError` without a score.

        With `compare` its way back is measured beside it, whatever the first round says.

        Raises `PromptHubError` where neither stage nor image has such a task.
        """
        pointer = self.ledger.pointer(task)
        if pointer is None:
            retired = task in self.ledger.retired()
            if not retired and task not in repository_of(task, self.repository).tasks():
                raise no_task(task, self.repository.tasks())
            self.say(f"{task}: {self._why_idle(retired=retired)}")
            count_heartbeats(self.cloudwatch, self.stage, [task], 1)
            return ExitCode.OK
        return await self._measure(pointer, self.rounds.last().get(task), compare=compare)

    def _tell_of_idle_tasks(self) -> ExitCode:
        """Say that the watch lives where it has nothing to measure: silence would page people.

        Where CloudWatch does not hear it, what is active is measured all the same: a rollback needs
        no metric.
        """
        known = self.ledger.every_pointer()
        active = {task for task, pointer in known.items() if not pointer.retired}
        idle = [task for task in self.repository.tasks() if task not in active]
        for task in idle:
            self.say(f"{task}: {self._why_idle(retired=task in known)}")
        try:
            count_heartbeats(self.cloudwatch, self.stage, idle, 1)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            self.say(f"{self.stage}: that idle tasks are seen to could not be counted, {found}")
            return ExitCode.UNEXPECTED
        return ExitCode.OK

    def _why_idle(self, *, retired: bool) -> str:
        state = "retired" if retired else "no version is active"
        return f"{state} in {self.stage}, there is nothing to measure"

    def _due(self, tried: set[tuple[str, int]]) -> dict[str, tuple[Pointer, WatchRound | None]]:
        pointers, last = self.ledger.pointers(), self.rounds.last()
        at = timestamp(self.clock())
        due = {}
        for task in self.repository.tasks():
            pointer = pointers.get(task)
            if pointer is None or (task, pointer.revision) in tried:
                continue
            try:
                watch = self.repository.metadata(task).score_watch
            except InvalidDocumentsError:
                # Due, so that measuring it says what is wrong with it, and to it alone.
                due[task] = (pointer, last.get(task))
                continue
            if is_due(pointer, last.get(task), watch.every_minutes, at):
                due[task] = (pointer, last.get(task))
        return due

    async def _measure_next(
        self,
        due: Mapping[str, tuple[Pointer, WatchRound | None]],
        tried: set[tuple[str, int]],
    ) -> ExitCode:
        """Measure the task that waits longest; its failure is its own, and an exit code."""
        task = longest_waiting({name: last for name, (_, last) in due.items()})
        pointer, last = due[task]
        tried.add((task, pointer.revision))
        try:
            return await self._measure(pointer, last)
        except PromptHubError as error:
            self.say(f"{task}: not measured, {error}")
            return error.exit_code
        except Exception:
            traceback.print_exc()
            self.say(f"{task}: not measured, unexpected error; please report the above")
            return ExitCode.UNEXPECTED

    async def _measure(
        self, pointer: Pointer, last: WatchRound | None, *, compare: bool = False
    ) -> ExitCode:
        task = pointer.task
        repository = repository_of(task, self.repository)
        monitor = ScoreMonitor(repository, self.release, self.caller, task, say=self.say)
        # Before the round is noted: what this image lacks is for the image that has it.
        monitor.require(pointer.active)
        planned = monitor.first_round
        at = timestamp(self.clock())
        calls_a_day = repository.metadata(task).score_watch.calls_a_day
        refused = refusal(last, planned, calls_a_day, at)
        spent = last.calls_on(at) if last else 0
        begun = WatchRound(
            task=task,
            at=at,
            revision=pointer.revision,
            calls=spent if refused else spent + planned,
            active=pointer.active,
            frozen=pointer.frozen,
        )
        try:
            self.rounds.note(begun, before=last)
        except LedgerConflictError:
            self.say(f"{task}: another run measures it")
            return ExitCode.OK
        if refused:
            self.say(f"{task}: {refused}")
            metrics.publish_refusal(self.cloudwatch, self.stage, task)
            return ExitCode.OK
        before = self.caller.stats.sent
        try:
            return await self._round(monitor, pointer, compare=compare)
        finally:
            self._count(begun, self.caller.stats.sent - before - planned)

    async def _round(self, monitor: ScoreMonitor, pointer: Pointer, *, compare: bool) -> ExitCode:
        task = pointer.task
        found = await monitor.round(pointer, compare=compare)
        at = timestamp(self.clock())
        key = aws_names.sample_key(self.stage, task, at)
        # The evidence lies there before the alarm can ask for it.
        release = self.release.release
        self.results.put(key, found.details(stage=self.stage, release=release, at=at))
        self.ledger.add_samples(found.samples(evaluation=key, at=at, release=release))
        after = self.ledger.pointer(task)
        if after is None or after.active != pointer.active:
            self.say(
                f"{task}: the pointer moved meanwhile; the samples are kept, no score is published"
            )
            count_heartbeats(self.cloudwatch, self.stage, [task], 1)
            return ExitCode.OK
        # Before the metric: this is the fast way back, the alarm is the one behind it.
        reached = self.ask_for_rollback(task)
        if reached and found.active.margin < 0 and (back := await self._left(pointer)):
            # The alarm would be about a version that no longer answers.
            metrics.publish_of_versions(self.cloudwatch, found, self.stage)
            self.say(f"{task}: went back to {back}; the margin of {pointer.version} is no alarm")
        else:
            metrics.publish(self.cloudwatch, found, self.stage)
            sign = "-" if found.active.margin < 0 else "+"
            margin = sign + score(abs(found.active.margin), 0.0)
            self.say(f"{task}: published the margin {margin} of {pointer.version}")
        if found.no_control:
            self.say(f"{task}: without a control, {found.no_control}")
        if found.cut_short:
            self.say(f"{task}: a fresh round failed, the rounds before it count: {found.cut_short}")
        return ExitCode.OK

    async def _left(self, pointer: Pointer) -> str | None:
        """Return what the task went to from `pointer`, once that is decided; None where it stays.

        Who decides says nothing back, and most bad rounds move nothing: waited for is what a
        rollback takes. Where the ledger cannot be read, the alarm is not kept from ringing.
        """
        task = pointer.task
        try:
            for _ in range(round(DECIDED_SECONDS / _LOOK_EVERY_SECONDS)):
                now = self.ledger.pointer(task)
                if now is None or now.revision != pointer.revision:
                    return now.version if now is not None and now.active != pointer.active else None
                await self.sleep(_LOOK_EVERY_SECONDS)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
            self.say(f"{task}: whether it went back could not be read, {found}")
        return None

    def _count(self, begun: WatchRound, more: int) -> None:
        """Count what the round really took: repeated calls and the control on top of the plan."""
        if more == 0:
            return
        try:
            self.rounds.correct(begun, more)
        except LedgerConflictError:
            self.say(
                f"{begun.task}: {more:+d} model calls are not counted, a round began meanwhile"
            )
