"""Several workers serve as one: the real command, real processes, a ledger on a port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.unit.building import RepositoryFolder
from tests.unit.service.team import PATIENCE_SECONDS, WORKERS, Team, free_port, started, until

__all__ = ["free_port"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers share what Linux has")


@pytest.fixture
def team(healthy: RepositoryFolder, tmp_path: Path, free_port: int) -> Iterator[Team]:
    with started(healthy, tmp_path, free_port) as team:
        yield team


def test_a_change_of_one_pointer_reaches_every_worker_at_once(team: Team) -> None:
    for version in ("1.0.0", "1.1.0", "1.0.0"):
        team.move(version)
        # Once one of them has it, no call on any of them is answered by the version before.
        assert {team.run()["version"] for _ in range(24)} == {version}
    team.process.terminate()
    assert team.process.wait(PATIENCE_SECONDS) == 0
    calls = team.lines("prompt_call")
    assert len(calls) == 72
    assert len({call["instance"] for call in calls}) == 1
    moves = [line["reached"] for line in team.lines("pointer_moved") if line["left"]]
    assert moves == ["1.0.0", "1.1.0", "1.0.0"], "the ledger is followed once, not by each"
    assert len(team.lines("started")) == len(team.lines("stopped")) == 1


def test_the_first_call_of_a_worker_waits_for_no_library(team: Team) -> None:
    before = {pid: libraries(pid) for pid in team.workers()}
    for _ in range(24):
        team.run()
    assert {pid: libraries(pid) for pid in team.workers()} == before


def libraries(process: int) -> set[str]:
    """What a process has loaded that is compiled."""
    mapped = Path(f"/proc/{process}/maps").read_text("utf-8").split()
    return {Path(word).name for word in mapped if word.startswith("/") and ".so" in word}


def test_a_call_in_flight_is_answered_when_the_service_is_told_to_stop(team: Team) -> None:
    team.run()
    team.provider.delay_seconds = 1.0
    with ThreadPoolExecutor(8) as pool:
        asked = len(team.provider.asked)
        calls = [pool.submit(team.run) for _ in range(8)]
        until(lambda: len(team.provider.asked) == asked + 8)
        team.process.terminate()
        assert {call.result(30)["version"] for call in calls} == {"1.1.0"}
    assert team.process.wait(PATIENCE_SECONDS) == 0


def test_a_worker_that_dies_is_replaced_and_knows_the_pointers(team: Team) -> None:
    team.move("1.0.0")
    until(lambda: time.monotonic() > 0 and len(team.workers()) == WORKERS)
    time.sleep(2.5)  # One that dies at once would only die again.
    before = team.workers()
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(team.workers()) == WORKERS and team.workers() != before)
    assert {team.run()["version"] for _ in range(24)} == {"1.0.0"}
    team.move("1.1.0")
    assert {team.run()["version"] for _ in range(24)} == {"1.1.0"}
    assert [line["status"] for line in team.lines("worker_lost")] == [-signal.SIGKILL]


def test_a_worker_that_dies_is_replaced_at_once_though_the_ledger_hangs(team: Team) -> None:
    until(lambda: len(team.workers()) == WORKERS)
    time.sleep(2.5)  # One that dies at once would only die again.
    with team.ledger.hanging() as asked:
        assert asked.wait(10)  # The look has begun, and will last for three attempts.
        before = team.workers()
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(team.workers()) == WORKERS and team.workers() != before)
        assert not team.lines("ledger_lost"), "the look has not ended"
        assert {team.run()["version"] for _ in range(24)} == {"1.1.0"}
        # And who is told to stop stops.
        os.kill(team.workers()[0], signal.SIGKILL)
        until(lambda: len(team.lines("worker_lost")) == 2)
        team.process.terminate()
        assert team.process.wait(8) == 0


def test_a_version_that_is_damaged_since_the_start_is_refused_by_all(team: Team) -> None:
    file = team.root / "prompts/99-archive/part-class/1.0.0.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("role: user", "role: system", 1), "utf-8")
    team.move("1.0.0")
    assert {team.run()["version"] for _ in range(8)} == {"1.1.0"}
    refused = team.get("/v1/tasks")["refused"]
    assert [(each["task"], each["version"]) for each in refused] == [("part-class", "1.0.0")]
    assert team.lines("pointer_refused")[0]["kept"] == "1.1.0"

    file.write_text(text, "utf-8")
    team.move("1.0.0")
    answers = [team.run() for _ in range(8)]
    carried = team.release.tasks["part-class"].version("1.0.0")
    assert carried is not None
    assert {each["sha256"] for each in answers} == {carried.sha256}


def lives(pid: int) -> bool:
    """Whether a process runs; where no init buries orphans, one that ended stays a zombie."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return not told.rpartition(")")[2].startswith(" Z")


def test_workers_stop_when_nobody_follows_the_ledger_for_them(team: Team) -> None:
    workers = team.workers()
    team.process.kill()
    team.process.wait()
    until(lambda: not any(map(lives, workers)))
    team.process.returncode = 0


_ONE_IS_STUCK = """
import os, signal, socket, threading, time
from prompt_hub.ledger.items import VersionRef
from prompt_hub.release.carried import CarriedHashes
from prompt_hub.release.ledger_poller import ServedVersion, ServingState
from prompt_hub.service import workers
from prompt_hub.service.shared_state import SharedMemory

workers._STUCK_SECONDS, workers._SHORTEST_LIFE_SECONDS = 0.5, 0.0
version = ServedVersion(
    reference=VersionRef(version="1", sha256="1"), source="ledger", revision=7
)

after = ServingState(revision=7, served={f"t{n}": version for n in range(300)})

class Poller:
    state = ServingState()
    release = CarriedHashes(release="r", carries={}, champions={}, snapshot={})

    def run(self, every_seconds, stop, alone):
        self.state = after

class Prompts:
    def prepare(self, task, version):
        return b"x" * 4000

def serve(place, listener, followed):
    if place == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    threading.Thread(target=followed.run, args=(0.1, threading.Event()), daemon=True).start()
    while followed.state.revision != 7:
        time.sleep(0.01)
    os.write(1, b"followed\\n")

sockets = [socket.socket(), socket.socket()]
workers.Supervisor(Poller(), SharedMemory(2, []), sockets, serve, Prompts()).run(0.05)
"""


def test_a_worker_that_is_stuck_keeps_a_long_change_from_no_other() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _ONE_IS_STUCK], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    patience = threading.Timer(PATIENCE_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    patience.start()
    try:
        assert process.stdout.readline() == b"followed\n"
    finally:
        patience.cancel()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
