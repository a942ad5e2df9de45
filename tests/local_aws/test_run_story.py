"""What `make up` says about the rollback: the one who asked is the one whom the ledger names."""

from __future__ import annotations

import pytest

from local_aws.regression import told
from triggers import Trigger, TriggerKind


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (TriggerKind.ROUND, "score watch's round"),
        (TriggerKind.ALARM, "alarm"),
        (TriggerKind.SWEEP, "sweep"),
    ],
)
def test_the_story_names_who_asked_for_the_rollback(kind: TriggerKind, asked: str) -> None:
    trigger = Trigger(kind=kind, task="brand", alarm="prompt-hub-dev-score-brand", at="")
    event = {"kind": "rolled-back", "reason": "it fell", "evidence": trigger.to_evidence()}
    assert told(event) == f"ledger: rolled-back, asked by the {asked}: it fell"
