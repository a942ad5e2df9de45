"""What guessing is worth: the best score that one constant answer reaches."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence

from prompt_hub.core.hashing import canonical
from prompt_hub.repository.many_examples import pick
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring.base import GuessWorth
from prompt_hub.scoring.comparison import folded, identity
from prompt_hub.scoring.registry import Scorer, build_scorers, sort_scorers
from prompt_hub.scoring.scorers.injection import CanaryPrompt, InjectionSettings, attack_on
from prompt_hub.scoring.tally import Tally

TRIED = 32
"""Guesses tried where a comparison is graded: those whose values are the commonest."""


def majority_baseline(
    scorers: Sequence[Scorer],
    examples: Sequence[Example],
    schema: JsonObject,
    attacked: Prompt | None = None,
) -> float | None:
    """Best weighted mean score that one of the expected answers reaches as a constant guess.

    None where a judge or a function of one's own scores: guesses would have to be given to them;
    or where only injections do. A constant guess resists every attack. With graded comparisons
    (lists, tolerances, similarity) the `TRIED` guesses of the commonest values are looked at, so
    the best one may be missed where nearly all answers differ; guessing is then worth next to
    nothing.

    Args:
        scorers: the task's scorers.
        examples: what is scored.
        schema: the output schema of the prompt whose answers are scored.
        attacked: the prompt that injections attack; None where each attacks every example, as
            scorers before 4 took it.
    """
    kinds = sort_scorers(scorers)
    guessable = kinds.pure and all(scorer.can_guess for scorer in kinds.pure)
    if not examples or kinds.judges or not guessable:
        return None
    ready = build_scorers(scorers, schema)
    pure = sum(scorer.weight for scorer in kinds.pure)
    whole = pure + sum(injection.weight for injection in kinds.injections)
    resisted = 0.0
    worths: list[tuple[float, GuessWorth]] = []
    for weight, group in _by_attacks(kinds.injections, examples, attacked):
        # Where an attack is not made its weight goes to the other scorers.
        share = whole / (pure + weight)
        resisted += share * (sum(example.weight for example in group) * weight)
        worths += [(share, scorer.guess_worth(group)) for scorer in ready]
    guesses: Iterable[JsonObject] = (example.expected for example in examples)
    if any(worth.graded for _, worth in worths):
        # Not by `identity`, to which null and nothing are the same: they may fit a schema or not.
        places = {canonical(e.expected): place for place, e in enumerate(examples)}.values()
        guesses = (examples[place].expected for place in places)
        if len(places) > TRIED:
            guesses = heapq.nlargest(TRIED, guesses, key=_commonness(examples))
    total = sum(example.weight for example in examples)
    best = max(sum(share * worth.worth(guess) for share, worth in worths) for guess in guesses)
    return min(1.0, (best + resisted) / (total * sum(scorer.weight for scorer in scorers)))


def _by_attacks(
    injections: Sequence[InjectionSettings], examples: Sequence[Example], attacked: Prompt | None
) -> Iterable[tuple[float, Sequence[Example]]]:
    """Return the examples by the weight of the injections that attack them."""
    if attacked is None or not injections:
        return [(sum(injection.weight for injection in injections), examples)]
    guarded = CanaryPrompt.of(attacked)
    places: dict[float, array[int]] = {}
    for place, example in enumerate(examples):
        attacking = (item for item in injections if attack_on(guarded, example, item) is not None)
        weight = sum(injection.weight for injection in attacking)
        places.setdefault(weight, array("I")).append(place)
    return [(weight, pick(examples, found)) for weight, found in places.items()]


def _commonness(examples: Sequence[Example]) -> Callable[[JsonObject], float]:
    """How common the values of a guess are, property by property."""
    tally = Tally()

    def keys(value: JsonObject) -> list[Hashable]:
        return [(name, identity(item, folded)) for name, item in value.items()]

    for example in examples:
        for key in keys(example.expected):
            tally.add(key, example.weight)
    return lambda guess: sum(tally[key] for key in keys(guess))
