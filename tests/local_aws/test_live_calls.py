"""Answers that break their contract: from the service's log by alarm and watch to the rollback.

The model is scripted. The service, the alarm, the rollback Lambda, the rule that it speaks to and
the watch that compares are real; the log is carried to CloudWatch as the log driver does it.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from benchmarks.loopback import LoopbackServer
from cdk_app.tasks import read_tasks
from prompt_hub.core import aws_names
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually
from tests.local_aws.rollback_lambda import put_contract_alarm
from tests.local_aws.running_stage import STAGE, Stage, running_stage
from tests.unit.building import build, catalogue_answer

TASK = "part-class"
LOGS = aws_names.service_log_group(STAGE)
PART = {"part_number": "BAT54", "title": "Schottky diode 30 V 200 mA SOT-23"}


class CatalogueModel(LoopbackServer):
    """Right about everything, but the newer version's diodes come with a sentence around them."""

    def respond(self, path: str, body: bytes, headers: Message) -> tuple[int, bytes]:
        """Answer as an OpenAI-compatible endpoint."""
        sent = json.loads(body)
        messages = sent["messages"]
        text = json.dumps(catalogue_answer(messages))
        if "for a catalogue" in messages[0]["content"] and "Schottky" in messages[-1]["content"]:
            text = f"That must be {text}, I am quite sure."
        answer = {
            "id": "answer",
            "object": "chat.completion",
            "created": 0,
            "model": sent["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                }
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
        }
        return 200, json.dumps(answer).encode()


@pytest.fixture(scope="module")
def stage(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    tree = build(folder / "tree")
    # As many examples as a task should have; one in six of them is a diode.
    examples = "prompts/01-examples/part-class.jsonl"
    lines = [json.loads(line) for line in tree.read(examples).splitlines()]
    lines += [
        {**line, "id": f"{line['id']}-{more}"}
        for line in lines
        if line["split"] == "eval"
        for more in range(7)
    ]
    tree.write(examples, "".join(json.dumps(line) + "\n" for line in lines))
    tasks = read_tasks(tree.root)
    with (
        CatalogueModel() as model,
        running_stage(aws, folder, tree=tree, model=f"{model.address}/v1", tasks=tasks) as made,
    ):
        function = aws_names.rollback_function(STAGE)
        put_contract_alarm(
            aws, STAGE, TASK, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
        )
        aws.client("logs").create_log_group(logGroupName=LOGS)
        compare_when_asked(aws)
        yield made


def compare_when_asked(aws: LocalAws) -> None:
    """Make the rule that starts a comparison as the service stack has it."""
    pattern = {
        "source": [aws_names.event_source()],
        "detail-type": [aws_names.EVENT_COMPARE],
        "detail": {"stage": [STAGE], "task": [TASK]},
    }
    command = ["prompt-hub", "watch", "<task>", "--compare"]
    overrides = {"containerOverrides": [{"name": aws_names.CONTAINER, "command": command}]}
    target = {
        "Id": "watch",
        "Arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{aws_names.cluster(STAGE)}",
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/events",
        "EcsParameters": {
            "TaskDefinitionArn": aws_names.service(STAGE),
            "LaunchType": "FARGATE",
        },
        "InputTransformer": {
            "InputPathsMap": {"task": "$.detail.task"},
            "InputTemplate": json.dumps(overrides),
        },
    }
    rule = {"EventPattern": pattern, "State": "ENABLED", "Targets": [target]}
    template = {"Resources": {"Compare": {"Type": "AWS::Events::Rule", "Properties": rule}}}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="compare", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="compare", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def ask(stage: Stage, fields: dict[str, str]) -> int:
    """Ask the service; the status of its answer, 0 while it does not listen yet."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stage.port}/v1/tasks/{TASK}/run",
        data=json.dumps({"fields": fields}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as refused:
        return refused.code
    except URLError:
        return 0


def calls_of(log: Path) -> list[dict[str, Any]]:
    """The execution log's lines on calls."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "prompt_call"]


def ship(aws: LocalAws, stream: str, lines: Sequence[dict[str, Any]]) -> None:
    """Carry lines to CloudWatch, as the log driver does."""
    logs = aws.client("logs")
    logs.create_log_stream(logGroupName=LOGS, logStreamName=stream)
    now = time.time_ns() // 1_000_000
    logs.put_log_events(
        logGroupName=LOGS,
        logStreamName=stream,
        logEvents=[{"timestamp": now, "message": json.dumps(line)} for line in lines],
    )


def of_yesterday(line: dict[str, Any], version: str) -> dict[str, Any]:
    """A line as the version before wrote it."""
    at = round((datetime.now(UTC) - timedelta(days=1)).timestamp() * 1000)
    metadata = {**line["_aws"], "Timestamp": at}
    return {**line, "version": version, aws_names.CALL_CONTRACT_FAILED: 0, "_aws": metadata}


def test_a_version_whose_answers_break_their_contract_live_is_rolled_back(stage: Stage) -> None:
    pointer = stage.ledger.pointer(TASK)
    assert pointer is not None
    assert pointer.previous is not None
    assert (pointer.version, pointer.previous.version) == ("1.1.0", "1.0.0")
    eventually(lambda: ask(stage, PART) == 502, what="an answer of the service", seconds=60)
    assert [ask(stage, PART) for _ in range(12)] == [502] * 12
    lines = calls_of(stage.folder.root.parent / "serve.log")
    assert {line["version"] for line in lines} == {"1.1.0"}
    ship(stage.aws, "yesterday", [of_yesterday(lines[0], "1.0.0")] * 400)

    # A round of the schedule's finds nothing: five in six are enough for its threshold.
    said = stage.run("watch", TASK)
    assert "published the margin +0.1" in said
    ship(stage.aws, "today", lines)

    def rolled_back() -> bool:
        now = stage.ledger.pointer(TASK)
        return now is not None and now.version == "1.0.0"

    eventually(rolled_back, what="the rollback", seconds=180)
    event = stage.ledger.events(TASK)[0]
    assert event.code == "breaks-its-contract"
    assert "1.1.0 broke its contract in 13 of 13 calls" in event.reason
    assert "1.0.0 in 0 of 400 calls of the week before it was replaced" in event.reason
    assert "On the same examples it broke 40 of 240 and 1.0.0 0 of 192" in event.reason
    assert eventually(lambda: ask(stage, PART) == 200, what="the version before to answer")
