"""What a run has finished, line by line on disk: a run that dies is taken up where it was.

The journal lies beside the output as `OUTPUT.part`. Its first line says what was run on what; the
lines of another run are set aside as `OUTPUT.part.1`, for somebody paid for them. Every other line
is a line of the output, in the order in which the answers came. The output itself appears whole, in
the order of the records, or not at all.
"""

from __future__ import annotations

import logging
import shutil
from array import array
from collections.abc import Callable, Iterator, Mapping, Set
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import JsonValue

from prompt_hub.batch.output_lines import Line, parse_line
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.files import atomic_write, explain_write_errors
from prompt_hub.core.json_log import JsonLinesLog, Span, json_line

logger = logging.getLogger(__name__)

_FORMAT: dict[str, JsonValue] = {"journal": "prompt-hub/journal@1"}


class Journal:
    """The journal of one output; a context manager that keeps other runs away."""

    def __init__(self, output: Path, identity: Line) -> None:
        """Name the journal of `output` for a run that `identity` describes."""
        self.output = output
        self.path = output.with_name(output.name + ".part")
        self.set_aside = ""
        """What became of the lines of another run, for people; empty if there were none."""
        self._identity = {**_FORMAT, **identity}
        self._lines = _Lines()

    def __enter__(self) -> Self:
        try:
            self._log = JsonLinesLog(self.path, exclusive=True)
        except BlockingIOError:
            raise PromptHubError(
                f"another run is writing {self.output}.", hint="Wait for it, or name another file."
            ) from None
        title = json_line(self._identity)
        with explain_write_errors(self.path), self.path.open("rb") as lines:
            first = lines.readline()
            if first != title:
                self._keep(first, lines)
        self._log.begin(title, anew=first != title)
        self._log.scan(lambda raw, span: self._note(parse_line(raw), span))
        if first == title:
            logger.info("%s: %d records finished by an earlier run", self.path, len(self._lines))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._log.close()

    @property
    def finished(self) -> Set[int]:
        """Numbers of the records that have a line, in their order."""
        return self._lines

    @property
    def corrupt(self) -> int:
        """Lines of an earlier run that cannot be read: their records are asked again."""
        return self._log.corrupt

    @property
    def failed(self) -> frozenset[int]:
        """Numbers of the records whose line says an error."""
        return frozenset(filter(self._lines.is_failed, self._lines))

    @property
    def has_answers(self) -> bool:
        """Whether there is a line without an error."""
        return not all(map(self._lines.is_failed, self._lines))

    def append(self, line: Line) -> None:
        """Add the line of one record; once this returns, a crash of the process keeps it."""
        self._note(line, self._log.append(json_line(line)))

    def publish(self, upto: int | None = None, then: Callable[[], object] = lambda: None) -> None:
        """Make the output of all lines, those of records above `upto` left out.

        When `then` has made what belongs to the output, the journal ends, unless it holds answers
        that the output does not.
        """
        with explain_write_errors(self.output), atomic_write(self.output) as stream:
            for number in self._lines:
                if upto is None or number <= upto:
                    stream.write(self._log.read_line(self._lines.start(number)))
        then()
        if upto is None or all(number <= upto for number in self._lines):
            self.path.unlink()

    def _keep(self, first: bytes, rest: BinaryIO) -> None:
        """Set aside what lies here and begins with another first line, if it holds anything."""
        lines = sum(1 for _ in rest)
        if not lines and json_line(_FORMAT).startswith(first[:10]):  # whole, torn or not begun
            return
        names = (self.path.with_name(f"{self.path.name}.{number}") for number in count(1))
        aside = next(name for name in names if not name.exists())
        rest.seek(0)
        with atomic_write(aside) as stream:
            shutil.copyfileobj(rest, stream)
        logger.info("%s: %d records of another run set aside as %s", self.path, lines, aside)
        self.set_aside = (
            f"{self.path} was of another run ({_difference(first, self._identity)}): its {lines}"
            f" finished records are kept in {aside.name}. To go on with them, run what was run"
            f" then, with that file moved back to {self.path.name}."
        )

    def _note(self, line: object, span: Span) -> None:
        number = line.get("record") if isinstance(line, Mapping) else None
        if not isinstance(line, Mapping) or not isinstance(number, int):
            raise ValueError("no line of a record")
        self._lines.put(number, span[0], failed=bool(line.get("error")))


class _Lines(Set[int]):
    """Where the line of each record begins, by its number: four bytes a record, not hundreds.

    Lines of neighbours stand near each other, so a page of records keeps how far from the first one
    that was written; a line too far for that is kept by itself.
    """

    PAGE = 4096
    NONE = -(1 << 31)

    def __init__(self) -> None:
        self._pages: dict[int, tuple[int, array[int], bytearray]] = {}
        """Where the first line stands, the distances from it, and a bit for each that failed."""
        self._far: dict[int, int] = {}
        self._count = 0

    def put(self, number: int, start: int, *, failed: bool) -> None:
        """Take note of a line."""
        page, place = divmod(number, self.PAGE)
        if page not in self._pages:
            distances = array("i", [self.NONE]) * self.PAGE
            self._pages[page] = start, distances, bytearray(self.PAGE // 8)
        base, distances, failures = self._pages[page]
        self._count += distances[place] == self.NONE
        distance = start - base
        if abs(distance) >= -self.NONE:
            self._far[number], distance = start, 0
        else:
            self._far.pop(number, None)
        distances[place] = distance
        bit = 1 << place % 8
        failures[place // 8] = failures[place // 8] & ~bit | bit * failed

    def start(self, number: int) -> int:
        """Return where the line of a record begins that has one."""
        page, place = divmod(number, self.PAGE)
        base, distances, _ = self._pages[page]
        return self._far[number] if number in self._far else base + distances[place]

    def is_failed(self, number: int) -> bool:
        """Whether the line of a record that has one says an error."""
        page, place = divmod(number, self.PAGE)
        return bool(self._pages[page][2][place // 8] >> place % 8 & 1)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        page, place = divmod(number, self.PAGE)
        return page in self._pages and self._pages[page][1][place] != self.NONE

    def __iter__(self) -> Iterator[int]:
        for page in sorted(self._pages):
            for place, distance in enumerate(self._pages[page][1]):
                if distance != self.NONE:
                    yield page * self.PAGE + place

    def __len__(self) -> int:
        return self._count


def _difference(first: bytes, identity: Line) -> str:
    """Return what another run has otherwise, by the first line of its journal; in words."""
    try:
        other = parse_line(first)
    except ValueError:
        other = None
    if not isinstance(other, dict) or other.get("journal") != identity["journal"]:
        return "no journal that is known"
    every = [*identity, *(key for key in other if key not in identity)]
    return "other " + ", ".join(key for key in every if other.get(key) != identity.get(key))
