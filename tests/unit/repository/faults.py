"""Processes that die, and disks that refuse, at the n-th step that touches the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod"}
"""Audit events of the calls that change a disk; `os.fsync`, which has none, is wrapped."""
KILLED = 77

Work = Callable[[], object]
AtStep = Callable[[int], None]


def dies_at(last: int) -> AtStep:
    """The process is gone before step `last`: no `finally`, no buffer is written out."""

    def step(number: int) -> None:
        if number == last:
            os._exit(KILLED)

    return step


def full_from(first: int, *, steps: int = 1) -> AtStep:
    """The disk is full from step `first` on, for so many steps."""

    def step(number: int) -> None:
        if first <= number < first + steps:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "the disk")

    return step


def both(at_step: AtStep, other: AtStep) -> AtStep:
    """One fault and then another."""

    def step(number: int) -> None:
        at_step(number)
        other(number)

    return step


def in_child(root: Path, work: Work, at_step: AtStep | None = None, *, bytes_left: int = -1) -> int:
    """Run `work` in a process of its own and return how it ended.

    0 done, 1 it raised, `KILLED` it died. `at_step` is called with the number (from 0) of every
    step that touches something below `root`, before it happens. With `bytes_left`, writing more
    into one file fails half way, as on a full disk.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        if at_step is not None:
            _watch(root, at_step)
        if bytes_left >= 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, bytes_left))
        with contextlib.suppress(Exception):
            work()
            code = 0
    finally:
        os._exit(code)


def _watch(root: Path, at_step: AtStep) -> None:
    done = 0

    def count() -> None:
        nonlocal done
        number, done = done, done + 1
        at_step(number)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in STEPS:
            count()

    real = os.fsync

    def fsync(handle: int) -> None:
        count()
        real(handle)

    setattr(os, "fsync", fsync)  # noqa: B010 - the process is ours and will not live long
    sys.addaudithook(hook)
