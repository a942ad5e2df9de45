"""Several files of the repository change together or not at all, whatever interrupts the write.

New contents are first written below `.prompt-hub/transaction`, then named in a journal. Renaming
the journal into place is the commit point: before it nothing has changed, after it whoever opens
the repository next finishes the work, and finishing twice is the same as finishing once. Each step
is on the disk before the next begins, so that the order holds through a power cut, too.

A clone of somebody else's may bring a journal and links along: neither leads out of the repository,
nor to what git and the like keep in it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import explain_write_errors

STATE = Path(".prompt-hub")
"""What a machine keeps for itself in a clone."""
FOLDER = STATE / "transaction"
LOCK = STATE / "lock"
LOCK_SECONDS = 60.0
"""How long to wait for another process; a transaction takes milliseconds."""
_JOURNAL = "journal.json"
_STAGED = re.compile(r"[0-9]+\.new")

Changes = Mapping[str, str | None]
"""New text by path relative to the repository's root; None removes the file."""


class Writer:
    """The right to change the files below `root`: only one process has it at a time.

    `finished` says whether a transaction that somebody else had begun was finished first.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / FOLDER
        self.finished = self._recover()

    def apply(self, changes: Changes) -> None:
        """Make all `changes`; an interruption makes either all or none of them.

        Raises:
            PromptHubError: the disk is full or a file cannot be written; says whether the changes
                were dropped or will be finished by the next command.
        """
        if not changes:
            return
        try:
            self._stage(changes)
        except OSError as error:
            self._drop()
            raise PromptHubError(
                f"nothing was changed: {_in_words(error)}.",
                hint="Mend that and run the command again.",
                exit_code=ExitCode.UNEXPECTED,
            ) from error
        except BaseException:
            self._drop()
            raise
        try:
            self._finish()
        except KeyboardInterrupt:
            self._finish()  # a person may go on with git instead of with another command
            raise

    def _stage(self, changes: Changes) -> None:
        """Write everything down beside the repository, up to and with the commit point."""
        _make_folder(self._folder)
        journal: dict[str, str | None] = {}
        for number, (name, text) in enumerate(sorted(changes.items())):
            target = self._target(name)
            if target.is_dir():
                raise IsADirectoryError(None, "is a folder, not a file", name)
            if text is None:
                journal[name] = None
                continue
            # Done now, because after the commit point there is no way back.
            _make_folder(target.parent)
            if target.parent.stat().st_dev != self._folder.stat().st_dev:
                raise OSError(None, "is on another file system than .prompt-hub", name)
            if not os.access(target.parent, os.W_OK | os.X_OK):
                raise PermissionError(None, "is in a folder that cannot be written to", name)
            staged = self._folder / f"{number}.new"
            _write(staged, text)
            if target.exists():
                shutil.copymode(target, staged)
            journal[name] = staged.name
        fresh = self._folder / "journal.tmp"
        _write(fresh, json.dumps(journal))
        _sync(self._folder)
        fresh.replace(self._folder / _JOURNAL)
        _sync(self._folder)

    def _target(self, name: str) -> Path:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{name} lies outside the repository")
        if not path.name or path.parts[0].startswith("."):
            raise ValueError(f"{name} is no file that is changed here")
        target = self._root / path
        if target.parent.resolve() != self._root.resolve() / path.parent:
            raise OSError(None, "is behind a symbolic link", name)
        return target

    def _drop(self) -> None:
        """Back to before the transaction; the journal goes first, for it is what counts."""
        (self._folder / _JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _recover(self) -> bool:
        if (self._folder / _JOURNAL).exists():
            self._finish()
            return True
        self._drop()
        return False

    def _journal(self) -> dict[Path, str | None]:
        """Return what the journal names, all of it, before anything is moved."""
        path = self._folder / _JOURNAL
        try:
            read: dict[str, str | None] = json.loads(path.read_text(encoding="utf-8"))
            if not all(staged is None or _STAGED.fullmatch(staged) for staged in read.values()):
                raise ValueError("it names a file that was not written here")
            return {self._target(name): staged for name, staged in read.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise PromptHubError(
                f"{FOLDER.as_posix()}/{_JOURNAL} is none of a transaction: {error}.",
                hint=f"Nothing was changed. Find out who wrote it, then remove {FOLDER}.",
                exit_code=ExitCode.BLOCKED,
            ) from None

    def _finish(self) -> None:
        """Move into place what the journal names; what is no longer staged was moved before."""
        try:
            journal = self._journal()
            for target, staged in journal.items():
                if staged is None:
                    target.unlink(missing_ok=True)
                elif (self._folder / staged).exists():
                    (self._folder / staged).replace(target)
            for folder in {target.parent for target in journal}:
                if folder.exists():
                    _sync(folder)
            (self._folder / _JOURNAL).unlink()
        except OSError as error:
            raise PromptHubError(
                f"the changes are decided but not all made: {_in_words(error)}.",
                hint="Mend that; the next command finishes them.",
                exit_code=ExitCode.UNEXPECTED,
            ) from error
        with suppress(OSError):  # a journal that comes back finds nothing left to do
            _sync(self._folder)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def exclusive(root: Path) -> Iterator[Writer]:
    """Change files below `root` with nobody else in between, from reading them to writing them.

    Raises:
        PromptHubError: another process has been at it for longer than `LOCK_SECONDS`, or nothing
            can be written there.
    """
    for path in (root / STATE, root / LOCK, root / FOLDER):
        if path.is_symlink():
            raise PromptHubError(
                f"{path.relative_to(root).as_posix()} is a symbolic link.",
                hint="Nothing is written through one: remove the link.",
                exit_code=ExitCode.BLOCKED,
            )
    with explain_write_errors(root / LOCK):
        _make_folder((root / LOCK).parent)
        lock = (root / LOCK).open("w", encoding="utf-8")
    with lock:
        _acquire(lock.fileno())
        yield Writer(root)  # closing the file gives the lock back, and so does dying


def _acquire(lock: int) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise PromptHubError(
                    "another process is changing this repository.",
                    hint="Wait for it to end, then run the command again.",
                    exit_code=ExitCode.UNEXPECTED,
                ) from None
            time.sleep(0.02)


def apply(root: Path, changes: Changes) -> None:
    """Make all `changes` below `root`, or none; see `Writer.apply`."""
    with exclusive(root) as writer:
        writer.apply(changes)


def recover(root: Path) -> bool:
    """Clear an interrupted transaction away; returns whether one was finished.

    Touches nothing where there is none, so a repository may lie on a read-only disk.
    """
    if not (root / FOLDER).exists():
        return False
    with exclusive(root) as writer:
        return writer.finished


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on the disk before anything is put into it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _in_words(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno is None:  # one of ours
        return f"{error.filename} {reason}"
    return f"{reason} ({error.filename})" if error.filename else reason
