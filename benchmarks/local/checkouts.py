"""Fresh clones, and commands in them that are measured with everything they leave running."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.eval.measuring import ROOT, MeasurementError

LOGS = ROOT / ".local" / "bench-local"
_PR_SET_CHILD_SUBREAPER = 36
_END_SECONDS = 60.0
_TIME_LIMIT = re.compile(r"^E  .*(did not hold within|Timeout|[Tt]imed out)")
"""How pytest shows what our tests, `subprocess` and HTTP clients say when they give up."""
_OURS = frozenset({"PYTHONDONTWRITEBYTECODE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"})
"""What no person's shell says: to compile modules at every start, and what `make` tells its own."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one command took.

    `cpu` is user and system time of all that ran, its background processes included.
    """

    command: str
    wall: float
    cpu: float
    lines: tuple[tuple[float, str], ...]
    """What it printed, each line with the seconds since the start."""
    failure: str = ""
    """Why it failed, by its last lines; empty if it did not."""

    @property
    def gave_up(self) -> bool:
        """Whether tests failed because something did not happen in time: they took that time."""
        return bool(self.failure) and any(_TIME_LIMIT.search(line) for _, line in self.lines)

    def first(self, wanted: re.Pattern[str]) -> float:
        """Return when the first line was printed that has `wanted`; infinite if none was."""
        return next((at for at, line in self.lines if wanted.search(line)), float("inf"))


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A clone of one commit; what its runs make lies in `state`, outside of any repository."""

    name: str
    root: Path
    state: Path
    logs: Path
    """Where what the runs of `make` printed is kept, with seconds since the start."""

    def make(self, *words: str, and_stop: bool = False) -> Spent:
        """Run `make` with these words, measure it, and say what it took; failing is no error here.

        Background processes are counted only once they have ended: `and_stop` ends them, outside of
        the wall time. What it prints is kept in `logs`, for whoever asks why it failed.

        Raises:
            MeasurementError: they could not be ended.
        """
        command = f"make {' '.join(words)}"
        print(f"{time.strftime('%H:%M:%S')} {self.name}: {command} ...", flush=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        before, started = _children_seconds(), time.monotonic()
        lines: list[tuple[float, str]] = []
        log = self.logs / f"{time.strftime('%H%M%S')}-{words[-1]}.log"
        with (
            log.open("w", encoding="utf-8") as kept,
            self._running(*words, f"PYTHON={sys.executable}") as process,
            _reaping(process.pid),
        ):
            for line in process.stdout or ():
                at = time.monotonic() - started
                lines.append((at, line.rstrip()))
                kept.write(f"{at:8.1f} {line}")
                kept.flush()
        wall = time.monotonic() - started
        if and_stop:
            self.stop()
        failure = " / ".join(line for _, line in lines[-4:]) if process.returncode else ""
        cpu = _children_seconds() - before
        print(
            f"{time.strftime('%H:%M:%S')} {self.name}: {command}: {wall:.0f} s, {cpu:.0f} s of CPU"
            f"{f', FAILED: {failure} ({log})' if failure else ''}",
            flush=True,
        )
        return Spent(command=command, wall=wall, cpu=cpu, lines=tuple(lines), failure=failure)

    def stop(self) -> None:
        """Stop what runs in the background, and count its seconds.

        Raises:
            MeasurementError: it may run on, beside all that is measured next and uncounted.
        """
        with self._running("down") as process, _reaping(process.pid):
            told, _ = process.communicate()
        if process.returncode:
            last = " / ".join(told.splitlines()[-4:]) or "no output"
            raise MeasurementError(f"`make down` failed in the {self.name} tree: {last}")
        if not _all_buried():
            raise MeasurementError(
                f"something of the {self.name} tree runs on, {_END_SECONDS:.0f} s after `make down`"
            )

    def _running(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["make", *words],
            cwd=self.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in _OURS}
        return {**kept, "PROMPT_HUB_LOCAL_STATE": str(self.state)}


def adopt_orphans() -> None:
    """Become the parent of what children leave behind: their seconds are counted when they end.

    Raises:
        MeasurementError: not on Linux.
    """
    if not sys.platform.startswith("linux"):
        raise MeasurementError("background processes can be counted on Linux alone")
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def clone(commit: str, folder: Path) -> Checkout:
    """Clone `commit` of this repository into `folder`, as a person would who begins.

    Raises:
        MeasurementError: this clone has no such commit.
    """
    root = folder / "clone"
    for command in (
        ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(root)],
        ["git", "-C", str(root), "checkout", "--quiet", "-B", "main", commit],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MeasurementError(f"{commit} cannot be cloned: {done.stderr.strip()}")
    return Checkout(name=folder.name, root=root, state=folder / "state", logs=LOGS / folder.name)


def asserted(root: Path, folders: Sequence[str] = ("tests",)) -> int:
    """Count the assertions of the tests below `root`: `assert`, and `pytest.raises`."""
    files = [file for folder in folders for file in (root / folder).rglob("*.py")]
    words = ("assert ", "pytest.raises(", "with pytest.warns(")
    return sum(
        any(word in line for word in words)
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
    )


def _children_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _all_buried() -> bool:
    """Wait for what was told to end: a gigabyte is given back after `make down` has returned.

    What is buried later counts for what is measured next: 800 seconds of the tree before once did.
    """
    until = time.monotonic() + _END_SECONDS
    while time.monotonic() < until:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return True
        if ended is None:
            time.sleep(0.05)
    return False


def _reap(spared: int) -> None:
    """Bury the orphans that have ended, so that their seconds are counted; `spared` is not ours."""
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid == spared:
                return
            os.waitpid(ended.si_pid, 0)


@contextmanager
def _reaping(spared: int) -> Iterator[None]:
    """Bury orphans while a command runs, as init does: whoever looks for one finds it gone."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            _reap(spared)

    reaper = threading.Thread(target=work, daemon=True)
    reaper.start()
    try:
        yield
    finally:
        over.set()
        reaper.join()
