"""What IAM is asked for a request, beside the emulator's own idea of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest

from local_aws.permission_checks import Check, State, checks

PLACE = ("eu-central-1", "1")
ECS = "arn:aws:ecs:eu-central-1:1"
LEDGER = "arn:aws:dynamodb:eu-central-1:1:table/ledger"
DEFINITION = {
    "taskDefinitionArn": f"{ECS}:task-definition/app:3",
    "taskRoleArn": "arn:aws:iam::1:role/task",
    "executionRoleArn": "arn:aws:iam::1:role/execution",
}
STATE = State(
    partition_key=lambda table: {"ledger": "pk"}.get(table, ""),
    task_definition=lambda name: DEFINITION if name.rpartition("/")[2].startswith("app") else {},
    role_tags=lambda arn: {"aws-cdk:bootstrap-role": "deploy"},
    secret_key=lambda arn: "arn:aws:kms:eu-central-1:1:key/k" if ":own-" in arn else "",
    object_exists=lambda arn: arn.endswith("/there"),
)


def asked(
    action: str, resource: str, body: Mapping[str, object], **keys: object
) -> list[tuple[str, str, Mapping[str, object]]]:
    check = Check(action=action, resource=resource, keys=keys)
    found = checks(check, json.dumps(body).encode(), PLACE, STATE)
    return [(item.action, item.resource, item.keys) for item in found]


def test_a_request_that_the_emulator_reads_as_aws_does_stays_as_it_is() -> None:
    check = Check(action="sns:Publish", resource="arn:topic", keys={"a": "b"})
    assert checks(check, b"not json", PLACE, STATE) == [check]


def test_a_written_item_says_its_partition() -> None:
    body = {"TableName": "ledger", "Item": {"pk": {"S": "SCORE#a"}, "sk": {"S": "1"}}}
    assert asked("dynamodb:PutItem", LEDGER, body) == [
        ("dynamodb:PutItem", LEDGER, {"dynamodb:leadingkeys": ["SCORE#a"]})
    ]


def test_a_read_item_says_its_partition_and_keeps_other_keys() -> None:
    body = {"TableName": "ledger", "Key": {"pk": {"S": "TASK#a"}}}
    assert asked("dynamodb:GetItem", LEDGER, body, select="ALL") == [
        ("dynamodb:GetItem", LEDGER, {"select": "ALL", "dynamodb:leadingkeys": ["TASK#a"]})
    ]


@pytest.mark.parametrize(
    ("action", "partitions"),
    [("PutItem", ["SCORE#a", "TASK#b"]), ("ConditionCheckItem", ["TASK#c"])],
)
def test_an_action_of_a_transaction_says_all_its_partitions(
    action: str, partitions: list[str]
) -> None:
    """One of them that is forbidden refuses the whole transaction."""
    items = [
        {"Put": {"TableName": "ledger", "Item": {"pk": {"S": "SCORE#a"}}}},
        {"Put": {"TableName": "ledger", "Item": {"pk": {"S": "TASK#b"}}}},
        {"ConditionCheck": {"TableName": "ledger", "Key": {"pk": {"S": "TASK#c"}}}},
    ]
    ((_, _, keys),) = asked(f"dynamodb:{action}", LEDGER, {"TransactItems": items})
    assert keys == {"dynamodb:leadingkeys": partitions}


@pytest.mark.parametrize(
    "body",
    [
        {"KeyConditionExpression": "pk = :p AND begins_with(sk, :prefix)"},
        {"KeyConditionExpression": "(:p=#key) AND sk = :prefix"},
        {"KeyConditionExpression": "sk = :prefix AND #key = :p"},
        {"KeyConditions": {"pk": {"AttributeValueList": [{"S": "TASK#a"}]}}},
    ],
)
def test_a_query_says_its_partition(body: Mapping[str, object]) -> None:
    values = {":p": {"S": "TASK#a"}, ":prefix": {"S": "EVENT#"}}
    more = {"ExpressionAttributeValues": values, "ExpressionAttributeNames": {"#key": "pk"}}
    assert asked("dynamodb:Query", LEDGER, {**more, **body}) == [
        ("dynamodb:Query", LEDGER, {"dynamodb:leadingkeys": ["TASK#a"]})
    ]


def test_services_and_tasks_are_asked_for_one_by_one() -> None:
    cluster = {"ecs:cluster": f"{ECS}:cluster/dev"}
    body = {"cluster": f"{ECS}:cluster/dev", "services": ["a", f"{ECS}:service/dev/b"]}
    assert asked("ecs:DescribeServices", f"{ECS}:cluster/dev", body) == [
        ("ecs:DescribeServices", f"{ECS}:service/dev/a", cluster),
        ("ecs:DescribeServices", f"{ECS}:service/dev/b", cluster),
    ]
    body = {"cluster": "dev", "tasks": [f"{ECS}:task/dev/1"]}
    assert asked("ecs:DescribeTasks", f"{ECS}:cluster/dev", body) == [
        ("ecs:DescribeTasks", f"{ECS}:task/dev/1", cluster)
    ]


@pytest.mark.parametrize("name", ["app", "app:3", f"{ECS}:task-definition/app:3"])
def test_a_task_needs_its_definition_its_tags_and_its_roles(name: str) -> None:
    body = {"cluster": "dev", "taskDefinition": name, "propagateTags": "TASK_DEFINITION"}
    cluster = {"ecs:cluster": f"{ECS}:cluster/dev"}
    passed = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
    assert asked("ecs:RunTask", f"{ECS}:cluster/dev", body) == [
        ("ecs:RunTask", f"{ECS}:task-definition/app:3", cluster),
        ("ecs:TagResource", f"{ECS}:task/dev/*", {**cluster, "ecs:createaction": "RunTask"}),
        ("iam:PassRole", "arn:aws:iam::1:role/task", passed),
        ("iam:PassRole", "arn:aws:iam::1:role/execution", passed),
    ]


def test_another_role_for_a_task_is_what_is_passed() -> None:
    body = {"taskDefinition": "app", "overrides": {"taskRoleArn": "arn:aws:iam::1:role/admin"}}
    resources = [resource for _, resource, _ in asked("ecs:RunTask", "*", body)]
    assert "arn:aws:iam::1:role/admin" in resources
    assert "arn:aws:iam::1:role/task" not in resources


def test_metrics_say_their_namespace() -> None:
    assert asked("cloudwatch:PutMetricData", "*", {"Namespace": "PromptHub"}) == [
        ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "PromptHub"})
    ]
    query = Check(action="cloudwatch:PutMetricData", resource="*")
    (found,) = checks(query, urlencode({"Namespace": "Other"}).encode(), PLACE, STATE)
    assert found.keys == {"cloudwatch:namespace": "Other"}


def test_metrics_in_a_form_that_is_not_read_say_none() -> None:
    """So that a condition on the namespace refuses them: no answer is no answer."""
    query = Check(action="cloudwatch:PutMetricData", resource="*")
    (found,) = checks(query, b"\xbf\x69Namespace", PLACE, STATE)
    assert found.keys == {}


def test_alarms_are_looked_up_among_all() -> None:
    ((_, resource, _),) = asked("cloudwatch:DescribeAlarms", "*", {"AlarmNamePrefix": "a"})
    assert resource == "arn:aws:cloudwatch:eu-central-1:1:alarm:*"


def test_a_log_is_searched_on_the_streams_of_its_group() -> None:
    group = "arn:aws:logs:eu-central-1:1:log-group:/prompt-hub/dev/service"
    ((_, resource, _),) = asked("logs:FilterLogEvents", group, {})
    assert resource == f"{group}:log-stream:"


def test_a_log_is_read_on_its_stream() -> None:
    group = "arn:aws:logs:eu-central-1:1:log-group:/prompt-hub/pipeline"
    ((_, resource, _),) = asked("logs:GetLogEvents", group, {"logStreamName": "a/1"})
    assert resource == f"{group}:log-stream:a/1"


def test_builds_are_looked_up_in_their_projects() -> None:
    found = asked("codebuild:BatchGetBuilds", "*", {"ids": ["synth:1", "evaluate:2"]})
    assert [resource.rpartition(":")[2] for _, resource, _ in found] == [
        "project/synth",
        "project/evaluate",
    ]


def test_each_event_says_its_own_source() -> None:
    entries = [{"Source": "ours", "DetailType": "A"}, {"Source": "theirs", "EventBusName": "b"}]
    found = asked("events:PutEvents", "*", {"Entries": entries})
    assert [
        (resource.rpartition(":")[2], keys["events:source"]) for _, resource, keys in found
    ] == [
        ("event-bus/default", "ours"),
        ("event-bus/b", "theirs"),
    ]


def test_only_who_may_list_learns_that_a_key_is_missing() -> None:
    there, missing = "arn:aws:s3:::b/a/there", "arn:aws:s3:::b/a/missing"
    assert [item[:2] for item in asked("s3:GetObject", there, {})] == [("s3:GetObject", there)]
    assert [item[:2] for item in asked("s3:GetObject", missing, {})] == [
        ("s3:GetObject", missing),
        ("s3:ListBucket", "arn:aws:s3:::b"),
    ]


def test_a_secret_with_a_key_of_its_own_needs_the_key() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:1:secret"
    action = "secretsmanager:GetSecretValue"
    assert [item[:2] for item in asked(action, f"{arn}:plain-abcdef", {})] == [
        (action, f"{arn}:plain-abcdef")
    ]
    assert asked(action, f"{arn}:own-abcdef", {}) == [
        (action, f"{arn}:own-abcdef", {}),
        (
            "kms:Decrypt",
            "arn:aws:kms:eu-central-1:1:key/k",
            {
                "kms:viaservice": "secretsmanager.eu-central-1.amazonaws.com",
                "kms:encryptioncontext:secretarn": f"{arn}:own-abcdef",
            },
        ),
    ]


def test_a_role_says_its_tags() -> None:
    ((_, _, keys),) = asked("sts:AssumeRole", "arn:aws:iam::1:role/cdk", {})
    assert keys["iam:resourcetag/aws-cdk:bootstrap-role"] == "deploy"


def test_a_role_for_cloudformation_must_be_passed() -> None:
    body = {"StackName": "a", "RoleARN": "arn:aws:iam::1:role/cfn"}
    assert [item[:2] for item in asked("cloudformation:CreateChangeSet", "arn:stack", body)] == [
        ("cloudformation:CreateChangeSet", "arn:stack"),
        ("iam:PassRole", "arn:aws:iam::1:role/cfn"),
    ]


@pytest.mark.parametrize("action", ["states:CreateStateMachine", "states:UpdateStateMachine"])
def test_a_role_for_a_state_machine_must_be_passed(action: str) -> None:
    arn, role = "arn:aws:states:eu-central-1:1:stateMachine:records", "arn:aws:iam::1:role/records"
    passed = {"iam:passedtoservice": "states.amazonaws.com"}
    assert asked(action, arn, {"roleArn": role}) == [
        (action, arn, {}),
        ("iam:PassRole", role, passed),
    ]
    assert asked(action, arn, {"definition": "{}"}) == [(action, arn, {})]


@pytest.mark.parametrize("action", ["states:DescribeMapRun", "states:ListExecutions"])
def test_a_map_run_is_asked_for_by_its_own_name(action: str) -> None:
    run = "arn:aws:states:eu-central-1:1:mapRun:records/shards:1"
    assert asked(action, "*", {"mapRunArn": run}) == [(action, run, {})]
