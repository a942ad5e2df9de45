"""What one scorer says about one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prompt_hub.llm.client import ModelUnavailableError
from prompt_hub.repository.schema import JsonObject

Counts = tuple[float, int, int]
"""How much of a field was matched, how many values were given and how many wanted."""

NO_OUTPUT = "no usable output"


class NotScoredError(ModelUnavailableError):
    """A scorer could not do its work: like a model that gives no answer, a hole and not a zero."""


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """What one scorer says: a score from 0 to 1, its weight, and the loss in words.

    `fields` holds for each output field how much of it was matched, how many values were given
    and how many wanted; `votes` the scores of the single votes of a judge.
    """

    scorer: str
    score: float
    weight: float
    loss: str = ""
    fields: Mapping[str, Counts] = field(default_factory=dict)
    votes: tuple[float, ...] = ()

    def to_line(self) -> JsonObject:
        """Return the part as it stands in the details of a record; what is empty is left out."""
        line: JsonObject = {"scorer": self.scorer, "score": self.score, "weight": self.weight}
        if self.loss:
            line["loss"] = self.loss
        if self.fields:
            line["fields"] = {name: list(counts) for name, counts in self.fields.items()}
        if self.votes:
            line["votes"] = list(self.votes)
        return line


def weighted_mean(parts: Sequence[ScorerResult]) -> float:
    """Weighted mean of the parts' scores."""
    return sum(part.score * part.weight for part in parts) / sum(part.weight for part in parts)
