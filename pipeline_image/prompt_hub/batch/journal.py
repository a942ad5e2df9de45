"""What a run has finished, line by line on disk: a run that dies is taken up where it was.

The journal lies beside the output as `OUTPUT.part`. Its first line says what was run on what; the
lines of another run are set aside as `OUTPUT.part.1`, for somebody paid for them. Every other line
is a line of the output, in the order in which the answers came. The output itself appears whole, in
the order of the records, or not at all.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.files import atomic_write
from prompt_hub.core.json_strict import strict_json

logger = logging.getLogger(__name__)

Line = Mapping[str, JsonValue]
_FORMAT: dict[str, JsonValue] = {"journal": "prompt-hub/journal@1"}


class Journal:
    """The journal of one output; a context manager that keeps other runs away."""

    def __init__(self, output: Path, identity: Line) -> None:
        """Open the journal of `output` for a run that `identity` describes."""
        self.output = output
        self.path = output.with_name(output.name + ".part")
        self.set_aside = ""
        """What became of the lines of another run, for people; empty if there were none."""
        self._identity = {**_FORMAT, **identity}
        self._offsets: dict[int, int] = {}
        self._failed: set[int] = set()

    def __enter__(self) -> Self:
        with _writing(self.path):
            self._file = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise PromptHubError(
                f"another run is writing {self.output}.", hint="Wait for it, or name another file."
            ) from None
        with _writing(self.path):
            self._recover()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Every line was flushed; what a full disk refused once, it refuses again here.
        with suppress(OSError):
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
        with _writing(self.path):
            self._note(line, self._file.seek(0, os.SEEK_END))
            self._file.write(_encoded(line))
            self._file.flush()

    def publish(self, upto: int | None = None) -> None:
        """Make the output of all lines, those of records above `upto` left out.

        The journal ends with that, unless it holds answers that the output does not.
        """
        with _writing(self.output), atomic_write(self.output) as stream:
            for number in sorted(self._offsets):
                if upto is None or number <= upto:
                    self._file.seek(self._offsets[number])
                    stream.write(self._file.readline())
        if upto is None or all(number <= upto for number in self._offsets):
            self.path.unlink()

    def _recover(self) -> None:
        """Read what is there and cut off a torn end; begin anew if it is of another run."""
        self._file.seek(0)
        first = self._file.readline()
        if first != _encoded(self._identity):
            self._keep(first)
            self._file.truncate(0)
            self._file.write(_encoded(self._identity))
            self._file.flush()
            return
        end = len(first)
        for raw in self._file:
            if not raw.endswith(b"\n"):
                break
            with suppress(ValueError):  # a line that a failing disk garbled costs its own record
                self._note(strict_json(raw.decode("utf-8")), end)
            end += len(raw)
        self._file.truncate(end)
        logger.info("%s: %d records finished by an earlier run", self.path, len(self._offsets))

    def _keep(self, first: bytes) -> None:
        """Set aside what lies here and begins with another first line, if it holds anything."""
        lines = sum(1 for _ in self._file)
        if not lines and _encoded(_FORMAT).startswith(first[:10]):  # whole, torn or not begun
            return
        names = (self.path.with_name(f"{self.path.name}.{number}") for number in count(1))
        aside = next(name for name in names if not name.exists())
        self._file.seek(0)
        with atomic_write(aside) as stream:
            shutil.copyfileobj(self._file, stream)
        logger.info("%s: %d records of another run set aside as %s", self.path, lines, aside)
        self.set_aside = (
            f"{self.path} was of another run ({_difference(first, self._identity)}): its {lines}"
            f" finished records are kept in {aside.name}. To go on with them, run what was run"
            f" then, with that file moved back to {self.path.name}."
        )

    def _note(self, line: object, offset: int) -> None:
        number = line.get("record") if isinstance(line, Mapping) else None
        if not isinstance(line, Mapping) or not isinstance(number, int):
            raise ValueError("no line of a record")
        self._offsets[number] = offset
        if line.get("error"):
            self._failed.add(number)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PromptHubError(
            f"{path} cannot be written: {error.strerror}.",
            hint="Mend that and run the same command again: what was finished is kept.",
        ) from None


def _encoded(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"


def _difference(first: bytes, identity: Line) -> str:
    """Return what another run has otherwise, by the first line of its journal; in words."""
    try:
        other = strict_json(first.decode("utf-8"))
    except ValueError:
        other = None
    if not isinstance(other, dict) or other.get("journal") != identity["journal"]:
        return "no journal that is known"
    every = [*identity, *(key for key in other if key not in identity)]
    return "other " + ", ".join(key for key in every if other.get(key) != identity.get(key))
