"""What a stage has for files of records: its bucket, and who may do what with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from cdk_app.records_definition import RUN_DAYS
from prompt_hub.core import aws_names
from tests.infrastructure.records_app import STAGE, flat, granted, stages, statements_of
from tests.infrastructure.state_machine import definition_of, states_of
from tests.infrastructure.synthesised import Assembly, Json


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
    records: Assembly, records_elsewhere: Assembly
) -> None:
    expected = {"incoming/": (90, 28), "work/": (90, 1), "runs/": (None, 1), "index/": (None, 1)}
    assert expiring(records, "dev") == expected
    assert expiring(records_elsewhere, "prod") == {
        **expected,
        "incoming/": (30, 28),
        "work/": (30, 1),
    }


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
    "arn:aws:states:::sns:publish": {"sns:Publish": ["prompt-hub-dev-notifications"]},
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
        "s3:GetObject": ["-us-east-1/examples/*.jsonl", "/incoming/*", *runs],
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
