"""Evaluation records as an evaluation would write them, with the verdict that a test needs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from prompt_hub.evaluation.record import Arm, EvaluationRecord, Verdict
from prompt_hub.gate.types import Status
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Prompt
from prompt_hub.scoring.metadata import read_metadata
from tests.unit.building import COMMIT

AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
MODELS = ("openai:small-model-2026-01", "bedrock:other-model")
_SCORES = {Status.PASS: 0.9, Status.BLOCK: 0.4, Status.INCONCLUSIVE: 0.8}
_WORSE = {MODELS[1]: 0.1}
"""How much lower the same verdict's score is on another model."""


def _arm(prompt: Prompt, model: str, score: float | None, n: int) -> Arm:
    return Arm(
        version=prompt.version,
        sha256=prompt.sha256,
        alias=prompt.model.alias,
        model=model,
        parameters={},
        answered_by=(model,),
        score=score,
        interval=(0.0, 1.0),
        n=n if score is not None else 0,
        unmeasured=0 if score is not None else n,
        tokens_in=10 * n,
        tokens_out=2 * n,
        usd=None,
        seconds=0.5,
        repeats=1,
        cached=0,
        seconds_p50=0.5,
        seconds_p95=0.5,
        fields={},
        tags={},
    )


def record_of(
    repository: PromptRepository, task: str, status: Status, model: str = MODELS[0]
) -> tuple[EvaluationRecord, str]:
    """The record of the task's candidate as it is now, and its details."""
    metadata = read_metadata(repository, task)
    candidate, champion = repository.candidate(task), repository.production(task)
    examples = [item for item in repository.examples(task) if item.split == "eval"]
    score = _SCORES.get(status)
    if score is not None:
        score = round(score - _WORSE.get(model, 0.0), 6)
    override = metadata.override
    overridden = (
        override.person
        if override is not None
        and override.version == candidate.version
        and status in (Status.BLOCK, Status.INCONCLUSIVE)
        else None
    )
    itself = champion is not None and champion.sha256 == candidate.sha256
    record = EvaluationRecord(
        schema_="prompt-hub/evaluation@1",
        task=task,
        version=candidate.version,
        execution="local",
        commit=COMMIT,
        digest=candidate.sha256,
        examples_sha256=repository.examples_sha256(task),
        metadata_sha256=metadata.sha256,
        scorers_version="1",
        gate_version="1",
        threshold=metadata.threshold,
        baseline=0.25,
        candidate=_arm(candidate, model, score, len(examples)),
        champion=_arm(champion, model, 0.9, len(examples)) if champion and not itself else None,
        champion_sha256=champion.sha256 if champion else None,
        judge=None,
        agreement=None,
        verdict=Verdict(
            status=status,
            reasons=(f"decided as {status}",),
            comparison=None,
            tags={},
            power=None,
            looks=1,
            overridden_by=overridden,
        ),
        started_at=AT,
        finished_at=AT,
        remembered=False,
    )
    lines = [
        json.dumps({"arm": "candidate", "id": example.id, "score": score}) for example in examples
    ]
    return record, "\n".join(lines) + "\n"
