"""What the doctor says when AWS refuses a check: its advice has to be one that can be followed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from boto3 import Session
from botocore.exceptions import ClientError, NoCredentialsError

from prompt_hub.cli.main import main
from prompt_hub.doctor.base import Check, Finding
from prompt_hub.doctor.checks import models
from prompt_hub.doctor.examination import CheckResult, examine
from prompt_hub.doctor.installation import CdkJson
from prompt_hub.doctor.readers import Caller, Readers
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.retry import PermanentError

ACCOUNT = "123456789012"
BEDROCK = f"arn:aws:bedrock:eu-west-1:{ACCOUNT}"


def told(error: Exception, arn: str, name: str = "other") -> CheckResult:
    def examine_it(readers: Readers) -> Iterator[Finding]:
        raise error
        yield

    nobody = cast("Session", None)
    readers = Readers("dev", Path(), nobody, CdkJson(), datetime.now(UTC))
    readers.caller = Caller(arn, ACCOUNT)
    (result,) = examine([Check(name, examine_it, lambda: "remedy")], readers)
    return result


def denied(arn: str, action: str, why: str = "no identity-based policy allows it") -> Finding:
    message = f"User: {arn} is not authorized to perform: {action} on resource: x because {why}"
    error = ClientError({"Error": {"Code": "AuthorizationError", "Message": message}}, "Operation")
    (finding,) = told(error, arn).findings
    return finding


def test_an_action_is_named_as_a_policy_names_it() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:user/ann"
    finding = denied(arn, "SNS:ListSubscriptionsByTopic")
    assert "may not sns:ListSubscriptionsByTopic, so" in finding.problem


@pytest.mark.parametrize(
    ("who", "name", "command"),
    [
        ("iam::{}:user/team/ann", "ann", "aws iam put-user-policy --user-name ann "),
        ("iam::{}:user/ann", "ann", "aws iam put-user-policy --user-name ann "),
        ("sts::{}:assumed-role/look/me", "look", "aws iam put-role-policy --role-name look "),
        (
            "sts::{}:assumed-role/AWSReservedSSO_Dev_0123/ann",
            "AWSReservedSSO_Dev_0123",
            "aws sso-admin put-inline-policy-to-permission-set ",
        ),
    ],
)
def test_a_permission_is_given_to_who_lacks_it(who: str, name: str, command: str) -> None:
    finding = denied("arn:aws:" + who.format(ACCOUNT), "ssm:GetParameter")
    assert finding.mend.startswith(f"Allow ssm:GetParameter to {name};")
    assert finding.command.startswith(command)


def test_what_is_denied_is_not_mended_by_allowing_it() -> None:
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/look/me"
    finding = denied(arn, "ssm:GetParameter", "with an explicit deny in a service control policy")
    assert finding.mend.startswith("Have the policy changed that denies ssm:GetParameter")
    assert "put-role-policy" not in finding.command


def test_no_credentials_are_not_called_refused() -> None:
    result = told(NoCredentialsError(), "")
    assert result.not_checked == "there are no credentials that AWS takes: NoCredentialsError"


@pytest.mark.processes
def test_a_login_that_boto3_cannot_read_is_a_finding_with_a_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`aws login` leaves a session for which boto3 wants an extra package."""
    config = tmp_path / "config"
    config.write_text(
        f"[default]\nregion = us-east-1\nlogin_session = arn:aws:iam::{ACCOUNT}:user/ann\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("PROMPT_HUB_ROOT", str(tmp_path))
    assert main(["doctor", "--stage", "dev", "--json"]) == 1
    checks = {item["name"]: item for item in json.loads(capsys.readouterr().out)["checks"]}
    (finding,) = checks["credentials"]["findings"]
    assert "MissingDependencyException" in finding["problem"]
    assert "aws configure export-credentials --format env" in finding["command"]
    assert [name for name, item in checks.items() if item["findings"]] == ["credentials"]


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("eu.amazon.nova-micro-v1:0", "get-inference-profile --inference-profile-identifier eu."),
        ("openai.gpt-oss-20b-1:0", "get-foundation-model-availability --model-id openai."),
        (f"{BEDROCK}:application-inference-profile/a1", "--inference-profile-identifier arn:"),
        (f"{BEDROCK}:provisioned-model/a1", "get-provisioned-model-throughput --provisioned"),
    ],
)
def test_a_model_is_looked_up_by_what_it_is(model: str, command: str) -> None:
    entry = {"provider": "bedrock", "model": model, "region": "eu-west-1"}
    price = {"price_per_million": {"input": 1, "output": 1}}
    (alias,) = ModelAliases.parse(json.dumps({"small": entry | price}))
    assert command in models._command(alias, PermanentError("HTTP 403"))
