"""What guessing is worth: the best score that one constant answer reaches."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Sequence

from prompt_hub.core.hashing import canonical
from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring.comparison import folded, identity
from prompt_hub.scoring.registry import Scorer, build_scorers, sort_scorers
from prompt_hub.scoring.tally import Tally

TRIED = 32
"""Guesses tried where a comparison is graded: those whose values are the commonest."""


def majority_baseline(
    scorers: Sequence[Scorer], examples: Sequence[Example], schema: JsonObject
) -> float | None:
    """Best weighted mean score that one of the expected answers reaches as a constant guess.

    None where a judge or a function of one's own scores: guesses would have to be given to them.
    A constant guess resists every injection. With graded comparisons (lists, tolerances,
    similarity) the `TRIED` guesses of the commonest values are looked at, so the best one may be
    missed where nearly all answers differ; guessing is then worth next to nothing.
    """
    kinds = sort_scorers(scorers)
    if not examples or kinds.judges or not all(scorer.can_guess for scorer in kinds.pure):
        return None
    worths = [scorer.guess_worth(examples) for scorer in build_scorers(scorers, schema)]
    guesses: Iterable[JsonObject] = (example.expected for example in examples)
    if any(worth.graded for worth in worths):
        # Not by `identity`, to which null and nothing are the same: they may fit a schema or not.
        places = {canonical(e.expected): place for place, e in enumerate(examples)}.values()
        guesses = (examples[place].expected for place in places)
        if len(places) > TRIED:
            guesses = heapq.nlargest(TRIED, guesses, key=_commonness(examples))
    total = sum(example.weight for example in examples)
    best = max(sum(worth.worth(guess) for worth in worths) for guess in guesses)
    resisted = total * sum(scorer.weight for scorer in kinds.injections)
    return min(1.0, (best + resisted) / (total * sum(scorer.weight for scorer in scorers)))


def _commonness(examples: Sequence[Example]) -> Callable[[JsonObject], float]:
    """How common the values of a guess are, property by property."""
    tally = Tally()

    def keys(value: JsonObject) -> list[Hashable]:
        return [(name, identity(item, folded)) for name, item in value.items()]

    for example in examples:
        for key in keys(example.expected):
            tally.add(key, example.weight)
    return lambda guess: sum(tally[key] for key in keys(guess))
