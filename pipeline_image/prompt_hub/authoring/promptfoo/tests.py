"""The tests of a promptfoo configuration: values of variables, and what is asserted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo.notes import Notes, Place
from prompt_hub.authoring.promptfoo.reading import REFERENCE, Node, Project, Source, substituted
from prompt_hub.authoring.promptfoo.vocabulary import KNOWN_TYPES
from prompt_hub.core.errors import PromptHubError

MAX_CASES = 20_000
_DATA = {".yaml", ".yml", ".json", ".jsonl", ".csv"}
_TEXT = {".txt", ".md"}
_COMMA = re.compile(r"(?<!\\),")
_EXPECTED = re.compile(r"__expected\d*")
_SHORTHAND = re.compile(r"(?P<type>[a-z][a-z-]*)(?:\((?P<threshold>[\d.]+)\))?:(?P<value>.*)", re.S)
SHORTHANDS = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}
_LISTS = ("contains-any", "contains-all", "icontains-any", "icontains-all")
_TEST_KEYS = {"vars", "assert", "description", "metadata"}
_WHY = {
    "threshold": "here the mean over all examples is held against the task's threshold",
    "options": "what is put around a prompt or done to an answer belongs into the prompt here",
    "provider": "all examples of a task go to one model",
    "providers": "all examples of a task go to one model",
}


@dataclass(frozen=True)
class Assertion:
    """One assertion with its value filled in; `shared` where it stands in `defaultTest`."""

    type: str
    value: JsonValue
    threshold: float | None
    weight: float
    place: Place
    shared: bool


@dataclass(frozen=True)
class TestCase:
    """One test."""

    values: Mapping[str, JsonValue]
    assertions: tuple[Assertion, ...]
    description: str
    tags: tuple[str, ...]
    place: Place


def cases_of(project: Project, notes: Notes, *, expand: bool) -> list[TestCase]:
    """Every test with its variables and assertions, those of `defaultTest` put in.

    Args:
        project: the configuration.
        notes: told what cannot be carried over.
        expand: whether a variable that is a list stands for one test for each of its elements.
    """
    default = project.resolved(project.config.get("defaultTest"))
    found: list[TestCase] = []
    if default is not None:
        _note_other_keys(default, notes)
    for node in _tests(project, notes):
        _note_other_keys(node, notes)
        for values in _variables(project, default, node, notes, expand=expand):
            found.append(_case(project, default, node, values, notes))
            if len(found) > MAX_CASES:
                raise PromptHubError(
                    f"the configuration stands for more than {MAX_CASES} tests.",
                    hint="Import a part of it.",
                )
    return found


def _tests(project: Project, notes: Notes) -> Iterator[Node]:
    tests = project.config.get("tests")
    if tests is None:
        return
    for node in tests.elements():
        if isinstance(node.data, dict) and "path" not in node.data:
            yield node
        else:
            yield from _file(project, node, notes)


def _file(project: Project, node: Node, notes: Notes) -> Iterator[Node]:
    reference = node.get("path") or node
    name = str(reference.data)
    paths = project.find(name)
    if "://" in name.removeprefix(REFERENCE) or name.startswith("http"):
        notes.lost(node.place, f"the tests in {name}", "they are fetched from elsewhere")
        return
    for path in paths:
        if path.suffix.lower() not in _DATA:
            why = "a program makes them; write its output into a file and name that"
            notes.lost(node.place, f"the tests in {name}", why)
            continue
        loaded = project.load(path)
        rows = path.suffix.lower() == ".csv"
        for element in loaded.elements():
            if rows:
                yield _of_row(element, notes)
            elif isinstance(element.data, dict):
                # A line of pure data is a test of these variables.
                is_test = "vars" in element.data or "assert" in element.data
                yield element if is_test else _wrapped(element, {"vars": element.data})
    if not paths:
        notes.lost(node.place, f"the tests in {name}", "no file has such a name")


def _wrapped(node: Node, data: dict[str, JsonValue]) -> Node:
    _, line = node.place
    return Node(data, Source(node.source.file, {(): line}))


def _of_row(row: Node, notes: Notes) -> Node:
    """Return a row of CSV as a test: special columns begin with two underscores."""
    test: dict[str, JsonValue] = {}
    values: dict[str, JsonValue] = {}
    asserted: list[JsonValue] = []
    metadata: dict[str, JsonValue] = {}
    for column, node in row.items():
        text = str(node.data)
        if _EXPECTED.fullmatch(column):
            if text.strip():
                asserted.append(shorthand(text))
        elif column == "__description":
            test["description"] = text
        elif column.startswith("__metadata:"):
            key = column.removeprefix("__metadata:")
            parts: list[JsonValue] = [*_COMMA.split(text)] if key.endswith("[]") else [text]
            metadata[key.removesuffix("[]")] = parts
        elif column.startswith("__"):
            why = "examples here are an input and the right answer"
            notes.lost(row.place, f"the column {column!r}", why)
        else:
            values[column] = text
    return _wrapped(row, {**test, "vars": values, "assert": asserted, "metadata": metadata})


def shorthand(text: str) -> dict[str, JsonValue]:
    """Read an assertion of a CSV cell: `contains: Paris`, `similar(0.8): Hello`, plain `Paris`."""
    match = _SHORTHAND.fullmatch(text.strip())
    if match is None:
        bare = text.strip()
        return {"type": bare} if bare in {"is-json", "contains-json"} else _equals(text)
    kind = SHORTHANDS.get(match["type"], match["type"])
    if kind not in KNOWN_TYPES and not kind.startswith("not-"):
        return _equals(text)
    value: JsonValue = match["value"].strip()
    if kind in _LISTS:
        value = [part.strip() for part in str(value).split(",")]
    asserted: dict[str, JsonValue] = {"type": kind, "value": value}
    if match["threshold"]:
        asserted["threshold"] = float(match["threshold"])
    return asserted


def _equals(text: str) -> dict[str, JsonValue]:
    return {"type": "equals", "value": text.strip()}


def _note_other_keys(test: Node, notes: Notes) -> None:
    for key, node in test.items():
        if key not in _TEST_KEYS and node.data not in (None, {}, []):
            notes.lost(
                node.place, f"'{key}' of a test", _WHY.get(key, "examples have no such thing")
            )


def _variables(
    project: Project, default: Node | None, test: Node, notes: Notes, *, expand: bool
) -> Iterator[dict[str, JsonValue]]:
    values: dict[str, JsonValue] = {}
    for node in (default, test):
        given = project.resolved(node.get("vars")) if node is not None else None
        if given is not None and isinstance(given.data, str):  # a file's name without file://
            given = project.load(project.find(given.data)[0])
        if given is not None:
            for name, value in given.items():
                values[name] = _value(project, value, notes)
    lists = [name for name, value in values.items() if isinstance(value, list) and expand]
    for chosen in itertools.product(*(_elements(values[name]) for name in lists)):
        item = {**values, **dict(zip(lists, chosen, strict=True))}
        yield {name: _filled(value, item) for name, value in item.items()}


def _elements(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [value]


def _filled(value: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    """Fill a variable that may use others."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    fresh = substituted(value, values)
    return value if fresh is None else fresh


def _value(project: Project, node: Node, notes: Notes) -> JsonValue:
    """Return a variable's value; a `file://` reference is the file's text or data."""
    if not isinstance(node.data, str) or not node.data.startswith(REFERENCE):
        return node.data
    values: list[JsonValue] = []
    for path in project.find(node.data):
        suffix = path.suffix.lower()
        if suffix in _TEXT:
            values.append(project.text(path))
        elif suffix in _DATA:
            values.append(project.load(path).data)
        else:
            why = "an input here is text or data, neither picture nor program"
            notes.lost(node.place, f"the value {node.data}", why)
            return None
    return values[0] if len(values) == 1 else values


def _case(
    project: Project,
    default: Node | None,
    test: Node,
    values: Mapping[str, JsonValue],
    notes: Notes,
) -> TestCase:
    assertions: list[Assertion] = []
    tags: dict[str, None] = {}
    for node in (default, test):
        asserted = project.resolved(node.get("assert")) if node is not None else None
        if asserted is not None:
            for element in asserted.elements():
                assertions += _assertions(project, element, values, notes, shared=node is default)
        metadata = node.get("metadata") if node is not None else None
        for key, value in metadata.items() if metadata else ():
            for element in value.elements():
                if isinstance(element.data, str | int | float | bool):
                    tags.update({f"{key}:{element.data}": None} if element.data != "" else {})
                else:
                    notes.lost(value.place, f"the metadata {key!r}", "a tag here is a word")
    description = test.get("description")
    return TestCase(
        values=values,
        assertions=tuple(assertions),
        description=str(description.data) if description else "",
        tags=tuple(tags),
        place=test.place,
    )


def _assertions(
    project: Project, node: Node, values: Mapping[str, JsonValue], notes: Notes, *, shared: bool
) -> Iterator[Assertion]:
    kind = node.get("type")
    if kind is None:
        notes.lost(node.place, "an assertion without a type", "nothing says what it asserts")
        return
    if kind.data == "assert-set":
        if node.get("threshold") is not None:
            why = "scorers have weights here; all of the set's assertions are taken"
            notes.lost(node.place, "the threshold of an assert-set", why)
        for element in (node.get("assert") or node).elements():
            if element.location != node.location:
                yield from _assertions(project, element, values, notes, shared=shared)
        return
    for key, other in node.items():
        if key not in {"type", "value", "threshold", "weight"}:
            what, why = f"'{key}' of an assertion", "scorers here have no such setting"
            notes.lost(other.place, what, why)
    try:
        value = _asserted(project, node.get("value"), values)
    except ValueError:
        why = "its value is computed by more than names of variables"
        notes.lost(node.place, f"the assertion '{kind.data}'", why)
        return
    yield Assertion(
        type=str(kind.data),
        value=value,
        threshold=_number(node.get("threshold")),
        weight=1.0 if (weight := _number(node.get("weight"))) is None else weight,
        place=node.place,
        shared=shared,
    )


def _number(node: Node | None) -> float | None:
    return float(node.data) if node is not None and isinstance(node.data, int | float) else None


def _asserted(project: Project, node: Node | None, values: Mapping[str, JsonValue]) -> JsonValue:
    """Return the value of an assertion, variables filled in.

    Raises `ValueError` where that is not all.
    """
    if node is None:
        return None
    if isinstance(node.data, str) and node.data.startswith(REFERENCE):
        path = next(iter(project.find(node.data)), None)
        if path is None or path.suffix.lower() not in _DATA | _TEXT:
            raise ValueError(node.data)
        if path.suffix.lower() in _TEXT:
            return project.text(path).strip()
        node = project.load(path)
    return _deeply_filled(node.data, values)


def _deeply_filled(value: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    match value:
        case str() if "{{" in value or "{%" in value:
            filled = substituted(value, values)
            if filled is None:
                raise ValueError(value)
            return filled
        case list():
            return [_deeply_filled(item, values) for item in value]
        case dict():
            return {key: _deeply_filled(item, values) for key, item in value.items()}
        case None | bool() | int() | float() | str():
            return value
        case _:
            assert_never(value)
