"""What a run has finished, line by line on disk: a run that dies is taken up where it was.

The journal lies beside the output as `OUTPUT.part`. Its first line says what was run on what; a
journal of anything else is thrown away. Every other line is a line of the output, in the order in
which the answers came. The output itself appears whole, in the order of the records, or not at all.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from prompt_hub.errors import PromptHubError
from prompt_hub.files import written_whole
from prompt_hub.prompts.documents import strict_json

Line = Mapping[str, JsonValue]


class Journal:
    """The journal of one output; a context manager that keeps other runs away."""

    def __init__(self, output: Path, identity: Line) -> None:
        """The journal of `output`; one whose first line is not `identity` is begun anew."""
        self.output = output
        self.path = output.with_name(output.name + ".part")
        self._identity = {"journal": "prompt-hub/journal@1", **identity}
        self._offsets: dict[int, int] = {}
        self._failed: set[int] = set()

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("a+b")
        except OSError as error:
            message = f"{self.path} cannot be written: {error.strerror}."
            raise PromptHubError(message) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise PromptHubError(
                f"another run is writing {self.output}.", hint="Wait for it, or name another file."
            ) from None
        self._recover()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A journal of nothing keeps nothing; while it is locked, it is this run's to remove.
        if not self._offsets:
            self.path.unlink(missing_ok=True)
        self._file.close()

    @property
    def finished(self) -> frozenset[int]:
        """Numbers of the records that have a line."""
        return frozenset(self._offsets)

    @property
    def failed(self) -> frozenset[int]:
        """Numbers of the records whose line says an error."""
        return frozenset(self._failed)

    def append(self, line: Line) -> None:
        """Add the line of one record; once this returns, a crash of the process keeps it."""
        self._note(line, self._file.seek(0, os.SEEK_END))
        self._file.write(_encoded(line))
        self._file.flush()

    def publish(self, upto: int | None = None) -> None:
        """Make the output of all lines, those of records above `upto` left out, and end here."""
        with written_whole(self.output) as stream:
            for number in sorted(self._offsets):
                if upto is None or number <= upto:
                    self._file.seek(self._offsets[number])
                    stream.write(self._file.readline())
        self.path.unlink()

    def _recover(self) -> None:
        """Read what is there, cut off a torn end, begin anew if it is of another run."""
        self._file.seek(0)
        first = self._file.readline()
        if first != _encoded(self._identity):
            self._file.truncate(0)
            self._file.write(_encoded(self._identity))
            self._file.flush()
            return
        end = len(first)
        for raw in self._file:
            try:
                line = strict_json(raw.decode("utf-8")) if raw.endswith(b"\n") else None
                self._note(line, end)
            except ValueError:
                break
            end += len(raw)
        self._file.truncate(end)

    def _note(self, line: object, offset: int) -> None:
        number = line.get("record") if isinstance(line, Mapping) else None
        if not isinstance(line, Mapping) or not isinstance(number, int):
            raise ValueError("no line of a record")
        self._offsets[number] = offset
        if line.get("error"):
            self._failed.add(number)


def _encoded(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
