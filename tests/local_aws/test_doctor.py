"""`prompt-hub doctor` on the local AWS: no finding in a healthy stage, ten faults found of ten."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from boto3 import Session
from botocore.client import BaseClient

from prompt_hub.cli import doctor
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.doctor.registry import all_checks
from tests.local_aws.doctor_stand import (
    FAULTS,
    MAIL,
    QUALIFIER,
    SECRET_NAME,
    Fault,
    Patient,
    make_patient,
    plain_repository,
    with_clone,
)
from tests.local_aws.emulator import ACCOUNT, REGION, ROOT, LocalAws
from tests.local_aws.pipelines import PLAIN, Pipelines
from tests.local_aws.trace_stand import STAGE, TABLE, make_stand
from tests.unit.promotion.checkouts import git
from tests.unit.service.fake_provider import fake_provider

Report = dict[str, Any]
MAKE_SESSION = doctor._session
CLIENTS = (
    "cloudformation", "cloudwatch", "codeconnections", "codepipeline", "dynamodb", "ecr", "ecs",
    "s3", "secretsmanager", "service-quotas", "sns", "ssm", "sts",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    plain = plain_repository(tmp_path_factory.mktemp("plain"))
    folder = tmp_path_factory.mktemp("doctor")
    aws = LocalAws(
        state=tmp_path_factory.mktemp("local-aws"),
        repositories={PLAIN: plain.bare},
        permissions="enforce",
    )
    aws.start()
    try:
        with fake_provider() as provider:
            stand = make_stand(aws, folder)
            pipelines = Pipelines(aws, plain, plain)
            yield make_patient(stand, provider, pipelines, folder / "remote.git")
    finally:
        aws.stop()


@pytest.fixture(scope="module")
def session(made: Patient) -> Session:
    """The command's own session, with the account's own credentials."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.stand.aws.environment.items():
            patch.setenv(name, value)
        found = doctor._session()
        # Kept, whatever the environment says later.
        for service in CLIENTS:
            found.client(service)  # type: ignore[call-overload]
        return found


@pytest.fixture
def own_session(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that changes credentials: the command makes its session itself."""
    monkeypatch.setattr(doctor, "_session", MAKE_SESSION)


@pytest.fixture
def patient(
    made: Patient, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Patient]:
    """The stage, and a clone of one's own; everything that a fault changes is put back."""
    clone = tmp_path / "clone"
    shutil.copytree(made.stand.clone, clone)
    for name in [name for name in os.environ if name.startswith(("AWS_", "PROMPT_HUB_"))]:
        monkeypatch.delenv(name)
    for name, value in {**made.stand.aws.environment, aws_names.ENV_ROOT: str(clone)}.items():
        monkeypatch.setenv(name, value)
    table = made.client("dynamodb")
    items = table.scan(TableName=TABLE)["Items"]
    # A session takes half a second to make; what it is made of is the same for most of these tests.
    monkeypatch.setattr(doctor, "_session", lambda: session)
    mine = with_clone(made, clone)
    mine.settings()
    yield mine
    made.decide()
    made.parameter("21")
    made.secret("k-1")
    made.hook("exit 0")
    made.provider.status = 200
    for item in table.scan(TableName=TABLE)["Items"]:
        table.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    for item in items:
        table.put_item(TableName=TABLE, Item=item)


def examined(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Report]:
    """Exit code, and each check's result by its name."""
    capsys.readouterr()
    code = main(["doctor", "--stage", STAGE, "--json", *words])
    out, err = capsys.readouterr()
    assert out, err
    report = cast("Report", json.loads(out))
    assert (report["stage"], report["exit_code"]) == (STAGE, code)
    return code, {check["name"]: check for check in report["checks"]}


def faulty(report: Report) -> list[str]:
    return [name for name, check in report.items() if check["findings"]]


def test_a_healthy_stage_gives_no_finding(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    before = git(patient.remote, "for-each-ref"), git(patient.stand.clone, "status", "--porcelain")
    code, report = examined(capsys)
    assert {name: check["state"] for name, check in report.items()} == {
        check.name: "healthy" for check in all_checks()
    }
    assert code == 0
    assert len(report) == len(FAULTS) == 10
    # Nothing stays of it.
    assert before == (
        git(patient.remote, "for-each-ref"),
        git(patient.stand.clone, "status", "--porcelain"),
    )


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_planted_fault_is_found_by_its_check_alone(
    patient: Patient,
    fault: Fault,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault.plant(patient)
    code, report = examined(capsys)
    assert (code, faulty(report)) == (1, list(fault.checks))
    finding = report[fault.name]["findings"][0]
    assert fault.problem in finding["problem"]
    assert fault.command in finding["command"]
    assert finding["mend"].endswith(".")

    # Without the check nobody finds it.
    left = tuple(check for check in all_checks() if check.name not in fault.checks)
    monkeypatch.setattr(doctor, "all_checks", lambda: left)
    code, report = examined(capsys)
    assert (code, faulty(report)) == (0, [])


def test_a_service_that_follows_another_ledger_than_people_is_found(
    patient: Patient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dynamodb = patient.client("dynamodb")
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=TABLE, TargetTableName="copy", UseLatestRestorableTime=True
    )
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLES, f"{STAGE}=copy")
    code, report = examined(capsys)
    assert (code, faulty(report)) == (1, ["drift"])
    (finding,) = report["drift"]["findings"]
    assert finding["problem"] == f"The service follows the ledger {TABLE}; commands here ask copy."
    assert finding["command"] == f"export {aws_names.ENV_LEDGER_TABLES}={STAGE}={TABLE}"

    # A clone says it for everybody who has not set the variable.
    mine = {"name": STAGE, "notification_emails": [MAIL], "ledger_table": TABLE}
    patient.settings(stages=[mine])
    assert faulty(examined(capsys)[1]) == ["drift"]
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLES)
    assert faulty(examined(capsys)[1]) == []
    patient.settings(stages=[{**mine, "ledger_table": "copy"}])
    assert faulty(examined(capsys)[1]) == ["drift"]


def test_no_check_hides_another(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    patient.parameter("5")
    patient.hook("exit 1")
    patient.stand.item("ACTIVE", "brand", release=None)  # nobody can read this pointer
    patient.decide(connection="ERROR", unconfirmed=[MAIL], quotas={"L-0263D0A3": 0})
    code, report = examined(capsys)
    assert (code, faulty(report)) == (
        1,
        ["bootstrap", "connection", "push", "quotas", "subscriptions"],
    )
    for name in ("drift", "freshness"):
        assert "the check broke, please report this: " in report[name]["not_checked"]


def test_what_cannot_be_looked_at_is_never_healthy(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    git(patient.stand.clone, "remote", "remove", "origin")
    code, report = examined(capsys)
    assert (code, faulty(report), report["push"]["state"]) == (3, [], "not-checked")
    assert "no clone with a remote" in report["push"]["not_checked"]
    code, report = examined(capsys, "--skip", "push")
    assert (code, list(report)) == (
        0,
        [check.name for check in all_checks() if check.name != "push"],
    )


def test_outside_a_clone_the_bootstrap_is_not_checked(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    """On call one may have no clone: what another qualifier's parameter says is no answer."""
    (patient.stand.clone / "cdk.json").unlink()
    code, report = examined(capsys)
    assert (code, faulty(report), report["bootstrap"]["state"]) == (3, [], "not-checked")


@pytest.mark.parametrize(("status", "code"), [(429, ""), (503, ""), (429, "insufficient_quota")])
def test_a_provider_that_is_busy_is_no_fault_of_the_alias(
    patient: Patient, capsys: pytest.CaptureFixture[str], status: int, code: str
) -> None:
    patient.provider.status = status
    patient.provider.refusal = {"error": {"message": "no room", "code": code}}
    (finding,) = examined(capsys)[1]["models"]["findings"]
    assert f"HTTP {status}" in finding["problem"]
    assert "busy, or a quota there is used up: ask again" in finding["mend"]
    assert "correct the alias" not in finding["mend"]


def test_a_key_that_cannot_be_read_is_no_fault_of_the_alias(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.secret("REPLACE-ME")
    (finding,) = examined(capsys)[1]["models"]["findings"]
    assert "still holds a placeholder" in finding["problem"]
    assert finding["mend"].startswith("Put the provider's key into it")
    assert "correct the alias" not in finding["mend"]
    assert finding["command"] == f"aws secretsmanager describe-secret --secret-id {SECRET_NAME}"


def test_people_read_problem_mend_and_command(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.parameter("5")
    capsys.readouterr()
    assert main(["doctor", "--stage", STAGE]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "faulty       bootstrap",
        "    /cdk-bootstrap/catalogue/version says version '5'; templates need 6 at least.",
        "    Bootstrap this account and region (eu-central-1).",
        f"        make bootstrap PLACE=aws://{ACCOUNT}/{REGION}",
        "healthy      connection",
    ]


def test_a_stage_that_is_not_deployed_is_told_what_is_missing(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.settings(stages=[{"name": "prod"}], models={"m": {"provider": "openai", "model": "s"}})
    assert main(["doctor", "--stage", STAGE]) == 2
    assert "has no stage 'dev' (known: prod)" in capsys.readouterr().err
    assert main(["doctor", "--stage", "prod", "--json", "--skip", "models"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    problems = [finding["problem"] for check in checks for finding in check["findings"]]
    assert "There is no table prompt-hub-prod-ledger." in problems
    assert [p for p in problems if p.startswith("There is no topic prompt-hub-prod-notifications")]


@pytest.mark.usefixtures("own_session")
def test_bad_credentials_are_told_once(
    patient: Patient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, report = examined(capsys)
    assert (code, faulty(report)) == (1, ["credentials"])
    assert report["push"]["state"] == "healthy"
    assert {
        check["state"] for name, check in report.items() if name not in ("credentials", "push")
    } == {"not-checked"}
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION")
    assert main(["doctor", "--stage", STAGE]) == 2


def test_the_page_lists_the_permissions_that_it_takes_and_no_other(
    patient: Patient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    make = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noting(client: BaseClient, operation: str, parameters: object) -> object:
        asked.add(f"{client.meta.service_model.signing_name}:{operation}")
        return make(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", noting)
    patient.decide(quotas={"L-3032A538": 0.25})
    examined(capsys)
    allowed = {action for statement in policy()["Statement"] for action in statement["Action"]}
    # Nobody needs a permission to learn who they are. S3 asks for the list where a key is missing,
    # Bedrock is no model of this stage, and the default of a quota is asked for on a new account.
    asked = {name.replace("monitoring:", "cloudwatch:") for name in asked}
    assert allowed == asked - {"sts:GetCallerIdentity"} | {
        "s3:ListBucket",
        "bedrock:InvokeModel",
        "servicequotas:GetAWSDefaultServiceQuota",
    }


def policy() -> dict[str, Any]:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    text = page.split("```json")[1].split("```")[0]
    names = {
        "REGION": REGION, "ACCOUNT": ACCOUNT, "STAGE": STAGE, "QUALIFIER": QUALIFIER,
        "secret:NAME-": f"secret:{SECRET_NAME}-",
    }  # fmt: skip
    for name, meant in names.items():
        text = text.replace(name, meant)
    return cast("dict[str, Any]", json.loads(text))


@pytest.fixture
def role(
    patient: Patient, own_session: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Report], None]]:
    """Have a role with one policy, and nothing but what it allows."""
    iam, name = patient.client("iam"), "doctor"
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]})
    )
    session = patient.client("sts").assume_role(
        RoleArn=made["Role"]["Arn"], RoleSessionName="on-call"
    )["Credentials"]

    def allow(document: Report) -> None:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])

    yield allow
    iam.delete_role_policy(RoleName=name, PolicyName="own")
    iam.delete_role(RoleName=name)


def test_the_permissions_of_the_page_are_enough(
    patient: Patient, role: Callable[[Report], None], capsys: pytest.CaptureFixture[str]
) -> None:
    role(policy())
    code, report = examined(capsys)
    assert (code, faulty(report)) == (0, []), report


@pytest.mark.parametrize(
    ("action", "checks"),
    [
        ("cloudformation:DescribeStacks", {"connection"}),
        ("cloudformation:GetTemplate", {"quotas"}),
        ("cloudwatch:DescribeAlarms", {"freshness"}),
        ("dynamodb:Query", {"drift", "freshness"}),
        ("ecr:BatchGetImage", {"drift"}),
        ("ecs:DescribeServices", {"drift", "models", "secrets"}),
        ("s3:GetObject", {"drift"}),
        ("secretsmanager:GetSecretValue", {"models", "secrets"}),
        ("sns:ListSubscriptionsByTopic", {"subscriptions"}),
        ("ssm:GetParameter", {"bootstrap"}),
    ],
)
def test_a_missing_permission_is_a_finding(
    patient: Patient,
    role: Callable[[Report], None],
    action: str,
    checks: set[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = policy()
    for statement in document["Statement"]:
        statement["Action"] = [name for name in statement["Action"] if name != action]
    document["Statement"] = [
        statement for statement in document["Statement"] if statement["Action"]
    ]
    role(document)
    code, report = examined(capsys)
    assert (code, set(faulty(report))) == (1, checks)
    for name in checks - {"models"}:
        (finding,) = report[name]["findings"]
        who = f"arn:aws:sts::{ACCOUNT}:assumed-role/doctor/on-call"
        assert finding["problem"] == f"{who} may not {action}, so nobody can tell."
        assert f"Allow {action} to doctor" in finding["mend"]
        assert finding["command"].startswith("aws iam put-role-policy --role-name doctor ")
