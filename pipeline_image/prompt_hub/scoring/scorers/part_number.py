"""`part_number`: a part number, with all of its punctuation."""

from __future__ import annotations

from typing import Annotated, Literal

from prompt_hub.scoring.base import TYPE, scorer_type
from prompt_hub.scoring.one_field import OneFieldSettings
from prompt_hub.scoring.text_forms import Case


@scorer_type(right="a part number, but for spaces and case", place=34)
class PartNumberSettings(OneFieldSettings):
    """A part number is the expected one but for spaces and case; all punctuation counts."""

    way = "part_number"

    type: Annotated[Literal["part_number"], TYPE]
    case: Case = "fold"
    """Whether upper and lower case are the same."""
    strip_packaging: bool = False
    """Whether suffixes that say how a part is packed are left out."""
