"""A stage of 500 tasks on a local AWS of its own, and the product's console that shows it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.eval.measuring import MeasurementError, last_words
from benchmarks.pages.tree import NEWEST
from benchmarks.results import ROOT
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import (
    ACTIVE,
    Event,
    EventKind,
    Notify,
    Pointer,
    ReleaseRef,
    ScoreSample,
    VersionRef,
    timestamp,
)
from prompt_hub.ledger.wire import pack

ACCOUNT, REGION, STAGE, INSTALLATION = "000000000000", "eu-central-1", "dev", "prompt-hub"
SAMPLES = 60
"""Scores of a task: what a row of *now* shows at most."""
BATCH = 25
"""Items that DynamoDB takes at once."""


@contextmanager
def local_aws(folder: Path, tasks: Sequence[str]) -> Iterator[dict[str, str]]:
    """Run a local AWS whose ledger knows `tasks`; yields the environment that leads there."""
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        aws_names.ENV_INSTALLATION: INSTALLATION,
    }
    settings = {"port": port, "state": str(folder / "cloud"), "permissions": "off"}
    (folder / "cloud.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "local_aws.cloud", "--settings", str(folder / "cloud.json")]
    with _running("local AWS", command, folder, environment, ROOT) as cloud:
        _await(cloud, f"{endpoint}/_ministack/health", folder / "local AWS.log")
        _fill(endpoint, tasks)
        yield environment


@contextmanager
def console(root: Path, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run `prompt-hub console` in a repository; yields its address, with the token."""
    command = [sys.executable, "-m", "prompt_hub.cli", "console", "--stage", STAGE, "--port", "0"]
    there = {**environment, aws_names.ENV_ROOT: str(root)}
    log = folder / "console.log"
    with _running("console", command, folder, there, folder) as process:
        while process.poll() is None:
            for line in log.read_text("utf-8").splitlines():
                if line.startswith("http://"):
                    yield line
                    return
    raise MeasurementError(f"the console ended:\n{last_words(log)}")


@contextmanager
def _running(
    name: str, command: Sequence[str], folder: Path, environment: dict[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            continue
    raise MeasurementError(f"the local AWS ended:\n{last_words(log)}")


def _fill(endpoint: str, tasks: Sequence[str]) -> None:
    """Write a ledger in which every task has scores, a release and a rollback behind it."""
    keys = (aws_names.LEDGER_PARTITION_KEY, aws_names.LEDGER_SORT_KEY)
    table = aws_names.ledger_table(STAGE)
    kinds = zip(keys, ("HASH", "RANGE"), strict=True)
    _ask(
        endpoint,
        "CreateTable",
        {
            "TableName": table,
            "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in kinds],
            "AttributeDefinitions": [{"AttributeName": k, "AttributeType": "S"} for k in keys],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    now = datetime.now(UTC)
    items = [item for number, task in enumerate(tasks) for item in _items(task, number, now)]
    puts = [
        {
            "PutRequest": {
                "Item": {
                    name: pack(value)
                    for name, value in {**dict(zip(keys, key, strict=True)), **content}.items()
                }
            }
        }
        for key, content in items
    ]
    for start in range(0, len(puts), BATCH):
        _ask(endpoint, "BatchWriteItem", {"RequestItems": {table: puts[start : start + BATCH]}})


def _items(
    task: str, number: int, now: datetime
) -> Iterator[tuple[tuple[str, str], dict[str, object]]]:
    active = VersionRef(version=NEWEST, sha256=f"{number:064}")
    before = VersionRef(version="1.0.0", sha256=f"{number + 1000:064}")
    began = now - timedelta(minutes=15 * SAMPLES)
    release = ReleaseRef(release="bench", made_at=timestamp(began))
    yield (
        (ACTIVE, task),
        Pointer(
            task=task,
            active=active,
            previous=before,
            frozen=False,
            revision=number + 1,
            changed_by="pipeline",
            reason="released",
            at=timestamp(began),
            release=release,
        ).to_attributes(),
    )
    for revision, (kind, left, reached) in enumerate(
        ((EventKind.ROLLED_BACK, active, before), (EventKind.ACTIVATED, before, active)), start=1
    ):
        event = Event(
            task=task,
            revision=2 * number + revision,
            kind=kind,
            left=left,
            reached=reached,
            by="pipeline",
            code="bench",
            reason=f"{left.version} is below its threshold: 0.58 of 0.80",
            at=timestamp(began + timedelta(minutes=revision)),
            notify=Notify.SENT,
        )
        yield event.key, event.to_attributes()
    for place in range(SAMPLES):
        score = 0.8 + (place * 7 + number) % 19 / 100
        sample = ScoreSample(
            task=task,
            version=NEWEST,
            score=score,
            threshold=0.8,
            n=48,
            interval=(score - 0.08, min(score + 0.05, 1.0)),
            evaluation=f"round-{place}",
            at=timestamp(began + timedelta(minutes=15 * place + 3)),
        )
        yield sample.key, sample.to_attributes()


def _ask(endpoint: str, operation: str, body: dict[str, object]) -> None:
    credential = f"{ACCOUNT}/20260101/{REGION}/dynamodb/aws4_request"
    request = urllib.request.Request(
        endpoint,
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            # Nobody checks it here; it says which service is meant.
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, Signature=none",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
