"""`text`: a text field equals the expected one but for case, width and white space."""

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
from prompt_hub.scoring.comparison import Comparison, Unstated
from prompt_hub.scoring.field_rules import field_complaints
from prompt_hub.scoring.fields import FieldsScorer
from prompt_hub.scoring.text_forms import Case


@scorer_type(right="a text, but for case, width and white space; or nearly so", place=20)
class TextSettings(PureSettings):
    """A text field equals the expected one but for case, width and white space.

    With `similarity` a text that differs earns its edit similarity, from that least value on.
    """

    type: Annotated[Literal["text"], TYPE]
    field: FieldPath
    """Field of the output; dots lead into objects."""
    similarity: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Least edit similarity (0 to 1) of a text that still earns it."""
    case: Annotated[Case, Unstated] = "fold"
    """Whether upper and lower case are the same."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        return FieldsScorer.of_one(self.type, self.weight, self.field, self._how())

    def compared(self, names: Iterable[str]) -> Iterator[ComparedField]:
        """Yield the field."""
        yield ComparedField(("field",), self.field, self._how())

    def _how(self) -> Comparison:
        return Comparison.from_settings("text", self)

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say whether the output lacks the field, or has no text there."""
        yield from field_complaints(context.prompt, self.field, ("field",), "string")
