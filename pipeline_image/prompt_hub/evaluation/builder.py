"""The record of an evaluation as a pure function of what was seen, so that it can be made again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from prompt_hub.core.wording import count
from prompt_hub.evaluation.calibration import calibrated
from prompt_hub.evaluation.example_results import ArmName
from prompt_hub.evaluation.inputs import Inputs
from prompt_hub.evaluation.looks import SequentialResult
from prompt_hub.evaluation.record import Arm, EvaluationRecord, Judging, Verdict
from prompt_hub.evaluation.summary import MeasurementInfo, arm_of
from prompt_hub.gate.agreement import Agreement
from prompt_hub.gate.power import with_power
from prompt_hub.gate.types import Conclusion, Status
from prompt_hub.llm.response import FILTERED
from prompt_hub.repository.many_examples import facts_of
from prompt_hub.repository.schema import Example
from prompt_hub.scoring import EVERY_EXAMPLE_ATTACKED, majority_baseline


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """By whom, from what and when a record was made."""

    execution: str
    commit: str
    digest: str
    started_at: datetime
    finished_at: datetime
    remembered: bool = False
    endpoints: str | None = None


def unchanged() -> SequentialResult:
    """Return what is said of a candidate that is the champion already: nothing was measured."""
    conclusion = Conclusion(Status.UNCHANGED, ("the candidate is the released version",))
    return SequentialResult(conclusion)


def lines_of(sequential: SequentialResult) -> Iterator[str]:
    """Yield the details of a record: one line for each answer."""
    for arm, details in sequential.details.items():
        yield from (detail.to_line(arm) for detail in details)


def build_record(
    inputs: Inputs,
    sequential: SequentialResult,
    infos: Mapping[ArmName, MeasurementInfo],
    provenance: Provenance,
    judge: Judging | None = None,
) -> EvaluationRecord:
    """Return the record of an evaluation: a pure function, so that it can be made again."""
    metadata, evidence = inputs.metadata, sequential.evidence
    arms: dict[ArmName, Arm] = {}
    for arm, details in sequential.details.items():
        assert evidence is not None
        scores = evidence.candidate if arm == "candidate" else evidence.champion
        assert scores is not None
        arms[arm] = arm_of(
            inputs.arms[arm],
            infos[arm],
            details.sums,
            evidence.examples,
            scores,
            metadata.gate.confidence,
        )
    return EvaluationRecord(
        schema_="prompt-hub/evaluation@1",
        task=inputs.candidate.task,
        version=inputs.candidate.version,
        examples_sha256=inputs.examples_sha256,
        metadata_sha256=metadata.sha256,
        scorers_version=inputs.scorers_version,
        gate_version=inputs.gate_version,
        threshold=metadata.threshold,
        baseline=_baseline(inputs),
        candidate=arms.get("candidate"),
        champion=arms.get("champion"),
        champion_sha256=inputs.champion.sha256 if inputs.champion else None,
        judge=judge,
        agreement=_agreement(inputs, sequential),
        verdict=_verdict(inputs, sequential),
        **vars(provenance),
    )


def _baseline(inputs: Inputs) -> float | None:
    """Return the majority guess, as the scorers that are named took it."""
    candidate = inputs.candidate
    attacked = None if inputs.scorers_version in EVERY_EXAMPLE_ATTACKED else candidate
    return majority_baseline(inputs.metadata.scorers, inputs.scored, candidate.output, attacked)


def _agreement(inputs: Inputs, sequential: SequentialResult) -> Agreement | None:
    """Agreement with people of a candidate that is a judge itself."""

    def answers() -> Iterator[tuple[Example, str]]:
        places = {example.id: place for place, example in enumerate(facts_of(inputs.scored))}
        for detail in sequential.details.get("candidate", ()):
            if (answer := detail.answer) is not None:
                yield inputs.scored[places[detail.id]], answer

    return calibrated(inputs.candidate, answers(), inputs.metadata.gate.confidence)


def _verdict(inputs: Inputs, sequential: SequentialResult) -> Verdict:
    metadata, override = inputs.metadata, inputs.metadata.override
    conclusion = sequential.conclusion
    if sequential.evidence is not None:
        conclusion = with_power(
            conclusion,
            sequential.evidence,
            metadata.threshold,
            metadata.gate,
            version=inputs.gate_version,
        )
    if inputs.comparison_blocker and conclusion.status is Status.PASS:
        # Good enough, but nobody knows whether it is worse than what it replaces.
        reasons = (inputs.comparison_blocker, *conclusion.reasons)
        conclusion = replace(conclusion, status=Status.INCONCLUSIVE, reasons=reasons)
    overridden = (
        override.person
        if override is not None
        and override.version == inputs.candidate.version
        and conclusion.status in (Status.BLOCK, Status.INCONCLUSIVE)
        else None
    )
    return Verdict(
        status=conclusion.status,
        reasons=(*conclusion.reasons, *_filtered(sequential, judged=inputs.judge is not None)),
        comparison=conclusion.comparison,
        tags=dict(conclusion.tags),
        power=conclusion.power,
        looks=sequential.looks,
        overridden_by=overridden,
    )


def _filtered(sequential: SequentialResult, *, judged: bool) -> Iterator[str]:
    """Say how many answers count as wrong because a content filter has stopped them."""
    for arm, details in sequential.details.items():
        stopped = details.sums.filtered + (details.sums.judge_filtered if judged else 0)
        if stopped:
            yield (
                f"{FILTERED.reason}: {stopped:,} of {count(len(details), 'answer')} of the {arm},"
                " which count as wrong (gate.content_filter)"
            )
