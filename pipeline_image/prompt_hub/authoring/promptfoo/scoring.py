"""What promptfoo asserts of single tests as right answers and as scorers of the whole task.

There, each test has assertions of its own. Here, each example has a right answer, and scorers,
the same for all examples, compare. So what is asserted of one test becomes its right answer, what
is asserted of all alike becomes a scorer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from pydantic import JsonValue, ValidationError

from prompt_hub.authoring.promptfoo import vocabulary
from prompt_hub.authoring.promptfoo.notes import Notes
from prompt_hub.authoring.promptfoo.tests import Assertion, TestCase
from prompt_hub.repository.contracts import schema_problem, schema_problems
from prompt_hub.repository.schema import JsonObject
from prompt_hub.scoring.base import PureSettings
from prompt_hub.scoring.scorers.exact import ExactSettings
from prompt_hub.scoring.scorers.json_fields import FieldsSettings
from prompt_hub.scoring.scorers.json_schema import SchemaSettings
from prompt_hub.scoring.scorers.regex import RegexSettings
from prompt_hub.scoring.scorers.text import TextSettings

ANSWER = "answer"
"""The field that holds the answer of a prompt that is answered in plain text."""

_Check = tuple[str, str]


@dataclass(frozen=True)
class Labelled:
    """A test with its right answer."""

    case: TestCase
    expected: JsonObject


@dataclass(frozen=True)
class Scoring:
    """The output contract, the labelled tests, the scorers and the limits of the task.

    `plain` says that answers were free text, and now stand in the field `answer`.
    """

    output: JsonObject
    plain: bool
    labelled: tuple[Labelled, ...]
    scorers: tuple[JsonObject, ...]
    limits: JsonObject


def scoring_of(cases: Sequence[TestCase], notes: Notes, *, schema: JsonObject | None) -> Scoring:
    """Turn assertions into right answers and scorers.

    Args:
        cases: the tests.
        notes: told what is lost, and what means something else now.
        schema: the schema of answers that the provider's settings name, if any.
    """
    common = _common(cases)
    if schema is not None and (wrong := _unusable(schema)):
        notes.lost(cases[0].place if cases else ("", 1), "the schema of 'response_format'", wrong)
        schema = None
    schema = schema or _schema(cases, notes)
    answers = [_answer(case, common, notes) for case in cases]
    plain = schema is None and not any(isinstance(answer, dict) for answer in answers)
    output = _output(schema, [answer for answer in answers if isinstance(answer, dict)])
    properties = output["properties"]
    assert isinstance(properties, dict)
    field = next(iter(properties)) if len(properties) == 1 else None
    labelled = []
    for case, answer in zip(cases, answers, strict=True):
        expected = _expected(answer, field, output)
        if isinstance(expected, str):
            notes.lost(case.place, "a test", expected)
        else:
            labelled.append(Labelled(case, expected))
    if plain and labelled:
        why = f"answers are JSON here: the text stands in the field '{ANSWER}'"
        notes.changed(cases[0].place, "the answer as plain text", why)
    return Scoring(
        output=output,
        plain=plain,
        labelled=tuple(labelled),
        scorers=_scorers(cases, common, field, plain, properties, notes),
        limits=_limits(cases, notes),
    )


def _key(assertion: Assertion) -> _Check:
    return assertion.type, json.dumps(assertion.value, sort_keys=True)


def _common(cases: Sequence[TestCase]) -> set[_Check]:
    """Return what is asserted of every test with the same value."""
    sets = [{_key(assertion) for assertion in case.assertions} for case in cases]
    if len(sets) > 1:
        return set.intersection(*sets)
    return {_key(item) for case in cases for item in case.assertions if item.shared}


def _schema(cases: Iterable[TestCase], notes: Notes) -> JsonObject | None:
    """Return the JSON Schema that answers are held against; the first where there are several."""
    found: JsonObject | None = None
    for case in cases:
        for assertion in case.assertions:
            if assertion.type not in vocabulary.JSON_CHECKS or assertion.value in (None, ""):
                continue
            value = assertion.value
            wrong = _unusable(value)
            if wrong is not None or not isinstance(value, dict):
                notes.lost(assertion.place, f"the schema of '{assertion.type}'", str(wrong))
            elif found is None:
                found = value
            elif value != found:
                why = "a task has one output schema: the first one is taken"
                notes.lost(assertion.place, "another schema of the answer", why)
    return found


def _unusable(schema: JsonValue) -> str | None:
    """Why a JSON Schema cannot be the contract of answers, None where it can."""
    is_object = isinstance(schema, dict) and schema.get("type", "object") == "object"
    if not is_object or not isinstance(schema, dict) or not schema.get("properties"):
        return "an answer here is one JSON object with named fields"
    if any(not reference.startswith("#") for reference in _references(schema)):
        return "it refers to another file or to the network"
    wrong = next((problem for problem in schema_problems(schema) if problem.rule == "schema"), None)
    if wrong is None:
        return None
    return f"it is no JSON Schema (it has {wrong.found} where {wrong.expected} is expected)"


def _references(value: JsonValue) -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else ():
        if key == "$ref":
            yield str(item)
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _references(item)


def _answer(case: TestCase, common: set[_Check], notes: Notes) -> JsonValue:
    """Return what a test says the right answer is: a text or an object; None if it does not say."""
    equals = [element for element in case.assertions if element.type == "equals"]
    weaker = [
        entry
        for entry in case.assertions
        if entry.type in vocabulary.LABELS and entry.type != "equals" and _key(entry) not in common
    ]
    for extra in (*equals[1:], *(weaker if equals or len(weaker) > 1 else [])):
        what = f"the assertion '{extra.type}'"
        why = "it is not the only one that says what the answer of its test is"
        notes.lost(extra.place, what, why)
    if equals:
        return _as_object(equals[0].value)
    statements = [item for item in case.assertions if _stated(item)]
    if statements:
        why = "the fields that it compares are now the right answer"
        notes.changed(statements[0].place, "the assertion 'javascript'", why)
        return {
            key: value
            for assertion in statements
            for key, value in (_stated(assertion) or {}).items()
        }
    if len(weaker) != 1:
        return None
    chosen = weaker[0]
    why = "its value is now the right answer; scored as text, without case and white space"
    notes.changed(chosen.place, f"the assertion '{chosen.type}'", why)
    return _as_object(chosen.value)


def _stated(assertion: Assertion) -> JsonObject | None:
    is_code = assertion.type == "javascript"
    return vocabulary.stated_fields(assertion.value) if is_code else None


def _as_object(value: JsonValue) -> JsonValue:
    """Return an object, also where it was written as text; everything else as text."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            parsed: JsonValue = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return parsed if isinstance(parsed, dict) else value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _output(schema: JsonObject | None, answers: Sequence[JsonObject]) -> JsonObject:
    """Return the output contract: as stated, else as right answers have it, else a text field."""
    if schema is not None:
        return {**schema, "type": "object"}
    if not answers:
        return _object({ANSWER: {"type": "string"}}, [ANSWER])
    names = dict.fromkeys(name for answer in answers for name in answer)
    return _object(
        {name: type_of([answer[name] for answer in answers if name in answer]) for name in names},
        [name for name in names if all(name in answer for answer in answers)],
    )


def _object(properties: Mapping[str, JsonValue], required: Sequence[str]) -> JsonObject:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": dict(properties),
    }


def type_of(values: Sequence[JsonValue]) -> JsonObject:
    """Return the JSON Schema of a field that has these values; no type where they have several."""
    kinds = {_kind(value) for value in values}
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    return {"type": kinds.pop()} if len(kinds) == 1 else {}


def _kind(value: JsonValue) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case None:
            return "null"
        case _:
            assert_never(value)


def _expected(answer: JsonValue, field: str | None, output: JsonObject) -> JsonObject | str:
    """Return the right answer as an object that keeps the contract, or why there is none."""
    if answer is None:
        return "no assertion says what its right answer is; label it as an example yourself"
    if not isinstance(answer, dict):
        if field is None:
            return "its right answer is a text, but answers are objects of several fields"
        answer = {field: answer}
    problem = schema_problem(answer, output)
    return answer if problem is None else f"its right answer breaks the output schema: {problem}"


class _Scorers:
    """Collects scorers, each once, with the weight that its assertion had."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._found: dict[str, PureSettings] = {}

    def add(self, assertion: Assertion, settings: Callable[[], PureSettings]) -> None:
        """Take over what `assertion` checks, as the scorer that `settings` makes."""
        what, weight = f"the assertion '{assertion.type}'", assertion.weight
        if weight <= 0:
            self._notes.lost(assertion.place, what, "with the weight 0 it decides nothing")
            return
        try:
            scorer = settings()
        except ValidationError as error:
            why = f"no scorer here takes it ({error.errors()[0]['msg']})"
            self._notes.lost(assertion.place, what, why)
            return
        weighted = scorer.model_copy(update={"weight": weight})
        before = self._found.setdefault(scorer.model_dump_json(), weighted)
        if before.weight != weight:
            why = "a scorer has one weight for all examples: the first one is taken"
            self._notes.lost(assertion.place, f"another weight of '{assertion.type}'", why)

    def all(self) -> tuple[JsonObject, ...]:
        """Return the scorers as metadata have them; a weight of 1 goes without saying."""
        return tuple(scorer.to_file() for scorer in self._found.values())


def _scorers(
    cases: Sequence[TestCase],
    common: set[_Check],
    field: str | None,
    plain: bool,
    properties: Mapping[str, JsonValue],
    notes: Notes,
) -> tuple[JsonObject, ...]:
    found = _Scorers(notes)
    labels = {
        assertion.type
        for case in cases
        for assertion in case.assertions
        if assertion.type in vocabulary.LABELS
        and (assertion.type == "equals" or _key(assertion) not in common)
    }
    for case in cases:
        for item in case.assertions:
            states = item.type in labels and _key(item) not in common
            if item.type == "equals" or states or (not plain and _stated(item)):
                if plain:
                    found.add(item, partial(_of_text, exactly=labels == {"equals"}))
                else:
                    found.add(item, partial(FieldsSettings.of_equal, properties))
                    why = "is scored field by field: each one earns its share"
                    notes.changed(item.place, "an answer of several fields", why)
            elif item.type in vocabulary.JSON_CHECKS:
                if plain:
                    notes.changed(item.place, f"'{item.type}'", "holds of every answer here")
                else:
                    found.add(item, partial(SchemaSettings, type="json_schema"))
            elif item.type in vocabulary.PATTERNS:
                _add_patterns(found, item, common, field, notes)
            elif item.type not in vocabulary.LIMITS:
                what = f"the assertion '{item.type}'"
                notes.lost(item.place, what, vocabulary.why_not(item.type))
    return found.all()


def _of_text(*, exactly: bool) -> PureSettings:
    if exactly:
        return ExactSettings(type="exact", field=ANSWER)
    return TextSettings(type="text", field=ANSWER)


def _add_patterns(
    found: _Scorers, assertion: Assertion, common: set[_Check], field: str | None, notes: Notes
) -> None:
    what = f"the assertion '{assertion.type}'"
    if _key(assertion) not in common:
        why = "it is made of this test only; scorers are the same for all examples"
        notes.lost(assertion.place, what, why)
        return
    if field is None:
        notes.lost(assertion.place, what, "answers have several fields, and it does not say which")
        return
    for pattern in vocabulary.PATTERNS[assertion.type](assertion.value):
        try:
            re.compile(pattern)
        except re.error as error:
            notes.lost(assertion.place, what, f"its pattern cannot be read here ({error})")
            return
        if assertion.type == "regex" and vocabulary.NOT_RE2.search(pattern):
            notes.lost(assertion.place, what, "patterns here look neither around nor back (RE2)")
            return
        found.add(assertion, partial(RegexSettings, type="regex", field=field, pattern=pattern))


def _limits(cases: Sequence[TestCase], notes: Notes) -> JsonObject:
    """Cost and latency as limits of a version: the widest of those that tests state."""
    limits: dict[str, float] = {}
    for case in cases:
        for assertion in case.assertions:
            if assertion.type not in vocabulary.LIMITS:
                continue
            if assertion.threshold is None or assertion.threshold <= 0:
                notes.lost(
                    assertion.place, f"the assertion '{assertion.type}'", "it states no limit"
                )
                continue
            name, value = "usd_per_call", assertion.threshold
            if assertion.type == "latency":
                name, value = "seconds_p95", assertion.threshold / 1000
            limits[name] = max(value, limits.get(name, 0.0))
            of_all = {"cost": "the mean cost of a call", "latency": "95 % of the calls"}[
                assertion.type
            ]
            why = f"is a limit of {of_all} here, the widest where tests differ"
            notes.changed(assertion.place, f"the assertion '{assertion.type}'", why)
    return dict(limits)
