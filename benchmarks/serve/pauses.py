"""What a change of pointers costs the calls: the longest pause of a worker's event loop.

Supervisor, worker, pipe, poller and ledger are those of a service; in the place of its server the
worker runs a loop that looks at the pointers all the time, as calls would. Windows with a change
and without one take turns. A pause is counted in CPU time of the worker's process: what other
programs of the machine take from it is no pause of ours.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.eval.measuring import ROOT, MeasurementError
from benchmarks.results import Ratio
from benchmarks.serve.ledger import LedgerServer
from prompt_hub.cli.serve import COLLECT_AFTER, SWITCH_SECONDS
from prompt_hub.ledger.table import Ledger
from prompt_hub.release.carried import PARSED, CarriedPrompts, carried_hashes, carried_prompts
from prompt_hub.release.ledger_poller import LedgerPoller
from prompt_hub.release.manifest import Release
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.service.metrics import LogsAndMetrics
from prompt_hub.service.shared_state import FollowedState, SharedMemory
from prompt_hub.service.workers import Supervisor, listeners

WINDOWS = 10
"""So many with each change, and as many without."""
_AFTER_SECONDS = 0.5
"""How long a window lasts after its change is shown."""
_LONGEST_SECONDS = 60.0
_POLL_SECONDS = 0.1
_SHORTEST = 0.0002
"""Pauses that are written down."""

MOST_MS = 1.0
"""What a pointer may cost the call that meets its change."""
MOST_MS_OF_MANY = 5.0
"""What a thousand that move in one go may: no more than the service may add to every call."""

Longest = tuple[float, float]
"""The longest pause of a window: milliseconds of CPU time, and those on the clock."""
Pause = tuple[float, float, float]
"""When it ended, its seconds of CPU time, and those on the clock."""


def measure(
    folder: Path,
    root: Path,
    release: Release,
    settings: dict[str, str],
    moves: Sequence[Sequence[str]],
) -> list[Ratio]:
    """Move the pointers of each of `moves` to and fro; find the longest pause of each window."""
    written = folder / "pauses.json"
    with LedgerServer(release) as ledger:
        environment = {**settings, "AWS_ENDPOINT_URL": ledger.url}
        command = [sys.executable, "-m", "benchmarks.serve.pauses", str(root), str(written)]
        # Each pointer that moves is a line of its log: twenty thousand of them.
        watched = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
        )
        try:
            _await(written.with_suffix(".ready"), watched)
            windows = _windows(ledger, release, moves, written.with_suffix(".shown"))
        finally:
            watched.send_signal(signal.SIGTERM)
            watched.wait(60)
    pauses: list[Pause] = [tuple(each) for each in json.loads(written.read_text("utf-8"))]
    longest: dict[tuple[int, bool], list[Longest]] = defaultdict(list)
    for began, ended, moved, changed in windows:
        inside = [pause for pause in pauses if began < pause[0] <= ended]
        cpu, clock = (max((p[unit] for p in inside), default=0.0) * 1000 for unit in (1, 2))
        longest[moved, changed].append((cpu, clock))
    return [_ratio(moved, longest[moved, True], longest[moved, False]) for moved in map(len, moves)]


def _ratio(moved: int, changed: Sequence[Longest], unchanged: Sequence[Longest]) -> Ratio:
    (cpu, clock), still = _medians(changed), _medians(unchanged)
    most = max(window[0] for window in changed)
    what = "one pointer moves" if moved == 1 else f"{moved:,} pointers move at once"
    return Ratio(
        name=f"ms that the longest pause is longer while {what}",
        value=cpu - still[0],
        limit=MOST_MS if moved == 1 else MOST_MS_OF_MANY,
        at_most=True,
        measured=f"{cpu:.2f} ms of CPU (at most {most:.2f}), {clock:.2f} on the clock",
        beside=f"no change: {still[0]:.2f} ms of CPU, {still[1]:.2f} on the clock",
        runs=len(changed),
    )


def _medians(windows: Sequence[Longest]) -> Longest:
    return statistics.median(w[0] for w in windows), statistics.median(w[1] for w in windows)


def _windows(
    ledger: LedgerServer, release: Release, moves: Sequence[Sequence[str]], shown: Path
) -> list[tuple[float, float, int, bool]]:
    """Let time pass; a window without a change lasts as long as the one before, with one.

    Returns begin and end of each, how many pointers are moved, and whether it was in this window.
    """
    windows = []
    for turn in range(WINDOWS):
        for names in moves:
            versions = {name: release.tasks[name].versions for name in names}
            place = 0 if turn % 2 else -1
            began = time.monotonic()
            revision = ledger.move_all({name: versions[name][place].reference for name in names})
            while not shown.exists() or shown.read_text("ascii") != str(revision):
                if time.monotonic() - began > _LONGEST_SECONDS:
                    raise MeasurementError("a change of pointers was not shown")
                time.sleep(0.01)
            time.sleep(_AFTER_SECONDS)
            ended = time.monotonic()
            time.sleep(ended - began)
            moved = len(names)
            windows += [(began, ended, moved, True), (ended, time.monotonic(), moved, False)]
    return windows


def _await(file: Path, process: subprocess.Popen[bytes]) -> None:
    while not file.exists():
        if process.poll() is not None:
            raise MeasurementError("the worker whose pauses are measured did not start")
        time.sleep(0.05)


def watch(root: Path, written: Path) -> None:
    """Serve as a supervisor with one worker, which writes its pauses down when it is told to stop.

    Threads, collections and what is loaded before the fork are as `prompt-hub serve` has them.
    """
    repository, release = PromptRepository(root), carried_hashes(root)
    prompts = carried_prompts(repository, release)
    poller = LedgerPoller(
        release, Ledger.from_environment(), LogsAndMetrics.connect("bench"), prompts
    )
    memory = SharedMemory(1, [])
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)

    def serve(place: int, listener: socket.socket, state: FollowedState) -> None:
        state.prompts = prompts
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        threading.Thread(target=state.run, args=(_POLL_SECONDS, stop), daemon=True).start()
        pauses = asyncio.run(_look(state, prompts, stop, written))
        written.write_text(json.dumps(pauses), encoding="utf-8")

    Supervisor(poller, memory, listeners("127.0.0.1", 0, 1), serve, prompts).run(_POLL_SECONDS)


async def _look(
    state: FollowedState, prompts: CarriedPrompts, stop: threading.Event, written: Path
) -> list[Pause]:
    """Look up the active prompt of one task after another until told to stop.

    They are no more than a service holds parsed: unpacking one more is every window's business.
    What is shown is told in a file, which belongs to no pause.
    """
    pauses: list[Pause] = []
    while not state.state.ready:
        await asyncio.sleep(0.01)
    tasks = sorted(state.state.served)[:PARSED]
    written.with_suffix(".ready").touch()
    turn, revision = 0, state.state.revision
    cpu, clock = time.process_time(), time.monotonic()
    while not stop.is_set():
        turn += 1
        name = tasks[turn % len(tasks)]
        prompts[name, state.state.served[name].reference.version]
        await asyncio.sleep(0)
        cpu_now, now = time.process_time(), time.monotonic()
        if cpu_now - cpu > _SHORTEST or now - clock > _SHORTEST:
            pauses.append((now, cpu_now - cpu, now - clock))
        cpu, clock = cpu_now, now
        if state.state.revision != revision:
            revision = state.state.revision
            written.with_suffix(".shown").write_text(str(revision), "ascii")
            cpu, clock = time.process_time(), time.monotonic()
    return pauses


if __name__ == "__main__":
    watch(Path(sys.argv[1]), Path(sys.argv[2]))
