"""Answers got in batches, before an evaluation asks for them: they are put where it looks first.

Nothing else of an evaluation changes. A question that no batch has answered is asked by itself, as
ever, so that no answer is never taken for one; the budget holds for both.

A look with few open questions is left to the ordinary asking. A larger one becomes one batch, or
as many as its provider's limits ask for. What fails, expires or is missing in them is asked again
the same way: in another batch where it is much, else by itself.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from tempfile import TemporaryFile
from typing import IO, TypeVar
from uuid import uuid4

from pydantic import JsonValue

from prompt_hub.evaluation.batch_journal import BatchJournal, OpenBatch
from prompt_hub.evaluation.budget import Cost
from prompt_hub.evaluation.budgeted_client import BudgetedClient, PromptSession
from prompt_hub.evaluation.cache import LineIndex, ResponseCacheFile
from prompt_hub.llm.batches import BatchAdapter, BatchLimits, BatchState, BatchSupport
from prompt_hub.llm.client import Request, answer_of_batch
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.retry import PermanentError, TransientError
from prompt_hub.repository.schema import Prompt

ResultT = TypeVar("ResultT")
Questions = Callable[[], Iterable[tuple[Mapping[str, JsonValue], int]]]
"""Yields fields and repeats of a prompt, anew each time."""

MOST_ROUNDS = 4
"""Batches one after the other for the same look; what is open after them stays unmeasured."""
TRIES = 6
"""Times that the provider is asked for the same thing, where it fails."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds between two questions how far a batch is: a tenth of its age, within these."""
SILENT_SECONDS = 3600.0
"""So long a provider may not say how far a batch is, before it is waited for another time."""
PROGRESS_SECONDS = 15.0
"""Seconds between two lines about a batch that only counts up."""
_KEY = re.compile(r"[0-9a-f]{64}")


class _GivenUpError(Exception):
    """No batch helps here; the message is one sentence for people."""


class _QueueFullError(Exception):
    """The provider has too much waiting already; the message is its own."""


@dataclass(kw_only=True)
class _Part:
    """Questions that become one batch, and the most that they may cost."""

    lines: IO[bytes] = field(default_factory=TemporaryFile)
    requests: int = 0
    size: int = 0
    most: Cost = field(default_factory=lambda: Cost(tokens=0))


@dataclass(kw_only=True)
class _Batches:
    """What is known of the batches of one prompt."""

    session: PromptSession
    cache_file: ResponseCacheFile
    support: BatchSupport
    adapter: BatchAdapter
    journal: BatchJournal
    limits: BatchLimits
    alone: bool = False
    """Whether one batch must end before the next is started."""
    problem: str = ""
    """Why requests had no answer, one of them."""
    budget_reached: bool = False
    """Whether the last round asked less than there was to ask, as the budget had no more."""

    @property
    def model(self) -> ModelConfig:
        """Who is asked."""
        return self.session.model

    @property
    def least(self) -> int:
        """Questions from which on a batch is worth it, and allowed."""
        return max(self.model.batch_from, self.limits.least_requests)


class BatchPrefetcher:
    """Gets the answers of one evaluation's large looks in batches."""

    def __init__(
        self,
        engine: BudgetedClient,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._say = say
        self._clock = clock
        self._sleep = sleep
        self._batches: dict[int, _Batches | None] = {}

    def close(self) -> None:
        """Give the journals back."""
        for batches in self._batches.values():
            if batches is not None:
                batches.journal.close()
        self._batches.clear()

    def discount(self, model: ModelConfig, calls: int, looks: Iterable[int]) -> float:
        """Return the part of the price that `calls` will cost, spread over looks of these sizes."""
        support = model.batches
        sizes = list(looks)
        if support is None or not sizes:
            return 1.0
        least = max(model.batch_from, support.limits.least_requests)
        scale = calls / sum(sizes)
        batched = sum(size for size in sizes if size * scale >= least) / sum(sizes)
        return 1 - batched * (1 - support.price_factor)

    async def fetch(self, questions: Iterable[tuple[Prompt, Questions]]) -> None:
        """Get what can be got of these answers, and put it into the store.

        Raises `RenderError`, and `PromptHubError` for settings or files that stand in the way.
        """
        found = ((self._of(prompt), asked) for prompt, asked in questions)
        each = [(batches, asked) for batches, asked in found if batches is not None]
        started = self._clock()
        try:
            await asyncio.gather(*(self._fetch_of(batches, asked) for batches, asked in each))
        finally:
            self._engine.tracker.pause(self._clock() - started)

    async def _fetch_of(self, batches: _Batches, questions: Questions) -> None:
        if self._engine.given_up:
            return
        try:
            await self._fetch(batches, questions)
        except _GivenUpError as error:
            self._say(f"  {_name(batches)}: {error}")
            self._engine.given_up = str(error)

    async def _fetch(self, batches: _Batches, questions: Questions) -> None:
        if batches.journal.open and any(True for _ in self._missing(batches, questions)):
            with suppress(_QueueFullError):
                await self._collect(batches, [*batches.journal.open])
        rounds = 0
        while self._is_large(batches, questions):
            before = len(batches.cache_file)
            try:
                sent = await self._round(batches, questions)
            except _QueueFullError as error:
                self._say(f"  {_name(batches)}: {error}; asked for less at a time")
                continue
            if not sent:
                return
            rounds += 1
            why = batches.problem or "its results lack every request"
            if len(batches.cache_file) == before:
                raise _GivenUpError(f"a batch brought no answer at all: {why}")
            if rounds == MOST_ROUNDS:
                if batches.budget_reached or not self._is_large(batches, questions):
                    return
                raise _GivenUpError(f"{rounds} batches left too many without an answer: {why}")

    async def _round(self, batches: _Batches, questions: Questions) -> int:
        """Ask what is missing; returns how many requests were sent.

        Raises `_QueueFullError` where another round with smaller batches may do better.
        """
        waiting: list[OpenBatch] = []
        parts: list[_Part] = []
        try:
            for part in self._parts(batches, questions):
                parts.append(part)
                with part.lines:
                    try:
                        waiting.append(await self._submit(batches, part))
                    except _QueueFullError as error:
                        await self._collect(batches, waiting)
                        _ask_for_less(batches, part.requests, alone=not waiting, why=str(error))
                        raise
                if batches.alone:
                    await self._collect(batches, waiting)
                    waiting = []
            await self._collect(batches, waiting)
        finally:
            # What was answered is paid for by now.
            for part in parts:
                self._engine.tracker.release_batch(part.most, part.requests)
        return sum(part.requests for part in parts)

    def _missing(self, batches: _Batches, questions: Questions) -> Iterator[tuple[str, Request]]:
        """Yield key and request of each question that is not answered, once."""
        session, cache_file = batches.session, batches.cache_file
        seen = LineIndex()
        for fields, repeat in questions():
            request = self._engine.caller.request(session.prompt, fields)
            key = session.key(request, repeat)
            if key not in cache_file and seen.find(key) is None:
                seen.put(key, 0)
                yield key, request

    def _is_large(self, batches: _Batches, questions: Questions) -> bool:
        least = batches.least
        return any(number >= least for number, _ in enumerate(self._missing(batches, questions), 1))

    def _parts(self, batches: _Batches, questions: Questions) -> Iterator[_Part]:
        """Write what is missing into as few batches as are allowed; the budget says how much."""
        tracker, session = self._engine.tracker, batches.session
        limits, part = batches.limits, _Part()
        batches.budget_reached = False
        for key, request in self._missing(batches, questions):
            line = batches.adapter.line(
                request.model, key, request.messages, request.parameters, request.prompt.output
            )
            full = part.requests >= limits.most_requests
            if part.requests and (full or part.size + len(line) > limits.most_bytes):
                yield part
                part = _Part()
            most = session.forecast.at_most(request.characters)
            most = Cost(tokens=most.tokens, usd=most.usd * batches.support.price_factor)
            if not tracker.reserve_of_batch(most):
                # What is left at the end is asked by itself, where the budget says what it lacks.
                batches.budget_reached = True
                break
            part.lines.write(line)
            part.requests += 1
            part.size += len(line)
            part.most = Cost(tokens=part.most.tokens + most.tokens, usd=part.most.usd + most.usd)
        if part.requests >= limits.least_requests:
            yield part
        else:
            # Too few for the provider: they are asked by themselves.
            part.lines.close()
            tracker.release_batch(part.most, part.requests)

    async def _submit(self, batches: _Batches, part: _Part) -> OpenBatch:
        """Start a batch, and write down that it was."""
        model, adapter, tag = batches.model, batches.adapter, uuid4().hex

        async def upload() -> str:
            part.lines.seek(0)
            return await adapter.upload(model, part.lines, tag)

        uploaded = await self._tried(upload, "the requests of a batch could not be handed in")
        batch = batches.journal.starting(tag, part.requests)
        try:
            state = await self._start(batches, batch, uploaded)
        except (_QueueFullError, PermanentError) as error:
            # It says itself that there is none.
            batches.journal.over(batch)
            if isinstance(error, PermanentError):
                raise _GivenUpError(f"a batch was refused: {error.in_words()}") from None
            raise
        batch = batches.journal.started(batch, state.id)
        self._say(f"  {_name(batches)}: batch {state.id}, {part.requests} requests: {state.status}")
        return batch

    async def _start(self, batches: _Batches, batch: OpenBatch, uploaded: str) -> BatchState:
        """Start a batch once, whatever becomes of the provider's answer."""
        for attempt in range(TRIES):
            try:
                return await batches.adapter.create(batches.model, uploaded, batch.tag)
            except TransientError as error:
                if error.busy and error.reason == "HTTP 429":
                    raise _QueueFullError(error.in_words()) from None
                why = error.in_words()
            await self._sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))
            # It may have been started, and only its answer lost.
            if (found := await self._found(batches, batch)) is not None:
                return found
        raise _GivenUpError(
            f"nobody knows whether a batch was started ({why}); the next run looks for it"
        )

    async def _found(self, batches: _Batches, batch: OpenBatch) -> BatchState | None:
        async def find() -> BatchState | None:
            return await batches.adapter.find(batches.model, batch.tag, batch.at)

        return await self._tried(find, "batches could not be listed")

    async def _tried(self, act: Callable[[], Awaitable[ResultT]], what: str) -> ResultT:
        """Do what may be done twice; raises `_GivenUpError` where it cannot be done."""
        for attempt in range(TRIES):
            try:
                return await act()
            except PermanentError as error:
                raise _GivenUpError(f"{what}: {error.in_words()}") from None
            except TransientError as error:
                why = error.in_words()
                await self._sleep(max(error.after or 0.0, FIRST_PAUSE * 2**attempt))
        raise _GivenUpError(f"{what}, {TRIES} times: {why}")

    async def _collect(self, batches: _Batches, waiting: list[OpenBatch]) -> None:
        """Wait for batches and put their answers into the store.

        Raises `_QueueFullError` where one failed because too much was waiting.
        """
        try:
            taken = [self._take(batches, batch) for batch in waiting]
            results = await asyncio.gather(*taken, return_exceptions=True)
        except asyncio.CancelledError:
            names = ", ".join(batch.id or "one without a name" for batch in batches.journal.open)
            self._say(
                f"\n  {_name(batches)}: {names} go on at the provider. The same command takes their"
                " answers and pays for none of them again."
            )
            raise
        # What the others have brought is stored by now.
        if errors := [result for result in results if isinstance(result, BaseException)]:
            raise errors[0]
        ended = [result for result in results if isinstance(result, BatchState)]
        full = [state for state in ended if state.queue_full]
        if full:
            alone, requests = len(waiting) == 1, max(batch.requests for batch in waiting)
            _ask_for_less(batches, requests, alone=alone, why=full[0].reason)
            raise _QueueFullError(full[0].reason)
        for state in ended:
            if state.phase == "failed":
                raise _GivenUpError(f"the batch {state.id} failed: {state.reason or 'no reason'}")
            if state.status == "cancelled":
                raise _GivenUpError(f"the batch {state.id} was cancelled by somebody")

    async def _take(self, batches: _Batches, batch: OpenBatch) -> BatchState | None:
        """Wait for one batch and store its answers; None where there is no such batch."""
        if batch.id is None:
            found = await self._found(batches, batch)
            if found is None:
                batches.journal.over(batch)
                return None
            batch = batches.journal.started(batch, found.id)
        state = await self._wait(batches, batch, batch.id or "")
        if state is None:
            self._say(f"  {_name(batches)}: the provider knows no batch {batch.id} any more")
        elif state.phase == "ended":
            await self._tried(lambda: self._read(batches, state), f"batch {batch.id}: its answers")
        batches.journal.over(batch)
        return state

    async def _wait(self, batches: _Batches, batch: OpenBatch, name: str) -> BatchState | None:
        started = spoken = heard = self._clock()
        told = ("", 0, 0)
        while True:
            now = self._clock()
            try:
                state = await batches.adapter.state(batches.model, name)
                heard = now
            except (TransientError, PermanentError) as error:
                if isinstance(error, PermanentError) or now - heard > SILENT_SECONDS:
                    raise _GivenUpError(
                        f"the provider does not say how far the batch {name} is"
                        f" ({error.in_words()}); the next run goes on waiting"
                    ) from None
            else:
                if state is None or state.phase != "waiting":
                    if state is not None:
                        self._progress(batches, batch, state, now - started)
                    return state
                counts = (state.status, state.answered, state.failed)
                if counts[0] != told[0] or (counts != told and now - spoken >= PROGRESS_SECONDS):
                    self._progress(batches, batch, state, now - started)
                    told, spoken = counts, now
            await self._sleep(min(LONGEST_PAUSE, max(FIRST_PAUSE, (now - started) / 10)))

    def _progress(
        self, batches: _Batches, batch: OpenBatch, state: BatchState, seconds: float
    ) -> None:
        minutes, rest = divmod(int(seconds), 60)
        self._say(
            f"  {_name(batches)}: batch {state.id} {state.status}: {state.answered} of"
            f" {state.total or batch.requests} answered, {state.failed} failed,"
            f" {minutes}:{rest:02} so far"
        )

    async def _read(self, batches: _Batches, state: BatchState) -> None:
        """Put the answers of a batch into the store; those that are there stay as they are."""
        cache_file, model = batches.cache_file, batches.model
        async for answer in batches.adapter.answers(model, state):
            if answer.response is None:
                batches.problem = answer.problem
            elif _KEY.fullmatch(answer.custom_id) and answer.custom_id not in cache_file:
                response = answer_of_batch(answer.response, model, batches.support.price_factor)
                self._engine.tracker.pay(response.usage)
                if self._engine.counts(response):
                    cache_file.put(answer.custom_id, response)

    def _of(self, prompt: Prompt) -> _Batches | None:
        """Return what is known of a prompt's batches, None where its model takes none."""
        session = self._engine.session(prompt)
        if id(prompt) in self._batches:
            return self._batches[id(prompt)]
        support = session.model.batches
        if support is None or session.cache_file is None:
            self._say(
                f"  {prompt.task} {prompt.version}: {session.model.identity} takes no batches and"
                " is asked by itself"
            )
            self._batches[id(prompt)] = None
            return None
        journal = BatchJournal(session.cache_file.path)
        if session.cache_file.fresh:
            # What was asked before is not to be used, wherever its answers are now.
            for batch in journal.open:
                journal.over(batch)
        batches = _Batches(
            session=session,
            cache_file=session.cache_file,
            support=support,
            adapter=self._engine.caller.batches(session.model, support),
            journal=journal,
            limits=support.limits,
        )
        self._batches[id(prompt)] = batches
        return batches


def _name(batches: _Batches) -> str:
    prompt = batches.session.prompt
    return f"{prompt.task} {prompt.version}"


def _ask_for_less(batches: _Batches, requests: int, *, alone: bool, why: str) -> None:
    """Let batches come one after the other, and where one alone was too much, make them smaller.

    Raises `_GivenUpError` where they are as small as is worth it.
    """
    batches.alone = True
    if alone:
        if requests <= batches.least:
            raise _GivenUpError(f"the provider takes no batch now: {why}")
        fewer = max(batches.least, requests // 2)
        batches.limits = replace(batches.limits, most_requests=fewer)
