"""`regex`: the whole text of a field matches a pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.schema import Example, FieldPath, JsonObject
from prompt_hub.scoring.base import (
    NO_OUTPUT,
    TYPE,
    Complaint,
    GuessWorth,
    PureScorer,
    PureSettings,
    RuleContext,
    ScorerResult,
    constant_worth,
    scorer_type,
)
from prompt_hub.scoring.comparison import shown
from prompt_hub.scoring.field_rules import field_complaints, list_complaint
from prompt_hub.scoring.fields import at


@scorer_type(right="a text that matches a pattern", place=40)
class RegexSettings(PureSettings):
    """The whole text of a field matches a pattern in RE2's syntax."""

    type: Annotated[Literal["regex"], TYPE]
    field: FieldPath
    """Field of the output; dots lead into objects."""
    pattern: Annotated[str, Field(min_length=1, max_length=2000)]
    """Pattern in RE2's syntax that the whole text must match."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Compile the pattern; raises `PromptHubError` if it is not valid."""
        from prompt_hub.scoring.patterns import matcher

        try:
            matches = matcher(self.pattern)
        except ValueError as error:
            raise PromptHubError(
                f"the pattern {self.pattern!r} of a regex scorer does not compile: {error}.",
                hint="Write it in RE2's syntax; run `prompt-hub validate` for where it stands.",
                exit_code=ExitCode.BLOCKED,
            ) from None
        name = f"{self.type}:{self.field}"
        return PatternScorer(name, self.weight, self.field, self.pattern, matches)

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether the output has no text there, or many, and whether the pattern is none."""
        from prompt_hub.scoring.patterns import matcher

        yield from field_complaints(context.prompt, self.field, ("field",), "string")
        yield from list_complaint(context.prompt, self.field, ("field",))
        try:
            matcher(self.pattern)
        except ValueError as error:
            yield ("pattern",), f"{self.pattern!r}: {error}", "a pattern in RE2's syntax"


@dataclass(frozen=True)
class PatternScorer(PureScorer):
    """The whole text of a field matches a pattern, whatever the example expects."""

    field: str
    pattern: str
    matches: Callable[[str], bool]

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer."""
        if output is None:
            return ScorerResult(self.name, 0.0, self.weight, NO_OUTPUT)
        given = at(output, self.field.split("."))
        if isinstance(given, str) and self.matches(given):
            return ScorerResult(self.name, 1.0, self.weight)
        message = f"{self.field}: expected text matching {self.pattern}, got {shown(given)}"
        return ScorerResult(self.name, 0.0, self.weight, message)

    def guess_worth(self, examples: Sequence[Example]) -> GuessWorth:
        """Score a guess once: it is worth the same beside every example."""
        return constant_worth(self, examples)
