"""An arm of a record as a pure function of its details and the examples."""

from __future__ import annotations

from dataclasses import dataclass

from prompt_hub.evaluation.answer_sums import AnswerSums
from prompt_hub.evaluation.record import Arm, Slice
from prompt_hub.gate.confidence_sequence import BettingPlan, WeightedObservations
from prompt_hub.gate.types import GateSet, Scores, mean_score
from prompt_hub.repository.schema import Prompt


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
    sums: AnswerSums,
    examples: GateSet,
    scores: Scores,
    confidence: float,
) -> Arm:
    """Sum up one arm.

    Args:
        prompt: the version that was measured.
        info: what the measuring itself knows.
        sums: over every answer, repeats included.
        examples: the whole set of examples, also those that were never asked.
        scores: of the answers, by the place of their example in the set.
        confidence: of each side of the score's interval.
    """
    asked, weights = scores.asked, examples.weights
    whole = bool(asked) and not sums.unmeasured
    low, high = 0.0, 1.0
    if whole:
        stakes = BettingPlan.on(weights, 1 - confidence)
        pairs = ((scores.mean(place), weights[place]) for place in asked)
        low, high = WeightedObservations.of([pairs], stakes).interval()
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
        unmeasured=sums.unmeasured,
        tokens_in=sums.tokens_in,
        tokens_out=sums.tokens_out,
        usd=float(sums.usd) if sums.usd.count else None,
        seconds=info.seconds,
        repeats=sums.repeats,
        cached=sums.cached,
        batched=sums.untimed,
        seconds_p50=sums.latency(0.5),
        seconds_p95=sums.latency(0.95),
        fields=sums.fields(),
        tags=_tags(scores, examples) if whole else {},
    )


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
