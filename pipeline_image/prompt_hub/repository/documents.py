"""Files of a repository as they were read, and what is wrong in them, at which line."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.foreign_text import escaped
from prompt_hub.repository.json_positions import (
    Location,
    Position,
    position,
)

MAX_BYTES = 1_000_000
"""No prompt or metadata file of a healthy repository comes near one megabyte."""
MAX_GROWING_BYTES = 50_000_000
"""Examples and evaluation details, which are JSON lines, and the registry grow with the work: a
released version takes half a kilobyte of the registry, for ever."""
REGISTRY = "prompt_registry.yaml"

ModelT = TypeVar("ModelT", bound=BaseModel)

Severity = Literal["error", "warning"]
"""Whether a problem makes a repository invalid; a warning is told and blocks nothing."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one file: where it is, what was found, what was expected.

    `rule` names the rule that it breaks, `suggestion` what the author may have meant.
    """

    file: str
    line: int
    column: int
    field: str
    found: str
    expected: str
    rule: str = ""
    suggestion: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        what = f" {self.field}:" if self.field else ""
        meant = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        return escaped(f"{where}:{what} found {self.found}{meant}; expected {self.expected}")


class InvalidDocumentsError(PromptHubError):
    """One or more files cannot be used; `problems` says all that is wrong with them."""

    def __init__(self, problems: Sequence[Problem], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        message = "\n".join(map(str, self.problems))
        # A sentence goes on with the hint; a list of problems has no end.
        super().__init__(f"{message}." if hint else message, hint=hint, exit_code=ExitCode.BLOCKED)


_OTHER_NUMBER = ("schema", "value")
"""Field and rule of a problem with the number of a format."""


def first_of(error: InvalidDocumentsError, hint: str) -> InvalidDocumentsError:
    """Return an error with its first problem alone: nobody mends by hand what a command wrote.

    `hint` says what to do about a broken file. One with a key or a number that this release does
    not know may be whole: before it is restored, or made and paid for again, its reader has to be
    as new as its writer.
    """
    problems = error.problems[:1]
    unknown = any(
        each.rule == "unknown-key" or (each.field, each.rule) == _OTHER_NUMBER for each in problems
    )
    if hint and unknown:
        hint = f"If a newer release has written it, bring this one up to date; if none has: {hint}"
    return InvalidDocumentsError(problems, hint=hint)


@dataclass(frozen=True)
class Document:
    """A parsed file: its data, and the line and column (from 1) of every value and key in it.

    `blocks` are the texts written as literal blocks (`|`), by the line of their first character.
    """

    file: str
    data: object
    positions: Mapping[Location, Position] = field(default_factory=dict)
    keys: Mapping[Location, Position] = field(default_factory=dict)
    blocks: Mapping[Location, Position] = field(default_factory=dict)

    def problem(
        self, location: Location, found: str, expected: str, *, rule: str = "", suggestion: str = ""
    ) -> Problem:
        """Return a problem at `location`, or at the nearest value around it that the file has."""
        return self._problem(self.positions, location, found, expected, rule, suggestion)

    def key_problem(
        self, location: Location, found: str, expected: str, *, rule: str = "", suggestion: str = ""
    ) -> Problem:
        """Return a problem with the key at the end of `location`, not with its value."""
        places = self.keys if location in self.keys else self.positions
        return self._problem(places, location, found, expected, rule, suggestion)

    def _problem(
        self,
        places: Mapping[Location, Position],
        location: Location,
        found: str,
        expected: str,
        rule: str,
        suggestion: str,
    ) -> Problem:
        nearest = location
        while nearest and nearest not in places:
            nearest = nearest[:-1]
        line, column = places.get(nearest, (1, 1))
        name = ".".join(map(str, location))
        return Problem(self.file, line, column, name, found, expected, rule, suggestion)

    def place_inside(self, location: Location, text: str, offset: int) -> Position:
        """Where a character of the text at `location` stands; its start unless it is a block."""
        if location not in self.blocks:
            return self.positions.get(location, (1, 1))
        line, indent = self.blocks[location]
        down, column = position(text, offset)
        return line + down - 1, indent + column


def read_text(path: Path, file: str) -> str:
    """Read a UTF-8 file of sane size; raises `InvalidDocumentsError` naming it as `file`.

    A pipe or a device is refused, not waited for.
    """
    return decoded(read_bytes(path, file), file)


def read_bytes(path: Path, file: str) -> bytes:
    """Read a plain file of sane size; raises `InvalidDocumentsError` naming it as `file`."""
    with open_bytes(path, file) as stream:
        return stream.read(_limit(path) + 1)


@contextmanager
def open_bytes(path: Path, file: str) -> Iterator[BinaryIO]:
    """Open a plain file of sane size; raises `InvalidDocumentsError` naming it as `file`."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _unreadable(file, "missing-file", "no such file", "the file") from None
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise _unreadable(file, "not-a-file", found, "a readable file") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        # Python refuses to make a stream of a folder, in words of its own.
        os.close(handle)
        raise _unreadable(file, "not-a-file", "something that is no file", "a file")
    with os.fdopen(handle, "rb") as stream:
        if status.st_size > _limit(path):
            found = f"{status.st_size} bytes"
            raise _unreadable(file, "too-large", found, f"at most {_limit(path)} bytes")
        yield stream


def _limit(path: Path) -> int:
    grows = path.suffix == ".jsonl" or path.name == REGISTRY
    return MAX_GROWING_BYTES if grows else MAX_BYTES


def _unreadable(file: str, rule: str, found: str, expected: str) -> InvalidDocumentsError:
    return InvalidDocumentsError([Problem(file, 1, 1, "", found, expected, rule)])


def decoded(raw: bytes, file: str, first_line: int = 1) -> str:
    """Return the text of a file, or of its lines from one on.

    Raises `InvalidDocumentsError` for bytes that are not UTF-8.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        found = f"byte 0x{raw[error.start]:02x}"
        if first_line == 1 and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            found += " (the file is UTF-16)"
        line = before.count(b"\n") + first_line
        problem = Problem(file, line, column, "", found, "UTF-8 text", "utf-8")
        raise InvalidDocumentsError([problem]) from None


def closest(word: str, choices: Iterable[str]) -> str:
    """Return the one of `choices` that `word` looks most like; empty if it looks like none."""
    from difflib import get_close_matches

    by_case = {choice.casefold(): choice for choice in choices}
    found = get_close_matches(word.casefold(), by_case, n=1, cutoff=0.6)
    return by_case[found[0]] if found else ""


def to_model(document: Document, model: type[ModelT]) -> ModelT:
    """Check a document against a model; raises `InvalidDocumentsError` with every problem in it."""
    try:
        # By alias alone: `schema_` is how Python spells a key, not how files do.
        return model.model_validate(document.data, by_alias=True, by_name=False)
    except ValidationError as error:
        # Healthy files never pay for it.
        from prompt_hub.repository.messages import model_problems

        raise InvalidDocumentsError(list(model_problems(document, model, error))) from None
