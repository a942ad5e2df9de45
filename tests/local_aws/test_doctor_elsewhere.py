"""`prompt-hub doctor` about a stage of another account and region: each check asks where it has to.

The local AWS keeps accounts and regions apart. The ledger, the service, its alarms, keys and people
are in the stage's; pipeline, results, images and connection in the pipeline's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from tests.local_aws.doctor_stand import (
    MAIL,
    SECRET_NAME,
    VERSION,
    Patient,
    make_patient,
    plain_repository,
    with_clone,
)
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws
from tests.local_aws.pipelines import PLAIN, Pipelines
from tests.local_aws.trace_stand import STAGE, make_stand
from tests.unit.service.fake_provider import fake_provider

OTHER, FAR = "222222222222", "eu-west-1"
OF_STAGE = ("dynamodb", "ecs", "logs", "cloudwatch", "secretsmanager")
PROFILE = f"""[profile {aws_names.stage_profile(STAGE)}]
aws_access_key_id = {{account}}
aws_secret_access_key = local
region = {FAR}
"""


def far(aws: LocalAws, service: str) -> Any:
    """A client of the stage's account and region."""
    session = boto3.Session(OTHER, "local", region_name=FAR)
    return session.client(service, endpoint_url=aws.endpoint)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    plain = plain_repository(tmp_path_factory.mktemp("plain"))
    folder = tmp_path_factory.mktemp("doctor")
    aws = LocalAws(state=tmp_path_factory.mktemp("aws"), repositories={PLAIN: plain.bare})
    aws.start()
    try:
        aws.clients |= {service: far(aws, service) for service in OF_STAGE}
        with fake_provider() as provider:
            stand = make_stand(aws, folder)
            patient = make_patient(
                stand, provider, Pipelines(aws, plain, plain), folder / "remote.git"
            )
            furnish(aws, provider.url)
            yield patient
    finally:
        aws.stop()


def furnish(aws: LocalAws, url: str) -> None:
    """What else a stage has: bootstrap, people, and a service that runs the release."""
    far(aws, "ssm").put_parameter(Name=VERSION, Value="21", Type="String")
    topic = far(aws, "sns").create_topic(Name=aws_names.notification_topic(STAGE))["TopicArn"]
    far(aws, "sns").subscribe(TopicArn=topic, Protocol="email", Endpoint=MAIL)
    aws.client("sns").delete_topic(TopicArn=topic.replace(OTHER, ACCOUNT).replace(FAR, REGION))
    ecs = far(aws, "ecs")
    family = aws_names.service(STAGE)
    (container,) = ecs.describe_task_definition(taskDefinition=family)["taskDefinition"][
        "containerDefinitions"
    ]
    model = {"provider": "openai", "model": "m", "base_url": url, "secret": SECRET_NAME}
    variable = {"name": aws_names.ENV_MODELS, "value": json.dumps({"catalogue-pinned": model})}
    container["environment"].append(variable)
    ecs.register_task_definition(family=family, containerDefinitions=[container])
    ecs.create_cluster(clusterName=aws_names.cluster(STAGE))
    ecs.create_service(
        cluster=aws_names.cluster(STAGE), serviceName=family, taskDefinition=family, desiredCount=0
    )


@pytest.fixture
def patient(made: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    for name in [name for name in os.environ if name.startswith(("AWS_", "PROMPT_HUB_"))]:
        monkeypatch.delenv(name)
    root = made.stand.clone
    for name, value in {**made.stand.aws.environment, aws_names.ENV_ROOT: str(root)}.items():
        monkeypatch.setenv(name, value)
    mine = with_clone(made, root)
    stage = {"name": STAGE, "account": OTHER, "region": FAR, "notification_emails": [MAIL]}
    mine.settings(stages=[stage])
    config = tmp_path / "config"
    config.write_text(PROFILE.format(account=OTHER))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return mine


Examine = Callable[..., dict[str, Any]]


@pytest.fixture
def examined(patient: Patient, capsys: pytest.CaptureFixture[str]) -> Examine:
    def examine(code: int, *words: str) -> dict[str, Any]:
        capsys.readouterr()
        found = main(["doctor", "--stage", STAGE, "--json", *words])
        out, err = capsys.readouterr()
        assert out, err
        checks = {check["name"]: check for check in json.loads(out)["checks"]}
        assert found == code, json.dumps(checks, indent=1)
        return checks

    return examine


def test_a_healthy_stage_elsewhere_has_no_finding(examined: Examine) -> None:
    checks = examined(0, "--skip", "models", "drift")
    assert {check["state"] for check in checks.values()} == {"healthy"}


def test_what_runs_is_asked_where_the_stage_is(examined: Examine) -> None:
    """The local AWS rolls out services of its own account alone; the one of that name is done."""
    checks = examined(1, "--skip", "models", "push")
    (finding,) = checks["drift"]["findings"]
    assert f"The deployment of {aws_names.service(STAGE)}:2 in stage" in finding["problem"]


def test_models_are_not_asked_with_the_credentials_of_another_account(examined: Examine) -> None:
    checks = examined(3, "--skip", "push", "drift")
    assert "the stage has others" in checks["models"]["not_checked"]


def break_people(aws: LocalAws) -> Callable[[], object]:
    sns = far(aws, "sns")
    name = aws_names.notification_topic(STAGE)
    (topic,) = [t["TopicArn"] for t in sns.list_topics()["Topics"] if t["TopicArn"].endswith(name)]
    sns.delete_topic(TopicArn=topic)

    def mend() -> None:
        made = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(TopicArn=made, Protocol="email", Endpoint=MAIL)

    return mend


def break_bootstrap(aws: LocalAws) -> Callable[[], object]:
    ssm = far(aws, "ssm")
    ssm.delete_parameter(Name=VERSION)
    return lambda: ssm.put_parameter(Name=VERSION, Value="21", Type="String")


def break_secret(aws: LocalAws) -> Callable[[], object]:
    secrets = far(aws, "secretsmanager")
    secrets.delete_secret(SecretId=SECRET_NAME, ForceDeleteWithoutRecovery=True)
    return lambda: secrets.create_secret(Name=SECRET_NAME, SecretString="k-1")


def break_alarm(aws: LocalAws) -> Callable[[], object]:
    cloudwatch = far(aws, "cloudwatch")
    name = aws_names.freshness_alarm(STAGE, "brand")
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    cloudwatch.delete_alarms(AlarmNames=[name])
    kept = ("AlarmName", "MetricName", "Namespace", "Statistic", "Period", "EvaluationPeriods",
            "Threshold", "ComparisonOperator")  # fmt: skip
    return lambda: cloudwatch.put_metric_alarm(**{key: alarm[key] for key in kept})


@pytest.mark.parametrize(
    ("plant", "check"),
    [
        (break_bootstrap, "bootstrap"),
        (break_people, "subscriptions"),
        (break_secret, "secrets"),
        (break_alarm, "freshness"),
    ],
)
def test_what_the_stage_lacks_is_found_there(
    patient: Patient,
    examined: Examine,
    plant: Callable[[LocalAws], Callable[[], object]],
    check: str,
) -> None:
    """What the pipeline's own account has of the same name is no answer."""
    mend = plant(patient.stand.aws)
    try:
        checks = examined(1, "--skip", "models", "push", "drift")
    finally:
        mend()
    assert [name for name, found in checks.items() if found["state"] != "healthy"] == [check]


def test_a_profile_of_another_account_is_a_finding(
    patient: Patient, examined: Examine, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(PROFILE.format(account="333333333333"))
    checks = examined(1, "--skip", "models", "push", "drift")
    (finding,) = checks["credentials"]["findings"]
    assert f"of account 333333333333; cdk.json says account {OTHER}" in finding["problem"]
    assert finding["command"].endswith(f"--profile {aws_names.stage_profile(STAGE)}")
