"""An arm of a record as a pure function of its details and the examples."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from prompt_hub.core.percentile import percentile
from prompt_hub.core.wording import count
from prompt_hub.evaluation.example_results import Result
from prompt_hub.evaluation.record import Arm, FieldScore, Slice
from prompt_hub.gate.confidence_sequence import BettingPlan, WeightedObservations
from prompt_hub.gate.types import GateSet, Scores, mean_score
from prompt_hub.llm.response import Usage
from prompt_hub.repository.schema import Prompt
from prompt_hub.scoring.base import Counts


@dataclass(frozen=True, kw_only=True)
class MeasurementInfo:
    """What only the measuring itself knows, and no later sum can tell.

    `model` is the identity that the alias resolved to, `answered_by` what providers said about
    themselves, `seconds` wall time.
    """

    model: str
    answered_by: tuple[str, ...] = ()
    seconds: float = 0.0


def arm_of(
    prompt: Prompt,
    info: MeasurementInfo,
    details: Sequence[Result],
    examples: GateSet,
    scores: Scores,
    confidence: float,
) -> Arm:
    """Sum up one arm.

    Args:
        prompt: the version that was measured.
        info: what the measuring itself knows.
        details: every answer, repeats included.
        examples: the whole set of examples, also those that were never asked.
        scores: of the details, by the place of their example in the set.
        confidence: of each side of the score's interval.
    """
    unmeasured = sum(detail.score is None for detail in details)
    asked, weights = scores.asked, examples.weights
    whole = bool(asked) and not unmeasured
    low, high = 0.0, 1.0
    if whole:
        stakes = BettingPlan.on(weights, 1 - confidence)
        pairs = ((scores.mean(place), weights[place]) for place in asked)
        low, high = WeightedObservations.of([pairs], stakes).interval()
    tokens_in = tokens_out = 0
    costs = array("d")
    for usage in _usages(details):
        tokens_in += usage.input_tokens
        tokens_out += usage.output_tokens
        if usage.usd is not None:
            costs.append(usage.usd)
    return Arm(
        version=prompt.version,
        sha256=prompt.sha256,
        alias=prompt.model.alias,
        model=info.model,
        parameters={str(name): value for name, value in prompt.model.parameters.items()},
        answered_by=info.answered_by,
        score=float(mean_score(scores, asked, weights)) if whole else None,
        interval=(low, high),
        n=len(asked),
        unmeasured=unmeasured,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        usd=math.fsum(costs) if costs else None,
        seconds=info.seconds,
        repeats=1 + max((detail.repeat for detail in details), default=0),
        # What was answered has cost something.
        cached=sum(detail.cached for detail in details if detail.usage is not None),
        batched=untimed(details),
        seconds_p50=latency(details, 0.5),
        seconds_p95=latency(details, 0.95),
        fields=_fields(details),
        tags=_tags(scores, examples) if whole else {},
    )


def _usages(details: Iterable[Result]) -> Iterator[Usage]:
    """Yield what each answer took."""
    return (usage for detail in details if (usage := detail.usage) is not None)


def missing_answers(whom: str, details: Sequence[Result]) -> Iterator[str]:
    """Why answers of somebody are missing and how many, each reason once."""
    answers = count(len(details), "answer")
    for reason, missing in Counter(detail.error for detail in details if detail.error).items():
        yield f"{reason.rstrip('.')}: {missing} of {answers} of {whom} are missing"


def usd_per_call(details: Iterable[Result]) -> float | None:
    """Mean cost of a call made by itself, as a service makes it; None where no price is known."""
    live = (usage.usd_live for usage in _usages(details))
    costs = array("d", (usd for usd in live if usd is not None))
    return math.fsum(costs) / len(costs) if costs else None


def latency(details: Iterable[Result], share: float) -> float | None:
    """Return the seconds within which `share` of the calls were answered.

    None where none was, or where somebody cannot know it of each.
    """
    seconds = Counter(usage.seconds for usage in _usages(details))
    if None in seconds:
        return None
    return percentile((each for each in seconds.elements() if each is not None), share)


def untimed(details: Iterable[Result]) -> int:
    """Count the answers of which nobody knows how long they took."""
    return sum(usage.seconds is None for usage in _usages(details))


def _fields(answers: Iterable[Result]) -> dict[str, FieldScore]:
    # Equal counts are common, and floats among them are summed up exactly: in any order.
    counts: dict[str, Counter[Counts]] = defaultdict(Counter)
    for answer in answers:
        for part in answer.parts if answer.usage is not None else ():
            for name, found in part.fields.items():
                counts[name][found] += 1
    return {
        name: FieldScore(
            matched=math.fsum(chain.from_iterable(repeat(f[0], n) for f, n in found.items())),
            given=sum(given * n for (_, given, _), n in found.items()),
            wanted=sum(wanted * n for (_, _, wanted), n in found.items()),
        )
        for name, found in sorted(counts.items())
    }


def _tags(scores: Scores, examples: GateSet) -> dict[str, Slice]:
    seen = {
        tag: [place for place in places if place in scores]
        for tag, places in examples.tagged.items()
    }
    return {
        tag: Slice(score=float(mean_score(scores, few, examples.weights)), n=len(few))
        for tag, few in seen.items()
        if few
    }
