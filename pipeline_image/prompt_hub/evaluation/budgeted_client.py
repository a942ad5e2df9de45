"""Asks models for one evaluation: from what is stored where it can, within a budget where not.

Candidate, champion and judge are all asked by `BudgetedClient.ask`, so that whatever an evaluation
costs is counted once and in one place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pydantic import JsonValue

from prompt_hub.core.log_setup import log_context
from prompt_hub.core.wording import count
from prompt_hub.evaluation.budget import UNPRICED, BudgetReachedError, BudgetTracker, Cost, Forecast
from prompt_hub.evaluation.cache import ResponseCacheFile, ResponseStore
from prompt_hub.llm.client import ModelClient, Request, answer_alone, at_price_of
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import FILTERED, Answer, ModelResponse
from prompt_hub.repository.schema import Budget, Metadata, Prompt

logger = logging.getLogger(__name__)

GIVE_UP_AFTER = 5
"""So many calls without an answer, one after the other, mean that the model is gone."""

SAMPLED = 100
"""Questions from whose length that of all is estimated."""

LEARN_FROM_EVERY = 20
"""An estimate reads the cost of one in so many of the stored responses."""

FILTERED_OUT = f"{FILTERED.reason}, which counts as not measured (gate.content_filter)"
"""Why an answer is missing that a content filter has stopped."""


class Ask(Protocol):
    """Asks a model once; of a sampled one a second `repeat` of a question is a call of its own."""

    def __call__(
        self, prompt: Prompt, fields: Mapping[str, JsonValue], *, repeat: int = 0
    ) -> Awaitable[Answer]:
        """Answer one record; raises `ModelUnavailableError` or `BudgetReachedError`."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What an evaluation will ask for; `cached` of its calls are answered already.

    Tokens and US dollars are those of the calls that are left; `usd` is None where none of these
    has a price, and `unpriced` says that some have none.
    """

    calls: int
    cached: int
    tokens: int
    usd: float | None
    unpriced: bool = False

    def in_words(self, budget: Budget, most: Estimate | None = None) -> str:
        """One line for people, beside what they allow; `most` is of all that may be asked."""
        words = [count(self.calls, "call")]
        if self.cached:
            words.append(f"{self.cached:,} of them answered before")
        if self.cached < self.calls:
            words.append(f"about {count(self.tokens, 'token')}")
            unpriced = UNPRICED if self.unpriced else ""
            price = "no price known" if self.usd is None else f"about ${self.usd:.4f}{unpriced}"
            words.append(price)
        allowed = (
            f"{count(budget.calls, 'call')}, {count(budget.tokens, 'token')},"
            f" ${budget.usd:g}, {budget.seconds:g} s"
        )
        warning = "" if (most or self).fits(budget) else ", which will not do for all of it"
        return f"{', '.join(words)} (budget: {allowed}{warning})"

    def fits(self, budget: Budget) -> bool:
        """Whether a budget will do for the calls that are left."""
        return (
            self.calls - self.cached <= budget.calls
            and self.tokens <= budget.tokens
            and (self.usd or 0.0) <= budget.usd
        )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The fields that a prompt will be asked about, each `repeats` times."""

    prompt: Prompt
    questions: Sequence[Mapping[str, JsonValue]]
    repeats: int = 1


class PromptSession:
    """What the client knows of one prompt: its model, its cache file and what its calls cost."""

    def __init__(
        self,
        prompt: Prompt,
        model: ModelConfig,
        cache_file: ResponseCacheFile | None,
        *,
        asks_again: bool,
    ) -> None:
        self.prompt = prompt
        self.asks_again = asks_again
        """Whether a repeat of a question is a call of its own."""
        self.model = model
        self.cache_file = cache_file
        self.forecast = Forecast(model, prompt.model.parameters.get("max_tokens"))
        self.told: asyncio.Event | None = None
        """Set when the first call has ended; None before it is made."""
        self.consecutive_failures = 0
        """Calls without an answer since the last one with one."""
        self.last_failure = ""

    def key(self, request: Request, repeat: int) -> str:
        """Where the response is kept; empty without a cache file.

        What is asked once has one place: its answer stands for every repeat.
        """
        if self.cache_file is None:
            return ""
        return self.cache_file.key(request.messages, repeat if self.asks_again else 0)

    def learn(self, request: Request, response: ModelResponse | None) -> None:
        """Take note of what a request has cost."""
        if response is not None:
            self.forecast.learn(request.characters, response.usage)


class BudgetedClient:
    """Asks models within one budget.

    Without a `store` every question is put to the model: a measurement that must be of now. A
    model that has not answered `GIVE_UP_AFTER` calls in a row is not asked any more.
    """

    def __init__(
        self,
        client: ModelClient,
        *,
        budget: Budget | None = None,
        seconds_per_call: float = 60.0,
        store: ResponseStore | None = None,
        filtered_counts: bool = True,
        repeats_greedy: bool = False,
        asks_ahead: bool = True,
    ) -> None:
        self.client = client
        self.tracker = BudgetTracker(budget or Budget())
        self.cached = 0
        """Answers that were stored before this run began."""
        self._seconds_per_call = seconds_per_call
        self._store = store
        self.given_up = ""
        """Why nothing is asked any more that is not stored; empty while questions are asked."""
        self._filtered_counts = filtered_counts
        """Whether what a content filter has stopped is an answer, though a wrong one."""
        self._repeats_greedy = repeats_greedy
        """Whether even what always says the same is asked for each repeat."""
        self.asks_ahead = asks_ahead
        """Whether one call goes ahead of the others where nothing says how long an answer is."""
        self._sessions: dict[int, PromptSession] = {}

    @classmethod
    def within(
        cls, metadata: Metadata, client: ModelClient, store: ResponseStore | None = None
    ) -> BudgetedClient:
        """Return a client that keeps the budget and the time limit of a task."""
        return cls(
            client,
            budget=metadata.gate.budget,
            seconds_per_call=metadata.limits.seconds_per_call,
            store=store,
            filtered_counts=metadata.gate.content_filter == "wrong",
        )

    @property
    def corrupt_entries(self) -> int:
        """Stored responses that could not be read, and so are asked for again."""
        files = self._store.cache_files if self._store else ()
        return sum(cache_file.corrupt_entries for cache_file in files)

    def max_concurrency(self, prompt: Prompt) -> int:
        """How many questions are worth asking at the same time."""
        return self.client.concurrency(prompt)

    async def ask(
        self, prompt: Prompt, fields: Mapping[str, JsonValue], *, repeat: int = 0
    ) -> Answer:
        """Answer one record, from the store if the same question was answered before.

        With a store, a question that somebody asks already is waited for, so that two who ask the
        same are told the same whichever call ends first.

        Raises:
            RenderError: a template cannot be rendered with these fields.
            ModelUnavailableError: the model gave no answer at all.
            BudgetReachedError: the budget does not allow the call.
        """
        session = self.session(prompt)
        request = self.client.request(prompt, fields)
        cache_file, key = session.cache_file, session.key(request, repeat)
        if cache_file is None:
            return await self.call(session, request, key)
        while (asking := cache_file.asking.get(key)) is not None:
            await asking.wait()
        if (stored := self._found(session, key)) is not None:
            self.cached += stored.cached
            logger.debug("%s %s: %.12s is stored", prompt.task, prompt.version, key)
            # Lets calls in flight go on: their time is being measured.
            await asyncio.sleep(0)
            return stored
        asking = cache_file.asking[key] = asyncio.Event()
        try:
            return await self.call(session, request, key)
        finally:
            # Without an answer, the next one who waited asks for itself.
            del cache_file.asking[key]
            asking.set()

    async def call(self, session: PromptSession, request: Request, key: str) -> Answer:
        """Ask the model, and store what it says; raises as `ask` does.

        Where nothing says how long an answer is, one call goes ahead of the others: with it they
        would all be set aside by a guess. So they are where it fails.
        """
        if not self.asks_ahead or session.forecast.is_known:
            return await self._call(session, request, key)
        if session.told is not None:
            await session.told.wait()
            return await self._call(session, request, key)
        session.told = asyncio.Event()
        try:
            return await self._call(session, request, key)
        finally:
            session.told.set()

    async def ask_ahead(
        self, session: PromptSession, missing: Iterable[tuple[str, Request]]
    ) -> None:
        """Ask until an answer has told how long they are, if nothing else says it.

        Raises:
            ModelUnavailableError: the model gave no answer.
        """
        for key, request in missing:
            if session.forecast.is_known:
                return
            try:
                await self.call(session, request, key)
            except BudgetReachedError:
                return  # Whoever asks next is told so.
            except ModelUnavailableError as error:
                if not (error.of_request or session.forecast.is_known):
                    raise

    async def _call(self, session: PromptSession, request: Request, key: str) -> Answer:
        prompt, cache_file = session.prompt, session.cache_file
        if self.given_up:
            raise ModelUnavailableError(self.given_up)
        if session.consecutive_failures >= GIVE_UP_AFTER:
            raise ModelUnavailableError(session.last_failure)
        most = await self._reserve(session, request.characters)
        logger.debug("%s %s: %.12s is asked for", prompt.task, prompt.version, key or "it")
        response = usage = None
        try:
            with log_context(task=prompt.task, version=prompt.version):
                response = await self.client.send(
                    request, timeout=self._seconds_per_call, until=self.tracker.until
                )
            usage = response.usage
            session.consecutive_failures = 0
            if cache_file is not None and self.counts(response):
                cache_file.put(key, response)
        except ModelUnavailableError as error:
            usage = error.usage
            if self.tracker.time_exceeded is not None:
                raise self.tracker.time_exceeded from None
            session.consecutive_failures += 1
            session.last_failure = error.message
            if session.consecutive_failures == GIVE_UP_AFTER:
                logger.info("%s %s: its model is given up", prompt.task, prompt.version)
            raise
        finally:
            self.tracker.commit(most, usage)
        session.learn(request, response)
        if not self.counts(response):
            raise ModelUnavailableError(FILTERED_OUT)
        return Answer.of(response, prompt)

    def stored(self, prompt: Prompt, fields: Mapping[str, JsonValue], repeat: int) -> Answer | None:
        """Return the answer that is stored, None where there is none; raises `RenderError`."""
        session = self.session(prompt)
        return self._found(session, session.key(self.client.request(prompt, fields), repeat))

    def _found(self, session: PromptSession, key: str) -> Answer | None:
        cache_file = session.cache_file
        response = None if cache_file is None else cache_file.get(key)
        if cache_file is None or response is None or not self.counts(response):
            return None
        # This run may have paid for it: in a batch, or for another example that asks the same.
        earlier = cache_file.is_earlier(key)
        # An earlier version may have stored the thinking, too.
        alone = answer_alone(at_price_of(response, session.model), session.model)
        return Answer.of(alone, session.prompt, cached=earlier)

    def counts(self, response: ModelResponse) -> bool:
        """Whether a response is an answer here, and so is kept."""
        filtered = response.withheld is not None and response.withheld.filtered
        return self._filtered_counts or not filtered

    async def _reserve(self, session: PromptSession, characters: int) -> Cost:
        try:
            return await self.tracker.reserve(partial(session.forecast.at_most, characters))
        except BudgetReachedError as error:
            prompt = session.prompt
            logger.info("%s %s: %s", prompt.task, prompt.version, error.message)
            raise

    def estimate(
        self,
        asked: Sequence[Workload],
        discount: Callable[[ModelConfig, int], float] = lambda model, calls: 1.0,
    ) -> Estimate:
        """Return what asking all this will cost.

        Where nothing is stored, by a sample of the questions.

        Args:
            asked: prompts and what they will be asked.
            discount: part of the price that so many calls of a model will cost.
        """
        calls = cached = tokens = 0
        usd = 0.0
        priced: set[bool] = set()
        for workload in asked:
            session = self.session(workload.prompt)
            found, missing, characters = self._looked_up(workload, session)
            calls += len(workload.questions) * workload.repeats
            cached += found
            likely = session.forecast.likely(characters, missing)
            tokens += likely.tokens
            usd += likely.usd * discount(session.model, missing)
            if missing:
                priced.add(session.model.price_per_million is not None)
        return Estimate(
            calls=calls,
            cached=cached,
            tokens=tokens,
            usd=usd if True in priced else None,
            unpriced=False in priced,
        )

    def _looked_up(self, asked: Workload, session: PromptSession) -> tuple[int, int, int]:
        """Count the calls already answered, those that are not, and the characters of these."""
        if not session.cache_file:
            step = max(1, len(asked.questions) // SAMPLED)
            sample = [
                self.client.request(asked.prompt, question) for question in asked.questions[::step]
            ]
            missing = len(asked.questions) * asked.repeats
            mean = sum(item.characters for item in sample) / max(1, len(sample))
            return 0, missing, round(mean * missing)
        found = missing = characters = 0
        for fields in asked.questions:
            request = self.client.request(asked.prompt, fields)
            for repeat in range(asked.repeats):
                key = session.key(request, repeat)
                if key not in session.cache_file:
                    missing += 1
                    characters += request.characters
                    continue
                found += 1
                if found % LEARN_FROM_EVERY == 1:
                    session.learn(request, session.cache_file.get(key))
        return found, missing, characters

    def release(self, *, but: Prompt | None = None) -> None:
        """Give back the cache files of prompts, `but` that of one which others ask, too."""
        for session in self._sessions.values():
            cache_file = session.cache_file
            if cache_file is not None and session.prompt is not but and self._store is not None:
                self._store.release(cache_file)
        self._sessions.clear()

    def session(self, prompt: Prompt) -> PromptSession:
        """Return what is known of a prompt."""
        session = self._sessions.get(id(prompt))
        if session is None:
            model = self.client.resolve(prompt)
            cache_file = self._store.cache_file(prompt, model) if self._store else None
            asks_again = prompt.model.sampled or self._repeats_greedy
            session = PromptSession(prompt, model, cache_file, asks_again=asks_again)
            self._sessions[id(prompt)] = session
        return session
