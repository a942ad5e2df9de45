"""The rollback Lambda on the emulator's services: delivered often, at once, and killed anywhere."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from decision import Window
from handler import Clients, IncompleteInvocationError, process
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import Notify, ReleaseRef, ScoreSample, VersionRef, timestamp
from prompt_hub.ledger.outbox import Outbox
from prompt_hub.ledger.transitions import Cause
from prompt_hub.monitoring.round_event import ask_for_rollback, round_event
from telling import CLAIM_SECONDS, People
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, create_table, eventually

OLD = VersionRef(version="1.0.0", sha256="old")
NEW = VersionRef(version="1.1.0", sha256="new")
RELEASE = ReleaseRef(release="r-1", made_at="2026-11-03T09:00:00.000000Z")
CAUSE = Cause(by="pipeline", reason="first", at=RELEASE.made_at)
WRITES = {"TransactWriteItems", "Publish", "PutEvents"}
AT_ONCE = 20
REPETITION = "You may have been told of this before"

Delivery = dict[str, Any]


class KilledByLambda(BaseException):
    """The invocation is over, whatever it was about to do."""


@dataclass
class Invocation:
    """One run of the Lambda: it ends behind its write number `killed_after`, if there is one."""

    killed_after: int | None = None
    writes: list[str] = field(default_factory=list)


@dataclass
class Stage:
    """A stage on the emulator in which a task's active version is bad, and its way back good."""

    aws: LocalAws
    tasks: tuple[str, ...] = ("part-class",)
    name: str = field(default_factory=lambda: f"s{uuid.uuid4().hex[:8]}")
    ahead: timedelta = timedelta()
    waits: bool = True
    """Whether an invocation that waits really does; otherwise the clock is moved."""
    ended: list[Invocation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._here = threading.local()
        create_table(self.aws, self.table)
        self.clients = self._clients()
        self.ledger = self.clients.ledger
        queues, topics = self.aws.client("sqs"), self.aws.client("sns")
        self.inbox = queues.create_queue(QueueName=self.name)["QueueUrl"]
        topics.subscribe(
            TopicArn=self.clients.people.topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}",
        )
        at = timestamp(datetime.now(UTC))
        for task in self.tasks:
            self.ledger.seed(task, NEW, previous=OLD, release=RELEASE, cause=CAUSE)
            self.ledger.add_samples(
                [
                    ScoreSample(
                        task=task,
                        version=version.version,
                        score=score,
                        threshold=0.85,
                        n=40,
                        interval=(score, score),
                        evaluation=at,
                        at=at,
                    )
                    for version, score in ((NEW, 0.55), (OLD, 0.9))
                ]
            )
            self._alarm(task)

    @property
    def table(self) -> str:
        return aws_names.ledger_table(self.name)

    def _clients(self) -> Clients:
        """The Lambda's own clients, with an end behind a write where a test asks for one."""
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
        )
        config = Config(max_pool_connections=AT_ONCE + 5, retries={"total_max_attempts": 2})

        def client(service: str) -> Any:
            made = session.client(cast(Any, service), endpoint_url=self.aws.endpoint, config=config)
            made.meta.events.register("after-call", self._count)
            return made

        topic = self.aws.client("sns").create_topic(Name=self.name)["TopicArn"]
        return Clients(
            ledger=Outbox(client("dynamodb"), self.table),
            alarms=client("cloudwatch"),
            people=People(
                stage=self.name,
                topic=topic,
                sns=client("sns"),
                bus=client("events"),
                now=lambda: datetime.now(UTC) + self.ahead,
                sleep=time.sleep if self.waits else self.pass_time,
            ),
            windows=lambda: dict.fromkeys(self.tasks, Window(to_alarm=1, of_last=1)),
        )

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.ahead += timedelta(seconds=seconds)

    def _count(self, model: Any, **_: object) -> None:
        invocation: Invocation | None = getattr(self._here, "invocation", None)
        if invocation is None or model.name not in WRITES:
            return
        invocation.writes.append(model.name)
        if len(invocation.writes) == invocation.killed_after:
            raise KilledByLambda

    def _alarm(self, task: str) -> None:
        name = aws_names.score_alarm(self.name, task)
        self.aws.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace=aws_names.metric_namespace(),
            MetricName=aws_names.METRIC_SCORE_MARGIN,
            Dimensions=[{"Name": "Stage", "Value": self.name}, {"Name": "Task", "Value": task}],
            Statistic="Minimum",
            Period=900,
            EvaluationPeriods=1,
            ComparisonOperator="LessThanThreshold",
            Threshold=0,
            TreatMissingData="notBreaching",
        )
        self.aws.client("cloudwatch").set_alarm_state(
            AlarmName=name, StateValue="ALARM", StateReason="the test says so"
        )

    def event(self, kind: str, task: str = "part-class") -> Delivery:
        """What the three callers send."""
        if kind == "round":
            return dict(round_event(task))
        if kind == "sweep":
            return {"source": "aws.events"}
        metric = {
            "namespace": aws_names.metric_namespace(),
            "name": aws_names.METRIC_SCORE_MARGIN,
            "dimensions": {"Stage": self.name, "Task": task},
        }
        return {
            "source": "aws.cloudwatch",
            "accountId": ACCOUNT,
            "alarmData": {
                "alarmName": aws_names.score_alarm(self.name, task),
                "state": {"value": "ALARM", "timestamp": "2026-11-03T09:31:04.212+0000"},
                "configuration": {"metrics": [{"metricStat": {"metric": metric}}]},
            },
        }

    def deliver(self, event: Delivery, killed_after: int | None = None) -> Invocation:
        """Invoke once; the invocation may be killed, or fail as an incomplete one."""
        self._here.invocation = invocation = Invocation(killed_after)
        try:
            process(event, ACCOUNT, self.clients)
        except (KilledByLambda, IncompleteInvocationError):
            pass
        finally:
            self._here.invocation = None
        self.ended.append(invocation)
        return invocation

    def settle(self) -> None:
        """Let every claim end, and the sweep come by."""
        self.pass_time(CLAIM_SECONDS + 1)
        self.deliver(self.event("sweep"))

    def messages(self) -> list[dict[str, str]]:
        """Every message that people got so far; each is read once."""
        queues, found = self.aws.client("sqs"), []
        while read := queues.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in read:
                queues.delete_message(QueueUrl=self.inbox, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    def rolled_back_once(self, task: str = "part-class") -> None:
        """Hold the ledger to what must be true of it however often the Lambda was called."""
        pointer = self.ledger.pointer(task)
        assert pointer is not None
        assert (pointer.active, pointer.previous) == (OLD, None)
        event, first = self.ledger.events(task)
        assert (event.kind.value, first.kind.value) == ("rolled-back", "seeded")
        assert event.notify is Notify.SENT


def unmarked(messages: list[dict[str, str]]) -> int:
    """How many messages do not say that they may be a repetition."""
    return sum(REPETITION not in message["Message"] for message in messages)


@pytest.fixture
def stage(aws: LocalAws) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(*tasks: str, waits: bool = True) -> Stage:
        made.append(Stage(aws, tasks or ("part-class",), waits=waits))
        return made[-1]

    yield make
    for each in made:
        aws.client("cloudwatch").delete_alarms(
            AlarmNames=[aws_names.score_alarm(each.name, task) for task in each.tasks]
        )
        aws.client("dynamodb").delete_table(TableName=each.table)


def test_a_hundred_deliveries_killed_anywhere_are_one_rollback_and_one_message(
    stage: Callable[..., Stage],
) -> None:
    here = stage()
    draw = random.Random(10)
    deliveries = [
        (here.event(("round", "alarm", "sweep")[number % 3]), draw.choice([None, 1, 2, 3, 4, 5, 6]))
        for number in range(100)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda delivery: here.deliver(*delivery), deliveries))
    here.settle()

    here.rolled_back_once()
    messages = here.messages()
    # SNS forgets nothing that it took: only an end right behind a message repeats it, and says so.
    unnoted = sum(
        invocation.writes[-1:] == ["Publish"] and len(invocation.writes) == invocation.killed_after
        for invocation in here.ended
    )
    assert 1 <= len(messages) <= 1 + unnoted
    assert unmarked(messages) <= 1


def test_an_end_behind_every_single_write_changes_nothing_in_the_end(
    stage: Callable[..., Stage],
) -> None:
    kinds = ("round", "alarm", "sweep")
    whole = stage(waits=False)
    writes = whole.deliver(whole.event("round")).writes
    assert Counter(writes) == {"TransactWriteItems": 7, "Publish": 1, "PutEvents": 1}
    for number, write in enumerate(writes, start=1):
        here = stage(waits=False)
        killed = here.deliver(here.event(kinds[number % 3]), number)
        assert killed.writes == writes[:number]
        for kind in kinds:
            here.deliver(here.event(kind))
        here.settle()
        here.rolled_back_once()
        messages = here.messages()
        assert len(messages) == (2 if write == "Publish" else 1)
        assert unmarked(messages) <= 1


def test_forty_tasks_at_once_are_told_of_once_each_in_few_messages(
    stage: Callable[..., Stage],
) -> None:
    here = stage(*(f"task-{number:02}" for number in range(40)))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda task: here.deliver(here.event("round", task)), here.tasks))
    for task in here.tasks:
        here.rolled_back_once(task)
    messages = here.messages()
    told = Counter(
        task
        for message in messages
        for task in here.tasks
        if f"Task {task} in stage {here.name}: rolled back" in message["Message"]
    )
    assert told == dict.fromkeys(here.tasks, 1)
    assert len(messages) <= 8


def test_the_score_watch_s_call_runs_the_function_and_is_not_waited_for(
    aws: LocalAws, tmp_path: Path
) -> None:
    queues = aws.client("sqs")
    name = f"s{uuid.uuid4().hex[:8]}"
    inbox = queues.create_queue(QueueName=name)["QueueUrl"]
    aws.function(
        aws_names.rollback_function(name),
        "import boto3, json, os, time\n"
        "def handler(event, context):\n"
        "    while not os.path.exists(os.environ['ASKED']):\n"
        "        time.sleep(0.05)\n"
        "    boto3.client('sqs').send_message(QueueUrl=os.environ['QUEUE'],\n"
        "        MessageBody=json.dumps(event))\n",
        QUEUE=inbox,
        ASKED=str(tmp_path / "asked"),
    )
    aws.client("lambda").update_function_configuration(
        FunctionName=aws_names.rollback_function(name), Timeout=120
    )
    # The function cannot end before this returns: who waited for it would wait in vain.
    assert ask_for_rollback(aws.client("lambda"), name, "part-class")
    (tmp_path / "asked").touch()
    (message,) = eventually(
        lambda: queues.receive_message(QueueUrl=inbox).get("Messages"), what="the invocation"
    )
    assert json.loads(message["Body"]) == round_event("part-class")
