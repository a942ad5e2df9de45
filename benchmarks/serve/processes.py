"""Server processes: started, asked for what they cost, and ended with all that they started."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.eval.measuring import ROOT, MeasurementError, last_words

_TICKS = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 180.0


class Server:
    """One server with its process tree, which is a session of its own; a context manager."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        ready: str,
        folder: Path,
        cwd: Path = ROOT,
    ) -> None:
        self.name = name
        self._command = list(map(str, command))
        self._environment = dict(environment)
        self._ready = ready
        self._log = folder / f"{name.split()[0]}.log"
        self._cwd = cwd
        self.starts: list[tuple[float, float]] = []
        """Of each start until it was ready: seconds of CPU, and MB then."""
        self.start_seconds = 0.0
        self.started = False

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        began, self.started = time.monotonic(), True
        try:
            self._await()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began
        self.starts.append((self.cpu_seconds(), self.resident_mb()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def start_cpu(self) -> float:
        """Seconds of CPU from a start until it was ready: the median of its starts."""
        return statistics.median(cpu for cpu, _ in self.starts)

    @property
    def start_mb(self) -> float:
        """Memory when it was ready: the median of its starts."""
        return statistics.median(mb for _, mb in self.starts)

    def stop(self) -> None:
        """Ask it to end; what has not after some seconds is killed."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self._signal(signal.SIGKILL)
        self._process.wait()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let none of its processes run, as none would beside another server in production.

        A service looks at its ledger and a gateway at its clock while nobody asks them: twice a
        second one of several idle servers gets in the way of an answer of the one that is measured.
        """
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for member in [member for member, _ in self._members()]:
            with suppress(ProcessLookupError):
                os.kill(member, number)

    def cpu_seconds(self) -> float:
        """User and system time of all its processes, those that ended included."""
        return sum(sum(map(int, fields[11:15])) for _, fields in self._members()) / _TICKS

    def resident_mb(self) -> float:
        """Memory of all its processes, pages that several of them share counted once."""
        total = 0
        for member, _ in self._members():
            try:
                text = Path(f"/proc/{member}/smaps_rollup").read_text("ascii")
            except OSError:
                continue
            total += next(int(line.split()[1]) for line in text.splitlines() if "Pss:" in line)
        return total / 1024

    def processes(self) -> int:
        """How many processes it is."""
        return len(list(self._members()))

    def _members(self) -> Iterator[tuple[int, list[str]]]:
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                try:
                    stat = Path(entry.path, "stat").read_text("ascii", errors="replace")
                except OSError:
                    continue
                # Behind the name: state, parent, group, session; user and system time follow.
                fields = stat.rpartition(")")[2].split()
                if int(fields[3]) == self._process.pid:
                    yield int(entry.name), fields

    def _await(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with urllib.request.urlopen(self._ready, timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise MeasurementError(f"{self.name} did not start:\n{last_words(self._log)}")
            time.sleep(0.02)
