"""What the console asks AWS, asked of the real services of the local one, and its command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path

import boto3
import pytest

from local_aws.stack import LocalStack
from local_aws.status import alarm_lines
from prompt_hub.console.stage import StageReader
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import ReleaseRef, ScoreSample, VersionRef, timestamp
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from tests.local_aws.emulator import ROOT, LocalAws, create_table, eventually
from tests.local_aws.pipelines import GATE, PLAIN, Pipelines, Repository, build

STAGE, TASK = "dev", "part-class"
AT = timestamp(datetime.now(UTC))


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipelines]:
    """An emulator with a stage after a rollback, an alarm, and an execution that waits."""
    plain = Repository.make(tmp_path_factory.mktemp("plain"), {"word.txt": "first\n"})
    aws = LocalAws(state=tmp_path_factory.mktemp("local-aws"), repositories={PLAIN: plain.bare})
    aws.start()
    aws.client("s3").create_bucket(
        Bucket="plain-artifacts",
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
    )
    pipelines = Pipelines(aws, plain, plain)
    pipelines.project("says", "echo the build says so", "exit 0")
    pipelines.plain_pipeline(aws_names.pipeline(), ("Build", [build("Synth", "says")]), GATE)
    table = aws_names.ledger_table(STAGE)
    create_table(aws, table)
    ledger = Ledger(aws.client("dynamodb"), table)
    bad, good = (VersionRef(version=number, sha256=number) for number in ("1.1.0", "1.0.0"))
    cause = Cause(by="rollback", reason="1.1.0 is below its threshold", at=AT, code="fallen")
    release = ReleaseRef(release="r-1", made_at=AT)
    seeded = ledger.seed(TASK, bad, previous=good, release=release, cause=cause)
    ledger.add_samples(
        [
            ScoreSample(
                task=TASK,
                version="1.1.0",
                score=0.58,
                threshold=0.8,
                n=48,
                interval=(0.5, 0.66),
                evaluation="r",
                at=AT,
            )
        ]
    )
    ledger.roll_back(TASK, seen=seeded.revision, cause=cause)
    for stage, name in (
        (STAGE, aws_names.score_alarm(STAGE, TASK)),
        ("dev-eu", aws_names.score_alarm("dev-eu", TASK)),
        ("prod", "prompt-hub-prod-down"),
    ):
        add_alarm(aws, name, ("ALARM", "as a test"), AlarmActions=people(stage))
    add_alarm(aws, aws_names.score_alarm(STAGE, aws_names.DRILL_TASK), ("ALARM", "as a test"))
    silent = (("OK", "fell silent"), ("INSUFFICIENT_DATA", "fell silent"))
    told = {"AlarmActions": people(STAGE), "InsufficientDataActions": people(STAGE)}
    add_alarm(aws, "prompt-hub-dev-down", *silent, **told)
    add_alarm(aws, "prompt-hub-dev-freshness-new", **told)
    add_alarm(aws, "prompt-hub-dev-no-traffic", *silent, AlarmActions=people(STAGE))
    try:
        yield pipelines
    finally:
        aws.stop()


def people(stage: str) -> list[str]:
    """Who is told of the alarms of a stage."""
    return [f"arn:aws:sns:us-east-1:000000000000:{aws_names.notification_topic(stage)}"]


def add_alarm(aws: LocalAws, name: str, *states: tuple[str, str], **more: object) -> None:
    """Make an alarm that hears nothing, and put it into these states, each for its reason."""
    alarms = aws.client("cloudwatch")
    alarms.put_metric_alarm(
        AlarmName=name,
        Namespace="Test",
        MetricName="Nothing",
        Period=86400,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
        Statistic="Sum",
        TreatMissingData="ignore",
        **more,
    )
    for state, reason in states:
        alarms.set_alarm_state(AlarmName=name, StateValue=state, StateReason=reason)


@pytest.fixture
def reader(pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch) -> StageReader:
    for name, value in pipelines.aws.environment.items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    table = aws_names.ledger_table(STAGE)
    return StageReader(STAGE, here=session, there=session, table=table, bucket=None)


def test_the_stage_is_read(reader: StageReader) -> None:
    assert reader.pointers()[TASK].version == "1.0.0"
    recent = reader.recent(TASK, 10, 10)
    assert [sample.score for sample in recent.samples] == [0.58]
    assert [event.kind for event in recent.events] == ["seeded", "rolled-back"]
    assert {number: record.state for number, record in reader.versions(TASK).items()} == {
        "1.0.0": "active",
        "1.1.0": "quarantined",
    }


def test_the_alarms_are_those_of_the_stage_that_people_were_told_of(reader: StageReader) -> None:
    """One that has yet to hear anything is in the state of one that has fallen silent.

    And one whose silence nobody is told of, as of a drill's. Another stage's begin like this one's.
    """
    assert {alarm.name: alarm.reason for alarm in reader.alarms()} == {
        "prompt-hub-dev-score-part-class": "as a test",
        "prompt-hub-dev-down": "fell silent",
    }


def test_make_status_names_the_alarms_that_the_console_names(
    pipelines: Pipelines, reader: StageReader
) -> None:
    """Each decides it for itself: neither may import the other."""
    lines = [*alarm_lines(pipelines.aws.client("cloudwatch"))]
    shown = {f"{alarm.name}: {alarm.reason}" for alarm in reader.alarms()}
    names = ("dev-eu-score-part-class", "dev-score-prompt-hub-drill", "prod-down")
    others = {f"prompt-hub-{name}: as a test" for name in names}
    assert {*lines} == shown | others
    assert not shown & others


def test_cost_is_summed_over_versions(pipelines: Pipelines, reader: StageReader) -> None:
    assert reader.spent([(TASK, "1.0.0")]) == {}
    for number, usd in (("1.0.0", 0.25), ("1.1.0", 0.5), ("0.9.0", 8.0)):
        values = zip(aws_names.CALL_DIMENSIONS, (STAGE, TASK, number), strict=True)
        pipelines.aws.client("cloudwatch").put_metric_data(
            Namespace=aws_names.calls_namespace(),
            MetricData=[
                {
                    "MetricName": aws_names.CALL_USD,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in values],
                    "Value": usd,
                }
            ],
        )
    assert reader.spent([(TASK, "1.0.0"), (TASK, "1.1.0")]) == {TASK: 0.75}


def test_the_pipeline_is_read_down_to_a_log(pipelines: Pipelines, reader: StageReader) -> None:
    (execution,) = reader.executions()
    assert "from GitHub" in execution.revision
    assert "CommitMessage" not in execution.revision
    eventually(
        lambda: any(action.waits_for_a_person for action in reader.actions(execution.id)),
        what="the approval",
    )
    actions = {action.name: action for action in reader.actions(execution.id)}
    assert list(actions) == ["Take", "Synth", "Approve"]
    assert actions["Synth"].status == "Succeeded"
    assert actions["Synth"].has_log
    assert not actions["Approve"].has_log
    eventually(
        lambda: any("the build says so" in line for line in reader.log(actions["Synth"].external)),
        what="the log",
    )
    assert reader.log("says:nothing") == ()


def _read(url: str) -> str:
    """Return the page behind an address with a token, as a browser comes to it."""
    jar = urllib.request.HTTPCookieProcessor(CookieJar())
    page: bytes = urllib.request.build_opener(jar).open(url, timeout=20).read()
    return page.decode()


def test_the_command_serves_until_it_is_told_to_stop(pipelines: Pipelines, tmp_path: Path) -> None:
    token = tmp_path / "token"
    command = [sys.executable, "-m", "prompt_hub.cli", "console", "--stage", STAGE]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    with subprocess.Popen(
        [*command, "--port", "0", "--token-file", str(token)],
        env={**clean, **pipelines.aws.environment},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        url = said.replace(f"TOKEN, that of {token}", token.read_text()).strip()
        try:
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(url.partition("?")[0], timeout=20)
            text = _read(url)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(20)
    assert code == 0
    assert token.read_text() not in said
    assert token.stat().st_mode & 0o077 == 0
    assert "prompt-hub-dev-score-part-class" in text
    assert "prompt-hub-prod-down" not in text
    assert "is no clone of the prompts" in text


def test_a_local_stack_starts_it_before_there_is_anything_to_see_and_ends_it(
    tmp_path: Path,
) -> None:
    stack = LocalStack(ROOT, tmp_path)
    process = stack._console(stack.ports["console"])
    assert process.start()
    try:
        assert not process.start(), "it answers already"
        text = _read(stack.console_url)
        assert "the ledger&#39;s pointers: AWS was not reached" in text
        assert any(line.startswith("console  runs as") for line in stack.processes())
    finally:
        stack.stop()
    assert process.running() is None
