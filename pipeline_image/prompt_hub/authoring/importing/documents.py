"""Files of others: YAML, JSON, JSON lines and CSV, every value with its line."""

from __future__ import annotations

import csv
import io
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import yaml
from pydantic import JsonValue

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.importing.notes import Place
from prompt_hub.core.json_strict import MAX_DEPTH, is_deeper, strict_json, unique_keys
from prompt_hub.core.wording import count
from prompt_hub.repository.documents import InvalidDocumentsError, Problem, read_text
from prompt_hub.repository.json_positions import JsonScanner, Location
from prompt_hub.repository.syntax_words import json_words, yaml_words

MAX_VALUES = 200_000
"""Values of one file, aliases expanded: more is a bomb, not a configuration."""


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
    """A value without quotes that JSON has no form for; says why."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


def unkept(value: JsonValue) -> str | None:
    """Why something in a value could not be kept, None where all of it was."""
    return next((part.why for part in js.parts(value) if isinstance(part, Unkept)), None)


def text_in(path: Path, name: str) -> str:
    """Return a file's text without the byte order mark that programs on Windows put before it.

    Raises:
        InvalidDocumentsError: it cannot be read.
    """
    return read_text(path, name).removeprefix("\ufeff")


def broken(file: str, line: int, found: str, expected: str) -> InvalidDocumentsError:
    """Return the error of a file that is not what it should be."""
    return InvalidDocumentsError([Problem(file, line, 1, "", found, expected)])


class _Loader(yaml.CSafeLoader):
    """YAML 1.2's core schema, as JavaScript reads it: `yes` and `12:30` are texts, `010` is ten.

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
_DATE = "nothing is kept of a date without quotes; put it in quotes"
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
        raise broken(name, line, *yaml_words(error.problem or "broken YAML")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise broken(name, 1, str(error).splitlines()[0], "valid YAML") from None


def _json(text: str, name: str, line: int) -> Node:
    try:
        value = json.loads(
            text, parse_int=_number, parse_float=_number, object_pairs_hook=unique_keys
        )
        if is_deeper(value):
            raise ValueError(f"values nested more than {MAX_DEPTH} deep")
    except (ValueError, RecursionError) as error:
        raise _broken_json(name, line, error) from None
    return Node(value, Source(name))


def _broken_json(name: str, line: int, error: Exception) -> InvalidDocumentsError:
    """Say what `validate` would say of a JSON text that begins in `line`."""
    if not isinstance(error, json.JSONDecodeError):
        return broken(name, line, str(error), "valid JSON")
    found, expected = json_words(error, "valid JSON")
    return broken(name, line + error.lineno - 1, found, expected)


def json_or_text(text: str) -> JsonValue:
    """Return the value that a text is in JSON; any other text as it is."""
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def parsed_json_lines(text: str, name: str) -> Node:
    """Return JSON lines as a list, numbers as JavaScript's; raises `InvalidDocumentsError`."""
    return _lines(text, name, lambda line, at: _json(line, name, at).data)


def _lines(text: str, name: str, read: Callable[[str, int], JsonValue]) -> Node:
    numbered = [(at, line) for at, line in enumerate(text.split("\n"), start=1) if line.strip()]
    lines: dict[Location, int] = {(index,): at for index, (at, _) in enumerate(numbered)}
    return Node([read(line, at) for at, line in numbered], Source(name, lines))


def parsed_rows(text: str, name: str) -> Node:
    """Return the rows of a CSV table as objects; raises `InvalidDocumentsError`."""
    reader = csv.reader(io.StringIO(text, newline=""))
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
                    found, expected = count(len(cells), "cell"), f"{len(header)}, as in the header"
                    raise broken(name, start, found, expected)
                lines[(len(rows),)] = start
                rows.append(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise broken(name, reader.line_num, str(error), "valid CSV") from None
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


# --- Strict JSON, and texts below a front matter ----------------------------------------------


def parsed_json(text: str, name: str) -> Node:
    """Return a JSON file, every number as it is written; raises `InvalidDocumentsError`."""
    value = _strict(text, name, 1)
    ends = [at for at, character in enumerate(text) if character == "\n"]
    lines = {
        location: bisect_right(ends, offset) + 1
        for location, offset in JsonScanner(text).values.items()
    }
    return Node(value, Source(name, lines))


def parsed_records(text: str, name: str) -> Node:
    """Return JSON lines as a list, numbers as they are written; raises `InvalidDocumentsError`."""
    return _lines(text, name, lambda line, at: _strict(line, name, at))


def _strict(text: str, name: str, line: int) -> JsonValue:
    try:
        value = strict_json(text)
    except (ValueError, RecursionError) as error:
        raise _broken_json(name, line, error) from None
    return _plain(value)


_FENCE = re.compile(r"---[ \t]*")


@dataclass(frozen=True)
class Page:
    """A file of YAML between two lines `---` and a text below; `line` is the text's first."""

    front: Node
    body: str
    line: int


def parsed_page(text: str, name: str) -> Page:
    """Split a file into its front matter, which may be missing, and the text below it.

    Raises:
        InvalidDocumentsError: the front matter has no end, is broken, or no mapping.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    # Comments and empty lines may stand above, such as a licence.
    first = next((i for i, line in enumerate(lines) if line.strip() and line[0] != "#"), 0)
    if not _FENCE.fullmatch(lines[first]):
        return Page(Node({}, Source(name)), "\n".join(lines), 1)
    last = next((i for i in range(first + 1, len(lines)) if _FENCE.fullmatch(lines[i])), None)
    if last is None:
        raise broken(name, first + 1, "a front matter without an end", "a second line '---'")
    # Empty lines stand for those above, so that every value keeps its line.
    front = parsed_yaml("\n" * (first + 1) + "\n".join(lines[first + 1 : last]), name)
    if front.data is None:
        front = Node({}, front.source)
    if not isinstance(front.data, dict):
        raise broken(name, first + 2, "a front matter that is no mapping", "lines such as 'a: b'")
    return Page(front, "\n".join(lines[last + 1 :]), last + 2)
