"""What the product needs of the emulator itself, and which of its private names we lean on.

The contract test holds the exact version: with another one, look at every name again.
"""

from __future__ import annotations

import inspect
import json
import uuid
from importlib.metadata import version
from typing import Any

import pytest

from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually

PRIVATE: dict[str, dict[str, tuple[str, ...]]] = {
    "ministack.core.concurrency": {
        "resource_lock": ("scope", "key"),
        "spawn_background": ("fn", "args", "thread_name", "kwargs"),
    },
    "ministack.core.responses": {"request_scope": ("account_id", "region")},
    "ministack.services.cloudwatch": {
        "_evaluate_alarm": ("alarm",),
        "_evaluate_all_alarms": (),
        "_evaluate_parent_alarms": ("child", "seen"),
        "_dispatch_alarm_actions": ("alarm", "old_state", "new_state", "reason"),
        "_set_alarm_state": ("params", "cbor_data", "is_cbor", "is_json"),
        "_record_history": (
            "alarm_name",
            "old_state",
            "new_state",
            "reason",
            "alarm_type",
            "reason_data",
        ),
        "record_metric": ("namespace", "metric_name", "value", "unit", "dimensions"),
        "_calc_stats": ("points",),
        "_stat_value": ("stats", "stat_name", "points"),
        "_dims_key": ("dims",),
        "_dims_from_list": ("dimensions",),
    },
    "ministack.services.sns": {
        "_fanout": (
            "topic_arn",
            "msg_id",
            "message",
            "subject",
            "message_structure",
            "message_attributes",
            "message_group_id",
            "message_dedup_id",
        ),
        "_list_subscriptions_by_topic": ("params",),
        "_p": ("params", "key", "default"),
    },
    "ministack.services.lambda_svc": {
        "_execute_function": ("func", "event"),
        "_execution_record_for_config": ("func", "config"),
        "invoke_async_with_retry": ("func", "event"),
    },
    "ministack.services.eventbridge": {
        "_put_events": ("data", "allow_aws_source"),
        "_invoke_target": ("target", "event", "rule", "view"),
        "_dispatch_to_lambda": ("arn", "payload"),
        "_apply_input_transformer": ("transformer", "rule", "view"),
        "_dispatch_event": ("event", "view"),
        "_pattern_event_view": ("event",),
    },
    "ministack.services.s3": {
        "_get_object": ("bucket_name", "key", "headers", "query_params"),
        "_fire_s3_event": (
            "bucket_name",
            "key",
            "event_name",
            "size",
            "etag",
            "deletion_type",
            "restore_event_data",
            "version_id",
            "sequencer",
            "object_extra",
            "record_extra",
        ),
    },
    "ministack.services.stepfunctions": {
        "_run_execution": ("exec_arn",),
        "_resolve_path": ("path", "data"),
        "_parse_jsonpath_tokens": ("path",),
        "_exec_intrinsic": ("node", "data", "ctx"),
        "_eval_intrinsic_arg": ("arg", "data", "ctx"),
        "_evaluate_rule": ("rule", "data", "ctx"),
        "_resolve_path_or_ctx": ("path", "data", "ctx"),
        "_resolve_params_obj": ("template", "data", "ctx"),
        "_error_matches": ("error_equals", "error"),
        "_find_matching_retrier": ("retriers", "error", "retry_counts"),
        "_find_matching_catcher": ("catchers", "error"),
        "_validate_definition_jsonata": ("definition_str",),
        "_start_execution": ("data",),
        "_emit_execution_status_event": ("execution",),
        "_fail_execution": ("execution", "error", "cause"),
        "_fail_state_error": ("state_def", "raw_input", "ctx"),
        "_execute_choice": ("state_def", "raw_input", "ctx"),
        "_apply_input_path": ("state_def", "data", "ctx"),
        "_apply_output_path": ("state_def", "data", "ctx"),
        "_apply_result_path": ("state_def", "original", "result"),
        "_apply_result_path_raw": ("result_path", "original", "result"),
        "_add_event": ("execution", "event_type", "details"),
        "_finalize_response": ("response",),
        "_pascal_to_camel": ("d",),
        "handle_request": ("method", "path", "headers", "body", "query_params"),
        "_publish_state_machine_version": ("data",),
        "_create_state_machine_alias": ("data",),
        "_start_sync_execution": ("data",),
        "_test_state": ("data",),
        "_validate_state_machine_definition": ("data",),
        "_update_map_run": ("data",),
    },
    "ministack.services.alb": {
        "_describe_target_health": ("params",),
        "_parse_targets_param": ("params", "prefix"),
        "_xml": ("status", "action", "inner"),
    },
    "ministack.services.ecs": {
        "_run_task": ("data",),
        "_describe_tasks": ("data",),
        "_resolve_td_key": ("ref",),
        "_run_task_worker": (
            "task",
            "td",
            "container_overrides",
            "docker_client",
            "account_id",
            "region",
        ),
        "_stop_task": ("data",),
        "_reconcile_service_tasks": ("cluster_name", "svc_key"),
        "_sync_service_targets": ("cluster_name", "svc"),
        "_make_deployment": ("task_definition", "desired_count", "status"),
        "_update_service": ("data",),
        "_mark_task_pending": ("task_arn", "task"),
        "_mark_task_activating": ("task_arn", "task"),
        "_mark_task_running": ("task_arn", "task"),
        "_refresh_service_state": ("cluster_name", "group"),
        "_recount_cluster": ("cluster_name",),
        "_bump_task_version": ("task",),
        "_deployment_for_task": ("svc", "task"),
        "_primary_deployment": ("svc",),
        "_circuit_breaker_threshold": ("svc",),
        "_resolve_container_secrets": ("cdef",),
        "_awslogs_config": ("cdef", "task_id", "container_id"),
        "_ensure_awslogs_stream": ("config",),
        "_emit_awslogs_event": ("config", "message"),
    },
    "ministack.services.cloudformation.provisioners": {
        "_elbv2_load_balancer_create": ("logical_id", "props", "stack_name"),
        "_normalize_container_defs": ("cdefs",),
        "_pascal_to_camel": ("obj",),
        "_sfn_definition": ("props",),
        "_sfn_handler_error": ("message",),
    },
    "ministack.services.cloudformation.stacks": {"_runs_on_worker_thread": ("resource_type",)},
}
TABLES = {
    "ministack.services.cloudwatch": ("_alarms", "_metrics"),
    "ministack.services.alb": ("_lbs", "_listeners", "_tgs", "_targets", "_ACTION_MAP"),
    "ministack.services.ecs": ("_services", "_tasks", "_task_defs", "_docker", "_ACTION_MAP"),
    "ministack.services.eventbridge": ("_SCHEDULER_TICK_INTERVAL",),
    "ministack.services.stepfunctions": (
        "_executions",
        "_state_machines",
        "_map_runs",
        "_ExecutionError",
    ),
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
}


def test_the_emulator_is_the_version_that_we_know() -> None:
    assert version("ministack") == "1.5.33"


@pytest.mark.parametrize(
    ("module", "name", "parameters"),
    [(m, name, parameters) for m, names in PRIVATE.items() for name, parameters in names.items()],
)
def test_private_functions_take_what_we_pass(
    module: str, name: str, parameters: tuple[str, ...]
) -> None:
    function = getattr(__import__(module, fromlist=[name]), name)
    assert tuple(inspect.signature(function).parameters) == parameters


@pytest.mark.parametrize("module", TABLES)
def test_private_tables_are_where_we_look_for_them(module: str) -> None:
    loaded = __import__(module, fromlist=["_"])
    assert [name for name in TABLES[module] if not hasattr(loaded, name)] == []


def test_a_transaction_happens_as_a_whole_or_not_at_all(aws: LocalAws) -> None:
    dynamodb, table = aws.client("dynamodb"), f"t-{uuid.uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )

    def key(pk: str, sk: str) -> dict[str, dict[str, str]]:
        return {"pk": {"S": pk}, "sk": {"S": sk}}

    def move(expected: int, frozen: bool = False) -> None:
        """Move a pointer if the head's revision is `expected` and the task is not frozen."""
        values = {":expected": {"N": str(expected)}, ":next": {"N": str(expected + 1)}}
        head = {
            "TableName": table,
            "Key": key("HEAD", "HEAD"),
            "UpdateExpression": "SET revision = :next",
            "ConditionExpression": "revision = :expected",
            "ExpressionAttributeValues": values,
        }
        event = {
            "TableName": table,
            "Item": key("TASK#a", f"EVENT#{expected + 1}"),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        check = {
            "TableName": table,
            "Key": key("ACTIVE", "a"),
            "ConditionExpression": "attribute_not_exists(frozen) OR frozen = :frozen",
            "ExpressionAttributeValues": {":frozen": {"BOOL": False}},
        }
        if frozen:
            item = key("ACTIVE", "a") | {"frozen": {"BOOL": True}}
            dynamodb.put_item(TableName=table, Item=item)
        dynamodb.transact_write_items(
            TransactItems=[{"Update": head}, {"Put": event}, {"ConditionCheck": check}]
        )

    def revision() -> str:
        item = dynamodb.get_item(TableName=table, Key=key("HEAD", "HEAD"), ConsistentRead=True)
        found: str = item["Item"]["revision"]["N"]
        return found

    dynamodb.put_item(TableName=table, Item=key("HEAD", "HEAD") | {"revision": {"N": "0"}})
    move(0)
    assert revision() == "1"
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as stale:
        move(0)
    codes = [reason["Code"] for reason in stale.value.response["CancellationReasons"]]
    assert codes == ["ConditionalCheckFailed", "ConditionalCheckFailed", "None"]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        move(1, frozen=True)
    assert revision() == "1"
    assert "Item" not in dynamodb.get_item(TableName=table, Key=key("TASK#a", "EVENT#2"))


@pytest.mark.parametrize("runtime", ["python3.12", "python3.13"])
def test_a_lambda_function_talks_to_the_emulator_without_being_told(
    aws: LocalAws, runtime: str
) -> None:
    name = f"f-{uuid.uuid4().hex[:8]}"
    aws.function(
        name,
        "import boto3, os\n"
        "def handler(event, context):\n"
        "    account = boto3.client('sts').get_caller_identity()['Account']\n"
        "    return [account, os.environ['AWS_ENDPOINT_URL'], os.environ['AWS_REGION']]\n",
        runtime=runtime,
    )
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    assert json.load(answer["Payload"]) == [ACCOUNT, aws.endpoint, REGION]


def test_a_topic_takes_people_and_queues(aws: LocalAws) -> None:
    sns, sqs, name = aws.client("sns"), aws.client("sqs"), f"t-{uuid.uuid4().hex[:8]}"
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="people@example.com")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
    sns.publish(TopicArn=topic, Subject="rolled back", Message="part-class went back to 1.0.0")

    def received() -> list[Any]:
        messages: list[Any] = sqs.receive_message(QueueUrl=queue).get("Messages", [])
        return messages

    body = json.loads(eventually(received, what="the message")[0]["Body"])
    assert (body["Subject"], body["Message"]) == ("rolled back", "part-class went back to 1.0.0")
