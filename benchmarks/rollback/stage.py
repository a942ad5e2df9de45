"""A stage on a local AWS of its own: ledger, alarms and function as CDK deploys them, a service."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from aws_cdk import App

from benchmarks.rollback.repository import NEW, OLD
from cdk_app.settings import CONTEXT_KEY, Settings
from cdk_app.tasks import read_tasks
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import Deployed, timestamp
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.release.manifest import Release
from stacks.ledger import LedgerStack
from stacks.rollback import RollbackStack

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"
NOBODY = "http://127.0.0.1:9"
"""An endpoint at which nobody listens: the discard port."""


class DrillError(Exception):
    """Why there is no number: one sentence."""


class DrillStage:
    """A context manager: the local AWS and the service run inside it."""

    def __init__(self, folder: Path, repository: Path, models: str, poll_seconds: float) -> None:
        self._folder = folder
        self._repository = repository
        context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
        self._settings = Settings.from_context(context[CONTEXT_KEY])
        self.stage = self._settings.stages[0]
        self._ports = [_free_port(), _free_port()]
        self._poll_seconds = poll_seconds
        self._running: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._ports[0]}",
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": self._settings.region,
            "AWS_DEFAULT_REGION": self._settings.region,
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            aws_names.ENV_ROOT: str(repository),
            aws_names.ENV_MODELS: models,
            aws_names.ENV_STAGE: self.stage.name,
            aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table(self.stage.name),
        }

    def __enter__(self) -> Self:
        try:
            self._start_cloud()
            self._deploy()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def serve(self, release: Release) -> Ledger:
        """Make every newer version active, with the older one as its way back, and serve them."""
        # botocore reads the environment: this process talks to the local AWS and to nothing else.
        os.environ.update(self.environment)
        ledger = Ledger.connect(aws_names.ledger_table(self.stage.name))
        at = timestamp(datetime.now(UTC))
        cause = Cause(by="drill", reason="the drill begins", at=at)
        ledger.deploy(
            Deployed(
                release=release.reference, commit=release.commit, carries=release.carries(), at=at
            ),
            by="drill",
        )
        for name, task in release.tasks.items():
            new, old = task.version(NEW), task.version(OLD)
            assert new is not None
            assert old is not None
            ledger.seed(
                name,
                new.reference,
                previous=old.reference,
                release=release.reference,
                cause=cause,
            )
        port = self._ports[1]
        poll = ["--poll-seconds", str(self._poll_seconds)]
        self._start("service", [*_HUB, "serve", "--port", str(port), *poll])
        self._await(f"http://127.0.0.1:{port}/readyz", "service")
        return ledger

    def measure(self, task: str, *, by_alarm_alone: bool) -> subprocess.Popen[bytes]:
        """Start a round of the score watch; by the alarm alone, it does not reach the function."""
        extra = {"AWS_ENDPOINT_URL_LAMBDA": NOBODY} if by_alarm_alone else {}
        return self._start(f"watch-{task}", [*_HUB, "watch", task], extra)

    def answering_version(self, task: str) -> str:
        """Return the version that answers a real request."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._ports[1]}/v1/tasks/{task}/run",
            data=json.dumps({"fields": {"word": "word-0"}}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return str(json.loads(response.read())["version"])

    def _start_cloud(self) -> None:
        settings = self._folder / "cloud.json"
        cloud = {
            "port": self._ports[0],
            "state": str(self._folder / "cloud"),
            "account": ACCOUNT,
            "region": self._settings.region,
            "overrides": {
                name: value for name, value in self.environment.items() if name.startswith("AWS_")
            },
        }
        settings.write_text(json.dumps(cloud), encoding="utf-8")
        command = [sys.executable, "-m", "local_aws.cloud", "--settings", str(settings)]
        self._start("cloud", command)
        self._await(f"http://127.0.0.1:{self._ports[0]}/_ministack/health", "cloud")

    def _deploy(self) -> None:
        """Deploy the product's own stacks, with an alarm for each of the drill's tasks."""
        out = self._folder / "cdk.out"
        app = App(outdir=str(out), analytics_reporting=False)
        ledger = LedgerStack(app, "Ledger", stage=self.stage)
        rollback = RollbackStack(
            app,
            "Rollback",
            settings=self._settings,
            stage=self.stage,
            tasks=read_tasks(self._repository),
            root=ROOT,
        )
        rollback.add_stack_dependency(ledger)
        app.synth()
        cdk = str(ROOT / "node_modules" / ".bin" / "cdk")
        where = f"aws://{ACCOUNT}/{self._settings.region}"
        self._run([cdk, "bootstrap", where])
        self._run([cdk, "deploy", "--all", "--app", str(out), "--require-approval", "never"])

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            list(command),
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DrillError(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-2000:]}")

    def _start(
        self, name: str, command: Sequence[str], extra: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env={**self.environment, **(extra or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._running.append(process)
        return process

    def _await(self, url: str, name: str) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise DrillError(f"the {name} did not come up; see {self._folder / name}.log")
            time.sleep(0.2)

    def _stop(self) -> None:
        for process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


_HUB = [sys.executable, "-m", "prompt_hub.cli"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast(int, probe.getsockname()[1])
