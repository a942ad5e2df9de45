"""A caller's quota is one, however many workers answer: the real command, real processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from tests.unit.building import RepositoryFolder
from tests.unit.service.team import WORKERS, Team, free_port, started, until
from tests.unit.service.tokens import unsigned

__all__ = ["free_port"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share what Linux has")
SETTINGS = {
    "claim": "sub",
    "requests_per_minute": 30,
    "quotas": {},
    "tasks": 1,
    "own_port": aws_names.OWN_PORT,
}


@pytest.fixture
def stage(healthy: RepositoryFolder, tmp_path: Path, free_port: int) -> Iterator[Team]:
    variables = {aws_names.ENV_CALLERS: json.dumps(SETTINGS)}
    with started(healthy, tmp_path, free_port, **variables) as team:
        yield team


def ask(stage: Team, caller: str) -> str:
    """What comes of one call, on a connection of its own."""
    try:
        stage.run(Authorization=unsigned(sub=caller))
    except urllib.error.HTTPError as refused:
        with refused:
            return str(json.load(refused)["error"]["code"])
    return "ok"


@pytest.mark.processes
def test_a_quota_is_that_of_all_workers_together(stage: Team) -> None:
    def sixty() -> Counter[str]:
        with ThreadPoolExecutor(8) as pool:
            return Counter(pool.map(ask, [stage] * 60, ["greedy"] * 60))

    until(lambda: len(stage.workers()) == WORKERS)
    began = time.monotonic()
    first = sixty()
    assert first.keys() == {"ok", "over_quota"}
    # A burst of five, and one in two seconds: of two workers that know nothing of each other each
    # would let five through.
    assert 5 <= first["ok"] <= 5 + (time.monotonic() - began) / 2 + 1
    assert ask(stage, "modest") == "ok"
    # One that dies takes nobody's quota with it.
    time.sleep(2.5)
    before = stage.workers()
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(stage.workers()) == WORKERS and stage.workers() != before)
    answered = first["ok"] + sixty()["ok"]
    assert answered <= 5 + (time.monotonic() - began) / 2 + 1
    said = [line["caller"] for line in stage.lines("caller_over_quota")]
    assert 1 <= len(said) <= 2 * WORKERS
    assert set(said) == {"greedy"}
    until(lambda: len(stage.lines("prompt_call")) == answered + 1)
    callers = Counter(line["caller"] for line in stage.lines("prompt_call"))
    assert callers == {"greedy": answered, "modest": 1}
