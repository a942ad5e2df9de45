"""Background processes of a local run: started once, found again, stopped by their pid."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NotRequired, TypedDict


class LocalRunError(Exception):
    """What went wrong on this machine, in one sentence with the next step."""


class _Started(TypedDict):
    """What a process's file keeps of it; releases of before wrote no `code`."""

    pid: int
    born: str | None
    code: NotRequired[str]


@dataclass(frozen=True, kw_only=True)
class Background:
    """One background process: its command, where it answers, where its log and pid are kept."""

    name: str
    command: Sequence[str]
    ready_url: str
    state: Path
    environment: Mapping[str, str]
    cwd: Path
    ready_status: int = 200
    """What it answers there when it is ready."""
    code: str = ""
    """Digest of the code that it runs: one that runs older code is started anew."""

    @property
    def log(self) -> Path:
        """The file that the process writes to."""
        return self.state / "logs" / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.state / f"{self.name}.pid"

    def running(self) -> int | None:
        """Return the pid if the process we started still lives, whatever else reused the number."""
        saved = self._saved()
        born = saved and saved["born"]  # None of one that had ended before anybody looked
        return saved["pid"] if saved and born and _born(saved["pid"]) == born else None

    def _saved(self) -> _Started | None:
        try:
            saved: _Started = json.loads(self._pid_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return saved

    def start(self, *, seconds: float = 90.0) -> bool:
        """Start unless it runs, and wait until it answers; returns whether it was started now.

        Raises:
            LocalRunError: it ended, or did not answer within `seconds`.
        """
        if self.running() is not None and self._runs_this_code() and self._answers():
            return False
        self.stop()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                list(self.command),
                cwd=self.cwd,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        saved = _Started(pid=process.pid, born=_born(process.pid), code=self.code)
        try:
            self._pid_file.write_text(json.dumps(saved), encoding="utf-8")
        except OSError:
            # Nobody would find it again, and with its state folder held no other could start.
            _signal(process.pid, signal.SIGKILL)
            raise
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise LocalRunError(
                    f"{self.name} ended with exit code {process.returncode}: {self._last_line()}."
                    f" See {self.log}."
                )
            if self._answers():
                return True
            time.sleep(0.2)
        raise LocalRunError(
            f"{self.name} did not answer within {seconds:.0f} s. See {self.log},"
            " or run `make clean` and try again."
        )

    def stop(self, *, seconds: float = 20.0) -> bool:
        """Stop it and all it started; returns whether it ran."""
        pid = self.running()
        if pid is not None:
            _signal(pid, signal.SIGTERM)
            deadline = time.monotonic() + seconds
            while _born(pid) is not None and time.monotonic() < deadline:
                _reap(pid)
                time.sleep(0.1)
            if _born(pid) is not None:
                _signal(pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)
        return pid is not None

    def _runs_this_code(self) -> bool:
        saved = self._saved()
        return saved is not None and saved.get("code", "") == self.code

    def _answers(self) -> bool:
        return answers(self.ready_url, self.ready_status)

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1][:300].rstrip(".") if lines else "it said nothing"


@cache
def digest_of(*folders: Path) -> str:
    """Return a digest of all Python code in these folders."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        digest.update(f"{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def end_holders(files: Iterable[Path]) -> None:
    """Kill the process groups that hold these lock files, each of which names its holder's group.

    What a killed local AWS had started lives on with its lock: the lock tells it from a stranger
    that was given the same number.
    """
    for file in files:
        with file.open(encoding="utf-8") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with suppress(ProcessLookupError, PermissionError, ValueError):
                    os.killpg(int(held.read()), signal.SIGKILL)


def _born(pid: int) -> str | None:
    """When the process began, as the operating system tells; None if there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            fields = (
                Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            )
        except OSError:
            return None
        return fields[19] if fields[0] != "Z" else None
    done = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    status, _, start_time = done.stdout.strip().partition(" ")
    return start_time.strip() if done.returncode == 0 and not status.startswith("Z") else None


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def answers(url: str, status: int = 200) -> bool:
    """Whether an HTTP server says `status` at `url`."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310
            return bool(response.status == status)
    except urllib.error.HTTPError as error:
        return error.code == status
    except (urllib.error.URLError, OSError):
        return False
