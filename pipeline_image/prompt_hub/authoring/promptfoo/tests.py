"""The tests of a promptfoo configuration: values of variables, and what is asserted."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo import javascript as js
from prompt_hub.authoring.promptfoo.javascript import UnknownMeaningError
from prompt_hub.authoring.promptfoo.notes import Notes, Place
from prompt_hub.authoring.promptfoo.reading import REFERENCE, Node, Project, Source, dated, infinite
from prompt_hub.authoring.promptfoo.templates import filled
from prompt_hub.authoring.promptfoo.variables import (
    UnreadableError,
    expanded,
    listed,
    read_variables,
)
from prompt_hub.authoring.promptfoo.vocabulary import (
    KNOWN_TYPES,
    LABELS,
    NOT_CARRIED,
    TEXT_CHECKS,
)
from prompt_hub.core.errors import PromptHubError

MAX_CASES = 20_000
_DATA = {".yaml", ".yml", ".json", ".jsonl", ".csv"}
_COMMA = re.compile(r"(?<!\\),")
_SHORTHAND = re.compile(
    rf"(?P<not>not-)?(?P<type>{'|'.join(map(re.escape, sorted(KNOWN_TYPES)))})"
    r"(?:\((?P<threshold>\d+(?:\.\d+)?)\))?(?::(?P<value>.*))?",
    re.DOTALL,
)
_CODE_FILE = re.compile(r"\.(?:[cm]?[jt]s|(?P<python>py))(?::\w+)?$")
_CODE = ("javascript", "fn", "eval")
_WITH_THRESHOLD = ("cost", "latency", "levenshtein", "perplexity", "similar", "classifier")
"""Types that have a threshold in a CSV cell, also where it states none."""
_TEST_KEYS = {"vars", "assert", "description", "metadata"}
_ASSERTION_KEYS = {"type", "value", "threshold", "weight"}
_CHANGES_THE_ANSWER = ("transform", "contextTransform")
_WHY = {
    "threshold": "here the mean over all examples is held against the task's threshold",
    "options": "what is put around a prompt or done to an answer belongs into the prompt here",
    "provider": "all examples of a task go to one model",
    "providers": "all examples of a task go to one model",
    "prompts": "all examples of a task are asked by one prompt",
}
_HONOURED = {"disableVarExpansion", "disableDefaultAsserts", "prefix", "suffix"}
_HARMLESS = re.compile(r"JSON\.parse\(output\)|output(?:\.trim\(\))?")
_DATE = "promptfoo keeps nothing of a date without quotes; put it in quotes"
_INFINITE = "a number in it is not finite; put quotes around a text such as 123e4567"
LOST_VALUE = "lost value"
"""The type of an assertion that is asserted and could not be read; it has its line already."""


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
    """Its variables as promptfoo has them before it fills in the prompt."""
    assertions: tuple[Assertion, ...]
    description: str
    tags: tuple[str, ...]
    place: Place
    lenient: bool
    """Whether it has a threshold: then it may pass though an assertion fails."""
    parsed: bool
    """Whether code sees its answer as an object, not as text."""
    problem: str | None = None
    """Why it cannot be an example, whatever is asserted of it."""


def cases_of(project: Project, notes: Notes) -> list[TestCase]:
    """Every test with its variables and assertions, those of `defaultTest` put in.

    Args:
        project: the configuration.
        notes: told what cannot be carried over.
    """
    default = project.resolved(project.config.get("defaultTest"), infinite=True)
    found: list[TestCase] = []
    if default is not None:
        _note_other_keys(default, notes)
    for test in [*_tests(project, notes), *_scenarios(project, notes)]:
        _note_other_keys(test, notes)
        for values in _variables(project, default, test, notes):
            found.append(_case(project, default, test, values, notes))
            if len(found) > MAX_CASES:
                raise PromptHubError(
                    f"the lists among the variables make more than {MAX_CASES} tests."
                )
    return found


def _scenarios(project: Project, notes: Notes) -> Iterator[Node]:
    """Yield the tests of scenarios: each of their variables' sets with each of their tests."""
    scenarios = project.config.get("scenarios")
    for scenario in scenarios.elements() if scenarios else ():
        for key, node in scenario.items():
            if key not in ("config", "tests"):
                notes.lost(node.place, f"{key!r} of a scenario", "examples are one list")
        sets, tests = scenario.get("config"), scenario.get("tests")
        for given in sets.elements() if sets else ():
            for test in tests.elements() if tests else (given,):
                readable = isinstance(given.data, dict) and isinstance(test.data, dict)
                if not readable or not all(_inline(node) for node in (given, test)):
                    why = "its variables or tests are in files; write them out as tests"
                    notes.lost(scenario.place, "a scenario", why)
                    return
                yield _merged(given, test)


def _inline(node: Node) -> bool:
    return all(
        isinstance(part.data, kind)
        for key, kind in (("vars", dict), ("assert", list))
        if (part := node.get(key)) is not None
    )


def _merged(given: Node, test: Node) -> Node:
    if test is given:
        return given
    one, other = given.data, test.data
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    merged: dict[str, JsonValue] = {**one, **other}
    for key in ("vars", "options", "metadata"):
        merged[key] = {**_object(one.get(key)), **_object(other.get(key))}
    merged["assert"] = [*_elements(one.get("assert")), *_elements(other.get("assert"))]
    return _wrapped(test, merged)


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


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
        loaded = project.load(path, infinite=True)
        rows = path.suffix.lower() == ".csv"
        for element in loaded.elements():
            if rows:
                yield _of_row(element, notes)
            elif isinstance(element.data, dict):
                # A line of pure data is a test of these variables.
                is_test = any(key in element.data for key in _TEST_KEYS)
                yield element if is_test else _wrapped(element, {"vars": element.data})
            else:
                notes.lost(element.place, "a test", "it is no object with variables and assertions")
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
    options: dict[str, JsonValue] = {}
    metadata: dict[str, JsonValue] = {}
    for column, node in row.items():
        text = str(node.data)
        if column.startswith("__expected"):
            if text.strip():
                asserted.append(shorthand(text))
        elif column == "__description":
            test["description"] = text
        elif column.startswith("__metadata:"):
            key = column.removeprefix("__metadata:")
            parts: list[JsonValue] = [text]
            if key.endswith("[]"):
                parts = [part.strip().replace("\\,", ",") for part in _COMMA.split(text)]
            metadata[key.removesuffix("[]")] = parts
        elif column in ("__prefix", "__suffix"):
            options[column[2:]] = text
        elif column.startswith("__"):
            why = "examples here are an input and the right answer"
            notes.lost(row.place, f"the column {column!r}", why)
        else:
            values[column] = text
    test |= {"vars": values, "assert": asserted, "metadata": metadata, "options": options}
    return _wrapped(row, test)


def shorthand(text: str) -> dict[str, JsonValue]:
    """Read an assertion of a CSV cell: `contains: Paris`, `latency(500)`, `is-json`, `Paris`."""
    text = text.strip()
    head, colon, rest = text.partition(":")
    if head in _CODE and colon:
        return {"type": "javascript", "value": rest.strip()}
    if head == "grade" and colon:
        return {"type": "llm-rubric", "value": rest}
    if text.startswith(REFERENCE) and (code := _CODE_FILE.search(text)):
        return {"type": "python" if code["python"] else "javascript", "value": text}
    match = _SHORTHAND.fullmatch(text)
    if match is None:
        return {"type": "equals", "value": text}
    kind, value, threshold = match["type"], match["value"], match["threshold"]
    asserted: dict[str, JsonValue] = {"type": (match["not"] or "") + kind}
    if value is not None:
        given = value.strip()
        asserted["value"] = listed(given) if kind.endswith(("-any", "-all")) else given
    if threshold or kind.startswith(_WITH_THRESHOLD):
        asserted["threshold"] = float(threshold or (0.8 if kind == "similar" else 0.75))
    return asserted


def _note_other_keys(test: Node, notes: Notes) -> None:
    for key, node in test.items():
        if key == "options":
            other = [name for name in _object(node.data) if name not in _HONOURED]
            if other:
                names = ", ".join(map(repr, other))
                notes.lost(node.place, f"'options' of a test ({names})", _WHY["options"])
        elif key not in _TEST_KEYS and node.data not in (None, {}, []):
            notes.lost(
                node.place, f"'{key}' of a test", _WHY.get(key, "examples have no such thing")
            )


def _variables(
    project: Project, default: Node | None, test: Node, notes: Notes
) -> Iterator[dict[str, JsonValue]]:
    values: dict[str, JsonValue] = {}
    for node in (default, test):
        given = node.get("vars") if node is not None else None
        if given is not None and node is default and not isinstance(given.data, dict):
            why = "promptfoo reads no file for those of defaultTest, and asks without them"
            notes.lost(given.place, f"the variables in {given.data}", why)
        elif given is not None:
            for part in _from_files(project, given, notes):
                values.update(_object(part.data))
    if _options(default, test).get("disableVarExpansion") is True:
        yield values
        return
    lists = {name: expanded(project, value) for name, value in values.items()}
    for chosen in itertools.product(*lists.values()):
        yield dict(zip(lists, chosen, strict=True))


def _options(default: Node | None, test: Node) -> dict[str, JsonValue]:
    given = [node.get("options") if node is not None else None for node in (default, test)]
    return {key: value for node in given if node for key, value in _object(node.data).items()}


def _from_files(project: Project, given: Node, notes: Notes) -> Iterator[Node]:
    """Yield variables, also those of files that stand in their place."""
    if isinstance(given.data, dict):
        yield given
        return
    for node in given.elements():
        if str(node.data).startswith(REFERENCE):
            why = "promptfoo finds none by a name with file:// here, and asks without them"
            notes.lost(node.place, f"the variables in {node.data}", why)
            continue
        paths = project.find(str(node.data), beside=node.source.file)
        if not paths:
            notes.lost(node.place, f"the variables in {node.data}", "no file has such a name")
        for path in paths:
            yield project.load(path, infinite=True)


def _elements(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _case(
    project: Project,
    default: Node | None,
    test: Node,
    values: Mapping[str, JsonValue],
    notes: Notes,
) -> TestCase:
    assertions: list[Assertion] = []
    tags: dict[str, None] = {}
    options = _options(default, test)
    problem = _problem(options)
    try:
        values = read_variables(project, values)
    except UnreadableError as error:
        problem = problem or str(error)
    bare = options.get("disableDefaultAsserts") is True
    for node in (None if bare else default, test):
        asserted = project.resolved(node.get("assert"), infinite=True) if node is not None else None
        if asserted is not None:
            for element in asserted.elements():
                assertions += _assertions(project, element, values, notes, shared=node is default)
    said = [test.data, default.data if default else None, *(item.value for item in assertions)]
    problem = problem or (_INFINITE if infinite([*said, *values.values()]) else None)
    for node in (default, test):
        metadata = node.get("metadata") if node is not None else None
        for key, value in metadata.items() if metadata else ():
            for element in value.elements():
                if isinstance(element.data, str | int | float | bool):
                    tags.update({f"{key}:{element.data}": None} if element.data != "" else {})
                else:
                    notes.lost(value.place, f"the metadata {key!r}", "a tag here is a word")
    description = test.get("description")
    threshold = test.get("threshold") or (default.get("threshold") if default else None)
    return TestCase(
        values=values,
        assertions=tuple(assertions),
        description=str(description.data) if description else "",
        tags=tuple(tags),
        place=test.place,
        lenient=_number(threshold) is not None,
        parsed=str(options.get("transform")).strip() == "JSON.parse(output)",
        problem=problem,
    )


def _problem(options: Mapping[str, JsonValue]) -> str | None:
    """Why options of a test keep it from being an example."""
    if options.get("transformVars"):
        return "'transformVars' is code that changes its variables"
    if options.get("prefix") or options.get("suffix"):
        return "'prefix' or 'suffix' makes another prompt of it; write it into the prompt"
    code = options.get("transform") or options.get("postprocess")
    if code is not None and not _HARMLESS.fullmatch(str(code).strip()):
        return "'transform' changes the answer before anything is asserted of it"
    return None


def _assertions(
    project: Project, node: Node, values: Mapping[str, JsonValue], notes: Notes, *, shared: bool
) -> Iterator[Assertion]:
    kind = node.get("type")
    if kind is None:
        notes.lost(node.place, "an assertion without a type", "nothing says what it asserts")
        return
    what = f"the assertion '{kind.data}'"
    weight = 1.0 if (given := _number(node.get("weight"))) is None else given
    if weight <= 0:
        notes.lost(node.place, what, "with the weight 0 it decides nothing")
        return
    unread = Assertion(LOST_VALUE, None, None, weight, node.place, shared)
    if kind.data == "assert-set":
        if node.get("threshold") is not None:
            why = "not all of its assertions must hold, so none of them says what is right"
            notes.lost(node.place, "an assert-set with a threshold", why)
            yield unread
            return
        inner = node.get("assert")
        for element in inner.elements() if inner else ():
            yield from _assertions(project, element, values, notes, shared=shared)
        return
    for key, other in node.items():
        if key in _CHANGES_THE_ANSWER:
            notes.lost(node.place, what, f"it is asserted of what '{key}' makes of the answer")
            yield unread
            return
        if key not in _ASSERTION_KEYS:
            why = "scorers here have no such setting"
            notes.lost(other.place, f"'{key}' of an assertion", why)
    try:
        value = _asserted(project, str(kind.data), node.get("value"), values)
        if dated(value) and str(kind.data).removeprefix("not-") in (*LABELS, *TEXT_CHECKS):
            raise ValueError(_DATE)
        if kind.data == "equals" and isinstance(value, list) and not infinite(value):
            js.as_json(value)  # raises where the text that it is compared with is not known
    except (ValueError, UnknownMeaningError) as error:
        notes.lost(node.place, what, f"its value cannot be worked out here: {error}")
        yield unread
        return
    threshold = _number(node.get("threshold"))
    yield Assertion(str(kind.data), value, threshold, weight, node.place, shared)


def _number(node: Node | None) -> float | None:
    value = node.data if node is not None and isinstance(node.data, int | float) else None
    return None if value is None or infinite(value) else float(value)


def _asserted(
    project: Project, kind: str, node: Node | None, values: Mapping[str, JsonValue]
) -> JsonValue:
    """Return the value of an assertion, variables filled in.

    Raises `ValueError` or `UnknownMeaningError` where that is not all.
    """
    if node is None:
        if kind in LABELS or kind in TEXT_CHECKS:
            raise ValueError("it has none")
        return None
    value = node.data
    if kind in NOT_CARRIED and kind != "javascript":
        return value
    if isinstance(value, str) and value.startswith(REFERENCE):
        path = next(iter(project.find(value)), None)
        if path is None or path.suffix.lower() not in (".json", ".yaml", ".yml", ".txt"):
            if kind in NOT_CARRIED:
                return value
            raise ValueError(f"{value} is neither text nor data")
        is_text = path.suffix.lower() == ".txt"
        return js.trim(project.text(path)) if is_text else project.load(path, infinite=True).data
    if isinstance(value, dict):
        if kind in LABELS and "{{" in repr(value):
            raise ValueError("promptfoo fills in no variables inside an object")
        return value
    if isinstance(value, list):
        return [filled(item, values) if isinstance(item, str) else item for item in value]
    found = filled(value, values) if isinstance(value, str) else value
    if found == "" and kind in TEXT_CHECKS:
        raise ValueError("it is empty")
    return found
