"""How answers to files of records begin, where their containers are, and who hears of a failure."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from tests.infrastructure.records_app import (
    HERE,
    STAGE,
    THERE,
    flat,
    granted,
    stages,
    statements_of,
)
from tests.infrastructure.state_machine import definition_of, states_of
from tests.infrastructure.synthesised import Assembly, Json, lint

# --- What starts it, and who hears ---------------------------------------------------------------


def test_a_file_that_comes_into_incoming_starts_it_and_no_other_object_does(
    records: Assembly,
) -> None:
    (rule,) = (
        flat(item)
        for item in records.resources("dev-service", "AWS::Events::Rule").values()
        if item.get("EventPattern", {}).get("source") == ["aws.s3"]
    )
    assert rule["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": ["prompt-hub-dev-records-<AWS::AccountId>"]},
            "object": {"key": [{"prefix": "incoming/"}]},
        },
    }
    (target,) = rule["Targets"]
    (machine,) = records.resources("dev-service", "AWS::StepFunctions::StateMachine")
    assert target["Arn"] == f"<{machine}>"
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600}
    assert not {"Input", "InputPath", "InputTransformer"} & target.keys(), "it reads the event"
    (statement,) = statements_of(records, "dev-service", "RecordsEventsRole")
    assert (statement["Action"], statement["Resource"]) == ("states:StartExecution", f"<{machine}>")


def test_people_hear_of_a_run_that_failed_is_late_or_never_began(records: Assembly) -> None:
    (machine,) = records.resources("dev-service", "AWS::StepFunctions::StateMachine")
    (rule,) = (
        name
        for name, item in records.resources("dev-service", "AWS::Events::Rule").items()
        if item.get("EventPattern", {}).get("source") == ["aws.s3"]
    )
    alarms = {
        alarm["AlarmName"]: flat(alarm)
        for alarm in records.resources("dev-service", "AWS::CloudWatch::Alarm").values()
        if str(alarm.get("AlarmName")).startswith("prompt-hub-dev-records-")
    }
    found = {
        name.removeprefix("prompt-hub-dev-records-"): (
            alarm["Namespace"],
            alarm["MetricName"],
            alarm["Dimensions"],
        )
        for name, alarm in alarms.items()
    }
    of_machine = [{"Name": "StateMachineArn", "Value": f"<{machine}>"}]
    assert found == {
        "failed": ("AWS/States", "ExecutionsFailed", of_machine),
        "late": ("AWS/States", "ExecutionsTimedOut", of_machine),
        "not-started": (
            "AWS/Events",
            "FailedInvocations",
            [{"Name": "RuleName", "Value": f"<{rule}>"}],
        ),
    }
    for alarm in alarms.values():
        (told,) = alarm["AlarmActions"]
        assert told.endswith(":prompt-hub-dev-notifications")
        assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Sum", 1, 1)
        assert alarm["TreatMissingData"] == "notBreaching"


def test_every_step_is_logged_and_traced(records: Assembly) -> None:
    machine = flat(records.only("dev-service", "AWS::StepFunctions::StateMachine"))
    assert machine["StateMachineName"] == "prompt-hub-dev-records"
    assert machine["TracingConfiguration"] == {"Enabled": True}
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert "/aws/vendedlogs/states/prompt-hub-dev-records" in {
        group["LogGroupName"]
        for group in records.resources("dev-service", "AWS::Logs::LogGroup").values()
        if "LogGroupName" in group
    }


def test_the_dashboard_shows_the_runs_of_a_stage_that_has_them(
    records: Assembly, assembly: Assembly
) -> None:
    def shown(found: Assembly) -> str:
        return json.dumps(flat(found.only("dev-service", "AWS::CloudWatch::Dashboard")))

    assert "ExecutionsFailed" in shown(records)
    assert "stateMachine:prompt-hub-dev-records" in shown(records)
    if "records" not in STAGE:
        assert "ExecutionsFailed" not in shown(assembly)


# --- Containers ----------------------------------------------------------------------------------


def test_containers_are_in_the_network_of_the_service(records: Assembly) -> None:
    service = flat(records.only("dev-service", "AWS::ECS::Service"))
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    states = states_of(definition_of(records)).values()
    networks = [
        state["Parameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]
        for state in states
        if "Cluster" in state.get("Parameters", {})
    ]
    assert len(networks) == 6
    for found in networks:
        assert found["AssignPublicIp"] == network["AssignPublicIp"] == "DISABLED"
        assert [f"<{name}>" for name in found["SecurityGroups"]] == network["SecurityGroups"]
        assert sorted(f"<{name}>" for name in found["Subnets"]) == sorted(network["Subnets"])


def test_subnets_that_are_there_are_taken_as_they_are_named(
    synthesise: Callable[..., Assembly],
) -> None:
    subnets = ["subnet-0a1b2c3d", "subnet-0b1c2d3e"]
    there = {"vpc_id": "vpc-0a1b2c3d", "vpc_cidr": "10.40.0.0/24", "subnet_ids": subnets}
    plan = definition_of(synthesise(stages(**there)))["States"]["Plan"]
    found = plan["Parameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]
    assert found == subnets


def test_without_a_way_out_containers_reach_the_bus_and_the_topic(
    synthesise: Callable[..., Assembly],
) -> None:
    def endpoints(**settings: object) -> set[str]:
        found = synthesise(stages(nat_gateways=0, **settings))
        return {
            flat(item["ServiceName"]).rpartition(".")[2]
            for item in found.resources("dev-service", "AWS::EC2::VPCEndpoint").values()
        }

    assert endpoints() - endpoints(records=None) == {"events", "sns"}


def test_containers_have_a_folder_to_write_into_and_nothing_else(records: Assembly) -> None:
    definition = records.only("dev-service", "AWS::ECS::TaskDefinition")
    (container,) = definition["ContainerDefinitions"]
    assert container["ReadonlyRootFilesystem"] is True
    (mount,) = container["MountPoints"]
    assert (mount["ContainerPath"], mount["ReadOnly"]) == ("/tmp", False)
    assert definition["Volumes"] == [{"Name": mount["SourceVolume"]}]
    # Fargate gives a volume to root alone, unless the image says whose it is.
    image = Path(__file__).resolve().parents[2] / "pipeline_image" / "Dockerfile"
    assert f'VOLUME ["{mount["ContainerPath"]}"]' in image.read_text(encoding="utf-8")


# --- Places and names ----------------------------------------------------------------------------


def test_cfn_lint_finds_nothing_in_a_stage_elsewhere(records_elsewhere: Assembly) -> None:
    templates = [
        path
        for path in records_elsewhere.path.rglob("*.template.json")
        if "Records" in path.name or "Service" in path.name
    ]
    assert len(templates) == 4
    assert lint(*templates) == ""


def strangers(template: Json, account: str, region: str) -> list[str]:
    """The ARNs of a template that name another account or region than the stage's own."""
    words = json.dumps(flat(template)).replace("\\", "").split('"')
    arns = [word for word in words if word.startswith("arn:aws:") and word.count(":") >= 5]
    return [
        arn
        for arn in arns
        if arn.split(":")[4] not in ("", account) or arn.split(":")[3] not in ("", region)
    ]


def test_records_of_a_stage_elsewhere_stay_there(records_elsewhere: Assembly) -> None:
    """Only images and results are where the pipeline is: no record comes across."""
    found = records_elsewhere.templates["prompt-hub-prod-records"]
    models = [arn for arn in strangers(found, THERE, "eu-west-1") if ":bedrock:" not in arn]
    assert models == []
    wrong = copy.deepcopy(found)
    (policy,) = (item for item in wrong["Resources"].values() if item["Type"] == "AWS::IAM::Policy")
    policy["Properties"]["PolicyDocument"]["Statement"][-1]["Resource"] = (
        f"arn:aws:sns:us-east-1:{HERE}:prompt-hub-dev-notifications"
    )
    assert strangers(wrong, THERE, "eu-west-1") != strangers(found, THERE, "eu-west-1")
    machine = json.dumps(definition_of(records_elsewhere, "prod"))
    assert HERE not in machine
    assert f"prompt-hub-prod-records-{THERE}" in machine


def test_every_name_is_short_enough_for_the_longest_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(aws_names.ENV_INSTALLATION, "i" * 16)
    stage = "s" * 16
    assert len(aws_names.records_bucket(stage, HERE)) <= 63
    assert len(aws_names.records_role(stage)) <= 64
    assert len(aws_names.records_state_machine(stage)) <= 80


ON_CALL = {"principals": [f"arn:aws:iam::{HERE}:user/ann"]}


def allowed_on_call(found: Assembly) -> dict[str, list[str]]:
    return granted(statements_of(found, "dev-rollback", "OnCallRole"))


@pytest.fixture(scope="module")
def on_call(synthesise: Callable[..., Assembly]) -> dict[str, list[str]]:
    return allowed_on_call(synthesise(stages(on_call=ON_CALL)))


def test_people_on_call_may_have_a_failed_run_go_on_and_any_run_end(
    synthesise: Callable[..., Assembly], on_call: dict[str, list[str]]
) -> None:
    without = allowed_on_call(synthesise(stages(on_call=ON_CALL, records=None)))
    assert {action: on for action, on in on_call.items() if action not in without} == {
        "states:ListExecutions": ["stateMachine:prompt-hub-dev-records"],
        "states:DescribeExecution": ["execution:prompt-hub-dev-records:*"],
        "states:GetExecutionHistory": ["execution:prompt-hub-dev-records:*"],
        "states:RedriveExecution": ["execution:prompt-hub-dev-records:*"],
        "states:StopExecution": ["execution:prompt-hub-dev-records:*"],
    }


def test_people_on_call_repair_records_where_the_stage_says_so(
    synthesise: Callable[..., Assembly], on_call: dict[str, list[str]]
) -> None:
    after = allowed_on_call(synthesise(stages(on_call={**ON_CALL, "repair": True})))
    added = {
        action: sorted({*on} - {*on_call.get(action, [])})
        for action, on in after.items()
        if on != on_call.get(action)
    }
    runs = [f"/{prefix}*" for prefix in ("index/", "runs/", "work/")]
    assert {action: on for action, on in added.items() if action.startswith("s3:")} == {
        "s3:GetObject": runs,
        "s3:PutObject": runs,
        "s3:ListBucket": [""],
    }
    models = {action for action in added if not action.startswith("s3:")}
    assert models
    assert models <= {"bedrock:InvokeModel", "secretsmanager:GetSecretValue", "kms:Decrypt"}
