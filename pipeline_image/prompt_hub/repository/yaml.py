"""YAML as people wrote it: parsed strictly, every value knowing its line."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from math import isfinite
from typing import Protocol

import yaml

from prompt_hub.core.json_strict import MAX_DEPTH, NestingError
from prompt_hub.repository.documents import Document, InvalidDocumentsError, Problem
from prompt_hub.repository.json_positions import (
    Location,
    Position,
    position,
)
from prompt_hub.repository.syntax_words import (
    CONFLICT,
    MERGED,
    conflict_at,
    conflict_marker,
    yaml_words,
)

DOCUMENTS_KEPT = 32
"""A command reads the few files of its task several times, and parsing them is most of that."""
LARGEST_KEPT = 20_000
"""Characters; the document of a longer text, such as a registry of years, takes much memory."""


def parse_yaml(text: str, file: str) -> Document:
    """Parse one YAML document.

    Raises `InvalidDocumentsError` for syntax, duplicate keys, aliases, tags.

    Aliases are refused because a handful of them expands to gigabytes, tags because they make
    objects, values such as `yes` and `010` because YAML reads them as something else; none has a
    use in a prompt.

    A text that was parsed a moment ago gives the same document again: nobody may change one.
    """
    return _parse(text, file) if len(text) > LARGEST_KEPT else _parse_once(text, file)


def _parse(text: str, file: str) -> Document:
    try:
        loader, node = _composed(text, file)
        try:
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


_parse_once = lru_cache(maxsize=DOCUMENTS_KEPT)(_parse)


# libyaml's: eight times faster, and validation has to feel immediate.
class _Loader(yaml.CSafeLoader):
    """Stops before it nests deeper than a document may be."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NestingError

    def ascend_resolver(self) -> None:
        self._depth -= 1


# Behind a letter or digit, both are part of a text.
_ALIAS_OR_TAG = re.compile(r"(?<!\w)[*!]")


def _composed(text: str, file: str) -> tuple[yaml.CSafeLoader, yaml.Node | None]:
    """Compose in one pass what is plainly harmless; anything else is looked at first."""
    if not _ALIAS_OR_TAG.search(text):
        loader: yaml.CSafeLoader = _Loader(text)
        try:
            return loader, loader.get_single_node()
        except (yaml.YAMLError, ValueError):
            # The look has the words for it, and finds every one.
            loader.dispose()
    _refuse_bombs(text, file)
    loader = yaml.CSafeLoader(text)
    return loader, loader.get_single_node()


def _syntax_problem(text: str, file: str, error: yaml.MarkedYAMLError) -> Problem:
    line, column = _place(error.problem_mark or error.context_mark)
    message = error.problem or error.context or "broken YAML"
    lines = text.split("\n")
    if (conflict := conflict_at(text)) is not None:
        # Whatever the parser tripped over, this is what is wrong.
        down, across = position(text, conflict)
        return Problem(file, down, across, "", conflict_marker(lines[down - 1]), MERGED, CONFLICT)
    found, expected = yaml_words(message)
    rule = "yaml-syntax"
    here = lines[line - 1] if line <= len(lines) else ""
    if message.endswith("another document"):
        rule, expected, found = "several-documents", "one document a file", "another document"
    elif "\t" in here[:column] and not here[: column - 1].strip():
        rule, expected, found = "tab", "spaces", "a tab character in the indentation"
        column = here.index("\t") + 1
    return Problem(file, line, column, "", found, expected, rule)


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
                note(event, str(NestingError()), expected, "too-deep")
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

    @cached_property
    def _lines(self) -> list[str]:
        return self._text.split("\n")

    def _indent(self, line: int) -> int:
        rest = (self._lines[number] for number in range(line - 1, len(self._lines)))
        first = next((text for text in rest if text.strip()), "")
        return len(first) - len(first.lstrip(" "))

    def _mapping(self, node: yaml.MappingNode, location: Location) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, location, "ambiguous-value", *_NO_KEY)
                continue
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


_NO_KEY = (
    "brackets in brackets, such as of '{{ title }}', which YAML reads as a mapping",
    "the text in quotes, or behind | on lines of its own",
)


def _surprise(tag: str, value: str) -> str:
    """Return what YAML makes of a plain value that looks like something else; empty if nothing."""
    kind = tag.removeprefix(_CORE)
    if kind == "bool" and value.lower() not in {"true", "false"}:
        return "true" if value.lower() in {"yes", "on", "y"} else "false"
    if kind in {"int", "float"} and not _PLAIN_NUMBER.fullmatch(value):
        return "another number" if value.lstrip("+-") not in {".inf", ".nan"} else ""
    return ""
