"""What `make up` says about the rollback: the one who asked is the one whom the ledger names."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_aws.regression import told
from local_aws.stack import LocalStack
from prompt_hub.core import aws_names
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


def test_a_local_run_differs_from_aws_in_endpoints_and_one_interval(tmp_path: Path) -> None:
    settings = '{"context": {"prompt-hub": {"region": "us-east-1"}}}'
    (tmp_path / "cdk.json").write_text(settings, encoding="utf-8")

    told_last = LocalStack(tmp_path, tmp_path / "state").overrides

    assert float(told_last[aws_names.ENV_POLL_SECONDS]) < aws_names.POLL_SECONDS
    assert set(told_last) - {aws_names.ENV_POLL_SECONDS} == {
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        aws_names.ENV_MODELS,
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION",
    }
