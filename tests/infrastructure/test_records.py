"""What a stage has for files of records: a bucket, who may do what, alarms, room to write."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cdk_app.records_definition import RUN_DAYS
from cdk_app.settings import CONTEXT_KEY
from prompt_hub.core import aws_names
from tests.infrastructure.state_machine import definition_of, states_of
from tests.infrastructure.synthesised import CONTEXT, Assembly, Json, checked_app, lint, listed

STAGE: Json = CONTEXT[CONTEXT_KEY]["stages"][0]
HERE, THERE = "111111111111", "222222222222"
PROD = {
    "name": "prod",
    "account": THERE,
    "region": "eu-west-1",
    "availability_zones": ["eu-west-1a", "eu-west-1b"],
    "vpc_cidr": "10.21.0.0/16",
    "records": {"expire_days": 30},
}


def stages(**settings: object) -> Json:
    return {"stages": [{**STAGE, "records": {}, **settings}]}


@pytest.fixture(scope="module")
def records(synthesise: Callable[..., Assembly]) -> Assembly:
    return synthesise(stages())


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """A stage here and one elsewhere, as `app.py` writes them under cdk-nag."""
    settings = {**CONTEXT[CONTEXT_KEY], "account": HERE, "stages": [*stages()["stages"], PROD]}
    return checked_app(settings, tmp_path_factory.mktemp("crossing"))


def flat(value: Any) -> Any:
    """A template's text with what CloudFormation joins joined, references by their names."""
    match value:
        case {"Fn::Join": [str(between), [*parts]]}:
            return between.join(str(flat(part)) for part in parts)
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return f"<{name}>"
        case dict():
            return {key: flat(item) for key, item in value.items()}
        case list():
            return [flat(item) for item in value]
    return value


def statements_of(assembly: Assembly, stack: str, role: str) -> list[Json]:
    """What the one role may whose logical id begins so."""
    (found,) = (
        statements for name, statements in assembly.statements(stack).items() if role in name
    )
    read: list[Json] = flat(found)
    return read


def granted(statements: list[Json]) -> dict[str, list[str]]:
    """The resources of each action, without account and region."""
    found: dict[str, list[str]] = {}
    for statement in statements:
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            resources = [
                str(item).rpartition("<AWS::AccountId>") for item in listed(statement["Resource"])
            ]
            found.setdefault(action, []).extend(end.lstrip(":") for _, _, end in resources)
    return {action: sorted(ends) for action, ends in found.items()}


def test_without_the_setting_a_stage_has_none_of_it(assembly: Assembly) -> None:
    if "records" in STAGE:
        pytest.skip("cdk.json is a user's own: its stage answers files of records")
    assert "prompt-hub-dev-records" not in assembly.templates
    assert assembly.resources("dev-service", "AWS::StepFunctions::StateMachine") == {}
    assert "/tmp" not in json.dumps(assembly.only("dev-service", "AWS::ECS::TaskDefinition"))


# --- The bucket ----------------------------------------------------------------------------------


def test_the_bucket_is_private_kept_and_says_what_comes_into_it(records: Assembly) -> None:
    template = records.templates["prompt-hub-dev-records"]["Resources"]
    (bucket,) = (item for item in template.values() if item["Type"] == "AWS::S3::Bucket")
    assert (bucket["UpdateReplacePolicy"], bucket["DeletionPolicy"]) == (
        "Retain",
        "RetainExceptOnCreate",
    )
    properties = bucket["Properties"]
    assert flat(properties["BucketName"]) == "prompt-hub-dev-records-<AWS::AccountId>"
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert "BucketEncryption" in properties
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    policy = records.only("dev-records", "AWS::S3::BucketPolicy")["PolicyDocument"]
    (denied,) = policy["Statement"]
    assert denied["Effect"] == "Deny"
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_no_custom_resource_tells_the_bucket_to_speak(records: Assembly) -> None:
    kinds = {
        resource["Type"]
        for resource in records.templates["prompt-hub-dev-records"]["Resources"].values()
    }
    assert kinds == {
        *("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::IAM::Role", "AWS::IAM::Policy")
    }


def expiring(assembly: Assembly, stage: str) -> dict[str, tuple[int | None, int]]:
    """Days after which what begins so expires, and after which an older version of it does."""
    rules = assembly.only(f"{stage}-records", "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    return {
        rule["Prefix"]: (
            rule.get("ExpirationInDays"),
            rule["NoncurrentVersionExpiration"]["NoncurrentDays"],
        )
        for rule in rules
        if "Prefix" in rule
    }


def test_what_was_dropped_and_what_was_needed_expires_and_results_stay(
    records: Assembly, crossing: Assembly
) -> None:
    expected = {"incoming/": (90, 28), "work/": (90, 1), "runs/": (None, 1), "index/": (None, 1)}
    assert expiring(records, "dev") == expected
    assert expiring(crossing, "prod") == {**expected, "incoming/": (30, 28), "work/": (30, 1)}


def test_nothing_that_a_run_needs_expires_before_it_can_no_longer_go_on() -> None:
    """It may take so long, and fail at its end; for as long again a person may have it go on."""
    assert 2 * RUN_DAYS < 30, "the least that records.expire_days may be"
    for name, prefix in (
        ("manifest.json", "runs/"),
        ("output.jsonl", "runs/"),
        (aws_names.SHARDS_FILE, "runs/"),
        ("shards/00007.jsonl", "work/"),
        ("part/00007/1.jsonl", "work/"),
        ("out/00007.jsonl", "work/"),
    ):
        assert aws_names.run_key("part-class", "r", name) == f"{prefix}part-class/r/{name}"


# --- Who may do what -----------------------------------------------------------------------------

FOR_RUNNING_A_TASK = {
    "ecs:RunTask": ["task-definition/prompt-hub-dev:*"],
    "ecs:TagResource": ["task/prompt-hub-dev/*"],
    "ecs:DescribeTasks": ["task/prompt-hub-dev/*"],
    "ecs:StopTask": ["task/prompt-hub-dev/*"],
    "iam:PassRole": ["role/prompt-hub-dev-execution", "role/prompt-hub-dev-records"],
    **{
        f"events:{name}": ["rule/StepFunctionsGetEventsForECSTaskRule"]
        for name in ("DescribeRule", "PutRule", "PutTargets")
    },
}
FOR_A_MAP_OF_SHARDS = {
    "states:StartExecution": ["stateMachine:prompt-hub-dev-records"],
    "states:DescribeExecution": ["execution:prompt-hub-dev-records:*"],
    "states:StopExecution": ["execution:prompt-hub-dev-records:*"],
    "states:RedriveExecution": ["execution:prompt-hub-dev-records/shards:*"],
}
NEEDED: Mapping[str, Mapping[str, list[str]]] = {
    "arn:aws:states:::ecs:runTask.sync": FOR_RUNNING_A_TASK,
    "arn:aws:states:::s3:getObject": {"s3:GetObject": ["/runs/*/*/shards.json"]},
}
"""What AWS's developer guide says that a state machine needs for what it calls."""


def test_the_state_machine_may_do_what_its_states_call_and_no_more(records: Assembly) -> None:
    states = states_of(definition_of(records)).values()
    called = {state["Resource"] for state in states if state["Type"] == "Task"}
    maps = [state for state in states if state["Type"] == "Map"]
    called |= {state["ItemReader"]["Resource"] for state in maps}
    assert [state["Label"] for state in maps] == ["shards"]
    expected = dict(FOR_A_MAP_OF_SHARDS)
    for resource in called:
        expected |= NEEDED[resource]
    statements = statements_of(records, "dev-service", "RecordsRole")
    (delivery,) = (item for item in statements if item["Resource"] == "*")
    assert {action.partition(":")[0] for action in delivery["Action"]} == {"logs", "xray"}
    assert granted([item for item in statements if item != delivery]) == expected


def test_it_hands_on_the_role_of_records_to_containers_alone(records: Assembly) -> None:
    statements = statements_of(records, "dev-service", "RecordsRole")
    by_action = {item["Action"]: item for item in statements if isinstance(item["Action"], str)}
    assert by_action["iam:PassRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    cluster = by_action["ecs:RunTask"]["Condition"]["ArnEquals"]["ecs:cluster"]
    assert cluster.endswith(":cluster/prompt-hub-dev")
    tagged = by_action["ecs:TagResource"]["Condition"]
    assert tagged == {"StringEquals": {"ecs:CreateAction": "RunTask"}}


def test_containers_read_what_was_dropped_and_write_runs(records: Assembly) -> None:
    role = records.only("dev-records", "AWS::IAM::Role")
    assert role["RoleName"] == "prompt-hub-dev-records"
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "ecs-tasks.amazonaws.com"
    }
    statements = statements_of(records, "dev-records", "Role")
    runs = ["/index/*", "/runs/*", "/work/*"]
    assert granted(statements) == {
        "s3:GetObject": ["/incoming/*", *runs],
        "s3:GetObjectVersion": ["/incoming/*"],
        "s3:PutObject": runs,
        "s3:ListBucket": [""],
        "dynamodb:GetItem": ["table/prompt-hub-dev-ledger"],
        "dynamodb:Query": ["table/prompt-hub-dev-ledger"],
        "bedrock:InvokeModel": [
            "arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-oss-120b-1:0",
            "arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-oss-20b-1:0",
        ],
        "events:PutEvents": ["event-bus/default"],
        "sns:Publish": ["prompt-hub-dev-notifications"],
    }
    (event,) = (item for item in statements if item["Action"] == "events:PutEvents")
    assert event["Condition"] == {"StringEquals": {"events:source": "prompt-hub.records"}}


def test_containers_have_the_keys_of_models_as_the_service_has(
    synthesise: Callable[..., Assembly],
) -> None:
    models = {
        "catalogue-pinned": {"provider": "openai", "model": "gpt-x", "secret": "prompt-hub/openai"}
    }
    found = synthesise({**stages(), "models": models})

    def secrets(stack: str, role: str) -> list[Json]:
        return [
            item
            for item in statements_of(found, stack, role)
            if item["Action"] == "secretsmanager:GetSecretValue"
        ]

    assert secrets("dev-records", "Role") == secrets("dev-service", "TaskRole") != []


def test_the_service_itself_gets_nothing_of_it(records: Assembly, assembly: Assembly) -> None:
    for role in ("TaskRole", "WatchRole", "SmokeRole"):
        before = statements_of(assembly, "dev-service", role)
        assert statements_of(records, "dev-service", role) == before
        assert "dev-records" not in json.dumps(before)


# --- What starts it, and who hears ---------------------------------------------------------------


def test_a_file_that_comes_into_incoming_starts_it_and_no_other_object_does(
    records: Assembly,
) -> None:
    (rule,) = (
        flat(item)
        for item in records.resources("dev-service", "AWS::Events::Rule").values()
        if "EventPattern" in item
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
        if "EventPattern" in item
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
    for state in (state for state in states if state["Type"] == "Task"):
        found = state["Parameters"]["NetworkConfiguration"]["AwsvpcConfiguration"]
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


def test_cfn_lint_finds_nothing_in_a_stage_elsewhere(crossing: Assembly) -> None:
    templates = [
        path
        for path in crossing.path.rglob("*.template.json")
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


def test_records_of_a_stage_elsewhere_stay_there(crossing: Assembly) -> None:
    """Only images and results are where the pipeline is: no record comes across."""
    found = crossing.templates["prompt-hub-prod-records"]
    models = [arn for arn in strangers(found, THERE, "eu-west-1") if ":bedrock:" not in arn]
    assert models == []
    wrong = copy.deepcopy(found)
    (policy,) = (item for item in wrong["Resources"].values() if item["Type"] == "AWS::IAM::Policy")
    policy["Properties"]["PolicyDocument"]["Statement"][-1]["Resource"] = (
        f"arn:aws:sns:us-east-1:{HERE}:prompt-hub-dev-notifications"
    )
    assert strangers(wrong, THERE, "eu-west-1") != strangers(found, THERE, "eu-west-1")
    machine = json.dumps(definition_of(crossing, "prod"))
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


def test_people_on_call_may_have_a_failed_run_go_on(
    synthesise: Callable[..., Assembly],
) -> None:
    who = {"principals": [f"arn:aws:iam::{HERE}:user/ann"]}

    def allowed(**settings: object) -> dict[str, list[str]]:
        found = synthesise(stages(on_call=who, **settings))
        return granted(statements_of(found, "dev-rollback", "OnCallRole"))

    without = allowed(records=None)
    assert {action: on for action, on in allowed().items() if action not in without} == {
        "states:ListExecutions": ["stateMachine:prompt-hub-dev-records"],
        "states:DescribeExecution": ["execution:prompt-hub-dev-records:*"],
        "states:GetExecutionHistory": ["execution:prompt-hub-dev-records:*"],
        "states:RedriveExecution": ["execution:prompt-hub-dev-records:*"],
    }
