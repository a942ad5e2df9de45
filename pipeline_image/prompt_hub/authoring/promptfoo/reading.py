"""Files of a promptfoo project: YAML, JSON, JSON lines and CSV, every value with its line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import yaml
from pydantic import JsonValue

from prompt_hub.authoring.promptfoo import javascript as js
from prompt_hub.authoring.promptfoo.notes import Place
from prompt_hub.core.json_strict import MAX_DEPTH, is_deeper, unique_keys
from prompt_hub.repository.contracts import referred
from prompt_hub.repository.documents import InvalidDocumentsError, Problem, read_text
from prompt_hub.repository.json_positions import Location

MAX_VALUES = 200_000
"""Values of one file, aliases expanded: more is a bomb, not a configuration."""
MAX_NAME = 255
"""Bytes of a file's name: a longer one is a text, and no file system has it."""
REFERENCE = "file://"


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


class Unkept(dict[str, JsonValue]):
    """A value without quotes that promptfoo or JSON has no form for; says why."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


def unkept(value: JsonValue) -> str | None:
    """Why something in a value could not be kept, None where all of it was."""
    return next((part.why for part in js.parts(value) if isinstance(part, Unkept)), None)


class Project:
    """The files of one configuration, found from its folder as promptfoo finds them."""

    def __init__(self, config: Path) -> None:
        self._folder = config.resolve().parent
        read = self.load(config.resolve())
        self.config = Node(_without_references(read.data, read.data), read.source)

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

    def load(self, path: Path) -> Node:
        """Return a file as a value: a list of rows for CSV, of lines for JSON lines.

        Raises `InvalidDocumentsError` for a file that is missing, broken, or no data.
        """
        name, text = self.name(path), self.text(path)
        match path.suffix.lower():
            case ".yaml" | ".yml" | ".json":
                return parsed_yaml(text, name)
            case ".jsonl":
                return _lines(text, name)
            case ".csv":
                return _rows(text, name)
        raise _broken(name, 1, f"a {path.suffix or 'nameless'} file", "YAML, JSON, JSONL or CSV")

    def resolved(self, node: Node | None) -> Node | None:
        """Return the value that a `file://` reference stands for; any other value is itself."""
        if node is None or not isinstance(node.data, str) or not node.data.startswith(REFERENCE):
            return node
        for path in self.find(node.data):
            return self.load(path)
        raise _broken(*node.place, f"{node.data[:80]}, which no file is called", "a file")


def _broken(file: str, line: int, found: str, expected: str) -> InvalidDocumentsError:
    return InvalidDocumentsError([Problem(file, line, 1, "", found, expected)])


def _without_references(value: JsonValue, root: JsonValue) -> JsonValue:
    """Return a configuration in which `{$ref: '#/a/b'}`, which promptfoo replaces, is not kept."""
    match value:
        case Unkept():
            return value
        case {"$ref": str() as reference} if referred(reference, root) is not None:
            return Unkept(f"it stands elsewhere ({reference}); write it out where it is used")
        case dict():
            return {key: _without_references(item, root) for key, item in value.items()}
        case list():
            return [_without_references(item, root) for item in value]
    return value


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
_DATE = "promptfoo keeps nothing of a date without quotes; put it in quotes"
_INFINITE = "a number in it is not finite; put quotes around a text such as 123e4567"


def _number(written: str) -> JsonValue:
    base = _BASES.get(written[:2])
    # Python makes no integer of thousands of digits; a double has fewer than twenty anyway.
    bare = re.sub(r"\.(?=[a-zA-Z])", "", written)
    found = js.number(float(bare) if base is None else int(written, base))
    return found if isfinite(found) else Unkept(_INFINITE)


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", lambda _, node: _number(str(node.value)))
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: Unkept(_DATE))


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
        return Node(_plain(data), Source(name, lines))
    except yaml.MarkedYAMLError as error:
        if name.endswith(".json"):
            return _json(text, name, 1)
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _broken(name, line, error.problem or "broken YAML", "valid YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _broken(name, 1, str(error).splitlines()[0], "valid YAML") from None


def _json(text: str, name: str, line: int) -> Node:
    try:
        value = json.loads(
            text, parse_int=_number, parse_float=_number, object_pairs_hook=unique_keys
        )
        if is_deeper(value):
            raise ValueError(f"values nested more than {MAX_DEPTH} deep")
    except (ValueError, RecursionError) as error:
        raise _broken(name, line, str(error), "valid JSON") from None
    return Node(value, Source(name))


def _lines(text: str, name: str) -> Node:
    values: list[JsonValue] = []
    lines: dict[Location, int] = {}
    for at, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            lines[(len(values),)] = at
            values.append(_json(line, name, at).data)
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
                lines[(len(rows),)] = start
                rows.append(dict(zip(header, cells, strict=True)))
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
    """Return a value of YAML as one of JSON: keys as text."""
    match value:
        case None | bool() | int() | float() | str() | Unkept():
            return value
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    raise ValueError(f"a value of a kind that JSON has not ({type(value).__name__})")
