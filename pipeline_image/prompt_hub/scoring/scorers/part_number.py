"""`part_number`: a part number, with all of its punctuation."""

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
from prompt_hub.scoring.text_forms import Case


@scorer_type(right="a part number, but for spaces and case", place=34)
class PartNumberSettings(PureSettings):
    """A part number is the expected one but for spaces and case; all punctuation counts."""

    type: Annotated[Literal["part_number"], TYPE]
    field: FieldPath
    """Field of the output; dots lead into objects."""
    case: Case = "fold"
    """Whether upper and lower case are the same."""
    strip_packaging: bool = False
    """Whether suffixes that say how a part is packed are left out."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        return FieldsScorer.of_one(self.type, self.weight, self.field, self._how())

    def compared(self, names: Iterable[str]) -> Iterator[ComparedField]:
        """Yield the field."""
        yield ComparedField(("field",), self.field, self._how())

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether the output lacks the field, or has no text there."""
        types = compared_types(self._how())
        yield from field_complaints(context.prompt, self.field, ("field",), *types)

    def _how(self) -> Comparison:
        return Comparison.from_settings("part_number", self)
