"""JSON lines that are only ever appended to, and outlive the process that writes them."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prompt_hub.core.files import explain_write_errors

Span = tuple[int, int]
"""Offset and length of a line in its file."""


_USUAL = 1024
"""Bytes that nearly every line has at most."""
_PIECE = 1 << 20
"""Bytes that are read at once where the end of the last whole line is looked for."""


class JsonLinesLog:
    """A file of JSON lines, the first of which says what the others are about.

    The system has a line once `append` returns: the death of the process does not lose it. Nothing
    is synced to the disk, so a power cut may; a line costs no more than the call that it keeps.
    A process that dies leaves at most a torn last line, which the next writer cuts off.
    """

    def __init__(self, path: Path, *, exclusive: bool = False) -> None:
        """Open the file at `path`, which is made if it is not there.

        Several processes may write to it, unless one keeps it to itself (`exclusive`).

        Raises:
            BlockingIOError: another process keeps it to itself.
            PromptHubError: it cannot be written.
        """
        self.path = path
        self.corrupt = 0
        """Lines that could not be read; they stay in the file."""
        self._exclusive = exclusive
        self._end = 0
        """Where the line ends that was written last, and whole."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with explain_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, flags, 0o644)
        if exclusive:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                raise

    def close(self) -> None:
        """Give the file back, and with it the lock."""
        os.close(self._file)

    def begin(self, title: bytes, *, anew: bool = False) -> None:
        """Make `title` the first line of a file that has none; `anew` throws all lines away."""
        with self._writing() as end:
            if anew:
                os.ftruncate(self._file, 0)
            if anew or end == 0:
                self._write(title)

    def append(self, line: bytes) -> Span:
        """Add a line, and return where it stands; raises `PromptHubError` if it cannot be."""
        with self._writing() as end:
            self._write(line)
            self._end = end + len(line)
        return end, len(line)

    def read_line(self, start: int) -> bytes:
        """Read the line again that begins there; its end was not kept."""
        line = os.pread(self._file, _USUAL, start)
        while (end := line.find(b"\n")) < 0:
            more = os.pread(self._file, max(_USUAL, len(line)), start + len(line))
            if not more:
                return line
            line += more
        return line[: end + 1]

    def scan(self, take: Callable[[bytes, Span], None]) -> None:
        """Give every line after the first to `take`; count those that it refuses by `ValueError`.

        A torn last line is left out: another process may be writing it this very moment.
        """
        with self.path.open("rb") as lines:
            start = len(lines.readline())
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                try:
                    take(line, (start, len(line)))
                except ValueError:
                    self.corrupt += 1
                start += len(line)

    def _write(self, line: bytes) -> None:
        if os.write(self._file, line) < len(line):
            raise OSError(errno.ENOSPC, "the disk is full")

    @contextmanager
    def _writing(self) -> Iterator[int]:
        """Keep other writers out; yields the end of the file, a torn last line cut off."""
        with explain_write_errors(self.path):
            if not self._exclusive:
                fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield self._whole_end()
            finally:
                if not self._exclusive:
                    fcntl.flock(self._file, fcntl.LOCK_UN)

    def _whole_end(self) -> int:
        end = os.fstat(self._file).st_size
        if end in (0, self._end) or os.pread(self._file, 1, end - 1) == b"\n":
            return end
        # Looked for from behind: a file may be larger than memory, and no call reads over 2 GB.
        at = -1
        while end and at < 0:
            start = max(0, end - _PIECE)
            at = os.pread(self._file, end - start, start).rfind(b"\n")
            end = start + at + 1
        os.ftruncate(self._file, end)
        return end


_LINES = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def json_line(value: object) -> bytes:
    """Return a value as one line of JSON, as small as it goes."""
    return _LINES.encode(value).encode("utf-8") + b"\n"
