"""`number`: a number is the expected one within a tolerance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.repository.schema import FieldPath, JsonObject, Number
from prompt_hub.scoring.base import (
    TYPE,
    Complaint,
    PureScorer,
    PureSettings,
    RuleContext,
    scorer_type,
)
from prompt_hub.scoring.comparison import Comparison
from prompt_hub.scoring.field_rules import field_complaints
from prompt_hub.scoring.fields import FieldsScorer


@scorer_type(right="a number within a tolerance", place=30)
class NumberSettings(PureSettings):
    """A number is the expected one within a tolerance: absolute, or relative to the expected."""

    type: Annotated[Literal["number"], TYPE]
    field: FieldPath
    """Field of the output; dots lead into objects."""
    tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """How far a number may be off."""
    relative_tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """How far a number may be off, as a share of the expected one."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        how = Comparison(
            compare="number",
            tolerance=self.tolerance,
            relative_tolerance=self.relative_tolerance,
        )
        return FieldsScorer.of_one(self.type, self.weight, self.field, how)

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether the output lacks the field, or has no number there."""
        yield from field_complaints(context.prompt, self.field, ("field",), "number", "integer")
