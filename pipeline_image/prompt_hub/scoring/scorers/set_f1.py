"""`set_f1`: the elements of a list, in whatever order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from prompt_hub.repository.schema import FieldPath, JsonObject
from prompt_hub.scoring.base import (
    TYPE,
    ComparedField,
    Complaint,
    PureScorer,
    PureSettings,
    RuleContext,
    scorer_type,
)
from prompt_hub.scoring.comparison import Comparison
from prompt_hub.scoring.field_rules import compared_types, field_complaints
from prompt_hub.scoring.fields import FieldsScorer


@scorer_type(right="the elements of a list, in whatever order", place=70)
class SetSettings(Comparison, PureSettings):
    """F1 of the distinct elements of a list field."""

    type: Annotated[Literal["set_f1"], TYPE]
    field: FieldPath
    """Field of the output; dots lead into objects."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        return FieldsScorer.of_one(self.type, self.weight, self.field, self, lists="set")

    def compared(self, names: Iterable[str]) -> Iterator[ComparedField]:
        """Yield the field."""
        yield ComparedField(("field",), self.field, self)

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether the output has no list there, or one of elements of the wrong type."""
        types = compared_types(self)
        yield from field_complaints(context.prompt, self.field, ("field",), *types, lists="set")
