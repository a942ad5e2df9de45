"""Runs over records in a bucket of the local AWS."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from prompt_hub.batch import bucket_objects
from prompt_hub.batch.bucket_objects import BucketObjects
from prompt_hub.batch.planning import name_run
from prompt_hub.batch.run_manifest import read_manifest
from prompt_hub.batch.run_plan import REFUSED, Refusal, claim_run
from prompt_hub.cli import remote_run
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from tests.local_aws.emulator import ACCOUNT, REGION, SECRET, LocalAws, eventually
from tests.unit.batch.objects_contract import CHECKS, Check
from tests.unit.batch.running import HEADER, ROWS, Model
from tests.unit.batch.servers import serving
from tests.unit.building import build

BUCKET = "records-of-tests"


@pytest.fixture(scope="module")
def bucket(aws: LocalAws) -> BucketObjects:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return BucketObjects(s3, BUCKET)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_bucket_keeps_the_contract(check: Check, bucket: BucketObjects, tmp_path: Path) -> None:
    check(bucket, tmp_path)


def test_a_large_object_is_created_in_parts_and_only_once(
    bucket: BucketObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request takes 5 GB at the most; S3 asks for parts of 5 MiB at least."""
    monkeypatch.setattr(bucket_objects, "IN_PARTS_FROM", 1 << 20)
    monkeypatch.setattr(bucket_objects, "PART_BYTES", 5 << 20)
    path, again = tmp_path / "large", tmp_path / "again"
    path.write_bytes(bytes(range(256)) * (50 << 10))  # 12.5 MiB
    assert bucket.create("created/in-parts", path)
    assert bucket.fetch("created/in-parts", again)
    assert again.read_bytes() == path.read_bytes()
    path.write_bytes(b"x" * (6 << 20))
    assert not bucket.create("created/in-parts", path)
    assert bucket.fetch("created/in-parts", path)
    assert path.read_bytes() == again.read_bytes()


def test_the_version_that_was_dropped_is_fetched(
    aws: LocalAws, bucket: BucketObjects, tmp_path: Path
) -> None:
    s3, path = aws.client("s3"), tmp_path / "parts.csv"
    versions = [
        s3.put_object(Bucket=BUCKET, Key="incoming/t/parts.csv", Body=body)["VersionId"]
        for body in (b"first", b"second")
    ]
    for version, content in zip(versions, (b"first", b"second"), strict=True):
        assert bucket.fetch("incoming/t/parts.csv", path, version)
        assert path.read_bytes() == content
    assert bucket.fetch("incoming/t/parts.csv", path)
    assert path.read_bytes() == b"second"


@pytest.mark.parametrize("in_parts_from", [1 << 20, 1], ids=["whole", "in-parts"])
def test_what_is_dropped_is_known_by_its_own_version(
    bucket: BucketObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_parts_from: int
) -> None:
    monkeypatch.setattr(bucket_objects, "IN_PARTS_FROM", in_parts_from)
    key, path = f"incoming/t/own-{in_parts_from}.csv", tmp_path / "own.csv"
    path.write_bytes(b"own")
    version = bucket.drop(key, path)
    bucket.write(key, b"another's")
    path.unlink()
    assert bucket.fetch(key, path, version)
    assert path.read_bytes() == b"own"
    assert bucket.version_of(key) != version


def test_more_keys_than_a_page_has_are_listed(aws: LocalAws, bucket: BucketObjects) -> None:
    for number in range(1005):
        bucket.write(f"pages/{number:06}", b"")
    assert list(bucket.keys("pages/")) == [f"pages/{number:06}" for number in range(1005)]


def test_a_bucket_that_is_not_there_is_a_sentence(aws: LocalAws, tmp_path: Path) -> None:
    missing, path = BucketObjects(aws.client("s3"), "no-such-bucket"), tmp_path / "file"
    path.write_text("x")
    for action in (
        lambda: missing.read("a"),
        lambda: missing.write("a", b""),
        lambda: missing.put("a", path),
        lambda: missing.drop("a", path),
        lambda: missing.create("a", path),
        lambda: list(missing.keys("a")),
    ):
        with pytest.raises(PromptHubError, match=r"s3://no-such-bucket/a cannot be ") as error:
            action()
        assert error.value.exit_code is ExitCode.NOT_MEASURED


@pytest.fixture
def container(aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment of a container says."""
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
        aws_names.ENV_ROOT: str(build(tmp_path / "repository").root),
        aws_names.ENV_RECORDS_BUCKET: BUCKET,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)


@pytest.mark.usefixtures("container")
def test_a_dropped_file_is_answered_and_its_end_is_told_once(
    aws: LocalAws, bucket: BucketObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of the containers, one after the other, on S3, EventBridge and SNS."""
    messages, events = Queue(aws, "records-messages"), Queue(aws, "records-events")
    topic = aws.client("sns").create_topic(Name="records-told")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=messages.arn)
    rule = {"source": [aws_names.records_source()]}
    aws.client("events").put_rule(Name="records-answered", EventPattern=json.dumps(rule))
    aws.client("events").put_targets(
        Rule="records-answered", Targets=[{"Id": "queue", "Arn": events.arn}]
    )
    monkeypatch.setenv(aws_names.ENV_TOPIC_ARN, topic)
    key, model = "incoming/part-class/parts.csv", Model()
    version = aws.client("s3").put_object(
        Bucket=BUCKET, Key=key, Body=(HEADER + "".join(ROWS)).encode()
    )["VersionId"]
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"another file since")

    of_run = ["--task", "part-class", "--run", "r"]
    with serving(model.respond) as url:
        alias = {"provider": "openai", "model": "small", "base_url": f"{url}/v1"}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps({"catalogue-pinned": alias}))
        for _ in range(2):
            plan = ["--key", key, "--version-id", version, "--run", "r", "--shard-records", "2"]
            assert main(["records", "plan", *plan]) == ExitCode.OK
            for shard in ("0", "1"):
                assert main(["records", "answer", *of_run, "--shard", shard]) == ExitCode.OK
            assert main(["records", "merge", *of_run]) == ExitCode.OK
        assert len(model.asked) == 3

        refused = ["--key", "incoming/part-class/wrong.csv", "--run", "refused"]
        bucket.write("incoming/part-class/wrong.csv", b"a,b\n1,2\n")
        for _ in range(2):
            assert main(["records", "plan", *refused]) == ExitCode.BLOCKED
        of_no_task = ["--key", "incoming/parts.csv", "--run", "nobody"]
        assert main(["records", "plan", *of_no_task]) == ExitCode.BLOCKED

    manifest = read_manifest(bucket, "part-class", "r")
    assert manifest is not None
    assert (manifest.records, manifest.answered, manifest.shards) == (3, 3, 2)
    assert manifest.source.uri == f"s3://{BUCKET}/{key}"
    (output,) = manifest.outputs
    lines = bucket.read(output.uri.removeprefix(f"s3://{BUCKET}/"))
    assert lines is not None
    assert [json.loads(line)["record"] for line in lines.splitlines()] == [1, 2, 3]
    assert list(bucket.keys("index/part-class/")) == ["index/part-class/1.1.0/r.json"]

    (event,) = events.receive(1)
    assert event["detail-type"] == aws_names.EVENT_RECORDS_ANSWERED
    assert event["detail"] == {
        "task": "part-class",
        "run": "r",
        "manifest": "runs/part-class/r/manifest.json",
        "records": 3,
        "answered": 3,
        "failed": 0,
        "usd": None,
        "repair_of": None,
    }
    answered, told, homeless = messages.receive(3)
    assert answered["Subject"] == "prompt-hub: part-class: 3 records answered"
    assert told["Subject"] == "prompt-hub: records refused"
    assert "wrong.csv: no column for the field 'part_number'" in told["Message"]
    assert "'incoming/parts.csv' names no task" in homeless["Message"]


@pytest.mark.usefixtures("container")
def test_a_file_of_this_machine_is_answered_by_a_stage(
    aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(remote_run, "POLL_SECONDS", 0.05)
    name = aws_names.records_bucket("dev", ACCOUNT)
    monkeypatch.setenv(aws_names.ENV_RECORDS_BUCKET, name)
    s3, model = aws.client("s3"), Model()
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    source, output = tmp_path / "mine.csv", tmp_path / "out.jsonl"
    source.write_text(HEADER + "".join(ROWS) + "too,short\n")
    key = f"{aws_names.INCOMING}part-class/mine.csv"
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    with serving(model.respond) as url, ThreadPoolExecutor() as pool:
        alias = {"provider": "openai", "model": "small", "base_url": f"{url}/v1"}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps({"catalogue-pinned": alias}))
        command = ["run", "part-class", str(source), str(output), "--stage", "dev"]
        following = pool.submit(main, command)
        dropped = BucketObjects(s3, name)
        eventually(lambda: dropped.version_of(key), seconds=10, what="the dropped file")
        version = str(dropped.version_of(key))
        # What the state machine does.
        run = ["--task", "part-class", "--run", name_run(key, version)]
        plan = ["--key", key, "--version-id", version, "--shard-records", "2"]
        assert main(["records", "plan", *plan]) == ExitCode.OK
        for shard in ("0", "1"):
            assert main(["records", "answer", *run, "--shard", shard]) == ExitCode.OK
        assert main(["records", "merge", *run]) == ExitCode.OK
        assert following.result(timeout=30) == ExitCode.BLOCKED  # one record failed

        again = tmp_path / "again.jsonl"
        address = f"s3://{name}/{key}"
        follow = f"prompt-hub run part-class {address} {output} --version-id {version} --stage dev"
        assert f"to follow it again: {follow}" in capsys.readouterr().err
        # Somebody drops another file of this name.
        s3.put_object(Bucket=name, Key=key, Body=HEADER.encode())
        of_then = ["--version-id", version]
        assert main(["run", "part-class", address, str(again), *of_then]) == ExitCode.BLOCKED

        refused = pool.submit(main, ["run", "part-class", str(wrong), str(again), "--stage", "dev"])
        other = f"{aws_names.INCOMING}part-class/wrong.csv"
        eventually(lambda: dropped.version_of(other), seconds=10, what="the wrong file")
        plan = ["--key", other, "--version-id", str(dropped.version_of(other))]
        assert main(["records", "plan", *plan]) == ExitCode.BLOCKED
        assert refused.result(timeout=30) == ExitCode.BLOCKED
    lines = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [line["record"] for line in lines] == [1, 2, 3, 4]
    assert again.read_bytes() == output.read_bytes()
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())
    assert (manifest["records"], manifest["failed"]) == (4, 1)


@pytest.mark.usefixtures("container")
def test_a_file_that_another_drops_under_the_same_name_is_not_taken_for_ones_own(
    aws: LocalAws,
    bucket: BucketObjects,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    s3, own = aws.client("s3"), tmp_path / "parts.csv"
    own.write_text("own")

    def drop_another(parsed: dict[str, str], **_: object) -> None:
        s3.meta.events.unregister("after-call.s3.PutObject", drop_another)
        key = f"{aws_names.INCOMING}part-class/parts.csv"
        another = s3.put_object(Bucket=BUCKET, Key=key, Body=b"another's")
        for reason, version in (("own", parsed["VersionId"]), ("other", another["VersionId"])):
            run = name_run(key, version)
            refusal = Refusal(
                schema_="prompt-hub/run-refusal@1",
                run=run,
                task="part-class",
                reason=reason,
                at=datetime.now(UTC),
            )
            refused = aws_names.run_key("part-class", run, REFUSED)
            bucket.write(refused, refusal.to_json().encode())

    s3.meta.events.register("after-call.s3.PutObject", drop_another)
    monkeypatch.setattr(remote_run, "stage_bucket", lambda stage: BucketObjects(s3, BUCKET))
    command = ["run", "part-class", str(own), str(tmp_path / "out.jsonl"), "--stage", "dev"]
    assert main(command) == ExitCode.BLOCKED
    assert "refused: own" in capsys.readouterr().err


def failing_machine(aws: LocalAws, name: str, error: str = "Mine") -> str:
    machine: str = aws.client("stepfunctions").create_state_machine(
        name=name,
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/any",
        definition=json.dumps(
            {"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": error, "Cause": "x"}}}
        ),
    )["stateMachineArn"]
    return machine


@pytest.mark.usefixtures("container")
def test_who_follows_a_run_hears_that_it_failed_before_its_first_container_ran(
    aws: LocalAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No word of the execution is in the run's folder: its input has the file."""
    monkeypatch.setattr(remote_run, "POLL_SECONDS", 0.05)
    s3, states = aws.client("s3"), aws.client("stepfunctions")
    name = aws_names.records_bucket("early", ACCOUNT)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    machine = failing_machine(aws, aws_names.records_state_machine("early"))
    key = "incoming/part-class/early.csv"
    version = s3.put_object(Bucket=name, Key=key, Body=b"a")["VersionId"]
    of_others = [(key, "another"), ("incoming/part-class/other.csv", version)]
    for of_key, of_version in [(key, version), *of_others]:
        event = {"detail": {"object": {"key": of_key, "version-id": of_version}}}
        states.start_execution(stateMachineArn=machine, input=json.dumps(event))
    command = ["run", "part-class", f"s3://{name}/{key}", str(tmp_path / "out.jsonl")]
    assert main(command) == ExitCode.NOT_MEASURED
    said = capsys.readouterr().err
    assert "the run has ended as FAILED (Mine): arn:aws:states:" in said
    failed = said.split("FAILED (Mine): ")[1].split()[0].rstrip(".")
    given = states.describe_execution(executionArn=failed)["input"]
    assert json.loads(given)["detail"]["object"] == {"key": key, "version-id": version}


@pytest.mark.parametrize(
    ("error", "sentences"),
    [
        (
            "Mine",
            ["the run has ended as FAILED (Mine): {}.", "Have it go on", "then follow it again by"],
        ),
        (aws_names.NOT_PLANNED, ["the file was not planned", "{}.", "drop the file again"]),
    ],
)
@pytest.mark.usefixtures("container")
def test_who_follows_a_run_hears_that_it_failed(
    error: str,
    sentences: list[str],
    aws: LocalAws,
    bucket: BucketObjects,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(remote_run, "POLL_SECONDS", 0.05)
    states = aws.client("stepfunctions")
    machine = failing_machine(aws, f"records-that-fail-{error}", error)
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    key = f"incoming/part-class/failing-{error}.csv"
    bucket.write(key, b"a")
    run = name_run(key, str(bucket.version_of(key)))
    claim_run(bucket, "part-class", run, execution, tmp_path / "claim")
    command = ["run", "part-class", f"s3://{BUCKET}/{key}", str(tmp_path / "out.jsonl")]
    assert main(command) == ExitCode.NOT_MEASURED
    said = capsys.readouterr().err
    assert [each for each in sentences if each.format(execution) not in said] == []


@pytest.mark.usefixtures("container")
def test_a_shard_that_a_release_refuses_is_told_once_and_to_who_follows_the_run(
    aws: LocalAws,
    bucket: BucketObjects,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    messages = Queue(aws, "refused-shards")
    topic = aws.client("sns").create_topic(Name="refused-shards")["TopicArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=messages.arn)
    monkeypatch.setenv(aws_names.ENV_TOPIC_ARN, topic)
    machine = failing_machine(aws, "records-refused", "States.ExceedToleratedFailureThreshold")
    execution = aws.client("stepfunctions").start_execution(stateMachineArn=machine)
    key = "incoming/part-class/changed.csv"
    bucket.write(key, (HEADER + "".join(ROWS)).encode())
    version = str(bucket.version_of(key))
    run = name_run(key, version)
    plan = ["--key", key, "--version-id", version, "--run", run, "--shard-records", "2"]
    with serving(Model().respond) as url:
        alias = {"provider": "openai", "model": "small", "base_url": f"{url}/v1"}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps({"catalogue-pinned": alias}))
        planned = [*plan, "--execution", execution["executionArn"]]
        assert main(["records", "plan", *planned]) == ExitCode.OK
        answer = ["records", "answer", "--task", "part-class", "--run", run, "--shard"]
        assert main([*answer, "0"]) == ExitCode.OK
        metadata = tmp_path / "repository/prompts/03-metadata/part-class.yaml"
        metadata.write_text(metadata.read_text("utf-8").replace("[Brand]", "[Brand, Vendor]"))
        monkeypatch.setenv(aws_names.ENV_TOPIC_ARN, f"{topic}-that-is-away")
        assert main([*answer, "1"]) == ExitCode.NOT_MEASURED
        monkeypatch.setenv(aws_names.ENV_TOPIC_ARN, topic)
        for _ in range(2):
            assert main([*answer, "1"]) == ExitCode.BLOCKED
    capsys.readouterr()
    command = ["run", "part-class", f"s3://{BUCKET}/{key}", str(tmp_path / "out.jsonl")]
    assert main(command) == ExitCode.BLOCKED
    heard = capsys.readouterr().err
    (told,) = messages.receive(1)
    assert told["Subject"] == "prompt-hub: records refused"
    assert f"s3://{BUCKET}/{key}: shard 1 is refused" in told["Message"]
    for text in (heard, told["Message"]):
        assert "records of part-class are read in another way now" in text
        assert "in no redrive while this release runs. Drop the file" in text
        assert "Drop the file once more." in text
        assert f"s3://{BUCKET}/work/part-class/{run}/out/ until they expire" in text
    assert f"ended as FAILED: {execution['executionArn']}" in heard
    assert "Have it go on" not in heard

    # A refusal of before a redrive is not why that has failed.
    states = aws.client("stepfunctions")
    states.redrive_execution(executionArn=execution["executionArn"])
    assert main(command) == ExitCode.NOT_MEASURED
    assert "Have it go on" in capsys.readouterr().err
    assert main([*answer, "1"]) == ExitCode.BLOCKED
    assert main(command) == ExitCode.BLOCKED
    messages.receive(0)


class Queue:
    """A queue that keeps what is sent to it."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self._sqs = aws.client("sqs")
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def receive(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many messages, and see that there are no more."""
        found: list[dict[str, Any]] = []

        def take() -> bool:
            for message in self._sqs.receive_message(QueueUrl=self._url).get("Messages", []):
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            return len(found) >= count

        eventually(take, seconds=10, what=f"{count} messages")
        take()
        assert len(found) == count
        return found
