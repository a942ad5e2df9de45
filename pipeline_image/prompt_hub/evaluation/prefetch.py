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
from itertools import islice
from tempfile import TemporaryFile
from typing import IO
from uuid import uuid4

from pydantic import JsonValue

from prompt_hub.core.wording import count
from prompt_hub.evaluation.batch_journal import BatchJournal, OpenBatch
from prompt_hub.evaluation.batch_provider import (
    BatchProvider,
    GivenUpError,
    NotStartedError,
    QueueFullError,
)
from prompt_hub.evaluation.budget import Cost
from prompt_hub.evaluation.budgeted_client import (
    FILTERED_OUT,
    LEARN_FROM_EVERY,
    BudgetedClient,
    PromptSession,
)
from prompt_hub.evaluation.cache import KeyIndex, ResponseCacheFile
from prompt_hub.llm.batches import BatchAnswer, BatchLimits, BatchState, BatchSupport
from prompt_hub.llm.client import Request, answer_of_batch
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.repository.schema import Prompt

Questions = Callable[[], Iterable[tuple[Mapping[str, JsonValue], int]]]
"""Yields fields and repeats of a prompt, anew each time."""

MOST_ROUNDS = 4
"""Batches one after the other for the same look; what is open after them stays unmeasured."""
_KEY = re.compile(r"[0-9a-f]{64}")


class _CrowdedOutError(Exception):
    """The provider's queue is full of batches of other prompts of this evaluation."""


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
    provider: BatchProvider
    journal: BatchJournal
    limits: BatchLimits
    earlier: frozenset[str]
    """Tags of the batches that were under way before this evaluation: others have paid for them."""
    alone: bool = False
    """Whether one batch must end before the next is started."""
    problem: str = ""
    """Why requests had no answer, one of them."""
    budget_reached: bool = False
    """Whether the last round asked less than there was to ask, as the budget had no more."""
    crowded_out: bool = False
    """Whether other prompts' batches left no budget, or no place at the provider, for this look."""

    @property
    def waited_for(self) -> list[OpenBatch]:
        """Batches under way whose answers are wanted.

        A fresh run leaves those of an earlier one to whoever comes next: they are paid for.
        """
        fresh = self.cache_file.fresh
        return [one for one in self.journal.open if not (fresh and one.tag in self.earlier)]

    @property
    def least(self) -> int:
        """Questions from which on a batch is worth it, and allowed."""
        return max(self.session.model.batch_from, self.limits.least_requests)


_Step = Callable[[_Batches, Questions], Awaitable[None]]


class BatchPrefetcher:
    """Gets the answers of one evaluation's large looks in batches."""

    def __init__(self, budgeted: BudgetedClient, say: Callable[[str], None]) -> None:
        self._budgeted = budgeted
        self._say = say
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
        if support is None or not any(sizes):
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
        # Versions of the same content are asked the same.
        each = {id(batches): (batches, asked) for batches, asked in found if batches is not None}
        for batches, _ in each.values():
            batches.crowded_out = False
        for batches, asked in each.values():
            await self._try(self._ask_ahead, batches, asked)
        started = time.monotonic()
        try:
            await asyncio.gather(*(self._try(self._fetch, *one) for one in each.values()))
            # The others' batches have ended, and are paid for at what they really cost.
            for batches, asked in each.values():
                if batches.crowded_out:
                    await self._try(self._fetch, batches, asked)
        finally:
            self._budgeted.tracker.pause(time.monotonic() - started)

    async def _try(self, step: _Step, batches: _Batches, questions: Questions) -> None:
        if self._budgeted.given_up:
            return
        try:
            await step(batches, questions)
        except _CrowdedOutError as error:
            batches.crowded_out = True
            batches.provider.tell(f"{error}; the other batches of this evaluation are waited for")
        except GivenUpError as error:
            batches.provider.tell(str(error))
            self._budgeted.given_up = str(error)

    async def _ask_ahead(self, batches: _Batches, questions: Questions) -> None:
        """Let one answer tell how long they are: a batch is set aside before any of it has."""
        # What an earlier run's batches bring tells it, too.
        told = batches.session.forecast.is_known or batches.waited_for
        if not self._budgeted.asks_ahead or told or not self._is_large(batches, questions):
            return
        try:
            await self._budgeted.ask_ahead(batches.session, self._missing(batches, questions))
        except ModelUnavailableError as error:
            # A batch may well have what one call has not: more time, or a quota of its own.
            batches.provider.tell(f"{error}; how long answers are is guessed")

    async def _fetch(self, batches: _Batches, questions: Questions) -> None:
        if batches.waited_for and any(True for _ in self._missing(batches, questions)):
            batches.provider.tell(
                "batches of an earlier run are waited for first, as their answers are paid for; to"
                f" do without them, delete {batches.journal.path}"
            )
            with suppress(QueueFullError):
                await self._collect(batches, batches.waited_for)
            self._learn(batches, questions)
            await self._ask_ahead(batches, questions)
        rounds = 0
        while self._is_large(batches, questions):
            before = len(batches.cache_file)
            try:
                sent = await self._round(batches, questions)
            except QueueFullError as error:
                batches.provider.tell(f"{error}; asked for less at a time")
                continue
            if not sent:
                batches.crowded_out = batches.budget_reached
                return
            rounds += 1
            if batches.budget_reached:
                self._learn(batches, questions)
            why = batches.problem or "its results lack every request"
            if len(batches.cache_file) == before:
                raise GivenUpError(f"a batch brought no answer at all: {why}")
            if rounds == MOST_ROUNDS:
                if batches.budget_reached or not self._is_large(batches, questions):
                    return
                raise GivenUpError(
                    f"{count(rounds, 'batch', 'batches')} left too many without an answer: {why}"
                )

    async def _round(self, batches: _Batches, questions: Questions) -> int:
        """Ask what is missing; returns how many requests were sent.

        Raises `QueueFullError` where another round with smaller batches may do better.
        """
        waiting: list[OpenBatch] = []
        parts: list[_Part] = []
        sent = 0
        try:
            for part in self._parts(batches, questions):
                parts.append(part)
                with part.lines:
                    try:
                        waiting.append(await self._submit(batches, part))
                    except QueueFullError as error:
                        await self._collect(batches, waiting)
                        self._ask_for_less(
                            batches, part.requests, alone=not waiting, why=str(error)
                        )
                        raise
                sent += part.requests
                if batches.alone:
                    await self._collect(batches, waiting)
                    waiting = []
                    self._release(parts)
            await self._collect(batches, waiting)
        finally:
            self._release(parts)
        return sent

    def _release(self, parts: list[_Part]) -> None:
        """Give back what is set aside for parts: what was answered of them is paid for by now."""
        for part in parts:
            self._budgeted.tracker.release_batch(part.most, part.requests)
        parts.clear()

    def _missing(self, batches: _Batches, questions: Questions) -> Iterator[tuple[str, Request]]:
        """Yield key and request of each question that is not answered, once."""
        session, cache_file = batches.session, batches.cache_file
        seen = KeyIndex()
        for fields, repeat in questions():
            request = self._budgeted.client.request(session.prompt, fields)
            key = session.key(request, repeat)
            if key not in cache_file and seen.find(key) is None:
                seen.put(key, 0)
                yield key, request

    def _learn(self, batches: _Batches, questions: Questions) -> None:
        """Take note of what some answers have cost: what is left is set aside by that."""
        for fields, repeat in islice(questions(), 0, None, LEARN_FROM_EVERY):
            request = self._budgeted.client.request(batches.session.prompt, fields)
            key = batches.session.key(request, repeat)
            batches.session.learn(request, batches.cache_file.get(key))

    def _is_large(self, batches: _Batches, questions: Questions) -> bool:
        least = batches.least
        return any(number >= least for number, _ in enumerate(self._missing(batches, questions), 1))

    def _parts(self, batches: _Batches, questions: Questions) -> Iterator[_Part]:
        """Write what is missing into as few batches as are allowed; the budget says how much."""
        tracker, session = self._budgeted.tracker, batches.session
        limits, part = batches.limits, _Part()
        batches.budget_reached = False
        for key, request in self._missing(batches, questions):
            line = batches.provider.adapter.line(
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
        provider, tag = batches.provider, uuid4().hex
        uploaded = await provider.upload(part.lines, tag)
        batch = batches.journal.starting(tag, part.requests)
        try:
            state = await provider.start(uploaded, batch)
        except (QueueFullError, NotStartedError):
            batches.journal.over(batch)
            raise
        batch = batches.journal.started(batch, state.id)
        provider.tell(f"batch {state.id}, {count(part.requests, 'request')}: {state.status}")
        return batch

    async def _collect(self, batches: _Batches, waiting: list[OpenBatch]) -> None:
        """Wait for batches and put their answers into the store.

        Raises `QueueFullError` where one failed because too much was waiting.
        """
        try:
            taken = [self._take(batches, batch) for batch in waiting]
            results = await asyncio.gather(*taken, return_exceptions=True)
        except asyncio.CancelledError:
            names = ", ".join(batch.id or "one without a name" for batch in batches.waited_for)
            then = (
                "With --fresh the same command does not take their answers, and asks anew."
                if batches.cache_file.fresh
                else "The same command takes their answers and pays for none of them again."
            )
            batches.provider.tell(f"{names} go on at the provider. {then}")
            raise
        # What the others have brought is stored by now.
        if errors := [result for result in results if isinstance(result, BaseException)]:
            raise errors[0]
        ended = [result for result in results if isinstance(result, BatchState)]
        full = [state for state in ended if state.queue_full]
        if full:
            alone, requests = len(waiting) == 1, max(batch.requests for batch in waiting)
            self._ask_for_less(batches, requests, alone=alone, why=full[0].reason)
            raise QueueFullError(full[0].reason)
        for state in ended:
            if state.phase == "failed":
                raise GivenUpError(f"the batch {state.id} failed: {state.reason or 'no reason'}")
            if state.status == "cancelled":
                raise GivenUpError(f"the batch {state.id} was cancelled by somebody")

    async def _take(self, batches: _Batches, batch: OpenBatch) -> BatchState | None:
        """Wait for one batch and store its answers; None where there is no such batch."""
        provider, journal = batches.provider, batches.journal
        if batch.id is None:
            found = await provider.find(batch)
            if found is None:
                journal.over(batch)
                return None
            batch = journal.started(batch, found.id)
        name = batch.id or ""
        state = await provider.wait(name, batch.requests)
        if state is None:
            provider.tell(f"the provider knows no batch {name} any more")
        elif state.phase == "ended":
            answered: set[str] = set()

            def take(answer: BatchAnswer) -> None:
                self._store(batches, answer, paid=batch.tag in batches.earlier)
                if answer.response is not None:
                    answered.add(answer.custom_id)

            await provider.read(state, take)
            if len(answered) < state.answered:
                known = count(state.answered, "answer")
                provider.tell(
                    f"the results of {name} hold {len(answered):,} of its {known};"
                    " the others are lost"
                )
        journal.over(batch)
        return state

    def _store(self, batches: _Batches, answer: BatchAnswer, *, paid: bool) -> None:
        """Pay for an answer and put it into the store; one that is there stays as it is."""
        cache_file, model = batches.cache_file, batches.session.model
        if answer.response is None:
            batches.problem = answer.problem
        elif _KEY.fullmatch(answer.custom_id) and answer.custom_id not in cache_file:
            response = answer_of_batch(answer.response, model, batches.support.price_factor)
            if not paid:
                self._budgeted.tracker.pay(response.usage)
            if self._budgeted.counts(response):
                cache_file.put(answer.custom_id, response)
            else:
                batches.problem = FILTERED_OUT

    def _ask_for_less(self, batches: _Batches, requests: int, *, alone: bool, why: str) -> None:
        """Let batches come one after the other; where one alone was too much, make them smaller.

        Raises `_CrowdedOutError` where another prompt has batches there, too, and `GivenUpError`
        where they are as small as is worth it.
        """
        batches.alone = True
        if not alone:
            return
        if not batches.crowded_out and self._others_wait(batches):
            raise _CrowdedOutError(why)
        if requests <= batches.least:
            raise GivenUpError(f"the provider takes no batch now: {why}")
        fewer = max(batches.least, requests // 2)
        batches.limits = replace(batches.limits, most_requests=fewer)

    def _others_wait(self, batches: _Batches) -> bool:
        """Whether another prompt has a batch at the same model, whose queue is one."""
        return any(
            other.session.model == batches.session.model and other.waited_for
            for other in self._batches.values()
            if other is not None and other is not batches
        )

    def _of(self, prompt: Prompt) -> _Batches | None:
        """Return what is known of a prompt's batches, None where its model takes none."""
        session = self._budgeted.session(prompt)
        # Versions of the same content share a cache file, and so its journal.
        key = id(prompt if session.cache_file is None else session.cache_file)
        if key in self._batches:
            return self._batches[key]
        support = session.model.batches
        if support is None or session.cache_file is None:
            self._say(
                f"  {prompt.task} {prompt.version}: {session.model.identity} takes no batches and"
                " is asked by itself"
            )
            self._batches[key] = None
            return None
        journal = BatchJournal(session.cache_file.path)
        batches = _Batches(
            session=session,
            cache_file=session.cache_file,
            support=support,
            provider=BatchProvider(
                model=session.model,
                adapter=self._budgeted.client.batches(session.model, support),
                name=f"{prompt.task} {prompt.version}",
                say=self._say,
            ),
            journal=journal,
            limits=support.limits,
            earlier=frozenset(batch.tag for batch in journal.open),
        )
        self._batches[key] = batches
        return batches
