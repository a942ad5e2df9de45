"""What the processes of one service share: the pointers, the calls in hand, the models' limits.

One process, the supervisor, follows the ledger. Its workers learn of a change through a pipe each,
in parts so small that no call waits for one, and lay it by; when all have it, a number in shared
memory moves. A worker looks at that number with each call, so that once it has moved no worker
answers by what was active before, and none by what comes before it has.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from types import TracebackType
from typing import Protocol

from prompt_hub.ledger.items import VersionRef
from prompt_hub.llm.client import ModelClient, Request
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.llm.rate_limit import Limiter, Slot
from prompt_hub.release.carried import CarriedHashes
from prompt_hub.release.ledger_poller import ServedVersion, ServingState, find_served

_PART = 8
"""Tasks in one part of a change: a third of a millisecond to take in, their prompts parsed."""
_REST_SECONDS = 0.0005
"""The pause of the pointers' thread after each part.

Who waits for the interpreter is woken when it is let go of, and needs longer to wake up than a mere
look at the pipe takes: calls would find it taken again each time, until the last part is in.
"""
LOOK_AGAIN_SECONDS = 0.005
"""How soon a call looks again whether another process has left it a place with its model."""


@dataclass(frozen=True, kw_only=True)
class StateChange:
    """What a worker has to take over: of the tasks only those that moved, as there may be many."""

    number: int
    ready: bool
    revision: int
    ledger_answers: bool
    refused: Mapping[str, VersionRef]
    moved: Mapping[str, ServedVersion]
    gone: Sequence[str]
    packed: Mapping[tuple[str, str], bytes] = field(default_factory=dict)
    """Prompts that are served from now on, by task and version."""
    more: bool = False
    """Whether further parts of the same change follow."""

    def parts(self) -> Iterator[StateChange]:
        """Divide the change, so that no part takes long to receive."""
        tasks, refused = list(self.moved), list(self.refused)
        most = max(len(tasks), len(refused), len(self.gone), 1)
        for start in range(0, most, _PART):
            piece = tasks[start : start + _PART]
            yield replace(
                self,
                moved={task: self.moved[task] for task in piece},
                refused={task: self.refused[task] for task in refused[start : start + _PART]},
                gone=self.gone[start : start + _PART],
                packed={
                    key: self.packed[key]
                    for task in piece
                    if (key := (task, self.moved[task].reference.version)) in self.packed
                },
                more=start + _PART < most,
            )

    @classmethod
    def between(cls, before: ServingState, after: ServingState, number: int) -> StateChange:
        """Describe what leads from one state to the next."""
        return cls(
            number=number,
            ready=after.ready,
            revision=after.revision,
            ledger_answers=after.ledger_answers,
            refused=dict(after.refused),
            moved={
                task: served
                for task, served in after.served.items()
                if before.served.get(task) != served
            },
            gone=[task for task in before.served if task not in after.served],
        )


class ComingState:
    """The state after a change, made part by part: in one go it would hold up calls."""

    def __init__(self, before: ServingState) -> None:
        self.left: list[tuple[str, str]] = []
        """What is served no longer, tasks with versions."""
        self._before = before.served
        self._served = dict(before.served)
        self._refused: dict[str, VersionRef] = {}

    def add(self, part: StateChange) -> list[tuple[str, str]]:
        """Take over one part; returns what is served until now of its tasks."""
        left = [
            (task, self._before[task].reference.version)
            for task in (*part.moved, *part.gone)
            if task in self._before
        ]
        self.left += left
        self._served.update(part.moved)
        for task in part.gone:
            del self._served[task]
        self._refused.update(part.refused)
        return left

    def state(self, last: StateChange) -> ServingState:
        """Return the whole; `last` is the last part."""
        return ServingState(
            ready=last.ready,
            revision=last.revision,
            served=self._served,
            refused=self._refused,
            ledger_answers=last.ledger_answers,
        )


class SharedMemory:
    """Numbers that several processes read and write; each is written at once."""

    def __init__(self, workers: int, models: Sequence[ModelConfig]) -> None:
        """Make room for so many workers; `models` are those that calls may go to."""
        size = 8 * (1 + 2 * workers + len(models) * (_FIELDS + workers))
        self.workers = workers
        self._models = {model: place for place, model in enumerate(models)}
        whole = memoryview(mmap.mmap(-1, size))
        head, rest = 8 * (1 + 2 * workers), whole[8 * (1 + 2 * workers) :]
        self._numbers = whole[:head].cast("Q")
        self.calls_in_hand = self._numbers[1 : 1 + workers]
        """Calls in hand of each worker."""
        self.laid_by = self._numbers[1 + workers :]
        """The newest change that each worker has whole, be it to be answered by or not yet."""
        self._limits = rest.cast("d")
        context = get_context("fork")
        self._locks = {model: context.Lock() for model in models}
        self.quota_lock = context.Lock()
        """What keeps the other processes from the quotas of callers."""

    @property
    def change(self) -> int:
        """The number of the newest change of the pointers."""
        return self._numbers[0]

    @change.setter
    def change(self, number: int) -> None:
        self._numbers[0] = number

    def knows(self, model: ModelConfig) -> bool:
        """Whether the limits of a model are shared."""
        return model in self._models

    def limits(self, model: ModelConfig) -> memoryview[float]:
        """Return what is shared of one model's limits: `_FIELDS`, then calls in flight."""
        width = _FIELDS + self.workers
        place = self._models[model]
        return self._limits[place * width : (place + 1) * width]

    def lock(self, model: ModelConfig) -> Lock:
        """Return what keeps the other processes from the limits of one model."""
        return self._locks[model]

    def forget(self, worker: int) -> None:
        """Give back what a worker held that is no more, a lock included."""
        self.calls_in_hand[worker] = 0
        for model, lock in self._locks.items():
            # Locks are held for microseconds: one that stays shut was the dead worker's.
            lock.acquire(timeout=_STUCK_SECONDS)
            try:
                self.limits(model)[_FIELDS + worker] = 0.0
            finally:
                lock.release()
        self.quota_lock.acquire(timeout=_STUCK_SECONDS)
        self.quota_lock.release()


class PackedPrompts(Protocol):
    """Where a worker has its prompts."""

    def take(
        self, packed: Mapping[tuple[str, str], bytes], left: Collection[tuple[str, str]]
    ) -> None:
        """Take over what the supervisor has prepared, by task and version, instead of `left`."""

    def forget(self, keys: Collection[tuple[str, str]]) -> None:
        """Let these go, tasks with versions."""


class FollowedState:
    """The pointers as a worker has them: a `LedgerPoller` as far as calls are concerned."""

    def __init__(
        self,
        memory: SharedMemory,
        changes: Connection,
        *,
        place: int,
        state: ServingState,
        number: int,
        release: CarriedHashes,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin with `state`, which is that of change `number`; later ones come by `changes`."""
        self._release = release
        self._rest = rest
        self.prompts: PackedPrompts | None = None
        self._memory = memory
        self._changes = changes
        self._place = place
        self._shown = (number, state)
        self._next: tuple[int, ServingState] | None = None
        self._coming: ComingState | None = None
        self._left: list[tuple[str, str]] = []
        self._before: ServingState | None = None
        """What was shown before: it is large, and let go where that holds up no call."""
        self._lock = threading.Lock()
        memory.laid_by[place] = number

    @property
    def state(self) -> ServingState:
        """The pointers as they are now."""
        newest = self._memory.change
        if self._shown[0] < newest:
            with self._lock:
                while not self._show(newest):
                    # It was written before its number was.
                    self._take()
        return self._shown[1]

    def find(self, task: str, stage: str) -> ServedVersion:
        """Return the version of `task` that is served now; raises as `find_served`."""
        return find_served(self._release, task, stage, self.state)

    def run(self, every_seconds: float, stop: threading.Event) -> None:
        """Take changes in while no call asks for them, until `stop` is set."""
        while not stop.is_set():
            with self._lock:
                forgot = self._forget()
            if forgot:
                self._rest(_REST_SECONDS)
            if not self._changes.poll(0 if forgot else min(every_seconds, 1.0)):
                continue
            with self._lock:
                try:
                    if self._changes.poll(0):
                        self._take()
                except (EOFError, OSError):
                    # The supervisor is gone: pointers would be followed no more.
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            self._rest(_REST_SECONDS)

    def _take(self) -> None:
        """Take in one part of a change, and lay the change by when it is whole."""
        part: StateChange = self._changes.recv()
        # The number of one change moves before the next is sent.
        self._show(part.number - 1)
        first = self._coming is None
        if self._coming is None:
            self._coming = ComingState(self._shown[1])
        left = self._coming.add(part)
        if self.prompts is not None:
            self.prompts.take(part.packed, left)
        if part.more:
            # What came stays. Counted as new, that of many tasks would be looked through for
            # rubbish: one call or another would wait fifteen milliseconds. What is rubbish now
            # would stay, too, so the newest of it goes first; but not before the first part. What
            # calls have parsed since the last change would be looked through then, which takes
            # ten milliseconds, and a call leaves no rubbish.
            if not first:
                gc.collect(0)
            gc.freeze()
            return
        self._next = (part.number, self._coming.state(part))
        self._left += self._coming.left
        self._coming = None
        self._memory.laid_by[self._place] = part.number

    def _show(self, number: int) -> bool:
        """Answer by change `number` from now on; False where it has not come yet."""
        if self._shown[0] < number and self._next is not None:
            # Nothing more: a call waits for it, or the loop does.
            self._before, self._shown, self._next = self._shown[1], self._next, None
        return self._shown[0] >= number

    def _forget(self) -> bool:
        """Let some go to which no pointer leads any more; returns whether there were any."""
        # A change of which parts have come may lead there again, and has brought it already.
        if self._next is not None or self._coming is not None or not self._left:
            return False
        self._before = None
        served = self._shown[1].served
        left = [
            (task, version)
            for task, version in self._left[:_PART]
            if (now := served.get(task)) is None or now.reference.version != version
        ]
        del self._left[:_PART]
        if self.prompts is not None:
            self.prompts.forget(left)
        return True


class SharedLimitClient(ModelClient):
    """Asks models within limits that all workers share."""

    def __init__(self, aliases: ModelAliases, memory: SharedMemory) -> None:
        super().__init__(aliases)
        self.worker = 0
        """The place of this process among the workers."""
        self._memory = memory

    def _limiter(self, request: Request) -> Limiter:
        model = request.model
        limiter = self._limiters.get(model)
        if limiter is None:
            if not self._memory.knows(model):
                # The drill's script: no provider's limits are to be kept.
                return super()._limiter(request)
            limiter = self._limiters[model] = SharedLimiter(
                model, self.concurrency(request.prompt), self._memory, self.worker
            )
        return limiter


_FIELDS = 8
_STUCK_SECONDS = 1.0
_UNSET = 0.0
"""What new memory holds: the window of a limiter is never that."""


class SharedLimiter(Limiter):
    """The limiter of one model with its state in shared memory; first come, first served in each.

    Rates and window are those of all processes together. Between processes a free place goes to
    whoever looks first.
    """

    def __init__(self, model: ModelConfig, ceiling: int, memory: SharedMemory, worker: int) -> None:
        """Limit the calls of one worker to `model`, together with those of the others."""
        super().__init__(
            ceiling,
            requests_per_minute=model.requests_per_minute,
            tokens_per_minute=model.tokens_per_minute,
        )
        # Made once, as the parts of the memory below: each call takes two steps.
        self._together = _Together(self, memory.lock(model))
        self._shared = memory.limits(model)
        self._head = self._shared[:4]
        self._all_in_flight = self._shared[_FIELDS:]
        self._own = _FIELDS + worker
        places = ((self._requests, 4), (self._tokens, 6))
        self._rates = [(rate, place) for rate, place in places if rate is not None]
        with self._together:
            pass

    async def acquire(self, tokens: int = 0) -> Slot:
        """Wait for a place; `tokens` is what the call is expected to use."""
        async with self._turn:
            while True:
                with self._together:
                    wait = self._wait(tokens) if self._has_room() else LOOK_AGAIN_SECONDS
                    if wait <= 0:
                        return self._let_in(tokens)
                await self._sleep(wait)

    def acquire_now(self, tokens: int = 0) -> Slot | None:
        """Take a place if nobody here waits for one and no wait is due; None otherwise."""
        if self._turn.locked():
            return None
        with self._together:
            free = self._has_room() and self._wait(tokens) <= 0
            return self._let_in(tokens) if free else None

    def correct(self, tokens: int) -> None:
        """Take as many tokens more than a call had announced; negative if it used fewer."""
        if self._tokens is not None:
            with self._together:
                super().correct(tokens)

    def released(self, generation: int, *, busy: bool, failed: bool, pause: float) -> None:
        """Take back the slot of a call that has ended (see `Slot.release`)."""
        with self._together:
            super().released(generation, busy=busy, failed=failed, pause=pause)

    def load(self) -> None:
        """Read what all processes share."""
        window, paused_until, busy_in_a_row, halvings = self._head.tolist()
        if window != _UNSET:
            self.window, self._paused_until = window, paused_until
            self._busy_in_a_row, self._halvings = int(busy_in_a_row), int(halvings)
            for rate, at in self._rates:
                rate._left, rate._at = self._shared[at], self._shared[at + 1]
        self.in_flight = self._others = int(sum(self._all_in_flight))

    def store(self) -> None:
        """Write what all processes share."""
        shared = self._shared
        shared[0], shared[1] = self.window, self._paused_until
        shared[2], shared[3] = self._busy_in_a_row, self._halvings
        for rate, at in self._rates:
            shared[at], shared[at + 1] = rate._left, rate._at
        shared[self._own] += self.in_flight - self._others


class _Together:
    """Holds a limiter's shared state for one step after the other."""

    __slots__ = ("_limiter", "_lock")

    def __init__(self, limiter: SharedLimiter, lock: Lock) -> None:
        self._limiter = limiter
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()
        self._limiter.load()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._limiter.store()
        finally:
            self._lock.release()
