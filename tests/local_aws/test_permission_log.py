"""What IAM denied, or would have, is told as what it is, and nothing of an earlier run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest

from local_aws.__main__ import main
from local_aws.lifecycle import Lifecycle
from local_aws.processes import LocalRunError
from local_aws.settings import PERMISSIONS_LOG, CloudSettings
from local_aws.stack import LocalStack
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws

TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}]
}


def log_of(state: Path, *lines: object) -> Path:
    """A log as the local AWS writes it, below a state folder."""
    path = state / "cloud" / PERMISSIONS_LOG
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def describe_alarms(aws: LocalAws, *, times: int) -> None:
    """Calls that get an answer, by a role that has no statement at all."""
    made = aws.client("iam").create_role(
        RoleName="narrow", AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    given = aws.client("sts").assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="test")
    keys = given["Credentials"]
    cloudwatch = boto3.client(
        "cloudwatch",
        endpoint_url=aws.endpoint,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    for _ in range(times):
        assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def up(state: Path) -> int:
    """Run the command; it clears its process's own environment."""
    with patch.dict(os.environ):
        return main(["up", "--state", str(state)])


@pytest.mark.parametrize("permissions", ["off", "audit", "enforce"])
def test_denials_of_an_earlier_run_are_gone(tmp_path: Path, permissions: str) -> None:
    log_of(tmp_path, {"permissions": "enforce"}, {"sentence": "a may not b on c."})
    emulator = LocalAws(state=tmp_path / "cloud", permissions=permissions)
    emulator.start()
    try:
        stack = LocalStack(Path(), tmp_path)
        assert stack.denials() == []
        nothing = "permissions, audit: 0 calls would be denied"
        assert stack.audit() == (nothing if permissions == "audit" else "")
    finally:
        emulator.stop()


def test_a_green_audit_says_how_many_calls_would_be_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator = LocalAws(state=tmp_path / "cloud", permissions="audit")
    emulator.start()
    try:
        describe_alarms(emulator, times=2)
    finally:
        emulator.stop()
    monkeypatch.setattr(Lifecycle, "up", lambda _: None)
    assert up(tmp_path) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2
    assert told[0].startswith("would be denied: narrow may not cloudwatch:DescribeAlarms on ")
    log = tmp_path / "cloud" / PERMISSIONS_LOG
    assert told[1] == f"permissions, audit: 2 calls would be denied, 1 different: {log}"


@pytest.mark.parametrize(
    ("mode", "word"), [("audit", "would be denied"), ("enforce", "denied"), (None, "denied")]
)
def test_a_red_run_says_whether_a_call_was_denied(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mode: str | None,
    word: str,
) -> None:
    """A log without its first line is one of an earlier release, which did not say."""
    head = [{"permissions": mode}] if mode else []
    log_of(tmp_path, *head, {"sentence": "a may not b on c."}, {"sentence": "a may not b on c."})

    def fail(_: Lifecycle) -> None:
        raise LocalRunError("red.")

    monkeypatch.setattr(Lifecycle, "up", fail)
    assert up(tmp_path) == 1
    assert capsys.readouterr().err.splitlines() == [
        "",
        "local run failed: red.",
        f"{word}: a may not b on c.",
    ]


def test_a_green_run_that_was_no_audit_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log_of(tmp_path, {"permissions": "enforce"}, {"sentence": "a may not b on c."})
    monkeypatch.setattr(Lifecycle, "up", lambda _: None)
    assert up(tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_another_word_than_the_three_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cloud.json"
    path.write_text(json.dumps({"port": 1, "state": "a", "permissions": "on"}))
    with pytest.raises(ValueError, match="'on'; expected one of off, audit, enforce"):
        CloudSettings.load(path)
