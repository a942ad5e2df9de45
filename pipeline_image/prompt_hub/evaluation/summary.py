"""An arm of a record as a pure function of its details and the examples."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from prompt_hub.core.percentile import percentile
from prompt_hub.evaluation.example_results import Result, scores_by_example
from prompt_hub.evaluation.record import Arm, FieldScore, Slice
from prompt_hub.gate.confidence_sequence import BettingPlan, WeightedObservations
from prompt_hub.gate.types import GateExample, Scores, example_mean, mean_score
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
    examples: Sequence[GateExample],
    confidence: float,
) -> Arm:
    """Sum up one arm.

    Args:
        prompt: the version that was measured.
        occasion: when and by whom it was answered.
        details: every answer, repeats included.
        examples: the whole set of examples, also those that were never asked.
        confidence: of each side of the score's interval.
    """
    scores = scores_by_example(details)
    asked = [example for example in examples if example.id in scores]
    unmeasured = sum(detail.score is None for detail in details)
    whole = bool(asked) and not unmeasured
    # What was answered has cost something.
    answers = [detail for detail in details if detail.usage is not None]
    usages = [detail.usage for detail in details if detail.usage is not None]
    costs = [usage.usd for usage in usages if usage.usd is not None]
    low, high = 0.0, 1.0
    if whole:
        stakes = BettingPlan.on([example.weight for example in examples], 1 - confidence)
        pairs = [(example_mean(scores, example), example.weight) for example in asked]
        low, high = WeightedObservations.of([pairs], stakes).interval()
    return Arm(
        version=prompt.version,
        sha256=prompt.sha256,
        alias=prompt.model.alias,
        model=info.model,
        parameters={str(name): value for name, value in prompt.model.parameters.items()},
        answered_by=info.answered_by,
        score=float(mean_score(scores, asked)) if whole else None,
        interval=(low, high),
        n=len(asked),
        unmeasured=unmeasured,
        tokens_in=sum(usage.input_tokens for usage in usages),
        tokens_out=sum(usage.output_tokens for usage in usages),
        usd=math.fsum(costs) if costs else None,
        seconds=info.seconds,
        repeats=1 + max((detail.repeat for detail in details), default=0),
        cached=sum(detail.cached for detail in answers),
        batched=untimed(answers),
        seconds_p50=latency(answers, 0.5),
        seconds_p95=latency(answers, 0.95),
        fields=_fields(answers),
        tags=_tags(scores, asked) if whole else {},
    )


def missing_answers(whom: str, details: Sequence[Result]) -> Iterator[str]:
    """Why answers of somebody are missing and how many, each reason once."""
    for reason, count in Counter(detail.error for detail in details if detail.error).items():
        yield f"{reason.rstrip('.')}: {count} of {len(details)} answers of {whom} are missing"


def usd_per_call(details: Sequence[Result]) -> float | None:
    """Mean cost of a call made by itself, as a service makes it; None where no price is known."""
    usages = (detail.usage for detail in details if detail.usage is not None)
    costs = [usd for usage in usages if (usd := usage.usd_live) is not None]
    return math.fsum(costs) / len(costs) if costs else None


def latency(details: Iterable[Result], share: float) -> float | None:
    """Return the seconds within which `share` of the calls were answered.

    None where none was, or where somebody cannot know it of each.
    """
    seconds = [detail.usage.seconds for detail in details if detail.usage is not None]
    known = [each for each in seconds if each is not None]
    return percentile(known, share) if len(known) == len(seconds) else None


def untimed(details: Iterable[Result]) -> int:
    """Count the answers of which nobody knows how long they took."""
    usages = (detail.usage for detail in details)
    return sum(usage is not None and usage.seconds is None for usage in usages)


def _fields(answers: Sequence[Result]) -> dict[str, FieldScore]:
    # Equal counts are common, and floats among them are summed up exactly: in any order.
    counts: dict[str, Counter[Counts]] = defaultdict(Counter)
    for answer in answers:
        for part in answer.parts:
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


def _tags(scores: Scores, asked: Sequence[GateExample]) -> dict[str, Slice]:
    tags = sorted({tag for example in asked for tag in example.tags})
    slices = {tag: [example for example in asked if tag in example.tags] for tag in tags}
    return {
        tag: Slice(score=float(mean_score(scores, few)), n=len(few)) for tag, few in slices.items()
    }
