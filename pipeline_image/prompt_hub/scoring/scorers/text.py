"""`text`: a text field equals the expected one but for case, width and white space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.repository.schema import Number
from prompt_hub.scoring.base import TYPE, scorer_type
from prompt_hub.scoring.comparison import Unstated
from prompt_hub.scoring.one_field import OneFieldSettings
from prompt_hub.scoring.text_forms import Case


@scorer_type(right="a text, but for case, width and white space; or nearly so", place=20)
class TextSettings(OneFieldSettings):
    """A text field equals the expected one but for case, width and white space.

    With `similarity` a text that differs earns its edit similarity, from that least value on.
    """

    way = "text"

    type: Annotated[Literal["text"], TYPE]
    similarity: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Least edit similarity (0 to 1) of a text that still earns it."""
    case: Annotated[Case, Unstated] = "fold"
    """Whether upper and lower case are the same."""

    @property
    def types(self) -> Sequence[str]:
        """Text alone: of anything else the comparison has nothing to fold."""
        return ("string",)
