"""`quantity`: the value of an electronic part, however it is spelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.repository.schema import FieldPath, JsonObject, Number
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
from prompt_hub.scoring.quantity import DecimalMark
from prompt_hub.scoring.units import UnitName


@scorer_type(right="the value of an electronic part, however it is spelled", place=32)
class QuantitySettings(PureSettings):
    """A value with a unit is the expected one: `4k7`, `4.7 kΩ` and `4700 ohm` are the same."""

    type: Annotated[Literal["quantity"], TYPE]
    field: FieldPath
    """Field of the output; dots lead into objects."""
    unit: UnitName | None = None
    """Unit of the field: values without a unit are read in it."""
    decimal: DecimalMark | None = None
    """Decimal mark of the field; without one a comma is never taken for it."""
    relative_tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """How far a value may be off, as a share of the expected one."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        return FieldsScorer.of_one(self.type, self.weight, self.field, self._how())

    def compared(self, names: Iterable[str]) -> Iterator[ComparedField]:
        """Yield the field."""
        yield ComparedField(("field",), self.field, self._how())

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether the output lacks the field, or has neither text nor number there."""
        types = compared_types(self._how())
        yield from field_complaints(context.prompt, self.field, ("field",), *types)

    def _how(self) -> Comparison:
        return Comparison.from_settings("quantity", self)
