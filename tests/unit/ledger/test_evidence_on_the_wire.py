"""Evidence as DynamoDB holds it is the evidence that was measured, to the last digit."""

from __future__ import annotations

from prompt_hub.ledger.detector import Evidence, error_of_a_run, evidence_from
from prompt_hub.ledger.items import ScoreSample
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on


def test_evidence_comes_back_as_it_was_written() -> None:
    ledger = ledger_on(FakeDynamoDB())
    evidence = Evidence(
        rounds=5,
        asked=240 / 7,
        earned=100 / 3,
        error=error_of_a_run(0.000001, 1),
        won=1e-6 / 3,
        lost=0.0,
        compared=True,
    )
    sample = ScoreSample(
        task="brand",
        version="1.0.0",
        score=0.5,
        threshold=0.7,
        n=48,
        interval=(0.4, 0.6),
        evaluation="round",
        at="2026-11-27T09:30:00.000000Z",
        evidence=evidence,
        release="exec-1",
    )
    ledger.add_samples([sample])
    assert ledger.samples("brand", 1) == (sample,)


def test_evidence_of_before_comparisons_were_marked_is_of_none() -> None:
    written = Evidence(rounds=1, asked=1.0, earned=1.0, error=0.1, compared=True).to_attributes()
    del written["compared"]
    assert not evidence_from(written).compared
