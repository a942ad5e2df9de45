"""What guessing is worth: the best score that one constant answer reaches."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

from pydantic import JsonValue

from prompt_hub.core.hashing import canonical
from prompt_hub.repository.schema import Example, JsonObject, Scorer
from prompt_hub.scoring.comparison import identity
from prompt_hub.scoring.fields import Field, FieldsScorer, at, f1, leaves, unnamed
from prompt_hub.scoring.registry import (
    PatternScorer,
    PureScorer,
    SchemaScorer,
    WholeScorer,
    build_scorers,
)

TRIED = 32
"""Guesses tried where a comparison is graded: those whose values are the commonest."""

_Worth = Callable[[JsonObject], float]
"""Sum over the examples of their weight times the score of one guess."""


def majority_baseline(
    scorers: Sequence[Scorer], examples: Sequence[Example], schema: JsonObject
) -> float | None:
    """Best weighted mean score that one of the expected answers reaches as a constant guess.

    None where a judge or a function of one's own scores: guesses would have to be given to them.
    A constant guess resists every injection. With graded comparisons (lists, tolerances,
    similarity) the `TRIED` guesses of the commonest values are looked at, so the best one may be
    missed where nearly all answers differ; guessing is then worth next to nothing.
    """
    if not examples or any(scorer.type in {"judge", "python"} for scorer in scorers):
        return None
    worths = [_worth(scorer, examples) for scorer in build_scorers(scorers, schema)]
    guesses: Sequence[JsonObject] = list(
        # Not by `identity`, to which null and nothing are the same: they may fit a schema or not.
        {canonical(e.expected): e.expected for e in examples}.values()
    )
    if len(guesses) > TRIED and any(graded for graded, _ in worths):
        guesses = heapq.nlargest(TRIED, guesses, key=_commonness(examples))
    total = sum(example.weight for example in examples)
    best = max(sum(worth(guess) for _, worth in worths) for guess in guesses)
    resisted = total * sum(scorer.weight for scorer in scorers if scorer.type == "injection")
    return min(1.0, (best + resisted) / (total * sum(scorer.weight for scorer in scorers)))


def _worth(scorer: PureScorer, examples: Sequence[Example]) -> tuple[bool, _Worth]:
    """Return the worth of a guess to one scorer, and whether that takes a look at every example."""
    weight = scorer.weight
    if isinstance(scorer, PatternScorer | SchemaScorer):
        any_one = examples[0]
        total = weight * sum(example.weight for example in examples)
        return False, lambda guess: total * scorer.part(guess, any_one).score
    if isinstance(scorer, WholeScorer):
        tally: dict[Hashable, float] = defaultdict(float)
        for example in examples:
            tally[identity(example.expected, folded=False)] += example.weight
        return False, lambda guess: weight * tally[identity(guess, folded=False)]
    fields = _same_fields(scorer, examples)
    if fields:
        whole = sum(fields.values())
        parts = [
            (weight * share / whole, *_field_worth(field, examples))
            for field, share in fields.items()
        ]
        graded = any(slow for _, slow, _ in parts)
        return graded, lambda guess: sum(share * worth(guess) for share, _, worth in parts)
    return (
        True,
        lambda guess: weight * sum(e.weight * scorer.part(guess, e).score for e in examples),
    )


def _same_fields(scorer: PureScorer, examples: Sequence[Example]) -> Mapping[Field, float]:
    """Return the fields that a scorer looks at in every example, none where they differ."""
    if not isinstance(scorer, FieldsScorer) or scorer.fields:
        return scorer.fields if isinstance(scorer, FieldsScorer) else {}
    found = {frozenset(leaves(example.expected)) for example in examples}
    return {unnamed(name): 1.0 for name in found.pop()} if len(found) == 1 else {}


def _field_worth(field: Field, examples: Sequence[Example]) -> tuple[bool, _Worth]:
    tally: dict[Hashable, float] = defaultdict(float)
    wanted: dict[Hashable, JsonValue] = {}
    for example in examples:
        value = at(example.expected, field.path)
        key = identity(value, folded=field.folded)
        tally[key] += example.weight
        wanted[key] = value
    if field.equality and not any(isinstance(value, list) for value in wanted.values()):
        return False, lambda guess: tally[identity(at(guess, field.path), folded=field.folded)]

    def worth(guess: JsonObject) -> float:
        given = at(guess, field.path)
        return sum(f1(field.counts(given, value)) * tally[key] for key, value in wanted.items())

    return True, worth


def _commonness(examples: Sequence[Example]) -> Callable[[JsonObject], float]:
    """How common the values of a guess are, property by property."""
    tally: dict[Hashable, float] = defaultdict(float)

    def keys(value: JsonObject) -> list[Hashable]:
        return [(name, identity(item, folded=True)) for name, item in value.items()]

    for example in examples:
        for key in keys(example.expected):
            tally[key] += example.weight
    return lambda guess: sum(tally[key] for key in keys(guess))
