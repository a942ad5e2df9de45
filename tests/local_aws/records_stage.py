"""A stage that answers files of records, on the local AWS: the machine of the CDK app, our image.

The definition is what the app synthesises. Its roles are not: IAM is asked in `make records`.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from benchmarks.loopback import LoopbackServer
from cdk_app.records_definition import RecordsNames, records_definition
from cdk_app.tasks import read_tasks
from prompt_hub.batch.bucket_objects import BucketObjects
from prompt_hub.batch.planning import name_run
from prompt_hub.batch.run_manifest import RunManifest, runs_of
from prompt_hub.core import aws_names
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually
from tests.local_aws.rollback_lambda import put_score_alarm
from tests.local_aws.running_stage import STAGE, Stage, running_stage
from tests.unit.batch.servers import completion
from tests.unit.building import RepositoryFolder, build, catalogue_answer

TASK = "part-class"
HEADER = "MPN,Description,Brand,Stock\n"
KINDS = (
    "Schottky diode 30 V 200 mA SOT-23",
    "Thick film resistor 10 kΩ 1 % 0603",
    "N-channel MOSFET transistor 60 V 300 mA SOT-23",
)
BUCKET = aws_names.records_bucket(STAGE, ACCOUNT)
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{aws_names.records_state_machine(STAGE)}"
BAD_WORDS = "for a catalogue"
"""What the prompt of 1.1.0 says and that of 1.0.0 does not."""


def rows(count: int) -> str:
    """A table of so many different parts."""
    lines = (f'PART-{number},"{KINDS[number % len(KINDS)]}",,\n' for number in range(1, count + 1))
    return HEADER + "".join(lines)


class Model(LoopbackServer):
    """A model that counts what it is asked, takes its time, and may be out of order.

    What it refuses costs nothing and is not counted as asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        """How long an answer takes."""
        self.asked: Counter[int] = Counter()
        """How often each record was."""
        self.in_flight: Counter[int] = Counter()
        self.refused = 0
        self.gone_bad = ""
        """Words of a prompt that makes it take every part for a capacitor."""
        self._down_until = 0.0
        self._lock = threading.Lock()

    def fail_for(self, seconds: float) -> None:
        """Refuse everything for so long."""
        self._down_until = time.monotonic() + seconds

    def respond(self, path: str, body: bytes, headers: Message) -> tuple[int, bytes]:
        """Answer as an OpenAI-compatible endpoint."""
        messages = json.loads(body)["messages"]
        if time.monotonic() < self._down_until:
            self.refused += 1
            return 503, b'{"error": {"message": "out of order"}}'
        _, _, named = messages[-1]["content"].partition("PART-")
        record = int(named.split("\n")[0]) if named else 0
        with self._lock:
            self.asked[record] += 1
            self.in_flight[record] += 1
        time.sleep(self.seconds)
        answer = catalogue_answer(messages)
        if self.gone_bad and self.gone_bad in messages[0]["content"]:
            answer = {"part_class": "capacitor"}
        with self._lock:
            self.in_flight[record] -= 1
        return 200, json.dumps(completion(json.dumps(answer))).encode()


@dataclass(frozen=True)
class RecordsStage:
    """Such a stage, and the model that answers in it."""

    stage: Stage
    model: Model

    @property
    def aws(self) -> LocalAws:
        return self.stage.aws

    @property
    def objects(self) -> BucketObjects:
        return BucketObjects(self.aws.client("s3"), BUCKET)

    def drop(self, text: str, name: str) -> str:
        """Drop a file; returns the name of its run."""
        key = f"{aws_names.INCOMING}{TASK}/{name}"
        put = self.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text.encode())
        return name_run(key, put["VersionId"])

    def executions(self) -> list[dict[str, Any]]:
        """The executions of the machine, the newest first."""
        found: list[dict[str, Any]] = self.aws.client("stepfunctions").list_executions(
            stateMachineArn=MACHINE
        )["executions"]
        return found

    def ended(self, count: int, *, seconds: float = 120) -> dict[str, Any]:
        """Wait until there are so many executions and none runs; returns the newest."""

        def probe() -> bool:
            found = self.executions()
            return len(found) >= count and all(one["status"] != "RUNNING" for one in found)

        eventually(probe, seconds=seconds, what=f"the end of execution {count}")
        arn = self.executions()[0]["executionArn"]
        described: dict[str, Any] = self.aws.client("stepfunctions").describe_execution(
            executionArn=arn
        )
        return described

    def read(self, run: str, name: str) -> bytes:
        """A file of a run."""
        found = self.objects.read(aws_names.run_key(TASK, run, name))
        assert found is not None, f"{run} has no {name}"
        return found

    def runs(self, version: str) -> list[RunManifest]:
        return runs_of(self.objects, TASK, version)


def _machine(aws: LocalAws, children: int, shard_records: int, pause_grows: int | None) -> None:
    """Make the state machine, with shards of so many records."""
    topic = aws.client("sns").create_topic(Name=aws_names.notification_topic(STAGE))["TopicArn"]
    names = RecordsNames(
        cluster=aws_names.cluster(STAGE),
        service=aws_names.service(STAGE),
        role=f"arn:aws:iam::{ACCOUNT}:role/{aws_names.records_role(STAGE)}",
        network={"Subnets": ["subnet-1"]},
        bucket=BUCKET,
        topic=topic,
        log_group=aws_names.service_log_group(STAGE),
        environment={
            aws_names.ENV_RECORDS_BUCKET: BUCKET,
            aws_names.ENV_TOPIC_ARN: topic,
        },
        integration=lambda action: f"arn:aws:states:::{action}",
    )
    text = json.dumps(records_definition(names, max_children=children))
    changes = {f"'--children', '{children}'": f"'--shard-records', '{shard_records}'"}
    text = _with_more(text, changes)
    if pause_grows is not None:
        assert text.count("tries.pause, 60)") == 2
        text = text.replace("tries.pause, 60)", f"tries.pause, {pause_grows})")
        # As many attempts at a plan as ever.
        assert text.count('"NumericGreaterThan": 300') == 1
        longest = f'"NumericGreaterThan": {5 * pause_grows}'
        text = text.replace('"NumericGreaterThan": 300', longest)
    aws.client("stepfunctions").create_state_machine(
        name=aws_names.records_state_machine(STAGE),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/records-machine",
        definition=text,
    )


def _with_more(text: str, more: dict[str, str]) -> str:
    for words, behind in more.items():
        assert words in text
        text = text.replace(words, f"{words}, {behind}")
    return text


def _start_by_events(aws: LocalAws) -> None:
    """Make the rules that start the machine as the service stack has them."""
    of_file = {"bucket": {"name": [BUCKET]}, "object": {"key": [{"prefix": aws_names.INCOMING}]}}
    patterns = {
        "dropped": (["aws.s3"], ["Object Created"], of_file),
        "rolled-back": (
            [aws_names.event_source()],
            [aws_names.EVENT_ROLLED_BACK],
            {"stage": [STAGE]},
        ),
    }
    for name, (source, kind, detail) in patterns.items():
        pattern = {"source": source, "detail-type": kind, "detail": detail}
        aws.client("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
        target = {"Id": "machine", "Arn": MACHINE, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/events"}
        aws.client("events").put_targets(Rule=name, Targets=[target])


def _measure_on_more(tree: RepositoryFolder) -> None:
    """Give the task as many examples as show in one round that a version has fallen."""
    examples = f"prompts/01-examples/{TASK}.jsonl"
    lines = [json.loads(line) for line in tree.read(examples).splitlines()]
    lines += [
        {**line, "id": f"{line['id']}-{more}"}
        for line in lines
        if line["split"] == "eval"
        for more in range(7)
    ]
    tree.write(examples, "".join(json.dumps(line) + "\n" for line in lines))


@contextmanager
def records_stage(
    aws: LocalAws,
    folder: Path,
    *,
    children: int,
    shard_records: int,
    pause_grows: int | None = None,
    concurrency: int = 64,
    metadata: Sequence[tuple[str, str]] = (),
) -> Iterator[RecordsStage]:
    """Make a stage whose service, machine and rollback function run, with 1.1.0 active.

    Args:
        aws: the local AWS.
        folder: takes what this leaves.
        children: containers at once for one file.
        shard_records: records of a shard.
        pause_grows: seconds that the machine's pauses grow by, in place of its own.
        concurrency: of the model, for all containers of a file.
        metadata: what is replaced in the task's metadata, and by what.
    """
    tree = build(folder / "tree")
    _measure_on_more(tree)
    for old, new in metadata:
        tree.edit(f"prompts/03-metadata/{TASK}.yaml", old, new)
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    with (
        Model() as model,
        running_stage(
            aws,
            folder,
            tree=tree,
            model=f"{model.address}/v1",
            limits={"concurrency": concurrency},
            tasks=read_tasks(tree.root),
        ) as stage,
    ):
        function = aws_names.rollback_function(STAGE)
        put_score_alarm(aws, STAGE, TASK, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
        _machine(aws, children, shard_records, pause_grows)
        _start_by_events(aws)
        yield RecordsStage(stage, model)
