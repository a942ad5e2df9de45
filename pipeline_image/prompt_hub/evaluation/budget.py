"""What one evaluation may spend: both arms, every repeat and every judge's call together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import count, noun
from prompt_hub.llm.client import CHARACTERS_A_TOKEN
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.response import Usage
from prompt_hub.repository.schema import Budget

logger = logging.getLogger(__name__)

TOKENS_OUT = 256
"""Length of an answer where neither the prompt's `max_tokens` nor an earlier answer says more."""

DENSEST_TOKENS_A_CHARACTER = 1.0
"""Tokens that a character takes at most before an answer has said more.

A part number, a value or a Chinese title takes about so many in some families of models, four
times as many as English does (findings/tokens-of-part-records.sh).
"""

UNPRICED = ", and that of models without a price"
"""What follows a cost to which some of the calls add an amount that nobody knows."""

EPSILON_USD = 1e-9
"""US dollars that sums of fractions may be off by."""


class BudgetReachedError(PromptHubError):
    """The budget does not allow the next call; a budget that runs out is never a score."""

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            hint="Raise gate.budget in the metadata; what was paid for is kept.",
            exit_code=ExitCode.NOT_MEASURED,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Tokens, and US dollars where the settings name a price."""

    tokens: int
    usd: float = 0.0


def guess_output_tokens(model: ModelConfig | None, max_tokens: float | None) -> int:
    """Return the tokens of an answer, thinking included, before an answer has said more."""
    thinking = model.reasoning.tokens if model and model.reasoning else 0
    return int(min(TOKENS_OUT, max_tokens or TOKENS_OUT)) + thinking


class Forecast:
    """What a call of one prompt will cost, from what its calls have cost so far."""

    def __init__(self, model: ModelConfig, max_tokens: float | None) -> None:
        self._model = model
        self._max_tokens = model.max_output_tokens(max_tokens)
        self._guess = guess_output_tokens(model, max_tokens)
        self._seen = 0
        self._characters = 0
        self._input_tokens = 0
        self._output_tokens = 0
        self._densest = 0.0
        self._longest = 0

    @property
    def is_known(self) -> bool:
        """Whether anything says how long an answer is: the prompt's `max_tokens`, or an answer."""
        return self._max_tokens is not None or self._seen > 0

    def learn(self, characters: int, usage: Usage) -> None:
        """Take note of what a request of so many characters has cost."""
        self._seen += 1
        self._characters += characters
        self._input_tokens += usage.input_tokens
        self._output_tokens += usage.output_tokens
        self._densest = max(self._densest, usage.input_tokens / max(1, characters))
        self._longest = max(self._longest, usage.output_tokens)

    def likely(self, characters: int, calls: int = 1) -> Cost:
        """Return what `calls` requests with so many characters in all probably cost."""
        if not self._seen:
            return self._cost(int(characters / CHARACTERS_A_TOKEN), calls * self._guess)
        input_tokens = characters * self._input_tokens / max(1, self._characters)
        return self._cost(int(input_tokens), calls * self._output_tokens // self._seen)

    def at_most(self, characters: int) -> Cost:
        """Return what one request of so many characters costs at most, as far as can be told.

        Without `max_tokens` nothing limits an answer: it is set aside as long as the longest.
        """
        densest = self._densest if self._seen else DENSEST_TOKENS_A_CHARACTER
        per_character = max(densest, 1 / CHARACTERS_A_TOKEN)
        out = self._max_tokens or max(self._longest, self._guess)
        return self._cost(int(characters * per_character) + 1, out)

    def _cost(self, input_tokens: int, output_tokens: int) -> Cost:
        usd = self._model.cost(input_tokens, output_tokens) or 0.0
        return Cost(tokens=input_tokens + output_tokens, usd=usd)


class BudgetTracker:
    """The budget of one evaluation, and what is spent of it.

    A call is reserved at the most it may cost before it is made, so calls in flight cannot
    together overshoot; one that does not fit beside them waits until they are paid.
    """

    def __init__(self, limits: Budget, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls = 0
        self.tokens = 0
        self.usd = 0.0
        self.unpriced = 0
        """Of the calls, those of models without a price: `usd` is that of all others."""
        self.until = clock() + limits.seconds
        """Time of the clock at which the budget of seconds is used up."""
        self._limits = limits
        self._clock = clock
        self._reserved = Cost(tokens=0)
        self._in_flight = 0
        self._settled = asyncio.Event()

    @property
    def time_exceeded(self) -> BudgetReachedError | None:
        """Why nothing may be asked any more, once the time is up."""
        if self._clock() < self.until:
            return None
        seconds = self._limits.seconds
        return BudgetReachedError(f"the budget of {seconds:g} {noun(seconds, 'second')} is used up")

    def pause(self, seconds: float) -> None:
        """Leave the seconds that a batch took at its provider out of the budget."""
        self.until += seconds

    def reserve_of_batch(self, most: Cost) -> bool:
        """Set aside what one call in a batch may cost, if it is there; nobody waits for others."""
        if self._missing(most, timed=False) is not None:
            return False
        self._set_aside(most)
        return True

    def release_batch(self, most: Cost, calls: int) -> None:
        """Give back what was set aside for the calls of a batch."""
        self._give_back(most, calls)

    def pay(self, usage: Usage) -> None:
        """Pay for an answer for which nothing is set aside any more."""
        self.calls += 1
        self.tokens += usage.tokens
        self.usd += usage.usd or 0.0
        self.unpriced += usage.usd is None

    async def reserve(self, at_most: Callable[[], Cost]) -> Cost:
        """Set aside what a call may cost, and return it.

        It is asked for again when the calls that were waited for are paid: they have told more.

        Raises:
            BudgetReachedError: it is not there.
        """
        while (reason := self._missing(most := at_most())) is not None:
            if not self._in_flight:
                raise BudgetReachedError(reason)
            logger.debug("a call waits for those in flight: %s", reason)
            self._settled.clear()
            await self._settled.wait()
        self._set_aside(most)
        return most

    def commit(self, most: Cost, usage: Usage | None) -> None:
        """Pay for what was reserved as `most`; None for a call that took nothing."""
        if usage is not None:
            self.pay(usage)
        self._give_back(most, 1)

    def _set_aside(self, most: Cost) -> None:
        self._in_flight += 1
        self._reserved = Cost(
            tokens=self._reserved.tokens + most.tokens, usd=self._reserved.usd + most.usd
        )

    def _give_back(self, most: Cost, calls: int) -> None:
        self._in_flight -= calls
        self._reserved = Cost(
            tokens=self._reserved.tokens - most.tokens,
            usd=self._reserved.usd - most.usd if self._in_flight else 0.0,
        )
        self._settled.set()

    def _missing(self, most: Cost, *, timed: bool = True) -> str | None:
        limits = self._limits
        if timed and self.time_exceeded is not None:
            return self.time_exceeded.message
        if self.calls + self._in_flight + 1 > limits.calls:
            return f"the budget of {count(limits.calls, 'call')} is used up"
        if self.tokens + self._reserved.tokens + most.tokens > limits.tokens:
            return f"the budget of {count(limits.tokens, 'token')} does not allow another call"
        if self.usd + self._reserved.usd + most.usd > limits.usd + EPSILON_USD:
            return f"the budget of {limits.usd:g} US dollars does not allow another call"
        return None
