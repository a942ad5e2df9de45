"""EventBridge rules on the local AWS: schedules and patterns that really start things."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually

CLUSTER = f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/watch"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/test"


@pytest.fixture(scope="module")
def family(aws: LocalAws) -> str:
    """A task definition whose container says what it was told to."""
    ecs = aws.client("ecs")
    ecs.create_cluster(clusterName="watch")
    program = "import os, sys; print(sys.argv[1], os.environ['WHO'])"
    registered = ecs.register_task_definition(
        family="watch",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[
            {
                "name": "service",
                "image": aws.build_image("1", {"say.py": program}),
                "entryPoint": ["python", "say.py"],
                "command": ["default"],
                "environment": [{"name": "WHO", "value": "nobody"}],
            }
        ],
    )
    arn: str = registered["taskDefinition"]["taskDefinitionArn"]
    return arn


def expressions(aws: LocalAws, rule: str) -> list[str]:
    """What the ended tasks of a rule printed."""
    ecs = aws.client("ecs")
    arns = ecs.list_tasks(cluster="watch", desiredStatus="STOPPED", startedBy=f"events-rule/{rule}")
    logs = [
        aws.state / "logs" / "watch" / f"{arn.rpartition('/')[2]}-service.log"
        for arn in arns["taskArns"]
    ]
    return [log.read_text().strip() for log in logs if log.exists()]


def overrides(word: str, who: str) -> str:
    container = {
        "name": "service",
        "command": [word],
        "environment": [{"name": "WHO", "value": who}],
    }
    return json.dumps({"containerOverrides": [container]})


def test_a_scheduled_rule_from_a_template_runs_its_task(aws: LocalAws, family: str) -> None:
    name = f"r-{uuid.uuid4().hex[:8]}"

    def rule(suffix: str, state: str) -> dict[str, Any]:
        return {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Name": f"{name}-{suffix}",
                "ScheduleExpression": "rate(1 minute)",
                "State": state,
                "Targets": [
                    {
                        "Id": "watch",
                        "Arn": CLUSTER,
                        "RoleArn": ROLE,
                        "Input": overrides("measured", suffix),
                        "EcsParameters": {
                            "TaskDefinitionArn": family,
                            "TaskCount": 1,
                            "LaunchType": "FARGATE",
                            "NetworkConfiguration": {
                                "AwsVpcConfiguration": {"Subnets": ["subnet-1"]}
                            },
                        },
                    }
                ],
            },
        }

    resources = {"On": rule("on", "ENABLED"), "Off": rule("off", "DISABLED")}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    # The first minute of a rate(1 minute) rule would be spent waiting: its clock is turned back.
    turn_back(aws, f"{name}-on", f"{name}-off")
    assert eventually(lambda: expressions(aws, f"{name}-on"), what="the task") == ["measured on"]
    assert expressions(aws, f"{name}-off") == []


def turn_back(aws: LocalAws, *rules: str) -> None:
    """Restart the emulator as if the rules had been made two minutes ago."""
    aws.stop()
    saved = aws.state / "services" / "eventbridge.json"
    content = json.loads(saved.read_text())
    for key, rule in content["payload"]["rules"]["data"].items():
        if any(name in key for name in rules):
            rule["CreationTime"] = 0
    saved.write_text(json.dumps(content))
    aws.start()


def test_a_pattern_starts_a_task_with_transformed_input(aws: LocalAws, family: str) -> None:
    name = f"r-{uuid.uuid4().hex[:8]}"
    events = aws.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(
        Rule=name,
        Targets=[
            {
                "Id": "watch",
                "Arn": CLUSTER,
                "RoleArn": ROLE,
                "EcsParameters": {"TaskDefinitionArn": family, "LaunchType": "FARGATE"},
                "InputTransformer": {
                    "InputPathsMap": {"task": "$.detail.task"},
                    "InputTemplate": overrides("<task>", "somebody").replace('"<task>"', "<task>"),
                },
            }
        ],
    )
    entry = {"Source": name, "DetailType": "asked", "Detail": json.dumps({"task": "part-class"})}
    events.put_events(Entries=[entry])
    assert eventually(lambda: expressions(aws, name), what="the task") == ["part-class somebody"]


def test_a_pattern_reaches_lambda_and_a_topic(aws: LocalAws) -> None:
    name = f"r-{uuid.uuid4().hex[:8]}"
    sqs, sns, events = aws.client("sqs"), aws.client("sns"), aws.client("events")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
    function = aws.function(
        name,
        "import boto3, json, os\n"
        "def handler(event, context):\n"
        "    boto3.client('sqs').send_message(QueueUrl=os.environ['QUEUE'],\n"
        "        MessageBody=json.dumps({'from-lambda': event['detail']}))\n",
        QUEUE=queue,
    )
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["prompt-hub.rollback"]}))
    events.put_targets(
        Rule=name, Targets=[{"Id": "function", "Arn": function}, {"Id": "topic", "Arn": topic}]
    )
    detail = {"task": "part-class", "from": "1.1.0"}
    entry = {
        "Source": "prompt-hub.rollback",
        "DetailType": "PromptRolledBack",
        "Detail": json.dumps(detail),
    }
    events.put_events(Entries=[entry])
    seen: set[str] = set()

    def both() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get(
            "Messages", []
        ):
            body = json.loads(message["Body"])
            if body.get("from-lambda") == detail:
                seen.add("lambda")
            elif json.loads(body.get("Message", "{}")).get("detail") == detail:
                seen.add("topic")
        return seen == {"lambda", "topic"}

    eventually(both, what="both deliveries")


def test_a_rule_whose_task_definition_is_gone_says_so(aws: LocalAws) -> None:
    name = f"r-{uuid.uuid4().hex[:8]}"
    events = aws.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    missing = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/gone:1"
    target = {
        "Id": "watch",
        "Arn": CLUSTER,
        "RoleArn": ROLE,
        "EcsParameters": {"TaskDefinitionArn": missing},
    }
    events.put_targets(Rule=name, Targets=[target])
    events.put_events(Entries=[{"Source": name, "DetailType": "asked", "Detail": "{}"}])
    eventually(
        lambda: f"rule {name} could not start its task" in aws.log.read_text(), what="the log"
    )
