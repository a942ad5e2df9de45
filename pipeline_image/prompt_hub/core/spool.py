"""Lines that are put aside while a command runs, so that memory does not grow with them."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO

from prompt_hub.core.files import explain_write_errors


class LineSpool:
    """Lines in a file without a name: it ends with the process, whatever ends that."""

    def __init__(self) -> None:
        """Make the file, in the system's folder for such; in memory where that has none."""
        self._end = 0
        self._reading = False
        self._folder = Path()
        try:
            self._folder = Path(gettempdir())
            self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 closed by `__del__`
        except OSError:
            # A read-only container may have no folder to write into.
            self._file = BytesIO()

    def __del__(self) -> None:
        # On a full disk closing fails as writing did, which somebody has been told.
        with suppress(OSError):
            self._file.close()

    def add(self, line: bytes) -> int:
        """Put a line aside that ends with a line feed, and return where it stands.

        Raises `PromptHubError` where it cannot be written.
        """
        start = self._end
        with explain_write_errors(self._folder):
            if self._reading:
                self._file.seek(start)
                self._reading = False
            self._file.write(line)
        self._end += len(line)
        return start

    def line(self, start: int) -> bytes:
        """Return the line that begins there, with its line feed."""
        if not self._reading:
            with explain_write_errors(self._folder):
                self._file.flush()
            self._reading = True
        self._file.seek(start)
        return self._file.readline()
