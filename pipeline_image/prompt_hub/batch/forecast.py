"""What a run will come to, from what calls of its version have come to in its evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prompt_hub.batch.run_manifest import Spent
from prompt_hub.batch.run_plan import Measured
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.budget import TOKENS_OUT
from prompt_hub.evaluation.store import logged_evaluation
from prompt_hub.llm.client import CHARACTERS_A_TOKEN
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.response import Usage
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.rendering import Renderer, RenderError
from prompt_hub.repository.schema import JsonObject, Prompt, RecordsBudget

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

    Input tokens lie on a line through the means of what was measured. Its slope is that of least
    squares, drawn towards the mean tokens a character as far as the measurements leave it open:
    examples of nearly equal length say little about records that are much longer. (The posterior
    mean of a normal prior; see Gelman et al., Bayesian Data Analysis, 14.8.)
    """

    def __init__(self, samples: Iterable[Sample], max_tokens: int | None) -> None:
        """Learn from `samples`; without any, a token is so many characters."""
        kept = [*samples]
        self.calls = len(kept)
        self.output_tokens: float = min(TOKENS_OUT, max_tokens or TOKENS_OUT)
        self.seconds: float | None = None
        self._at = 0.0
        self._tokens = 0.0
        self._slope = 1 / CHARACTERS_A_TOKEN
        if kept:
            self._learn(kept)

    def input_tokens(self, calls: int, characters: int) -> float:
        """Return what `calls` requests with so many characters in all have."""
        return max(0.0, calls * self._tokens + self._slope * (characters - calls * self._at))

    def _learn(self, samples: list[Sample]) -> None:
        count = len(samples)
        self._at = sum(each.characters for each in samples) / count
        self._tokens = sum(each.usage.input_tokens for each in samples) / count
        self.output_tokens = sum(each.usage.output_tokens for each in samples) / count
        self.seconds = sum(each.usage.seconds or 0.0 for each in samples) / count
        self._slope = usual = self._tokens / max(1.0, self._at)
        offsets = [
            (each.characters - self._at, each.usage.input_tokens - self._tokens) for each in samples
        ]
        spread = sum(length * length for length, _ in offsets)
        if count < 3 or not spread or not usual:
            return
        least = sum(length * tokens for length, tokens in offsets) / spread
        noise = sum((tokens - least * length) ** 2 for length, tokens in offsets) / (count - 2)
        doubt = noise / (SLOPE_IS_LIKELY_WITHIN * usual) ** 2
        self._slope = (least * spread + usual * doubt) / (spread + doubt)


class Forecast:
    """Sums up what the calls of a run will take, record by record."""

    def __init__(
        self, repository: PromptRepository, prompt: Prompt, model: ModelConfig | None
    ) -> None:
        """Forecast calls of `prompt`; `model` is None where a service knows it alone.

        Raises:
            InvalidDocumentsError: the evaluation in `04-evals` cannot be read.
        """
        self._renderer = Renderer(prompt)
        self._model = model
        self.measured: Measured | None = None
        limit = prompt.model.parameters.get("max_tokens")
        most = model.max_output_tokens(limit) if model and limit is not None else None
        self._calls_take = CallModel(self._samples(repository, prompt), most)
        self._calls = 0
        self._characters = 0

    def add(self, fields: JsonObject) -> None:
        """Count the call that a record needs; one that cannot be rendered is not made."""
        try:
            messages = self._renderer.render(fields)
        except RenderError:
            return
        self._calls += 1
        self._characters += _length(messages)

    def spent(self, children: int = 1, concurrency: int | None = None) -> Spent:
        """Return what all that was counted comes to, answered by so many processes at once.

        Each has its part of the limits; `concurrency` of all is the alias's own by default.
        """
        tokens_in = self._calls_take.input_tokens(self._calls, self._characters)
        tokens_out = self._calls * self._calls_take.output_tokens
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
        evaluation = logged_evaluation(repository, prompt.task, prompt.version)
        arm = evaluation.record.candidate if evaluation else None
        if evaluation is None or arm is None or arm.sha256 != prompt.sha256:
            return
        results = evaluation.details.get("candidate", ())[:MOST_CALLS]
        wanted = {result.id for result in results}
        lengths: dict[str, int] = {}
        for example in repository.examples(prompt.task):
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
                f"{what} would take about {_number(expected)} {unit}, and records.budget allows"
                f" {_number(most)}.",
                hint=f"Split the file, or raise the budget in {settings_file}.",
                exit_code=ExitCode.BLOCKED,
            )


def in_words(forecast: Spent) -> str:
    """Return a forecast as people read it."""
    parts = [
        f"{forecast.calls:,} calls",
        f"{forecast.input_tokens + forecast.output_tokens:,} tokens",
    ]
    if forecast.usd is not None:
        parts.append(f"{_number(forecast.usd)} US dollars")
    if forecast.seconds is not None:
        parts.append(f"{_number(round(forecast.seconds))} s")
    return ", ".join(parts)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) or value == int(value) else f"{value:,.4g}"
