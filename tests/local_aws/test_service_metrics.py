"""Metrics that services of AWS publish by themselves, in a real emulator."""

from __future__ import annotations

import json
import time

from tests.local_aws.emulator import LocalAws, eventually

TABLE = {
    "TableName": "ledger",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def test_requests_to_a_table_are_counted_and_answered_as_before(aws: LocalAws) -> None:
    tables = aws.client("dynamodb")
    tables.create_table(**TABLE)
    item = {"pk": {"S": "one"}}
    put = {"Put": {"TableName": "ledger", "Item": {"pk": {"S": "two"}}}}
    assert "ConsumedCapacity" not in tables.put_item(TableName="ledger", Item=item)
    assert "ConsumedCapacity" not in tables.transact_write_items(TransactItems=[put])
    answered = tables.get_item(TableName="ledger", Key=item)
    assert answered["Item"] == item
    assert "ConsumedCapacity" not in answered
    told = tables.query(
        TableName="ledger",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "two"}},
        ReturnConsumedCapacity="TOTAL",
    )
    assert told["ConsumedCapacity"]["CapacityUnits"] == 0.5

    def used(kind: str) -> float:
        return aws.total("AWS/DynamoDB", f"Consumed{kind}CapacityUnits", TableName="ledger")

    # A transaction costs twice as much.
    eventually(lambda: (used("Write"), used("Read")) == (3, 1), what="capacity")
    for operation in ("PutItem", "TransactWriteItems", "GetItem", "Query"):
        latency = aws.total(
            "AWS/DynamoDB", "SuccessfulRequestLatency", TableName="ledger", Operation=operation
        )
        assert latency > 0


def test_a_request_that_is_refused_has_no_latency(aws: LocalAws) -> None:
    tables = aws.client("dynamodb")
    tables.create_table(**{**TABLE, "TableName": "guarded"})
    item = {"pk": {"S": "one"}}
    tables.put_item(TableName="guarded", Item=item)
    try:
        tables.put_item(
            TableName="guarded", Item=item, ConditionExpression="attribute_not_exists(pk)"
        )
    except tables.exceptions.ConditionalCheckFailedException:
        pass
    else:
        raise AssertionError

    def requests() -> float:
        return aws.total(
            "AWS/DynamoDB",
            "SuccessfulRequestLatency",
            "SampleCount",
            TableName="guarded",
            Operation="PutItem",
        )

    eventually(requests, what="a latency")
    assert requests() == 1


def test_a_published_message_is_counted_with_its_size(aws: LocalAws) -> None:
    topic = aws.client("sns").create_topic(Name="told")["TopicArn"]
    aws.client("sns").publish(TopicArn=topic, Message="äö")
    published = "NumberOfMessagesPublished"
    eventually(lambda: aws.total("AWS/SNS", published, TopicName="told") == 1, what="a message")
    assert aws.total("AWS/SNS", "PublishSize", TopicName="told") == 4


SOURCE = """
def handler(event, context):
    if event:
        raise ValueError(event)
"""


def test_each_run_of_a_function_is_counted_however_it_was_asked_for(aws: LocalAws) -> None:
    aws.function("counted", SOURCE)
    functions = aws.client("lambda")
    functions.put_function_event_invoke_config(FunctionName="counted", MaximumRetryAttempts=0)
    functions.invoke(FunctionName="counted", Payload=b"{}")
    functions.invoke(FunctionName="counted", Payload=json.dumps({"fail": 1}).encode())
    functions.invoke(FunctionName="counted", InvocationType="Event", Payload=b"{}")

    def count(metric: str, statistic: str = "Sum") -> float:
        return aws.total("AWS/Lambda", metric, statistic, FunctionName="counted")

    eventually(lambda: count("Invocations") == 3, what="three runs")
    assert count("Errors") == 1
    assert count("Throttles") == 0
    assert count("Duration", "SampleCount") == 3


def test_a_query_of_logs_may_drop_what_it_said_already(aws: LocalAws) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/said")
    logs.create_log_stream(logGroupName="/said", logStreamName="one")
    now = int(time.time() * 1000)
    lines = ["RED maker", "ok  brand", "RED maker", "other"]
    logs.put_log_events(
        logGroupName="/said",
        logStreamName="one",
        logEvents=[
            {"timestamp": now + number, "message": line} for number, line in enumerate(lines)
        ],
    )

    def found(query: str) -> list[tuple[str, str]]:
        asked = logs.start_query(
            logGroupName="/said",
            startTime=now // 1000 - 60,
            endTime=now // 1000 + 60,
            queryString=f"fields @timestamp, @message | filter @message like /^(RED|ok)/ {query}",
        )
        rows = logs.get_query_results(queryId=asked["queryId"])["results"]
        return [(row[0]["value"][-3:], row[1]["value"]) for row in rows]

    third, second = ((str(now + number))[-3:] for number in (2, 1))
    newest_first = [(third, "RED maker"), (second, "ok  brand")]
    assert found("| sort @timestamp desc | dedup @message | limit 50") == newest_first
    assert found("| dedup @message") == newest_first
    assert found("| sort @timestamp desc | dedup @message | limit 1") == newest_first[:1]
    assert len(found("| sort @timestamp desc")) == 3
