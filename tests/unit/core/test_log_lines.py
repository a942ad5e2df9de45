"""Log lines of several threads and processes: each is whole, however long it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prompt_hub.core import log_setup

_WRITERS = """
import os, signal, sys, threading
from prompt_hub.core.log_setup import share_output
from prompt_hub.service.execution_log import write_json_lines

share_output()
os.set_blocking(1, "BLOCKING" in os.environ)
# Signals come while a line is written, as one does that tells the service to stop.
signal.signal(signal.SIGALRM, lambda *_: None)
process = "first" if os.fork() else "second"
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

def write(thread):
    for number in range(25):
        write_json_lines({"from": f"{process} {thread}", "long": "x" * 150_000})

threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
for thread in threads:
    thread.start()
write(0)
for thread in threads:
    thread.join()
signal.setitimer(signal.ITIMER_REAL, 0)
if process == "first":
    os.wait()
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"BLOCKING": "1"}, id="buffered"),
        pytest.param({"BLOCKING": "1", "PYTHONUNBUFFERED": "1"}, id="unbuffered"),
        pytest.param({}, id="an output that lets nobody wait"),
    ],
)
def test_long_lines_stay_whole_whoever_writes_them(more: dict[str, str]) -> None:
    root = Path(log_setup.__file__).parents[2]
    environment = {"PYTHONPATH": str(root), **more}
    done = subprocess.run(
        [sys.executable, "-c", _WRITERS], env=environment, capture_output=True, check=True
    )
    written = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert Counter(line["from"] for line in written) == {
        f"{process} {thread}": 25 for process in ("first", "second") for thread in range(3)
    }
    assert {len(line["long"]) for line in written} == {150_000}


def test_the_time_of_a_line_is_that_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    # The same second twice, a whole one, and one before it: clocks are set back.
    for nanoseconds in (
        1_795_000_000_123_456_789,
        1_795_000_000_000_000_999,
        1_794_999_999 * 10**9,
    ):
        monkeypatch.setattr("time.time_ns", lambda now=nanoseconds: now)
        found = datetime.fromisoformat(log_setup.timestamp())
        assert found == datetime.fromtimestamp(nanoseconds // 10**9, UTC) + timedelta(
            microseconds=nanoseconds % 10**9 // 1000
        )
        assert len(log_setup.timestamp()) == len("2026-11-27T23:45:00.123456+00:00")
