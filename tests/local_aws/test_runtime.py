"""A stage's life by its own commands: activate, serve, smoke test, watch, roll back, undo.

Real processes of the command line against the emulator's DynamoDB, S3, CloudWatch and SNS; the
model is a small real server that is told what to think. ECS is left out: see `test_ecs.py`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from decision import Window
from handler import Clients, process
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import BucketResults
from prompt_hub.ledger.items import VersionState
from prompt_hub.ledger.outbox import Outbox
from prompt_hub.ledger.table import Ledger
from prompt_hub.promotion.promoter import Promotion
from prompt_hub.release.manifest import describe_promoted
from telling import People
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, create_table, eventually, free_port
from tests.unit.building import RepositoryFolder, build, catalogue_answer
from tests.unit.service.fake_provider import FakeProvider, fake_provider

STAGE = "dev"
BUCKET = aws_names.results_bucket(ACCOUNT, REGION)
RECORD = {
    "part_number": "C1206C104K5RAC",
    "title": "Ceramic capacitor 0.1 µF 50 V X7R 1206",
    "manufacturer": "KEMET",
}


@dataclass
class Stage:
    """One stage with a promoted tree, and the commands people and pipelines run on it."""

    aws: LocalAws
    folder: RepositoryFolder
    provider: FakeProvider
    port: int
    release: str

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.aws.client("dynamodb"), aws_names.ledger_table(STAGE))

    @property
    def results(self) -> BucketResults:
        return BucketResults(self.aws.client("s3"), BUCKET)

    @property
    def environment(self) -> dict[str, str]:
        model = {"provider": "openai", "model": "small", "base_url": self.provider.url}
        brand = {**model, "model": "latest"}
        measured = {**model, "model": "small-model-2026-01"}
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **self.aws.environment,
            aws_names.ENV_STAGE: STAGE,
            aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table(STAGE),
            aws_names.ENV_RESULTS_BUCKET: BUCKET,
            aws_names.ENV_RELEASE: self.release,
            aws_names.ENV_MODELS: json.dumps(
                {"catalogue-pinned": measured, "catalogue-latest": brand}
            ),
            aws_names.ENV_SERVICE_URL: f"http://127.0.0.1:{self.port}",
            aws_names.ENV_PORT: str(self.port),
            aws_names.ENV_POLL_SECONDS: "0.2",
        }

    def run(self, *words: str, code: int = 0) -> str:
        """Run one command in the tree; its exit code must be `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "prompt_hub.cli", *words],
            cwd=self.folder.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def promoted(self, release: str) -> None:
        """Write what Promote would have written, and bake the manifest as Image would."""
        self.release = release
        promotion = Promotion(
            schema_="prompt-hub/promotion@1",
            execution=release,
            commit="source",
            released_commit="released",
            tasks={},
            at=datetime.now(UTC),
        )
        self.results.put(aws_names.promotion_key(release), promotion.model_dump_json(by_alias=True))
        live = self.ledger.pointers().values()
        manifest = describe_promoted(self.folder.repository, self.results, release, live)
        self.results.put(aws_names.manifest_key(release), manifest.to_json())
        (self.folder.root / aws_names.RELEASE_FILE).write_text(manifest.to_json(), encoding="utf-8")

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        """Run the service, ready; at the end it must stop by itself when told to."""
        log = (self.folder.root / "serve.log").open("a+", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "prompt_hub.cli", "serve"],
            cwd=self.folder.root,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            eventually(lambda: self.ready(process), what="the service's readiness")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(15) == 0
            finally:
                process.kill()
                log.close()

    def ready(self, process: subprocess.Popen[str]) -> bool:
        assert process.poll() is None, (self.folder.root / "serve.log").read_text(encoding="utf-8")
        try:
            return bool(self.get("/readyz")["ready"])
        except OSError:
            return False

    def get(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())

    def ask(self) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/tasks/part-class/run",
            data=json.dumps({"fields": RECORD}).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def served(self) -> dict[str, str]:
        return {item["task"]: item["version"] for item in self.get("/v1/tasks")["tasks"]}

    def put_alarm(self) -> None:
        """The score alarm as the rollback stack has it."""
        self.aws.client("cloudwatch").put_metric_alarm(
            AlarmName=aws_names.score_alarm(STAGE, "part-class"),
            Namespace=aws_names.METRIC_NAMESPACE,
            MetricName=aws_names.METRIC_SCORE_MARGIN,
            Dimensions=[
                {"Name": aws_names.DIMENSION_STAGE, "Value": STAGE},
                {"Name": aws_names.DIMENSION_TASK, "Value": "part-class"},
            ],
            Statistic="Minimum",
            Period=60,
            EvaluationPeriods=1,
            DatapointsToAlarm=1,
            Threshold=0,
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="notBreaching",
        )

    def alarm(self) -> str:
        alarms = self.aws.client("cloudwatch").describe_alarms(
            AlarmNames=[aws_names.score_alarm(STAGE, "part-class")]
        )["MetricAlarms"]
        return str(alarms[0]["StateValue"])


def newer_is_wrong(messages: list[dict[str, str]]) -> object:
    """A model that the newer version's wording leads astray."""
    if "for a catalogue" in messages[0]["content"]:
        return {"part_class": "diode"}
    return catalogue_answer(messages)


@pytest.fixture(scope="module")
def stage(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    create_table(aws, aws_names.ledger_table(STAGE))
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    with fake_provider() as provider:
        provider.thinks = catalogue_answer
        yield Stage(
            aws=aws,
            folder=build(tmp_path_factory.mktemp("tree")),
            provider=provider,
            port=free_port(),
            release="",
        )


def test_a_stage_lives_by_its_commands(stage: Stage) -> None:
    stage.promoted("exec-1")
    with stage.serving() as process:
        instance = _seed_and_smoke(stage)
        _watch_finds_it_good(stage)
        _rolled_back_by_the_alarm(stage, instance)
        _not_brought_back_by_the_next_release(stage)
        _brought_back_by_a_person(stage)
        assert process.poll() is None
        assert stage.get("/v1/tasks")["instance"] == instance
    log = (stage.folder.root / "serve.log").read_text(encoding="utf-8")
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events[-1] == "stopped"
    assert RECORD["part_number"] not in log


def _seed_and_smoke(stage: Stage) -> object:
    assert stage.served() == {}
    message = stage.run("activate", "--no-watch")
    assert "part-class: 1.1.0 is active, the first here (way back: 1.0.0)" in message
    assert "brand: 1.0.0 is active" in message
    eventually(lambda: stage.served() == {"part-class": "1.1.0", "brand": "1.0.0"})
    assert stage.ask()["output"] == {"part_class": "capacitor"}

    assert "stage dev serves release exec-1" in stage.run("smoke-test", "--inside")
    stage.run("record")
    record = json.loads(stage.results.get(aws_names.release_key("exec-1", STAGE)) or "")
    assert record["pointers"]["part-class"]["version"] == "1.1.0"
    assert record["smoke_test"]["ok"] is True
    assert "active already" in stage.run("activate", "--no-watch")
    return stage.get("/v1/tasks")["instance"]


def _watch_finds_it_good(stage: Stage) -> None:
    stage.put_alarm()
    assert "published the margin +0.300 of 1.1.0" in stage.run("watch", "part-class")
    (sample,) = stage.ledger.samples("part-class", 10)
    assert (sample.version, sample.score, sample.threshold) == ("1.1.0", 1.0, 0.7)
    assert stage.results.get(sample.evaluation) is not None

    stage.provider.status = 400
    assert "could not be measured" in stage.run("watch", "part-class", code=3)
    stage.provider.status = 200
    assert len(stage.ledger.samples("part-class", 10)) == 1


def _rolled_back_by_the_alarm(stage: Stage, instance: object) -> None:
    stage.provider.thinks = newer_is_wrong
    assert "published the margin -0." in stage.run("watch", "part-class")
    eventually(lambda: stage.alarm() == "ALARM", what="the score alarm")

    topic = stage.aws.client("sns").create_topic(Name="people")["TopicArn"]
    clients = Clients(
        ledger=Outbox(stage.aws.client("dynamodb"), aws_names.ledger_table(STAGE)),
        alarms=stage.aws.client("cloudwatch"),
        people=People(
            stage=STAGE,
            topic=topic,
            sns=stage.aws.client("sns"),
            bus=stage.aws.client("events"),
        ),
        windows=lambda: {"part-class": Window(to_alarm=1, of_last=1)},
    )
    brand = stage.ledger.pointer("brand")
    outcome = process({"source": "aws.events"}, ACCOUNT, clients)
    assert [item["code"] for item in outcome["outcomes"]] == ["below-threshold"]  # type: ignore[attr-defined]
    assert outcome["told"] == [3]
    eventually(lambda: stage.served()["part-class"] == "1.0.0", seconds=5)
    assert stage.ask()["output"] == {"part_class": "capacitor"}
    assert stage.get("/v1/tasks")["instance"] == instance
    assert stage.ledger.pointer("brand") == brand


def _not_brought_back_by_the_next_release(stage: Stage) -> None:
    stage.promoted("exec-2")
    message = stage.run("activate", "--no-watch")
    assert "part-class: left alone, 1.1.0 is quarantined since" in message
    shown = stage.run("ledger", "show", "part-class")
    assert "part-class: 1.0.0 (way back: none)" in shown
    assert "rolled-back 1.1.0 -> 1.0.0 by rollback" in shown


def _brought_back_by_a_person(stage: Stage) -> None:
    by_ann = ["--person", "ann", "--reason"]
    activate = ["ledger", "activate", "part-class", "--no-watch", *by_ann, "labels wrong", "--to"]
    assert "does not carry part-class 9.9.9" in stage.run(*activate, "9.9.9", code=1)
    assert "1.0.0 -> 1.1.0 by ann" in stage.run(*activate, "1.1.0")
    eventually(lambda: stage.served()["part-class"] == "1.1.0", seconds=5)

    stage.run("ledger", "downgrade", "part-class", "--to", "1.0.0", *by_ann, "bad after all")
    eventually(lambda: stage.served()["part-class"] == "1.0.0", seconds=5)
    assert stage.ledger.version_states("part-class")["1.1.0"] is VersionState.DOWNGRADED
    assert "left alone, 1.1.0 is downgraded" in stage.run("activate", "--no-watch")

    stage.run("ledger", "freeze", "brand", *by_ann, "holidays")
    shown = json.loads(stage.run("ledger", "show", "--json"))
    assert shown["tasks"]["brand"]["frozen"] is True
    stage.run("ledger", "unfreeze", "brand", *by_ann, "over")
    assert "not frozen already" in stage.run("ledger", "unfreeze", "brand", *by_ann, "x", code=1)


def test_commands_outside_a_stage_say_what_is_missing(stage: Stage, tmp_path: Path) -> None:
    assert "stage dev runs no service" in stage.run("watch", "part-class", "--now", code=70)
    assert "has no manifest" in stage.run("activate", "--release", "exec-9", code=2)
    message = stage.run("ledger", "show", "--stage", "prod", code=70)
    assert "there is no table prompt-hub-prod-ledger. Look at --stage" in message
