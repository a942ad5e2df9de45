"""The real emulator, extensions included, as a process of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from prompt_hub.core import aws_names

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"
SECRET = "local"
"""Of the account itself, which may do everything; asked for where permissions are."""
REGION = "eu-central-1"
START_SECONDS = 60.0
STOP_SECONDS = 60.0
"""Against hanging; beside other work it takes longer than alone."""

T = TypeVar("T")


def free_port() -> int:
    """A loopback port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(
    probe: Callable[[], T], *, seconds: float = 60.0, every: float = 0.1, what: str = "condition"
) -> T:
    """Call `probe` until it answers something true and return that; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        time.sleep(every)


@dataclass(kw_only=True)
class LocalAws:
    """One emulator process on a free loopback port with a state folder of its own."""

    state: Path
    overrides: Mapping[str, str] = field(default_factory=dict)
    repositories: Mapping[str, Path] = field(default_factory=dict)
    issuers: Mapping[str, str] = field(default_factory=dict)
    permissions: str = "off"
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs in order to talk to this emulator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    @property
    def log(self) -> Path:
        return self.state / "test-emulator.log"

    def start(self) -> None:
        """Start the emulator and wait until it answers."""
        self.state.mkdir(parents=True, exist_ok=True)
        settings = self.state / "test-settings.json"
        settings.write_text(
            json.dumps(
                {
                    "port": self.port,
                    "state": str(self.state),
                    "account": ACCOUNT,
                    "region": REGION,
                    "overrides": {**self.environment, **self.overrides},
                    "repositories": {name: str(where) for name, where in self.repositories.items()},
                    "issuers": dict(self.issuers),
                    "permissions": self.permissions,
                }
            ),
            encoding="utf-8",
        )
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local_aws.cloud", "--settings", str(settings)],
                cwd=ROOT,
                env=clean,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(self._answers, seconds=START_SECONDS, what="the emulator's health check")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Send `how` to the emulator and wait until the process has ended."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the emulator and start it again with the same port and state."""
        self.stop(how)
        self.start()

    def build_image(self, tag: str, files: Mapping[str, str], repository: str = "app") -> str:
        """Keep a released tree as `docker build` does here; returns the image's reference."""
        folder = self.state / "images" / repository / tag
        for name, text in files.items():
            file = folder / "tree" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        image = {
            "repository": repository,
            "tag": tag,
            "tree": str(folder / "tree"),
            "environment": sys.prefix,
        }
        (folder / "image.json").write_text(json.dumps(image), encoding="utf-8")
        return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{tag}"

    def function(
        self,
        name: str,
        source: str,
        *,
        runtime: str = "python3.13",
        role: str = "test",
        **environment: str,
    ) -> str:
        """Create the Lambda function `handler` of `source`; returns its ARN."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("function.py", source)
        created = self.client("lambda").create_function(
            FunctionName=name,
            Runtime=runtime,
            Role=f"arn:aws:iam::{ACCOUNT}:role/{role}",
            Handler="function.handler",
            Code={"ZipFile": buffer.getvalue()},
            Environment={"Variables": environment},
        )
        arn: str = created["FunctionArn"]
        return arn

    def total(
        self, namespace: str, metric: str, statistic: str = "Sum", **dimensions: str
    ) -> float:
        """The sum, over the last minutes, of a statistic of a metric; 0 without a value."""
        now = datetime.now(UTC)
        found = self.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - timedelta(minutes=15),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        return float(sum(point[statistic] for point in found))

    def client(self, service: str) -> Any:
        """A boto3 client of `service` that talks to this emulator only; made once, it is slow."""
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.endpoint,
                region_name=REGION,
                aws_access_key_id=ACCOUNT,
                aws_secret_access_key=SECRET,
                config=Config(retries={"total_max_attempts": 2}, s3={"addressing_style": "path"}),
            )
        return self.clients[service]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-4000:]
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as answer:
                healthy: bool = answer.status == 200
                return healthy
        except OSError:
            return False


def create_table(aws: LocalAws, name: str) -> None:
    keys = (aws_names.LEDGER_PARTITION_KEY, aws_names.LEDGER_SORT_KEY)
    aws.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[
            {"AttributeName": key, "KeyType": kind}
            for key, kind in zip(keys, ("HASH", "RANGE"), strict=True)
        ],
        BillingMode="PAY_PER_REQUEST",
    )
