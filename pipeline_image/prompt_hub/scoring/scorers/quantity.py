"""`quantity`: the value of an electronic part, however it is spelled."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.repository.schema import Number
from prompt_hub.scoring.base import TYPE, scorer_type
from prompt_hub.scoring.one_field import OneFieldSettings
from prompt_hub.scoring.units import DecimalMark, UnitName


@scorer_type(right="the value of an electronic part, however it is spelled", place=32)
class QuantitySettings(OneFieldSettings):
    """A value with a unit is the expected one: `4k7`, `4.7 kΩ` and `4700 ohm` are the same."""

    way = "quantity"

    type: Annotated[Literal["quantity"], TYPE]
    unit: UnitName | None = None
    """Unit of the field: values without a unit are read in it."""
    decimal: DecimalMark | None = None
    """Decimal mark of the field; without one a comma is never taken for it."""
    relative_tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """How far a value may be off, as a share of the expected one."""
