"""Files of a promptfoo project: YAML, JSON, JSON lines and CSV, every value with its line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import yaml
from pydantic import JsonValue

from prompt_hub.authoring.promptfoo.javascript import number
from prompt_hub.authoring.promptfoo.notes import Place
from prompt_hub.core.json_strict import MAX_DEPTH, strict_json
from prompt_hub.repository.contracts import referred
from prompt_hub.repository.documents import InvalidDocumentsError, Problem, read_text
from prompt_hub.repository.json_positions import Location

MAX_VALUES = 200_000
"""Values of one file, aliases expanded: more is a bomb, not a configuration."""
MAX_NAME = 255
"""Bytes of a file's name: a longer one is a text, and no file system has it."""
REFERENCE = "file://"
_OF_TESTS = ("tests", "scenarios", "defaultTest")
"""Where a number that is not finite keeps single tests from being examples, and no more."""


@dataclass(frozen=True)
class Source:
    """A file that was read: its name as people see it, and the line of every value in it."""

    file: str
    lines: Mapping[Location, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """A value and where it stands."""

    data: JsonValue
    source: Source
    location: Location = ()

    @property
    def place(self) -> Place:
        """The value's file and line, or the nearest line around it that is known."""
        nearest = self.location
        while nearest and nearest not in self.source.lines:
            nearest = nearest[:-1]
        return self.source.file, self.source.lines.get(nearest, 1)

    def items(self) -> Iterator[tuple[str, Node]]:
        """Yield the entries of a mapping; none of anything else."""
        if isinstance(self.data, dict):
            for key, value in self.data.items():
                yield key, Node(value, self.source, (*self.location, key))

    def elements(self) -> Iterator[Node]:
        """Yield the elements of a list; anything else is its own only element."""
        if isinstance(self.data, list):
            for index, value in enumerate(self.data):
                yield Node(value, self.source, (*self.location, index))
        else:
            yield self

    def get(self, key: str) -> Node | None:
        """Return the entry `key`, None where there is none or it is null."""
        value = self.data.get(key) if isinstance(self.data, dict) else None
        return None if value is None else Node(value, self.source, (*self.location, key))


class Project:
    """The files of one configuration, found from its folder as promptfoo finds them."""

    def __init__(self, config: Path) -> None:
        self._folder = config.resolve().parent
        self.config = self.load(config.resolve(), infinite=True)
        for key, node in self.config.items():
            if key not in _OF_TESTS:
                _refuse_infinite(node)

    def find(self, reference: str, beside: str | None = None) -> list[Path]:
        """Return the files that `file://…` or a plain path names; a pattern may name several.

        They are looked for in the configuration's folder, or in that of its file `beside`.
        """
        name = reference.removeprefix(REFERENCE)
        folder = self._folder if beside is None else (self._folder / beside).parent
        if any(len(part.encode()) > MAX_NAME for part in Path(name).parts):
            return []
        if any(mark in name for mark in "*?[") and not Path(name).is_absolute():
            return sorted(path for path in folder.glob(name) if path.is_file())
        return [folder / name]

    def text(self, path: Path) -> str:
        """Return a file's text; raises `InvalidDocumentsError`, also for one outside the project.

        What is read ends up in the repository: a stranger's configuration must not name one's keys.
        """
        inside = (self._folder, Path.cwd())
        if not any(path.resolve().is_relative_to(folder) for folder in inside):
            found = "a file outside the configuration's folder and the working directory"
            raise _broken(str(path), 1, found, "a file of the project")
        if path.is_dir():
            raise _broken(self.name(path), 1, "a folder", "a file")
        return read_text(path, self.name(path))

    def name(self, path: Path) -> str:
        """Return a file's name as people see it: from the configuration's folder."""
        resolved = path.resolve()
        if resolved.is_relative_to(self._folder):
            return resolved.relative_to(self._folder).as_posix()
        return str(path)

    def load(self, path: Path, *, infinite: bool = False) -> Node:
        """Return a file as a value: a list of rows for CSV, of lines for JSON lines.

        Args:
            path: the file.
            infinite: whether its numbers may be infinite, as YAML has them; the caller looks.

        Raises:
            InvalidDocumentsError: the file is missing, broken, or of a kind that is not data.
        """
        name, text = self.name(path), self.text(path)
        match path.suffix.lower():
            case ".yaml" | ".yml" | ".json":
                node = parsed_yaml(text, name)
                if not infinite:
                    _refuse_infinite(node)
                return node
            case ".jsonl":
                return _lines(text, name)
            case ".csv":
                return _rows(text, name)
        raise _broken(name, 1, f"a {path.suffix or 'nameless'} file", "YAML, JSON, JSONL or CSV")

    def resolved(self, node: Node | None, *, infinite: bool = False) -> Node | None:
        """Return the value that a `file://` reference stands for; any other value is itself."""
        if node is None or not isinstance(node.data, str) or not node.data.startswith(REFERENCE):
            return node
        for path in self.find(node.data):
            return self.load(path, infinite=infinite)
        raise _broken(*node.place, f"{node.data[:80]}, which no file is called", "a file")


def _broken(file: str, line: int, found: str, expected: str) -> InvalidDocumentsError:
    return InvalidDocumentsError([Problem(file, line, 1, "", found, expected)])


def _refuse_infinite(node: Node) -> None:
    """Raise `InvalidDocumentsError` where a number is not finite, with its line."""
    if isinstance(node.data, float) and not isfinite(node.data):
        found = f"{node.data}, which is not a finite number"
        raise _broken(*node.place, found, "a number, or a text in quotes")
    for entry in node.items():
        _refuse_infinite(entry[1])
    for item in node.elements() if isinstance(node.data, list) else ():
        _refuse_infinite(item)


class UnquotedDate(dict[str, JsonValue]):
    """A date without quotes: promptfoo makes an object of it and keeps nothing of what is in it."""


def infinite(value: JsonValue) -> bool:
    """Whether a number that is not finite stands in a value: JSON has none of these."""
    return any(isinstance(item, float) and not isfinite(item) for item in _all_in(value))


def dated(value: JsonValue) -> bool:
    """Whether a date without quotes stands in a value."""
    return any(isinstance(item, UnquotedDate) for item in _all_in(value))


def _all_in(value: JsonValue) -> Iterator[JsonValue]:
    yield value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _all_in(item)


class _Loader(yaml.CSafeLoader):
    """YAML 1.2's core schema, as promptfoo reads it: `yes` and `12:30` are texts, `010` is ten.

    Numbers are JavaScript's: `5.0` is 5, and of 20 digits the last ones are gone.
    """


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.?[0-9]*)(?:[eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", [*"-+."]),
    ("merge", r"<<", ["<"]),
    ("timestamp", r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d.*", [*"0123456789"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )
_BASES = {"0o": 8, "0x": 16}


def _whole(written: str) -> int | float:
    base = _BASES.get(written[:2])
    # Python makes no integer of thousands of digits; a double has fewer than twenty anyway.
    return number(float(written) if base is None else int(written, base))


_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: _whole(str(node.value)))
_Loader.add_constructor(
    "tag:yaml.org,2002:float",
    lambda _, node: number(float(re.sub(r"\.(?=[a-zA-Z])", "", str(node.value)))),
)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: UnquotedDate())


def parsed_yaml(text: str, name: str) -> Node:
    """YAML, of which JSON is a part. Unlike our own files, it may use aliases and merge keys.

    Raises:
        InvalidDocumentsError: it is broken.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[Location, int] = {}
            if node is not None:
                _walk(node, (), lines)
            data = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
        plain = _plain(data)
        return Node(_dereferenced(plain, plain), Source(name, lines))
    except yaml.MarkedYAMLError as error:
        if name.endswith(".json"):
            return _json(text, name)
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _broken(name, line, error.problem or "broken YAML", "valid YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _broken(name, 1, str(error).splitlines()[0], "valid YAML") from None


def _json(text: str, name: str) -> Node:
    try:
        return Node(_plain(strict_json(text)), Source(name))
    except ValueError as error:
        raise _broken(name, 1, str(error), "valid JSON") from None


def _lines(text: str, name: str) -> Node:
    values: list[JsonValue] = []
    lines: dict[Location, int] = {}
    for at, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append(_plain(strict_json(line)))
            except ValueError as error:
                raise _broken(name, at, str(error), "one JSON value a line") from None
            lines[(len(values) - 1,)] = at
    return Node(values, Source(name, lines))


def _rows(text: str, name: str) -> Node:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    header: list[str] = []
    rows: list[JsonValue] = []
    lines: dict[Location, int] = {}
    before = 0
    limit = csv.field_size_limit(len(text) + 1)
    try:
        for cells in reader:
            start, before = before + 1, reader.line_num
            if not header:
                header = [cell.strip() for cell in cells]
            elif any(cells):
                if len(cells) != len(header):
                    found, expected = f"{len(cells)} cells", f"{len(header)}, as in the header"
                    raise _broken(name, start, found, expected)
                rows.append(dict(zip(header, cells, strict=True)))
                lines[(len(rows) - 1,)] = start
    except csv.Error as error:
        raise _broken(name, reader.line_num, str(error), "valid CSV") from None
    finally:
        csv.field_size_limit(limit)
    return Node(rows, Source(name, lines))


def _walk(node: yaml.Node, location: Location, lines: dict[Location, int]) -> None:
    if len(lines) > MAX_VALUES or len(location) > MAX_DEPTH:
        raise ValueError("more values than a configuration has (aliases of aliases?)")
    lines[location] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*location, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = (*location, str(key.value))
            if name in lines and key.value != "<<":
                raise ValueError(f"the key {key.value!r} twice (line {key.start_mark.line + 1})")
            _walk(value, name, lines)


def _plain(value: object) -> JsonValue:
    """Return a value of YAML as one of JSON, but for numbers that are not finite: keys as text."""
    match value:
        case None | bool() | str() | UnquotedDate():
            return value
        case int() | float():
            return number(value)
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    raise ValueError(f"a value of a kind that JSON has not ({type(value).__name__})")


def _dereferenced(value: JsonValue, root: JsonValue, depth: int = 0) -> JsonValue:
    """`{$ref: '#/a/b'}` as what stands there in the same file; others stay for a note."""
    if depth > MAX_DEPTH:
        raise ValueError("references without end")
    if isinstance(value, list):
        return [_dereferenced(item, root, depth + 1) for item in value]
    if not isinstance(value, dict) or isinstance(value, UnquotedDate):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/") and len(value) == 1:
        found = referred(reference, root)
        return value if found is None else _dereferenced(found, root, depth + 1)
    return {key: _dereferenced(item, root, depth + 1) for key, item in value.items()}
