"""What a run will come to, from what calls of its version have come to in its evaluation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from prompt_hub.batch.run_manifest import Spent
from prompt_hub.batch.run_plan import Measured
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.wording import amount, count
from prompt_hub.evaluation.budget import TOKENS_OUT, guess_output_tokens
from prompt_hub.evaluation.record import Arm
from prompt_hub.evaluation.store import logged_details, logged_record
from prompt_hub.llm.client import CHARACTERS_A_TOKEN
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.response import Usage
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.rendering import Renderer, RenderError
from prompt_hub.repository.schema import JsonObject, Prompt, RecordsBudget

logger = logging.getLogger(__name__)

MOST_CALLS = 5000
"""So many calls of an evaluation say as much as all."""
SLOPE_IS_LIKELY_WITHIN = 0.3
"""Tokens a character of the records themselves differ from those of the whole request by this part,
one standard deviation: before the evaluation has said anything about it."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One call of an evaluation: how long its request was, and what it took."""

    characters: int
    usage: Usage


class CallModel:
    """What a call takes, by the length of its request.

    Tokens lie on lines through the means of what was measured. A slope is that of least squares,
    drawn towards what is likely as far as the measurements leave it open: examples of nearly equal
    length say little about records that are much longer. Likely is for a question the mean tokens
    a character, and for an answer none: a class is as short for a long record. (The posterior mean
    of a normal prior; see Gelman et al., Bayesian Data Analysis, 14.8.)
    """

    def __init__(
        self, samples: Iterable[Sample], max_tokens: int | None, guess: int = TOKENS_OUT
    ) -> None:
        """Learn from `samples`; without any, a token is so many characters, an answer a guess."""
        kept = [*samples]
        self.calls = len(kept)
        self.seconds: float | None = None
        self._most = max_tokens
        self._input = _Line(0.0, 0.0, 1 / CHARACTERS_A_TOKEN)
        self._output = _Line(0.0, guess, 0.0)
        if kept:
            lengths = [each.characters for each in kept]
            known = [each.usage.seconds for each in kept if each.usage.seconds is not None]
            self.seconds = fmean(known) if known else None
            self._input = _Line.through(lengths, [each.usage.input_tokens for each in kept])
            answers = [each.usage.output_tokens for each in kept]
            self._output = _Line.through(lengths, answers, flat=True)

    def input_tokens(self, calls: int, characters: int) -> float:
        """Return the input tokens of `calls` requests that have `characters` characters in all."""
        return self._input.total(calls, characters)

    def output_tokens(self, characters: int) -> float:
        """Return the tokens of the answer to one request, at most what the model may answer."""
        tokens = self._output.total(1, characters)
        return min(tokens, self._most) if self._most else tokens


@dataclass(frozen=True)
class _Line:
    """Tokens by the number of characters."""

    at: float
    """Mean characters of what was measured."""
    tokens: float
    """Mean tokens."""
    slope: float
    """Tokens a character."""

    @classmethod
    def through(cls, lengths: Sequence[int], tokens: Sequence[int], *, flat: bool = False) -> _Line:
        """Return the likely line of what was measured; `flat` says that no slope is expected."""
        at, mean = fmean(lengths), fmean(tokens)
        scale = mean / max(1.0, at)
        usual = 0.0 if flat else scale
        offsets = [(x - at, y - mean) for x, y in zip(lengths, tokens, strict=True)]
        spread = sum(x * x for x, _ in offsets)
        if len(offsets) < 3 or not spread or not scale:
            return cls(at, mean, usual)
        least = sum(x * y for x, y in offsets) / spread
        noise = sum((y - least * x) ** 2 for x, y in offsets) / (len(offsets) - 2)
        doubt = noise / (SLOPE_IS_LIKELY_WITHIN * scale) ** 2
        return cls(at, mean, (least * spread + usual * doubt) / (spread + doubt))

    def total(self, calls: int, characters: int) -> float:
        """Return the tokens of `calls` with so many characters in all."""
        return max(0.0, calls * self.tokens + self.slope * (characters - calls * self.at))


class Forecast:
    """Sums up what the calls of a run will take, record by record."""

    def __init__(
        self, repository: PromptRepository, prompt: Prompt, model: ModelConfig | None
    ) -> None:
        """Forecast calls of `prompt`; `model` is None where a service knows it alone."""
        self._renderer = Renderer(prompt)
        self._model = model
        self.measured: Measured | None = None
        self.guessed_because = ""
        """Why the version's evaluation says nothing here; empty where it does, or there is none."""
        limit = prompt.model.parameters.get("max_tokens")
        most = model.max_output_tokens(limit) if model and limit is not None else None
        try:
            samples = [*self._samples(repository, prompt)]
        except PromptHubError as error:
            # Records are answered without them; a newer release may have written them.
            logger.warning("%s What the run costs is guessed from its text.", error)
            samples = []
        self._calls_take = CallModel(samples, most, guess_output_tokens(model, limit))
        self._calls = 0
        self._characters = 0
        self._output_tokens = 0.0

    def add(self, fields: JsonObject) -> None:
        """Count the call that a record needs; one that cannot be rendered is not made."""
        try:
            messages = self._renderer.render(fields)
        except RenderError:
            return
        length = _length(messages)
        self._calls += 1
        self._characters += length
        # Each by itself: where some are as long as answers may be, a sum would not show it.
        self._output_tokens += self._calls_take.output_tokens(length)

    def spent(self, children: int = 1, concurrency: int | None = None) -> Spent:
        """Return what all counted requests cost, answered by `children` processes at once.

        Each process has its part of the limits; `concurrency`, of all together, is the alias's
        own by default.
        """
        tokens_in = self._calls_take.input_tokens(self._calls, self._characters)
        tokens_out = self._output_tokens
        usd = self._model.cost(round(tokens_in), round(tokens_out)) if self._model else None
        return Spent(
            calls=self._calls,
            input_tokens=round(tokens_in),
            output_tokens=round(tokens_out),
            usd=usd,
            seconds=self._seconds(tokens_in + tokens_out, children, concurrency),
        )

    def _seconds(self, tokens: float, children: int, concurrency: int | None) -> float | None:
        """Return the longest of what each limit takes; None where nothing is known."""
        model, bounds = self._model, []
        if model and model.requests_per_minute:
            bounds.append(60 * self._calls / model.requests_per_minute)
        if model and model.tokens_per_minute:
            bounds.append(60 * tokens / model.tokens_per_minute)
        # Each process has a whole number of calls at once, and one at least.
        at_once = concurrency
        if at_once is None and model:
            at_once = children * max(1, model.concurrency // children)
        if self._calls_take.seconds is not None and at_once:
            bounds.append(self._calls * self._calls_take.seconds / at_once)
        return round(max(bounds), 3) if bounds else None

    def _samples(self, repository: PromptRepository, prompt: Prompt) -> Iterable[Sample]:
        record = logged_record(repository, prompt.task, prompt.version)
        arm = record.candidate if record else None
        if arm is None or arm.sha256 != prompt.sha256:
            return
        if self._model is not None and arm.model != self._model.identity:
            # Another model counts tokens otherwise, and may think where that one did not.
            self.guessed_because = (
                f"{prompt.task} {prompt.version} was evaluated on {arm.model}, and is asked on"
                f" {self._model.identity}: what that costs is guessed from the text."
            )
            logger.warning("%s", self.guessed_because)
            return
        details = logged_details(repository, prompt.task, prompt.version)
        if details is None:
            yield from self._mean_sample(repository, arm, prompt.task)
            return
        results = details.get("candidate", ())[:MOST_CALLS]
        wanted = {result.id for result in results}
        lengths: dict[str, int] = {}
        for example in repository.stream_examples(prompt.task):
            if example.id in wanted:
                lengths |= self._rendered(example.id, example.input)
        samples = [
            Sample(characters=lengths[result.id], usage=result.usage)
            for result in results
            if result.usage is not None and result.id in lengths
        ]
        if samples:
            self.measured = Measured(version=arm.version, model=arm.model, calls=len(samples))
        yield from samples

    def _mean_sample(self, repository: PromptRepository, arm: Arm, task: str) -> Iterator[Sample]:
        """Yield a call of the length and with the tokens that those of an evaluation had.

        That is their mean: an image has the record alone, and the answers of a large evaluation lie
        where whoever answers records may not read.
        """
        lengths: list[int] = []
        step = 1
        for number, example in enumerate(repository.stream_examples(task)):
            if number % step:
                continue
            lengths += self._rendered(example.id, example.input).values()
            if len(lengths) == 2 * MOST_CALLS:
                # A gate may have asked few of a million: every second one is enough from here on,
                # and they stay spread over all that was read.
                lengths, step = lengths[::2], 2 * step
        calls = arm.n * arm.repeats
        if lengths and calls:
            self.measured = Measured(version=arm.version, model=arm.model, calls=calls)
            usage = Usage(
                input_tokens=round(arm.tokens_in / calls),
                output_tokens=round(arm.tokens_out / calls),
                seconds=arm.seconds_p50,
            )
            yield Sample(characters=round(fmean(lengths)), usage=usage)

    def _rendered(self, name: str, fields: JsonObject) -> Mapping[str, int]:
        try:
            return {name: _length(self._renderer.render(fields))}
        except RenderError:
            return {}


def _length(messages: Iterable[Mapping[str, str]]) -> int:
    return sum(len(message["content"]) for message in messages)


def require_budget(forecast: Spent, budget: RecordsBudget, what: str, settings_file: str) -> None:
    """Raise `PromptHubError` where a run is expected to cost more than its task allows."""
    tokens = forecast.input_tokens + forecast.output_tokens
    for expected, most, unit in (
        (forecast.calls, budget.calls, "calls"),
        (tokens, budget.tokens, "tokens"),
        (forecast.usd or 0.0, budget.usd, "US dollars"),
    ):
        if expected > most:
            raise PromptHubError(
                f"{what} would take about {amount(expected)} {unit}, and records.budget allows"
                f" {amount(most)}.",
                hint=f"Split the file, or raise the budget in {settings_file}.",
                exit_code=ExitCode.BLOCKED,
            )


def in_words(forecast: Spent) -> str:
    """Return a forecast as people read it."""
    parts = [
        count(forecast.calls, "call"),
        count(forecast.input_tokens + forecast.output_tokens, "token"),
    ]
    if forecast.usd is not None:
        parts.append(f"{amount(forecast.usd)} US dollars")
    if forecast.seconds is not None:
        parts.append(f"{amount(round(forecast.seconds))} s")
    return ", ".join(parts)
