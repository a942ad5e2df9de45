"""What a trace reads of a stage while that goes on living."""

from __future__ import annotations

from typing import Any

import pytest

from prompt_hub.ledger.items import Event
from prompt_hub.provenance.chain import HopState
from prompt_hub.provenance.evidence import Evidence
from prompt_hub.provenance.git_history import GitEvidence
from prompt_hub.provenance.stage_reader import StageReader
from prompt_hub.provenance.verify_live import verify_rollback
from tests.unit.ledger.causes import RELEASE, cause, reference
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on


def test_a_rollback_while_the_ledger_is_read_looks_like_no_edit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = ledger_on(FakeDynamoDB())
    seeded = ledger.seed(
        "brand",
        reference("1.1.0"),
        previous=reference("1.0.0"),
        release=RELEASE,
        cause=cause(),
    )

    real, others = ledger.events, ["rollback"]

    def events(task: str) -> tuple[Event, ...]:
        # The states of versions have been read by now.
        if others:
            others.clear()
            ledger.roll_back(task, seen=seeded.revision, cause=cause(1))
        return real(task)

    monkeypatch.setattr(ledger, "events", events)
    unasked: Any = None
    reader = StageReader(
        "dev", ledger=ledger, results=unasked, ecr=unasked, ecs=unasked, logs=unasked
    )
    found = reader.ledger()
    git = GitEvidence(registered=None, prompt_sha256=None)
    hop = verify_rollback(
        Evidence(task="brand", version="1.1.0", git=git, ledger=found, stage="dev")
    )
    assert (hop.state, hop.facts["state"]) == (HopState.VERIFIED, "quarantined")
    assert found.revision == seeded.revision + 1
