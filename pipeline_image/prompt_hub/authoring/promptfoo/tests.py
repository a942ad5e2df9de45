"""The tests of a promptfoo configuration: values of variables, and what is asserted."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.importing.documents import Node, Source, Unkept, unkept
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.promptfoo.reading import REFERENCE, Project
from prompt_hub.authoring.promptfoo.templates import filled
from prompt_hub.authoring.promptfoo.variables import expanded, listed, read_variables
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
    rf"(?P<type>(?:not-)?(?:{'|'.join(map(re.escape, sorted(KNOWN_TYPES)))}))"
    r"(?:\((?P<threshold>\d+(?:\.\d+)?)\))?(?::(?P<value>.*))?",
    re.DOTALL,
)
_PROGRAM = re.compile(r"\.(?:[cm]?[jt]s|py)(?::\w+)?$")
_SHORT_NAMES = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}
_TEST_KEYS = {"vars", "assert", "description", "metadata"}
_ASSERTION_KEYS = {"type", "value", "threshold", "weight"}
_WHY = {
    "threshold": "here the mean over all examples is held against the task's threshold",
    "options": "what is put around a prompt or done to an answer belongs into the prompt here",
    "provider": "all examples of a task go to one model",
    "providers": "all examples of a task go to one model",
    "prompts": "all examples of a task are asked by one prompt",
}
_HONOURED = {"disableVarExpansion", "disableDefaultAsserts", "prefix", "suffix"}
_HARMLESS = re.compile(r"JSON\.parse\(output\)|output(?:\.trim\(\))?")
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


@dataclass(frozen=True)
class _Written:
    """What all combinations of one test's variables share."""

    asserted: tuple[tuple[Node, bool], ...]
    """Its assertions, and whether each stands in `defaultTest`."""
    unkept: str | None
    """Why something in it could not be kept."""


def cases_of(project: Project, notes: Notes) -> list[TestCase]:
    """Every test with its variables and assertions, those of `defaultTest` put in.

    Args:
        project: the configuration.
        notes: told what cannot be carried over.
    """
    reader = _Reader(project, notes)
    found: list[TestCase] = []
    for test in [*reader.tests(), *reader.scenarios()]:
        for case in reader.cases(test):
            found.append(case)
            if len(found) > MAX_CASES:
                raise PromptHubError(
                    f"the lists among the variables make more than {MAX_CASES} tests."
                )
    return found


class _Reader:
    """Reads the tests of one configuration."""

    def __init__(self, project: Project, notes: Notes) -> None:
        self._project = project
        self._notes = notes
        default = project.resolved(project.config.get("defaultTest"))
        self._default = default or Node({}, project.config.source)
        self._note_other_keys(self._default)

    # --- Where tests stand ---------------------------------------------------------------------

    def scenarios(self) -> Iterator[Node]:
        """Yield the tests of scenarios: each of their variables' sets with each of their tests."""
        scenarios = self._project.config.get("scenarios")
        for scenario in scenarios.elements() if scenarios else ():
            for key, node in scenario.items():
                if key not in ("config", "tests"):
                    self._notes.lost(node.place, f"{key!r} of a scenario", "examples are one list")
            config, listed = scenario.get("config"), scenario.get("tests")
            sets = [*config.elements()] if config else []
            tests = None if listed is None else [*listed.elements()]
            if not all(map(_inline, (*sets, *(tests or ())))):
                why = "its variables or tests are in files; write them out as tests"
                self._notes.lost(scenario.place, "a scenario", why)
                continue
            for given in sets:
                for test in (given,) if tests is None else tests:
                    yield _merged(given, test)

    def tests(self) -> Iterator[Node]:
        """Yield the tests of the configuration, and of the files that it names."""
        tests = self._project.config.get("tests")
        for node in tests.elements() if tests else ():
            if isinstance(node.data, dict) and "path" not in node.data:
                yield node
            else:
                yield from self._file(node)

    def _file(self, node: Node) -> Iterator[Node]:
        name = str((node.get("path") or node).data)
        what = f"the tests in {name}"
        paths = self._project.find(name)
        if "://" in name.removeprefix(REFERENCE):
            self._notes.lost(node.place, what, "they are fetched from elsewhere")
            return
        for path in paths:
            if path.suffix.lower() not in _DATA:
                why = "a program makes them; write its output into a file and name that"
                self._notes.lost(node.place, what, why)
                continue
            for element in self._project.load(path).elements():
                if path.suffix.lower() == ".csv":
                    yield self._of_row(element)
                elif isinstance(element.data, dict):
                    # A line of pure data is a test of these variables.
                    is_test = any(key in element.data for key in _TEST_KEYS)
                    yield element if is_test else _wrapped(element, {"vars": element.data})
                else:
                    why = "it is no object with variables and assertions"
                    self._notes.lost(element.place, "a test", why)
        if not paths:
            self._notes.lost(node.place, what, "no file has such a name")

    def _of_row(self, row: Node) -> Node:
        """Return a row of CSV as a test: special columns begin with two underscores."""
        test: dict[str, JsonValue] = {}
        values: dict[str, JsonValue] = {}
        asserted: list[JsonValue] = []
        options: dict[str, JsonValue] = {}
        metadata: dict[str, JsonValue] = {}
        for column, node in row.items():
            text = str(node.data)
            if column.startswith("__expected"):
                asserted += [shorthand(text)] if text.strip() else []
            elif column == "__description":
                test["description"] = text
            elif column.startswith("__metadata:"):
                key = column.removeprefix("__metadata:")
                parts = _COMMA.split(text) if key.endswith("[]") else [text]
                texts = [part.strip().replace("\\,", ",") for part in parts]
                metadata[key.removesuffix("[]")] = list(texts)
            elif column in ("__prefix", "__suffix"):
                options[column[2:]] = text
            elif column.startswith("__"):
                why = "examples here are an input and the right answer"
                self._notes.lost(row.place, f"the column {column!r}", why)
            else:
                values[column] = text
        test |= {"vars": values, "assert": asserted, "metadata": metadata, "options": options}
        return _wrapped(row, test)

    def _note_other_keys(self, test: Node) -> None:
        for key, node in test.items():
            what, why = f"'{key}' of a test", _WHY.get(key, "examples have no such thing")
            if key == "options":
                other = [name for name, _ in node.items() if name not in _HONOURED]
                what += f" ({', '.join(map(repr, other))})"
                if other:
                    self._notes.lost(node.place, what, why)
            elif key not in _TEST_KEYS and node.data not in (None, {}, []):
                self._notes.lost(node.place, what, why)

    # --- One test ------------------------------------------------------------------------------

    def cases(self, test: Node) -> Iterator[TestCase]:
        """Yield a test once for every combination of the lists among its variables."""
        self._note_other_keys(test)
        options = {**_object(self._default, "options"), **_object(test, "options")}
        values: dict[str, JsonValue] = {}
        for node in (self._default, test):
            if (given := node.get("vars")) is not None:
                for part in self._variables(given, of_all=node is self._default):
                    values.update(part)
        combinations: Iterable[Mapping[str, JsonValue]] = [values]
        if options.get("disableVarExpansion") is not True:
            lists = {name: expanded(self._project, value) for name, value in values.items()}
            products = itertools.product(*lists.values())
            combinations = (dict(zip(lists, chosen, strict=True)) for chosen in products)
        written: _Written | None = None
        for chosen in combinations:
            written = written or self._written(test, options)
            yield self._case(test, chosen, options, written)

    def _written(self, test: Node, options: Mapping[str, JsonValue]) -> _Written:
        """Return what all combinations of one test share; its lists may be long."""
        asserted: list[tuple[Node, bool]] = []
        for node in (self._default, test):
            shared = node is self._default
            given = self._project.resolved(node.get("assert"))
            if given is not None and not (shared and options.get("disableDefaultAsserts") is True):
                asserted += [(element, shared) for element in given.elements()]
        values = [element.data for element, _ in asserted]
        for node in (self._default, test):
            values += [node.data] if isinstance(node.data, Unkept) else []
            parts = (node.get(key) for key in ("vars", "assert", "options"))
            values += [part.data for part in parts if part is not None]
        return _Written(tuple(asserted), unkept(values))

    def _variables(self, given: Node, *, of_all: bool) -> Iterator[dict[str, JsonValue]]:
        """Yield variables, also those of files that stand in their place."""
        if isinstance(given.data, dict):
            yield given.data
            return
        for node in given.elements():
            name = str(node.data)
            what = f"the variables in {name}"
            if of_all or name.startswith(REFERENCE):
                why = "promptfoo finds none by such a name here, and asks without them"
                self._notes.lost(node.place, what, why)
                continue
            paths = self._project.find(name, beside=node.source.file)
            if not paths:
                self._notes.lost(node.place, what, "no file has such a name")
            for path in paths:
                yield {key: value.data for key, value in self._project.load(path).items()}

    def _case(
        self,
        test: Node,
        values: Mapping[str, JsonValue],
        options: Mapping[str, JsonValue],
        written: _Written,
    ) -> TestCase:
        tags: dict[str, None] = {}
        for node in (self._default, test):
            metadata = node.get("metadata")
            for key, value in metadata.items() if metadata else ():
                for element in value.elements():
                    if not isinstance(element.data, str | int | float | bool):
                        what = f"the metadata {key!r}"
                        self._notes.lost(value.place, what, "a tag here is a word")
                    elif element.data != "":
                        tags[f"{key}:{element.data}"] = None
        problem = _problem(options)
        try:
            values = read_variables(self._project, values)
        except js.UnknownMeaningError as error:
            problem = problem or str(error)
        assertions = [
            found
            for element, shared in written.asserted
            for found in self._assertions(element, values, shared=shared)
        ]
        every = [*values.values(), *(found.value for found in assertions)]
        description = test.get("description")
        threshold = test.get("threshold") or self._default.get("threshold")
        return TestCase(
            values=values,
            assertions=tuple(assertions),
            description=str(description.data) if description else "",
            tags=tuple(tags),
            place=test.place,
            lenient=_number(threshold) is not None,
            parsed=str(options.get("transform")).strip() == "JSON.parse(output)",
            problem=problem or unkept(every) or written.unkept,
        )

    def _assertions(
        self, node: Node, values: Mapping[str, JsonValue], *, shared: bool
    ) -> Iterator[Assertion]:
        kind = node.get("type")
        name = str(kind.data) if kind else ""
        weight = 1.0 if (given := _number(node.get("weight"))) is None else given
        inner = node.get("assert")
        if name == "assert-set" and node.get("threshold") is None and weight > 0:
            for element in inner.elements() if inner else ():
                yield from self._assertions(element, values, shared=shared)
            return
        lost = _why_lost(node, name, weight)
        value: JsonValue = None
        if lost is None:
            try:
                value = self._asserted(name, node.get("value"), values)
                if name == "equals" and isinstance(value, list) and unkept(value) is None:
                    js.as_json(value)  # raises where the text that it is compared with is unknown
            except js.UnknownMeaningError as error:
                lost = f"its value cannot be worked out here: {error}"
        if lost is not None:
            what = f"the assertion '{name}'" if name else "an assertion without a type"
            self._notes.lost(node.place, what, lost)
            if weight > 0:
                yield Assertion(LOST_VALUE, None, None, weight, node.place, shared)
            return
        for key, other in node.items():
            if key not in _ASSERTION_KEYS:
                what, why = f"'{key}' of an assertion", "scorers here have no such setting"
                self._notes.lost(other.place, what, why)
        threshold = _number(node.get("threshold"))
        yield Assertion(name, value, threshold, weight, node.place, shared)

    def _asserted(self, kind: str, node: Node | None, values: Mapping[str, JsonValue]) -> JsonValue:
        """Return the value of an assertion, filled in; raises `UnknownMeaningError`."""
        value = node.data if node else None
        if value is None and kind in (*LABELS, *TEXT_CHECKS):
            raise js.UnknownMeaningError("it has none")
        if kind in NOT_CARRIED and kind != "javascript":
            return value
        if isinstance(value, str) and value.startswith(REFERENCE):
            path = next(iter(self._project.find(value)), None)
            if path is not None and path.suffix.lower() == ".txt":
                return js.trim(self._project.text(path))
            if path is not None and path.suffix.lower() in (".json", ".yaml", ".yml"):
                return self._project.load(path).data
            if kind in NOT_CARRIED:
                return value
            raise js.UnknownMeaningError(f"{value} is neither text nor data")
        if isinstance(value, dict) and kind in LABELS and "{{" in repr(value):
            raise js.UnknownMeaningError("promptfoo fills in no variables inside an object")
        if isinstance(value, list):
            return [filled(item, values) if isinstance(item, str) else item for item in value]
        found = filled(value, values) if isinstance(value, str) else value
        if found == "" and kind in TEXT_CHECKS:
            raise js.UnknownMeaningError("it is empty")
        return found


def _why_lost(node: Node, name: str, weight: float) -> str | None:
    """Why nothing that an assertion says is known, whatever its value is."""
    if not name:
        return "nothing says what it asserts; write it out where it stands"
    if weight <= 0:
        return "with the weight 0 it decides nothing"
    if name == "assert-set":
        return "not all of its assertions must hold, so none of them says what is right"
    changed = next((key for key in ("transform", "contextTransform") if node.get(key)), None)
    return f"it is asserted of what '{changed}' makes of the answer" if changed else None


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


def _number(node: Node | None) -> float | None:
    return float(node.data) if node is not None and isinstance(node.data, int | float) else None


def _object(node: Node, key: str) -> dict[str, JsonValue]:
    found = node.get(key)
    return found.data if found is not None and isinstance(found.data, dict) else {}


def _inline(node: Node) -> bool:
    """Whether a test has its variables and assertions where it stands."""
    parts = ((node.get("vars"), dict), (node.get("assert"), list))
    return isinstance(node.data, dict) and all(
        part is None or isinstance(part.data, kind) for part, kind in parts
    )


def _merged(given: Node, test: Node) -> Node:
    """Return a set of a scenario and one of its tests as one test."""
    if test is given:
        return given
    merged = {key: node.data for part in (given, test) for key, node in part.items()}
    for key in ("vars", "options", "metadata"):
        merged[key] = {**_object(given, key), **_object(test, key)}
    asserted = [node.get("assert") for node in (given, test)]
    merged["assert"] = [item.data for node in asserted if node for item in node.elements()]
    return _wrapped(test, merged)


def _wrapped(node: Node, data: dict[str, JsonValue]) -> Node:
    _, line = node.place
    return Node(data, Source(node.source.file, {(): line}))


def shorthand(text: str) -> dict[str, JsonValue]:
    """Read an assertion of a CSV cell: `contains: Paris`, `latency(500)`, `is-json`, `Paris`."""
    text = text.strip()
    head, colon, rest = text.partition(":")
    if colon and head in ("javascript", *_SHORT_NAMES):
        kind = _SHORT_NAMES.get(head, head)
        return {"type": kind, "value": rest if head == "grade" else rest.strip()}
    if text.startswith(REFERENCE) and (code := _PROGRAM.search(text)):
        kind = "python" if code[0].startswith(".py") else "javascript"
        return {"type": kind, "value": text}
    match = _SHORTHAND.fullmatch(text)
    if match is None:
        return {"type": "equals", "value": text}
    kind, value, threshold = match["type"], match["value"], match["threshold"]
    asserted: dict[str, JsonValue] = {"type": kind}
    if value is not None:
        given = value.strip()
        asserted["value"] = given
        if kind.endswith(("-any", "-all")):
            with contextlib.suppress(ValueError):  # It is told where it is held against an answer.
                asserted["value"] = listed(given)
    return {**asserted, "threshold": float(threshold)} if threshold else asserted
