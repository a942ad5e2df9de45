"""A stage in which all is well, and faults that can be planted in it one by one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_aws.account_services import FILE
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import ScoreSample, timestamp
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually
from tests.local_aws.pipelines import GATE, Pipelines, Repository
from tests.local_aws.trace_stand import RELEASE, STAGE, TABLE, URI, Stand
from tests.unit.service.fake_provider import FakeProvider

QUALIFIER, VERSION = "catalogue", "/cdk-bootstrap/catalogue/version"
SECRET_NAME, MAIL = "prompt-hub/openai", "people@example.com"
LONG_AGO = "2026-01-05T00:00:00.000000Z"
SERVICE_STACK = f"prompt-hub-{STAGE}-service"


@dataclass
class Patient:
    """The stage that the doctor is asked about."""

    stand: Stand
    provider: FakeProvider
    remote: Path

    def client(self, service: str) -> Any:
        return self.stand.aws.client(service)

    def decide(self, **decided: object) -> None:
        """Say what people and AWS have decided; nothing is as good as all is well."""
        (self.stand.aws.state / FILE).write_text(json.dumps(decided))

    def settings(self, **changes: object) -> None:
        """Write the clone's cdk.json."""
        stage = {"name": STAGE, "notification_emails": [MAIL]}
        hub = {
            "repository": "example/hub",
            "account": ACCOUNT,
            "region": REGION,
            "notification_emails": [MAIL],
            "stages": [stage],
            **changes,
        }
        context = {"prompt-hub": hub, "@aws-cdk/core:bootstrapQualifier": QUALIFIER}
        (self.stand.clone / "cdk.json").write_text(json.dumps({"context": context}))

    def sample(self, task: str, at: str) -> None:
        pointer = self.stand.ledger.pointers()[task]
        sample = ScoreSample(
            task=task,
            version=pointer.version,
            score=0.9,
            threshold=0.8,
            n=48,
            interval=(0.85, 0.95),
            evaluation="watch-1",
            at=at,
        )
        self.stand.ledger.add_samples([sample])

    def forget_samples(self, task: str) -> None:
        table, key = self.client("dynamodb"), {":pk": {"S": f"SCORE#{task}"}}
        found = table.query(
            TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=key
        )["Items"]
        for item in found:
            table.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})

    def parameter(self, version: str) -> None:
        self.client("ssm").put_parameter(Name=VERSION, Value=version, Type="String", Overwrite=True)

    def secret(self, value: str) -> None:
        self.client("secretsmanager").put_secret_value(SecretId=SECRET_NAME, SecretString=value)

    def hook(self, text: str) -> None:
        """Let the remote ask this before it takes a push."""
        file = self.remote / "hooks" / "pre-receive"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)


@dataclass(frozen=True)
class Fault:
    """What is planted, which checks find it, and what the finding says and tells to run."""

    name: str
    plant: Callable[[Patient], object]
    problem: str
    command: str
    found_by: tuple[str, ...] = ()

    @property
    def checks(self) -> tuple[str, ...]:
        return self.found_by or (self.name,)


def _refuse(patient: Patient) -> None:
    patient.hook("echo 'error: GH013: Repository rule violations found' >&2; exit 1")


def _no_model(patient: Patient) -> None:
    patient.provider.status = 403
    patient.provider.refusal = {"error": {"message": "no access to this model"}}


def _silent(patient: Patient) -> None:
    patient.forget_samples("brand")
    patient.sample("brand", LONG_AGO)


def _another_release(patient: Patient) -> None:
    patient.stand.item("RELEASE", "DEPLOYED", release="e-0")


FAULTS = [
    Fault(
        "bootstrap",
        lambda patient: patient.parameter("5"),
        f"{VERSION} says version '5'",
        f"make bootstrap PLACE=aws://{ACCOUNT}/{REGION}",
    ),
    Fault(
        "connection",
        lambda patient: patient.decide(connection="PENDING"),
        "is PENDING, not AVAILABLE",
        "aws codeconnections get-connection --connection-arn arn:aws:codeconnections:",
    ),
    Fault(
        "credentials",
        lambda patient: patient.settings(account="111111111111"),
        f"of account {ACCOUNT}; cdk.json says account 111111111111",
        "export AWS_PROFILE=",
    ),
    Fault(
        "drift",
        _another_release,
        f"The service runs release {RELEASE}; the ledger says e-0.",
        "aws codepipeline start-pipeline-execution",
    ),
    Fault(
        "freshness",
        _silent,
        f"no sample of brand for more than 0:45:00: the last one is of {LONG_AGO}",
        "prompt-hub watch brand --stage dev --now --wait",
    ),
    Fault(
        "models",
        _no_model,
        "The model alias catalogue-pinned (openai:small) gave no answer: HTTP 403",
        f"aws secretsmanager put-secret-value --secret-id {SECRET_NAME}",
    ),
    Fault(
        "push",
        _refuse,
        "GH013: Repository rule violations found",
        "git push origin HEAD:refs/heads/prompt-hub-doctor-",
    ),
    Fault(
        "quotas",
        lambda patient: patient.decide(quotas={"L-3032A538": 0.25}),
        "'Fargate On-Demand vCPU resource count' is 0.25; the templates need 0.5.",
        "--service-code fargate --quota-code L-3032A538 --desired-value 0.5",
    ),
    Fault(
        "secrets",
        lambda patient: patient.secret("REPLACE-ME"),
        f"The secret '{SECRET_NAME}' still holds a placeholder.",
        f"aws secretsmanager put-secret-value --secret-id {SECRET_NAME}",
        # Without a key the model cannot be asked either.
        ("models", "secrets"),
    ),
    Fault(
        "subscriptions",
        lambda patient: patient.decide(unconfirmed=[MAIL]),
        f"{MAIL} has not confirmed the subscription to prompt-hub-{STAGE}-notifications",
        f"--notification-endpoint {MAIL}",
    ),
]


def make_patient(
    stand: Stand, provider: FakeProvider, pipelines: Pipelines, remote: Path
) -> Patient:
    """Give a stage with a live release all that an installation has around it."""
    patient = Patient(stand, provider, remote)
    aws = stand.aws
    aws.client("ssm").put_parameter(Name=VERSION, Value="21", Type="String")
    aws.client("secretsmanager").create_secret(Name=SECRET_NAME, SecretString="k-1")
    for name in (aws_names.notification_topic(STAGE), aws_names.pipeline_topic()):
        topic = aws.client("sns").create_topic(Name=name)["TopicArn"]
        aws.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint=MAIL)
    _stack(aws, "prompt-hub-source", _SOURCE)
    model = {
        "provider": "openai",
        "model": "small",
        "base_url": provider.url,
        "secret": SECRET_NAME,
    }
    _stack(aws, SERVICE_STACK, _service_template({"catalogue-pinned": model}))
    for task in stand.ledger.pointers():
        stand.item("ACTIVE", task, at=LONG_AGO)
        patient.sample(task, timestamp(datetime.now(UTC)))
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=aws_names.freshness_alarm(STAGE, task),
            MetricName=aws_names.METRIC_HEARTBEAT,
            Namespace=aws_names.metric_namespace(),
            Statistic="SampleCount",
            Period=900,
            EvaluationPeriods=3,
            Threshold=1,
            ComparisonOperator="LessThanThreshold",
        )
    aws.client("s3").create_bucket(
        Bucket="plain-artifacts", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    # IAM is asked here, and so is what the pipeline's own role may.
    trust = {"Principal": {"Service": "codepipeline.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = aws.client("iam")
    iam.create_role(RoleName="pipeline", AssumeRolePolicyDocument=_allow(trust))
    everything = _allow({"Action": "*", "Resource": "*"})
    iam.put_role_policy(RoleName="pipeline", PolicyName="all", PolicyDocument=everything)
    execution = pipelines.plain_pipeline(aws_names.pipeline(), GATE)
    pipelines.approve(aws_names.pipeline(), execution)
    assert pipelines.ended(aws_names.pipeline(), execution)["status"] == "Succeeded"
    return patient


def _allow(statement: Mapping[str, object]) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", **statement}]})


_SOURCE = {
    "Resources": {
        "Connection": {
            "Type": "AWS::CodeConnections::Connection",
            "Properties": {"ConnectionName": "prompt-hub", "ProviderType": "GitHub"},
        }
    },
    "Outputs": {"ConnectionArn": {"Value": {"Fn::GetAtt": ["Connection", "ConnectionArn"]}}},
}


def _service_template(models: Mapping[str, object]) -> dict[str, Any]:
    environment = {
        aws_names.ENV_RELEASE: RELEASE,
        aws_names.ENV_MODELS: json.dumps(models),
        aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table(STAGE),
    }
    container = {
        "Name": aws_names.CONTAINER,
        "Image": f"{URI}:{RELEASE}",
        "Environment": [{"Name": name, "Value": text} for name, text in environment.items()],
    }
    definition = {
        "Family": aws_names.service(STAGE),
        "Cpu": "512",
        "Memory": "2048",
        "ContainerDefinitions": [container],
    }
    service = {
        "Cluster": {"Ref": "Cluster"},
        "ServiceName": aws_names.service(STAGE),
        "TaskDefinition": {"Ref": "Definition"},
        "DesiredCount": 0,
    }
    cluster = {"ClusterName": aws_names.cluster(STAGE)}
    return {
        "Resources": {
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": cluster},
            "Definition": {"Type": "AWS::ECS::TaskDefinition", "Properties": definition},
            "Service": {"Type": "AWS::ECS::Service", "Properties": service},
            "Address": {"Type": "AWS::EC2::EIP"},
        }
    }


def _stack(aws: LocalAws, name: str, template: Mapping[str, object]) -> None:
    formation = aws.client("cloudformation")
    formation.create_stack(StackName=name, TemplateBody=json.dumps(template))

    def created() -> bool:
        (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
        assert "ROLLBACK" not in stack["StackStatus"], stack
        return bool(stack["StackStatus"] == "CREATE_COMPLETE")

    eventually(created, what=f"stack {name}")


def with_clone(patient: Patient, clone: Path) -> Patient:
    return replace(patient, stand=replace(patient.stand, clone=clone))


def plain_repository(folder: Path) -> Repository:
    return Repository.make(folder, {"word.txt": "first\n"})
