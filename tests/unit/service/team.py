"""A service of several workers: the real command, real processes, a ledger on a port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serve.ledger import TABLE, LedgerServer
from prompt_hub.release.manifest import Release, load
from tests.unit.building import RepositoryFolder
from tests.unit.service.fake_provider import FakeProvider, fake_provider
from tests.unit.service.serving import FIELDS, RUN

WORKERS = 2
PATIENCE_SECONDS = 60.0


@dataclass
class Team:
    """A service of several workers."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    ledger: LedgerServer
    provider: FakeProvider
    release: Release
    root: Path

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def run(self, **headers: str) -> dict[str, Any]:
        """One call on a connection of its own, which the system gives to any of the workers."""
        body = json.dumps({"fields": FIELDS}).encode()
        request = urllib.request.Request(self.url + RUN, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def workers(self) -> list[int]:
        pid = self.process.pid
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]
        return [line for line in lines if line["event"] == event]

    def move(self, version: str) -> None:
        """Move the pointer, and wait until one of the workers says that it has."""
        carried = self.release.tasks["part-class"].version(version)
        assert carried is not None
        revision = self.ledger.move("part-class", carried.reference)
        until(lambda: self.get("/v1/tasks")["ledger"]["revision"] == revision)


def until(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if true():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.02)


def environment(built: Path, provider: FakeProvider, ledger: LedgerServer) -> Mapping[str, str]:
    model = {"provider": "openai", "model": "small", "base_url": provider.url}
    aliases = ("catalogue-pinned", "catalogue-latest")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PROMPT_HUB_ROOT": str(built),
        "PROMPT_HUB_MODELS": json.dumps(dict.fromkeys(aliases, model)),
        "PROMPT_HUB_STAGE": "dev",
        "PROMPT_HUB_LEDGER_TABLE": TABLE,
        "AWS_ENDPOINT_URL": ledger.url,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }


@contextmanager
def started(
    healthy: RepositoryFolder, tmp_path: Path, free_port: int, **variables: str
) -> Iterator[Team]:
    """A team of its own environment."""
    release, log = load(healthy.root), tmp_path / "log.jsonl"
    with fake_provider() as provider, LedgerServer(release) as ledger, log.open("wb") as output:
        provider.says = '{"part_class": "resistor"}'
        words = ["--workers", str(WORKERS), "--port", str(free_port), "--poll-seconds", "0.05"]
        process = subprocess.Popen(
            [sys.executable, "-m", "prompt_hub.cli", "serve", *words],
            env={**environment(healthy.root, provider, ledger), **variables},
            stdout=output,
        )
        team = Team(
            f"http://127.0.0.1:{free_port}", process, log, ledger, provider, release, healthy.root
        )
        try:
            until(lambda: team.get("/readyz")["ready"])
            yield team
        finally:
            if process.poll() is None:
                process.terminate()
            assert process.wait(PATIENCE_SECONDS) in {0, 70}


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
