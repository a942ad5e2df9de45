"""Fresh processes, measured from wall to wall, and the mock model that they ask."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict

from benchmarks.eval.task import LATENCY_SECONDS

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 900.0


class MeasurementError(Exception):
    """Why there is no number: one sentence, and what to do."""


class Stats(BaseModel):
    """What the mock model has counted (see `endpoint.Counts`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int
    answered: int
    unread: int
    in_flight: int
    in_flight_max: int
    first_request_at: float | None
    faults: dict[str, int]
    unique: int
    answered_times: dict[int, int]

    @property
    def unique_answered(self) -> int:
        """Distinct requests that were answered."""
        return sum(self.answered_times.values())

    @property
    def paid_again(self) -> int:
        """Answers beyond the first of each request."""
        return self.answered - self.unique_answered


class Cost(BaseModel):
    """What the launcher says of one process: wall, CPU of its tree, peak of its largest process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exit_code: int
    started_at: float
    seconds: float
    cpu_seconds: float
    peak_mb: float


class ModelProcess:
    """A scripted model as a process of its own, and the way to it; a context manager.

    Args:
        module: what is run; it prints its port, and ends with its standard input.
        flags: its command line.
    """

    def __init__(self, module: str, *flags: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *flags],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise MeasurementError(f"{module} did not start; its message stands above.")
        self.port = int(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=30)

    @property
    def base_url(self) -> str:
        """The URL that a client is given."""
        return f"http://127.0.0.1:{self.port}/v1"

    def ask(self, method: str, path: str) -> bytes:
        """Say something to the process itself, or ask it for what it counted."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()


class MockModel(ModelProcess):
    """The model of an evaluation.

    Args:
        latency: seconds until an answer.
        fault_rate: share of calls that each kind of fault hits (see `endpoint.Fault`).
        fault_seed: chooses which.
    """

    def __init__(
        self,
        *,
        latency: float = LATENCY_SECONDS,
        fault_rate: float = 0.0,
        fault_seed: int = 0,
    ) -> None:
        settings = {"latency": latency, "fault-rate": fault_rate, "fault-seed": fault_seed}
        flags = (f"--{name}={value}" for name, value in settings.items())
        super().__init__("benchmarks.eval.endpoint", *flags)

    def stats(self) -> Stats:
        """The counts since the last reset."""
        return Stats.model_validate_json(self.ask("GET", "/stats"))

    def reset(self) -> None:
        """Count anew."""
        self.ask("POST", "/reset")


def bare_environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without anything of this machine: no proxy, no key, no setting."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        **(more or {}),
    }


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    cwd: Path = ROOT,
    accept: Sequence[int] = (0,),
) -> Cost:
    """Run `command` to its end and say what it cost; its output goes to a file in `folder`.

    Raises:
        MeasurementError: it ended with an exit code that is not in `accept`, or did not end.
    """
    report, log = folder / "cost.json", folder / "output.log"
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py"))]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*launcher, report, *command],
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(TIMEOUT_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                words = f"{_words(command)} did not end within {TIMEOUT_SECONDS:.0f} s."
                raise MeasurementError(words) from None
            raise
    cost = Cost.model_validate_json(report.read_bytes())
    if cost.exit_code not in accept:
        words = f"{_words(command)} ended with exit code {cost.exit_code}:"
        raise MeasurementError(f"{words}\n{last_words(log)}")
    return cost


def size_of(folder: Path) -> int:
    """Bytes in all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def last_words(log: Path) -> str:
    """The last lines that a process has written to its log."""
    return "\n".join(log.read_text(errors="replace").strip().splitlines()[-12:])


def last_line_as_json(folder: Path) -> dict[str, object]:
    """The last line that the process run in `folder` has printed."""
    found = json.loads((folder / "output.log").read_text(encoding="utf-8").splitlines()[-1])
    assert isinstance(found, dict)
    return found


def _words(command: Sequence[str | Path]) -> str:
    return " ".join(Path(str(word)).name for word in command[:4])
