"""Scorers with everything prepared: expressions compiled, schemas read, functions imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository import schema as settings
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.repository.schema import Comparison, Example, JsonObject, Scorer
from prompt_hub.scoring.base import NO_OUTPUT, ScorerResult
from prompt_hub.scoring.comparison import difference, identity, shown
from prompt_hub.scoring.fields import Field, FieldsScorer, at
from prompt_hub.scoring.function import FunctionScorer


class PureScorer(Protocol):
    """Scores an answer without a model."""

    @property
    def weight(self) -> float:
        """Its weight among the task's scorers."""

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer, None where it was not usable."""


@dataclass(frozen=True)
class WholeScorer:
    """The output is the expected one, as a whole."""

    weight: float
    name: str = "exact"

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer."""
        if output is None:
            return ScorerResult(self.name, 0.0, self.weight, NO_OUTPUT)
        wanted = example.expected
        if identity(output, folded=False) == identity(wanted, folded=False):
            return ScorerResult(self.name, 1.0, self.weight)
        return ScorerResult(self.name, 0.0, self.weight, difference(wanted, output))


@dataclass(frozen=True)
class PatternScorer:
    """The whole text of a field matches a pattern, whatever the example expects."""

    name: str
    weight: float
    field: str
    pattern: str
    matches: Callable[[str], bool]

    @classmethod
    def of(cls, scorer: settings.RegexScorer) -> PatternScorer:
        """Compile a pattern; raises `PromptHubError` where it is none."""
        from prompt_hub.scoring.patterns import matcher

        try:
            matches = matcher(scorer.pattern)
        except ValueError as error:
            raise PromptHubError(
                f"the pattern {scorer.pattern!r} of a regex scorer does not compile: {error}.",
                hint="Write it in RE2's syntax; run `prompt-hub validate` for where it stands.",
                exit_code=ExitCode.BLOCKED,
            ) from None
        name = f"{scorer.type}:{scorer.field}"
        return cls(name, scorer.weight, scorer.field, scorer.pattern, matches)

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer."""
        if output is None:
            return ScorerResult(self.name, 0.0, self.weight, NO_OUTPUT)
        given = at(output, self.field.split("."))
        if isinstance(given, str) and self.matches(given):
            return ScorerResult(self.name, 1.0, self.weight)
        message = f"{self.field}: expected text matching {self.pattern}, got {shown(given)}"
        return ScorerResult(self.name, 0.0, self.weight, message)


@dataclass(frozen=True)
class SchemaScorer:
    """The output fits a schema."""

    weight: float
    schema: JsonObject
    name: str = "json_schema"

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer."""
        problem = NO_OUTPUT if output is None else schema_problem(output, self.schema)
        return ScorerResult(self.name, 0.0 if problem else 1.0, self.weight, problem or "")


def build_scorers(
    scorers: Sequence[Scorer], schema: JsonObject, root: Path | None = None
) -> tuple[PureScorer, ...]:
    """Return the scorers that need no model, in order.

    Args:
        scorers: the task's scorers.
        schema: the output schema of the prompt whose answers are scored.
        root: where Python entry points may lie beside the installed packages; the folder of the
            prompt repository by default.

    Raises:
        PromptHubError: a pattern, a schema or an entry point cannot be used.
    """
    made = (_compiled(scorer, schema, root) for scorer in scorers)
    return tuple(scorer for scorer in made if scorer is not None)


def _compiled(scorer: Scorer, schema: JsonObject, root: Path | None) -> PureScorer | None:
    weight = scorer.weight
    item = partial(FieldsScorer.of_one, scorer.type, weight)
    match scorer:
        case settings.ExactScorer(field=None):
            return WholeScorer(weight)
        case settings.ExactScorer(field=str(field)):
            return item(field, Comparison(compare="exact"))
        case settings.TextScorer():
            return item(scorer.field, Comparison(compare="text", similarity=scorer.similarity))
        case settings.NumberScorer():
            how = Comparison(
                compare="number",
                tolerance=scorer.tolerance,
                relative_tolerance=scorer.relative_tolerance,
            )
            return item(scorer.field, how)
        case settings.SetScorer():
            return item(scorer.field, scorer, lists="set")
        case settings.FieldsScorer():
            rules = scorer.fields or {}
            fields = {Field.of(name, rule, rule.list): rule.weight for name, rule in rules.items()}
            return FieldsScorer(scorer.type, weight, fields)
        case settings.RegexScorer():
            return PatternScorer.of(scorer)
        case settings.SchemaScorer():
            return SchemaScorer(weight, schema if scorer.schema_ is None else scorer.schema_)
        case settings.PythonScorer():
            return FunctionScorer.of(scorer, root)
        case _:
            return None


def score_answer(
    scorers: Sequence[PureScorer],
    output: JsonObject | None,
    example: Example,
    problem: str | None = None,
) -> tuple[ScorerResult, ...]:
    """Return what every scorer says about one answer.

    Args:
        scorers: as `compiled` made them.
        output: the answer's object, None where it is not usable.
        example: what was asked, and what people expect.
        problem: why the output is not usable, for the words of the loss.
    """
    try:
        parts = tuple(scorer.part(output, example) for scorer in scorers)
    except RecursionError:
        return score_answer(scorers, None, example, "values nested without end")
    return parts if output is not None else tuple(unusable(part, problem) for part in parts)


def unusable(part: ScorerResult, problem: str | None) -> ScorerResult:
    """Return a part about an answer that is not usable, with the reason in its words."""
    return replace(part, loss=f"{NO_OUTPUT}: {problem}") if problem else part
