"""Evidence for the gate, written as lists of scores."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_hub.gate.rules import decide
from prompt_hub.gate.types import Conclusion, Evidence, GateSet, Scores
from prompt_hub.repository.schema import Example, Gate, Limits


def examples(
    count: int, *, weights: Sequence[float] = (), tags: Sequence[Sequence[str]] = ()
) -> tuple[Example, ...]:
    """A set of examples; without weights and tags they are all alike."""
    return tuple(
        Example(
            id=f"e{number:04}",
            input={},
            expected={},
            weight=weights[number] if weights else 1.0,
            tags=tuple(tags[number]) if tags else (),
        )
        for number in range(count)
    )


def evidence(
    candidate: Sequence[float | Sequence[float]],
    champion: Sequence[float | Sequence[float]] | None = None,
    *,
    of: Sequence[Example] = (),
    **facts: object,
) -> Evidence:
    """Evidence on the first examples of `of`; a list in the place of a score holds repeats."""
    whole = tuple(of) or examples(len(candidate))

    return Evidence(
        examples=GateSet.of(whole),
        candidate=scores_at(candidate, len(whole)),
        champion=None if champion is None else scores_at(champion, len(whole)),
        **facts,  # type: ignore[arg-type]
    )


def scores_at(scores: Sequence[float | Sequence[float]], size: int) -> Scores:
    """Scores of the first examples of a set of `size`; a list in the place of one holds repeats."""
    found = Scores(size)
    for place, given in enumerate(scores):
        for score in [given] if isinstance(given, int | float) else given:
            found.add(place, score)
    return found


def decided(
    given: Evidence, *, threshold: float = 0.0, limits: Limits | None = None, **gate: object
) -> Conclusion:
    """What the gate decides, with defaults that let only the comparison fail."""
    settings = Gate.model_validate({"margin": 0.1, **gate})
    return decide(given, threshold=threshold, gate=settings, limits=limits or Limits())
