"""Loopback ports for what the local AWS starts itself."""

from __future__ import annotations

import json
import random
import socket
import threading
from pathlib import Path

HOST = "127.0.0.1"

SERVERS = range(19000, 20000)
LISTENERS = range(20000, 22000)
TASKS = range(22000, 30000)
"""Ports of our own servers, of load balancers and of tasks: below those from which operating
systems take the ports of outgoing connections, so that a port that stays the same over restarts is
not lost to a connection that happens to be open; and apart, so that no task takes one before it
listens."""

_lock = threading.Lock()
_given: set[int] = set()


def reserve(ports: range, wanted: int | None = None) -> int:
    """Return a port of `ports` on which nothing listens, given to nobody else until it is released.

    It is `wanted` where nothing listens there. Raises `OSError` when none is free.
    """
    with _lock:
        if wanted is not None and _free(wanted):
            _given.add(wanted)
            return wanted
        for port in random.sample(ports, len(ports)):
            if port not in _given and _free(port):
                _given.add(port)
                return port
    raise OSError(f"no free port on {HOST} between {ports.start} and {ports.stop}")


def release(port: int) -> None:
    """Give back a port from `reserve`."""
    with _lock:
        _given.discard(port)


def kept_in(file: Path) -> dict[str, int]:
    """Return the ports that an earlier start has written; none where it did not come to its end."""
    try:
        kept: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return kept


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
