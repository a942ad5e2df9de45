"""How good one answer is, from 0 to 1, and in words what it lost.

Every scorer but the judge is a pure function of the answer and the example. `SCORERS_VERSION`
moves whenever a scorer may give another number for the same answer: it is part of every verdict.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from prompt_hub.models.call import schema_problem
from prompt_hub.prompts.models import Example, JsonObject, Scorer

SCORERS_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Part:
    """What one scorer says: a score from 0 to 1, its weight, and the loss in words.

    `fields` holds for each output field how much of it was matched, how many values were given
    and how many wanted; `votes` the scores of the single votes of a judge.
    """

    scorer: str
    score: float
    weight: float
    loss: str = ""
    fields: Mapping[str, tuple[float, int, int]] = field(default_factory=dict)
    votes: tuple[float, ...] = ()

    def to_line(self) -> JsonObject:
        """The part as it stands in the details of a record; what is empty is left out."""
        line: JsonObject = {"scorer": self.scorer, "score": self.score, "weight": self.weight}
        if self.loss:
            line["loss"] = self.loss
        if self.fields:
            line["fields"] = {name: list(counts) for name, counts in self.fields.items()}
        if self.votes:
            line["votes"] = list(self.votes)
        return line


def normalise(text: str) -> str:
    """Text without differences that do not matter: Unicode form, case, runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def combine(parts: Sequence[Part]) -> float:
    """Weighted mean of the parts' scores."""
    return sum(part.score * part.weight for part in parts) / sum(part.weight for part in parts)


def score_parts(
    scorers: Sequence[Scorer], output: JsonObject | None, example: Example, schema: JsonObject
) -> tuple[Part, ...]:
    """Apply every scorer that needs no model; `judge` entries are left to the runner."""
    return tuple(
        _part(scorer, output, example, schema) for scorer in scorers if scorer.type != "judge"
    )


def _part(scorer: Scorer, output: JsonObject | None, example: Example, schema: JsonObject) -> Part:
    name = f"{scorer.type}:{scorer.field}" if scorer.field else scorer.type
    if output is None:
        return Part(name, 0.0, scorer.weight, "no usable output")
    if scorer.type == "json_schema":
        problem = schema_problem(output, schema)
        return Part(name, 0.0 if problem else 1.0, scorer.weight, problem or "")
    if scorer.type == "json_fields":
        return _fields(name, scorer, output, example)
    got: JsonValue = output if scorer.field is None else output.get(scorer.field)
    want: JsonValue = example.expected
    if scorer.field is not None:
        want = example.expected.get(scorer.field)
    right = {"exact": _exact, "text": _text, "number": _number}[scorer.type](got, want, scorer)
    return Part(name, float(right), scorer.weight, "" if right else _difference(want, got))


def _exact(got: JsonValue, want: JsonValue, _: Scorer) -> bool:
    return got == want


def _text(got: JsonValue, want: JsonValue, _: Scorer) -> bool:
    return isinstance(got, str) and isinstance(want, str) and normalise(got) == normalise(want)


def _number(got: JsonValue, want: JsonValue, scorer: Scorer) -> bool:
    numbers = (int, float)
    if isinstance(got, bool) or isinstance(want, bool):
        return False
    if not isinstance(got, numbers) or not isinstance(want, numbers):
        return False
    return abs(got - want) <= scorer.tolerance


def _fields(name: str, scorer: Scorer, output: JsonObject, example: Example) -> Part:
    weights = scorer.fields or dict.fromkeys(example.expected, 1.0)
    lost = []
    earned = 0.0
    for key, weight in weights.items():
        got, want = output.get(key), example.expected.get(key)
        if got == want or _text(got, want, scorer):
            earned += weight
        else:
            lost.append(f"{key}: {_difference(want, got)}")
    return Part(name, earned / sum(weights.values()), scorer.weight, "; ".join(lost))


def _difference(want: JsonValue, got: JsonValue) -> str:
    return f"expected {want!r}, got {got!r}"


def majority_baseline(
    scorers: Sequence[Scorer], examples: Sequence[Example], schema: JsonObject
) -> float | None:
    """Best weighted mean score that one constant answer reaches: what guessing is worth.

    None where a judge scores, since guesses would have to be judged by a model.
    """
    if not examples or any(scorer.type == "judge" for scorer in scorers):
        return None
    total = sum(example.weight for example in examples)
    guesses = {repr(example.expected): example.expected for example in examples}
    return max(
        sum(
            example.weight * combine(score_parts(scorers, guess, example, schema))
            for example in examples
        )
        / total
        for guess in guesses.values()
    )
