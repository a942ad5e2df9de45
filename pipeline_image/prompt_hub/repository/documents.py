"""YAML and JSONL as people wrote them: parsed strictly, every value knowing its line."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.json_positions import (
    MAX_DIGITS,
    SURROGATE,
    JsonScanner,
    Location,
    Position,
    PositionMap,
    position,
)

MAX_BYTES = 1_000_000
"""No prompt, metadata or registry file of a healthy repository comes near one megabyte."""
MAX_LINES_BYTES = 50_000_000
"""JSON lines, examples and evaluation details, grow with the work."""
MAX_DEPTH = 50
"""Nesting deeper than this is an attack on the parser, not a prompt."""

ModelT = TypeVar("ModelT", bound=BaseModel)


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

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        what = f" {self.field}:" if self.field else ""
        meant = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        return f"{where}:{what} found {self.found}{meant}; expected {self.expected}"


class InvalidDocumentsError(PromptHubError):
    """One or more files cannot be used; `problems` says all that is wrong with them."""

    def __init__(self, problems: Sequence[Problem], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        message = "\n".join(map(str, self.problems))
        # A sentence goes on with the hint; a list of problems has no end.
        super().__init__(f"{message}." if hint else message, hint=hint, exit_code=ExitCode.BLOCKED)


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
    limit = MAX_LINES_BYTES if path.suffix == ".jsonl" else MAX_BYTES
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _unreadable(file, "missing-file", "no such file", "the file") from None
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise _unreadable(file, "not-a-file", found, "a readable file") from None
    with os.fdopen(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise _unreadable(file, "not-a-file", "something that is no file", "a file")
        if status.st_size > limit:
            found = f"{status.st_size} bytes"
            raise _unreadable(file, "too-large", found, f"at most {limit} bytes")
        return stream.read(limit + 1)


def _unreadable(file: str, rule: str, found: str, expected: str) -> InvalidDocumentsError:
    return InvalidDocumentsError([Problem(file, 1, 1, "", found, expected, rule)])


def decoded(raw: bytes, file: str) -> str:
    """Return the text of a file; raises `InvalidDocumentsError` for bytes that are not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        found = f"byte 0x{raw[error.start]:02x}"
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            found += " (the file is UTF-16)"
        line = before.count(b"\n") + 1
        problem = Problem(file, line, column, "", found, "UTF-8 text", "utf-8")
        raise InvalidDocumentsError([problem]) from None


def closest(word: str, choices: Iterable[str]) -> str:
    """Return the one of `choices` that `word` looks most like; empty if it looks like none."""
    from difflib import get_close_matches

    by_case = {choice.casefold(): choice for choice in choices}
    found = get_close_matches(word.casefold(), by_case, n=1, cutoff=0.6)
    return by_case[found[0]] if found else ""


# --- YAML --------------------------------------------------------------------------------------


def parse_yaml(text: str, file: str) -> Document:
    """Parse one YAML document.

    Raises `InvalidDocumentsError` for syntax, duplicate keys, aliases, tags.

    Aliases are refused because a handful of them expands to gigabytes, tags because they make
    objects, values such as `yes` and `010` because YAML reads them as something else; none has a
    use in a prompt.
    """
    try:
        _refuse_bombs(text, file)
        # libyaml's: eight times faster, and validation has to feel immediate.
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            walk = _Walk(file, text)
            if node is not None:
                walk.visit(node, ())
            if walk.problems:
                raise InvalidDocumentsError(walk.problems)
            data = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise InvalidDocumentsError([_syntax_problem(text, file, error)]) from None
    except yaml.YAMLError as error:
        found = str(error).splitlines()[0]
        problem = Problem(file, 1, 1, "", found, "valid YAML", "yaml-syntax")
        raise InvalidDocumentsError([problem]) from None
    except ValueError as error:
        problem = Problem(file, 1, 1, "", str(error), "valid YAML", "yaml-syntax")
        raise InvalidDocumentsError([problem]) from None
    return Document(file, data, walk.positions, walk.keys, walk.blocks)


def _syntax_problem(text: str, file: str, error: yaml.MarkedYAMLError) -> Problem:
    line, column = _place(error.problem_mark or error.context_mark)
    found = _in_words(error.problem or "broken YAML")
    rule, expected = "yaml-syntax", "valid YAML"
    lines = text.split("\n")
    here = lines[line - 1] if line <= len(lines) else ""
    if found.endswith("another document"):
        rule, expected, found = "several-documents", "one document a file", "another document"
    elif "\t" in here[:column] and not here[: column - 1].strip():
        rule, expected, found = "tab", "spaces", "a tab character in the indentation"
        column = here.index("\t") + 1
    return Problem(file, line, column, "", found, expected, rule)


def _in_words(problem: str) -> str:
    """Return what the parser says, so that it reads on after "found"."""
    message = re.sub("^(did|could) not find (expected )?", "no ", problem.removeprefix("found "))
    return message.replace(" are not allowed in this context", " where none are allowed")


def _finite(text: str) -> bool:
    if text.lower().lstrip("+-") in {".inf", ".nan"}:
        return False
    try:
        return isfinite(float(text.replace("_", "")))
    except ValueError:  # YAML's base-60 numbers, which have no exponent to overflow with
        return True


def _refuse_bombs(text: str, file: str) -> None:
    """Refuse what must not even be composed: it could expand, make objects, exhaust the stack."""
    depth = 0
    problems: list[Problem] = []

    def note(event: yaml.Event, found: str, expected: str, rule: str) -> None:
        line, column = _place(event.start_mark)
        problems.append(Problem(file, line, column, "", found, expected, rule))

    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            note(event, "a YAML alias", "the value itself", "alias")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag is not None:
                note(event, f"the YAML tag {event.tag!r}", "a plain value", "tag")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            if depth > MAX_DEPTH:
                expected = f"at most {MAX_DEPTH} levels"
                note(event, "values nested without end", expected, "too-deep")
                break
    if problems:
        raise InvalidDocumentsError(problems)


class _Mark(Protocol):
    line: int
    column: int


def _place(mark: _Mark | None) -> Position:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


_CORE = "tag:yaml.org,2002:"
_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?")


class _Walk:
    """Collects the places of all values of a YAML document, and what is wrong with them."""

    def __init__(self, file: str, text: str) -> None:
        self.positions: dict[Location, Position] = {}
        self.keys: dict[Location, Position] = {}
        self.blocks: dict[Location, Position] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._text = text

    def visit(self, node: yaml.Node, location: Location) -> None:
        self.positions[location] = _place(node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            self._scalar(node, location)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.visit(item, (*location, index))
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, location)

    def _note(
        self, node: yaml.Node, location: Location, rule: str, found: str, expected: str
    ) -> None:
        what = ".".join(map(str, location))
        self.problems.append(
            Problem(self._file, *_place(node.start_mark), what, found, expected, rule)
        )

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> None:
        value: str = node.value
        if node.style == "|":
            line = node.start_mark.line + 2
            self.blocks[location] = (line, self._indent(line))
        elif node.tag == _CORE + "float" and not _finite(value):
            self._note(node, location, "not-finite", value, "a finite number")
        elif not node.style and (read_as := _surprise(node.tag, value)):
            found = f"{value!r}, which YAML reads as {read_as}"
            self._note(
                node, location, "ambiguous-value", found, f'"{value}" in quotes, or {read_as}'
            )

    def _indent(self, line: int) -> int:
        rest = self._text.split("\n")[line - 1 :]
        first = next((text for text in rest if text.strip()), "")
        return len(first) - len(first.lstrip(" "))

    def _mapping(self, node: yaml.MappingNode, location: Location) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = (*location, name)
            if key.tag == _CORE + "merge":
                self._note(key, here, "alias", "a YAML merge key", "the values themselves")
            elif key.tag != _CORE + "str":
                found = f"the key {name!r}, which YAML reads as no text"
                self._note(key, here, "ambiguous-value", found, f'the key "{name}" in quotes')
            if name in seen:
                self._note(key, here, "duplicate-key", "the key twice", "each key once")
            seen.add(name)
            self.keys[here] = _place(key.start_mark)
            self.visit(value, here)


def _surprise(tag: str, value: str) -> str:
    """Return what YAML makes of a plain value that looks like something else; empty if nothing."""
    kind = tag.removeprefix(_CORE)
    if kind == "bool" and value.lower() not in {"true", "false"}:
        return "true" if value.lower() in {"yes", "on", "y"} else "false"
    if kind in {"int", "float"} and not _PLAIN_NUMBER.fullmatch(value):
        return "another number" if value.lstrip("+-") not in {".inf", ".nan"} else ""
    return ""


# --- JSON --------------------------------------------------------------------------------------


def parse_json(text: str, file: str) -> Document:
    """Parse a file that holds one JSON value.

    Raises:
        InvalidDocumentsError: (see `strict_json`).
    """
    try:
        data = _shallow_json(text)
    except ValueError as error:
        raise InvalidDocumentsError(list(_json_problems(text, file, 1, error))) from None
    return Document(file, data, PositionMap(text), PositionMap(text, of_keys=True))


def parse_jsonl(text: str, file: str) -> Iterator[tuple[int, Document]]:
    """Yield `(line, document)` of each good line.

    Raises:
        InvalidDocumentsError: after the last line, if any was bad.
    """
    problems: list[Problem] = []
    # Not `splitlines`: U+2028 and its kind may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            data = _shallow_json(line)
        except ValueError as error:
            problems += _json_problems(line, file, number, error)
            continue
        yield (
            number,
            Document(
                file, data, PositionMap(line, number), PositionMap(line, number, of_keys=True)
            ),
        )
    if problems:
        raise InvalidDocumentsError(problems)


def _json_problems(text: str, file: str, first_line: int, error: ValueError) -> Iterator[Problem]:
    whole = "one JSON value on this line" if file.endswith(".jsonl") else "valid JSON"
    if isinstance(error, json.JSONDecodeError):
        line = error.lineno + first_line - 1
        yield Problem(file, line, error.colno, "", error.msg, whole, "json-syntax")
        return
    if isinstance(error, NestingError):
        expected = f"at most {MAX_DEPTH} levels"
        yield Problem(file, first_line, 1, "", str(error), expected, "too-deep")
        return
    try:
        # What is odd was met before the rest of the text was read: is that at least JSON?
        json.loads(text, parse_int=len, parse_float=len)
    except json.JSONDecodeError as syntax:
        yield from _json_problems(text, file, first_line, syntax)
        return
    except RecursionError:
        yield from _json_problems(text, file, first_line, NestingError("values nested without end"))
        return
    for oddity in JsonScanner(text).oddities:
        line, column = position(text, oddity.offset, first_line)
        what = ".".join(map(str, oddity.location))
        expected = _INSTEAD[oddity.rule]
        yield Problem(file, line, column, what, oddity.found, expected, oddity.rule)


_INSTEAD = {
    "duplicate-key": "each key once",
    "not-finite": "a finite number",
    "surrogate": "whole characters",
}


class NestingError(ValueError):
    """JSON values nested without end."""


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def _shallow_json(text: str) -> object:
    value = strict_json(text)
    if text.count("{") + text.count("[") > MAX_DEPTH:
        depth = 0
        for mark in _STRING.sub("", text):
            depth += (mark in "{[") - (mark in "}]")
            if depth > MAX_DEPTH:
                raise NestingError("values nested without end")
    return value


def is_text(text: str) -> bool:
    """Whether a string is whole characters, not bytes that could not be decoded."""
    return not SURROGATE.search(text)


def strict_json(text: str) -> object:
    """Parse JSON; raises `ValueError` for bad syntax and for what JSON should not say.

    That is a key given twice, NaN, half a character, and nesting without end.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_sane_int,
        )
        # Only an escape can smuggle in a lone surrogate, which no file could hold.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise NestingError("values nested without end") from None
    except UnicodeEncodeError:
        raise ValueError("half a character (a lone surrogate)") from None
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} twice")
    return seen


def _finite_float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_constant(text)


def _sane_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not a finite number")


# --- Models ------------------------------------------------------------------------------------


def to_model(document: Document, model: type[ModelT]) -> ModelT:
    """Check a document against a model; raises `InvalidDocumentsError` with every problem in it."""
    try:
        # By alias alone: `schema_` is how Python spells a key, not how files do.
        return model.model_validate(document.data, by_alias=True, by_name=False)
    except ValidationError as error:
        # Healthy files never pay for it.
        from prompt_hub.repository.messages import model_problems

        raise InvalidDocumentsError(list(model_problems(document, model, error))) from None


def parse_model(text: str, file: str, model: type[ModelT], *, hint: str) -> ModelT:
    """Return the model in a JSON file that a command wrote.

    `hint` says what to do about a broken one.

    Raises `InvalidDocumentsError` with the first problem alone: nobody mends such a file by hand.
    """
    try:
        return to_model(parse_json(text, file), model)
    except InvalidDocumentsError as error:
        raise InvalidDocumentsError(error.problems[:1], hint=hint) from None
