"""YAML and JSONL as people wrote them: parsed strictly, every value knowing its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from sys import intern
from typing import NoReturn, Protocol, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from prompt_hub.errors import ExitCode, PromptHubError

MAX_BYTES = 1_000_000
"""No prompt, metadata or registry file of a healthy repository comes near one megabyte."""
MAX_LINES_BYTES = 50_000_000
"""JSON lines, examples and evaluation details, grow with the work."""
MAX_DEPTH = 50
"""Nesting deeper than this is an attack on the parser, not a prompt."""

Location = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one file: where it is, what was found, what was expected."""

    file: str
    line: int
    column: int
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        what = f" {self.field}:" if self.field else ""
        return f"{where}:{what} found {self.found}; expected {self.expected}"


class InvalidDocuments(PromptHubError):
    """One or more files cannot be used; `problems` says all that is wrong with them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)), exit_code=ExitCode.BLOCKED)


@dataclass(frozen=True)
class Document:
    """A parsed file: its data, and the line and column (from 1) of every value in it."""

    file: str
    data: object
    positions: Mapping[Location, tuple[int, int]] = field(default_factory=dict)

    def problem(self, location: Location, found: str, expected: str) -> Problem:
        """A problem at `location`, or at the nearest value around it that the file has."""
        nearest = location
        while nearest and nearest not in self.positions:
            nearest = nearest[:-1]
        line, column = self.positions.get(nearest, (1, 1))
        name = ".".join(map(str, location))
        return Problem(self.file, line, column, name, found, expected)


def read_text(path: Path, file: str) -> str:
    """Read a UTF-8 file of sane size; raises `InvalidDocuments` naming it as `file`."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InvalidDocuments([Problem(file, 1, 1, "", "no such file", "the file")]) from None
    limit = MAX_LINES_BYTES if path.suffix == ".jsonl" else MAX_BYTES
    if len(raw) > limit:
        found, expected = f"{len(raw)} bytes", f"at most {limit} bytes"
        raise InvalidDocuments([Problem(file, 1, 1, "", found, expected)])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        found = f"byte 0x{raw[error.start]:02x}"
        raise InvalidDocuments([Problem(file, line, 1, "", found, "UTF-8 text")]) from None


def parse_yaml(text: str, file: str) -> Document:
    """Parse one YAML document; raises `InvalidDocuments` for syntax, duplicate keys, aliases, tags.

    Aliases are refused because a handful of them expands to gigabytes, tags because they make
    objects; neither has a use in a prompt.
    """
    try:
        _refuse_bombs(text, file)
        # libyaml's: eight times faster, and validation has to feel immediate.
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            problems: list[Problem] = []
            positions: dict[Location, tuple[int, int]] = {}
            if node is not None:
                _walk(node, (), file, positions, problems)
            if problems:
                raise InvalidDocuments(problems)
            data = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line, column = _place(error.problem_mark or error.context_mark)
        found = (error.problem or "broken YAML").removeprefix("found ")
        raise InvalidDocuments([Problem(file, line, column, "", found, "valid YAML")]) from None
    except yaml.YAMLError as error:
        found = str(error).splitlines()[0]
        raise InvalidDocuments([Problem(file, 1, 1, "", found, "valid YAML")]) from None
    except ValueError as error:
        raise InvalidDocuments([Problem(file, 1, 1, "", str(error), "valid YAML")]) from None
    return Document(file, data, positions)


def _finite(text: str) -> bool:
    if text.lower().lstrip("+-") in {".inf", ".nan"}:
        return False
    try:
        return isfinite(float(text.replace("_", "")))
    except ValueError:  # YAML's base-60 numbers, which have no exponent to overflow with
        return True


def _refuse_bombs(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        found = expected = ""
        if isinstance(event, yaml.AliasEvent):
            found, expected = "a YAML alias", "the value itself"
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                found, expected = "values nested without end", f"at most {MAX_DEPTH} levels"
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if found:
            line, column = _place(event.start_mark)
            raise InvalidDocuments([Problem(file, line, column, "", found, expected)])


class _Mark(Protocol):
    line: int
    column: int


def _place(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _walk(
    node: yaml.Node,
    location: Location,
    file: str,
    positions: dict[Location, tuple[int, int]],
    problems: list[Problem],
) -> None:
    positions[location] = _place(node.start_mark)
    if node.tag == "tag:yaml.org,2002:float" and not _finite(node.value):
        what = ".".join(map(str, location))
        problems.append(Problem(file, *positions[location], what, node.value, "a finite number"))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*location, index), file, positions, problems)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = (*location, name)
            if name in seen:
                what = ".".join(map(str, here))
                problems.append(
                    Problem(file, *_place(key.start_mark), what, "the key twice", "each key once")
                )
            seen.add(name)
            _walk(value, here, file, positions, problems)


def parse_jsonl(text: str, file: str) -> Iterator[tuple[int, object]]:
    """Yield `(line, value)` of each good line; ends with `InvalidDocuments` if any is bad."""
    problems: list[Problem] = []
    # Not `splitlines`: U+2028 and its kind may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, strict_json(line)
        except ValueError as error:
            column = error.colno if isinstance(error, json.JSONDecodeError) else 1
            found = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            problems.append(Problem(file, number, column, "", found, "one JSON value on this line"))
    if problems:
        raise InvalidDocuments(problems)


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
        )
        # Only an escape can smuggle in a lone surrogate, which no file could hold.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("values nested without end") from None
    except UnicodeEncodeError:
        raise ValueError("half a character (a lone surrogate)") from None
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Every line of a large set has the same few keys: kept once, they are a fifth of the memory.
    seen = {intern(name): value for name, value in pairs}
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} twice")
    return seen


def _finite_float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_constant(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is not a finite number")


def to_model(document: Document, model: type[ModelT]) -> ModelT:
    """Check a document against a model; raises `InvalidDocuments` with every problem in it."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise InvalidDocuments(list(_problems(document, error))) from None


_INPUT_SHOULD = re.compile(r"^Input should (be )?")
_KIND_SHOULD = re.compile(r"^\w+ should ")


def _problems(document: Document, error: ValidationError) -> Iterable[Problem]:
    for item in error.errors(include_url=False):
        location = _in_file(tuple(item["loc"]), document.data)
        found = "nothing" if item["type"] == "missing" else _short(item["input"])
        expected = _INPUT_SHOULD.sub("", item["msg"].removeprefix("Value error, "))
        expected = _KIND_SHOULD.sub("it to ", expected)
        if item["type"] == "missing":
            expected = "this field"
        elif item["type"] == "extra_forbidden":
            found, expected = f"the key {location[-1]!r}", "no such key"
        elif item["type"] == "union_tag_invalid":
            location = (*location, "type")
            found, expected = repr(item["ctx"]["tag"]), f"one of {item['ctx']['expected_tags']}"
        elif item["type"] == "union_tag_not_found":
            location, found, expected = (*location, "type"), "nothing", "this field"
        yield document.problem(location, found, expected)


def _in_file(location: Location, data: object) -> Location:
    """A location without the tags that pydantic puts into it: the `type` of a model among many."""
    found: list[str | int] = []
    value = data
    for step in location:
        if isinstance(value, dict):
            if step not in value and value.get("type") == step:
                continue
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            value = None
        found.append(step)
    return tuple(found)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
