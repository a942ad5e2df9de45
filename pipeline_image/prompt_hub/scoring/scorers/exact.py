"""`exact`: the output, or one field of it, equals the expected one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from prompt_hub.repository.schema import Example, FieldPath, JsonObject
from prompt_hub.scoring.base import (
    NO_OUTPUT,
    TYPE,
    WHOLE,
    ComparedField,
    Complaint,
    GuessWorth,
    PureScorer,
    PureSettings,
    RuleContext,
    ScorerResult,
    scorer_type,
)
from prompt_hub.scoring.comparison import Comparison, difference, identity
from prompt_hub.scoring.field_rules import field_complaints
from prompt_hub.scoring.fields import FieldsScorer
from prompt_hub.scoring.tally import Tally


@scorer_type(right="the output, or a field, equals the expected one", place=10)
class ExactSettings(PureSettings):
    """The output, or one field of it, equals the expected one."""

    type: Annotated[Literal["exact"], TYPE]
    field: FieldPath | None = None
    """Field of the output; dots lead into objects."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        if self.field is None:
            return WholeScorer(self.type, self.weight)
        how = Comparison(compare="exact")
        return FieldsScorer.of_one(self.type, self.weight, self.field, how)

    @property
    def whole(self) -> Set[str]:
        """All of them, where no field is named."""
        return WHOLE if self.field is None else frozenset()

    def compared(self, names: Iterable[str]) -> Iterator[ComparedField]:
        """Yield the field, if one is named."""
        if self.field is not None:
            yield ComparedField(("field",), self.field, Comparison(compare="exact"))

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether the output lacks the field."""
        if self.field is not None:
            yield from field_complaints(context.prompt, self.field, ("field",))


@dataclass(frozen=True)
class WholeScorer(PureScorer):
    """The output is the expected one, as a whole."""

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer."""
        if output is None:
            return ScorerResult(self.name, 0.0, self.weight, NO_OUTPUT)
        wanted = example.expected
        if identity(output) == identity(wanted):
            return ScorerResult(self.name, 1.0, self.weight)
        return ScorerResult(self.name, 0.0, self.weight, difference(wanted, output))

    def guess_worth(self, examples: Sequence[Example]) -> GuessWorth:
        """Count how often each output is expected."""
        weight = self.weight
        tally = Tally()
        for example in examples:
            tally.add(identity(example.expected), example.weight)
        return GuessWorth(lambda guess: weight * tally[identity(guess)], graded=False)
