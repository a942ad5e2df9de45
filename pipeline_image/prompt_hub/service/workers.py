"""Several processes that serve as one: a supervisor follows the ledger, workers answer calls.

The supervisor answers nothing. It listens for all, starts a worker again that died, and lets calls
in flight end when it is told to stop. What the workers share is in `shared_state`.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn, Protocol

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.log_setup import share_output
from prompt_hub.release.ledger_poller import LedgerPoller, ServingState
from prompt_hub.service.execution_log import log_line
from prompt_hub.service.shared_state import FollowedState, SharedMemory, StateChange

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_CHECK_SECONDS = 1.0
_SHORTEST_LIFE_SECONDS = 2.0
"""A worker that dies sooner would only die again."""
_STUCK_SECONDS = 5.0
"""A worker that reads nothing of a change for so long is stuck."""
_LAY_BY_SECONDS = 1.0
"""How long a change waits for the workers to have it."""
_BACKLOG = 2048

Serve = Callable[[int, socket.socket, FollowedState], None]
"""Serves as one worker until it is told to stop."""


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many cores this process may use: its affinity, and the quota of its container."""
    if sys.platform != "linux":
        # Workers share their limits by means that Linux alone has.
        return 1
    allowed = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        most, period = quota.read_text("ascii").split()
        allowed = min(allowed, max(1, math.floor(float(most) / float(period))))
    return allowed


def listeners(host: str, port: int, number: int) -> list[socket.socket]:
    """Return a socket for each worker, all at one address: the system spreads connections.

    One socket for all would give a burst of connections to the worker that wakes first.
    """
    found: list[socket.socket] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Sockets that share an address share it with another service's, too: half of the calls
        # would be answered by a process that somebody forgot. One that shares with nobody is
        # refused then.
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((host, port))
            port = alone.getsockname()[1]
        for _ in range(number):
            listener = socket.socket(family, socket.SOCK_STREAM)
            found.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
            listener.set_inheritable(True)
    except OSError as error:
        for listener in found:
            listener.close()
        raise PromptHubError(
            f"{host}:{port} cannot be listened on ({error.strerror}).",
            hint="Choose another --port.",
        ) from None
    return found


@dataclass
class _Worker:
    """One worker as the supervisor knows it."""

    pid: int
    changes: Connection
    started: float


class PackedSource(Protocol):
    """Where the supervisor has prompts for its workers."""

    def prepare(self, task: str, version: str) -> bytes:
        """Return a prompt as workers take it."""


class Supervisor:
    """Starts workers, and passes on to them what the ledger says."""

    def __init__(
        self,
        poller: LedgerPoller,
        memory: SharedMemory,
        sockets: Sequence[socket.socket],
        serve: Serve,
        prompts: PackedSource,
    ) -> None:
        self._poller = poller
        self._prompts = prompts
        self._memory = memory
        self._sockets = sockets
        self._serve = serve
        self._workers: dict[int, _Worker] = {}
        self._lacking: list[int] = []
        """Places whose worker has died and is not yet replaced."""
        self._told = poller.state
        # Held while something is sent and while a worker is started, so that it misses nothing and
        # begins with no lock of the other thread's in someone's hand. Not held while the ledger is
        # asked: a worker uses nothing of that, and one that died would be missed for as long.
        self._lock = threading.Lock()

    def run(self, poll_seconds: float) -> ExitCode:
        """Supervise until SIGTERM or Ctrl-C, then let calls in flight end."""
        share_output()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        with self._lock:
            for place in range(len(self._sockets)):
                self._start(place)
        stop = threading.Event()
        thread = threading.Thread(
            target=self._follow, args=(poll_seconds, stop), name="pointers", daemon=True
        )
        thread.start()
        code = ExitCode.OK
        while True:
            found = signal.sigtimedwait(_SIGNALS, _CHECK_SECONDS)
            if found is not None and found.si_signo in {signal.SIGTERM, signal.SIGINT}:
                break
            if not self._replace_dead():
                code = ExitCode.UNEXPECTED
                break
        stop.set()
        self._drain()
        return code

    def _follow(self, poll_seconds: float, stop: threading.Event) -> None:
        turn = threading.Event()
        turn.set()
        while not stop.is_set():
            # One look: it reports what goes wrong, and never raises.
            self._poller.run(0, turn, self._lock)
            with self._lock:
                try:
                    self._tell(self._poller.state)
                except Exception as error:
                    # The next round tells it again: without this thread no rollback would ever
                    # reach a worker.
                    log_line("change_not_told", error=type(error).__name__)
            stop.wait(poll_seconds)

    def _tell(self, state: ServingState) -> None:
        if state is self._told:
            return
        number = self._memory.change + 1
        change = StateChange.between(self._told, state, number)
        packed = {
            (task, version): self._prompts.prepare(task, version)
            for task, served in change.moved.items()
            for version in (served.reference.version,)
        }
        parts = list(replace(change, packed=packed).parts())
        sent: list[int] = []
        for place, worker in list(self._workers.items()):
            with suppress(OSError):
                for part in parts:
                    worker.changes.send(part)
                sent.append(place)
                continue
            # It would answer by old pointers: another takes its place.
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
        self._told = state
        # A worker that has it not yet takes it in with its next call, which waits for it then.
        until = time.monotonic() + _LAY_BY_SECONDS
        while any(self._memory.laid_by[p] < number for p in sent) and time.monotonic() < until:
            time.sleep(0.001)
        self._memory.change = number

    def _start(self, place: int) -> None:
        """Start a worker; the lock is held."""
        receiver, sender = _pipe(_STUCK_SECONDS)
        pid = os.fork()
        if pid == 0:
            self._be_worker(place, receiver, sender)
        receiver.close()
        self._workers[place] = _Worker(pid, sender, time.monotonic())

    def _be_worker(self, place: int, receiver: Connection, sender: Connection) -> NoReturn:
        code = int(ExitCode.UNEXPECTED)
        try:
            sender.close()
            for worker in self._workers.values():
                worker.changes.close()
            for other, listener in enumerate(self._sockets):
                if other != place:
                    listener.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            followed = FollowedState(
                self._memory,
                receiver,
                place=place,
                state=self._told,
                number=self._memory.change,
                release=self._poller.release,
            )
            self._serve(place, self._sockets[place], followed)
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0
        except KeyboardInterrupt:
            code = 0
        except BaseException as error:
            log_line("worker_failed", error=type(error).__name__)
        finally:
            os._exit(code)

    def _replace_dead(self) -> bool:
        """Start again what has died; False where that would not help."""
        for place, worker in list(self._workers.items()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid == 0:
                continue
            worker.changes.close()
            del self._workers[place]
            self._memory.forget(place)
            log_line("worker_lost", worker=place, status=os.waitstatus_to_exitcode(status))
            if time.monotonic() - worker.started < _SHORTEST_LIFE_SECONDS:
                return False
            self._lacking.append(place)
        # A change of many pointers holds the lock, and who is told to stop meanwhile is to stop.
        if self._lacking and self._lock.acquire(timeout=_CHECK_SECONDS):
            try:
                while self._lacking:
                    self._start(self._lacking.pop())
            finally:
                self._lock.release()
        return True

    def _drain(self) -> None:
        for listener in self._sockets:
            listener.close()
        for worker in self._workers.values():
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
        for worker in self._workers.values():
            with suppress(ChildProcessError):
                os.waitpid(worker.pid, 0)


def _pipe(seconds: float) -> tuple[Connection, Connection]:
    """Return both ends of a pipe; `OSError` to who writes where nobody has read for so long."""
    receiver, sender = Pipe()
    whole = int(seconds)
    limit = struct.pack("@ll", whole, int((seconds - whole) * 1_000_000))
    # Sockets alone know such a limit. It stays with the pipe; this object does not.
    with socket.socket(fileno=os.dup(sender.fileno())) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    return receiver, sender
