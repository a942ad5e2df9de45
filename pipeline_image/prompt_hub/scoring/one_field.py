"""What scorers share that compare one field of the output in one way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from prompt_hub.repository.schema import FieldPath, JsonObject
from prompt_hub.scoring.base import (
    ComparedField,
    Complaint,
    PureScorer,
    PureSettings,
    RuleContext,
)
from prompt_hub.scoring.comparison import Comparison, Way
from prompt_hub.scoring.field_rules import compared_types, field_complaints
from prompt_hub.scoring.fields import FieldsScorer


class OneFieldSettings(PureSettings):
    """A field, and options of the one way in which it is compared."""

    way: ClassVar[Way]
    """How the field is compared."""

    field: FieldPath
    """Field of the output; dots lead into objects."""

    @property
    def how(self) -> Comparison:
        """The comparison that these settings state."""
        return Comparison.from_settings(self.way, self)

    @property
    def types(self) -> Sequence[str]:
        """JSON types that the field may have; any where there are none."""
        return compared_types(self.how)

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        return FieldsScorer.of_one(self.type, self.weight, self.field, self.how)

    def compared(self, names: Iterable[str]) -> Iterator[ComparedField]:
        """Yield the field."""
        yield ComparedField(("field",), self.field, self.how)

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether the output lacks the field, or has nothing to compare there."""
        yield from field_complaints(context.prompt, self.field, ("field",), *self.types)
