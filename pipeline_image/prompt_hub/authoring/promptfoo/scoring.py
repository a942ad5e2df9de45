"""What promptfoo asserts of single tests as right answers, and one scorer that compares with them.

There, each test has assertions of its own. Here, each example has a right answer, and the same
scorer compares all of them. So what is asserted of one test becomes its right answer. All else that
is asserted is held against that answer: what holds of it is said by the comparison, too, and needs
no weight in the score; what does not hold of it makes a test that nothing passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo import javascript as js
from prompt_hub.authoring.promptfoo import vocabulary
from prompt_hub.authoring.promptfoo.checks import holds
from prompt_hub.authoring.promptfoo.losses import (
    Contract,
    is_contract,
    note_contract,
    note_lost,
    why_loose,
)
from prompt_hub.authoring.promptfoo.notes import Notes
from prompt_hub.authoring.promptfoo.schemas import (
    in_todays_draft,
    read_schema,
    type_of,
    values_of,
    why_unusable,
)
from prompt_hub.authoring.promptfoo.tests import LOST_VALUE, Assertion, TestCase
from prompt_hub.repository.contracts import properties, schema_problem
from prompt_hub.repository.formats import ASSERTED
from prompt_hub.repository.schema import JsonObject
from prompt_hub.scoring.base import PureSettings
from prompt_hub.scoring.scorers.exact import ExactSettings
from prompt_hub.scoring.scorers.json_fields import FieldRule, FieldsSettings
from prompt_hub.scoring.scorers.text import TextSettings

ANSWER = "answer"
"""The field that holds the answer of a prompt that is answered in plain text."""

_Check = tuple[str, str]
_STRICTER = "its value is now the right answer, all of it: stricter than there"
_NOW_RIGHT = {
    "javascript": "the fields that it compares are now the right answer",
    "contains": _STRICTER,
    "icontains": _STRICTER,
}
_CLASS = re.compile(r"\\[pP]\{")


@dataclass(frozen=True)
class Labelled:
    """A test with its right answer."""

    case: TestCase
    expected: JsonObject


@dataclass(frozen=True)
class _Answer:
    """What a test says the right answer is, and the assertions that say so."""

    value: str | JsonObject
    said_by: tuple[Assertion, ...]

    @property
    def kind(self) -> str:
        return self.said_by[0].type


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


def scoring_of(
    cases: Sequence[TestCase], notes: Notes, *, schema: JsonObject | None, parsed: bool
) -> Scoring:
    """Turn assertions into right answers and a scorer.

    Args:
        cases: the tests.
        notes: told what is lost, and what means something else now.
        schema: the schema of answers that the provider's settings name, if any.
        parsed: whether promptfoo hands answers to code as objects, not as text.
    """
    if schema is not None and (wrong := why_unusable(schema := in_todays_draft(schema))):
        notes.lost(cases[0].place if cases else ("", 1), "the schema of 'response_format'", wrong)
        schema = None
    schema = schema or _schema(cases, notes)
    place = cases[0].place if cases else ("", 1)
    for name in sorted({str(name) for name in values_of(schema, "format")} - ASSERTED):
        why = "promptfoo's validator holds answers to it, ours does not"
        notes.lost(place, f"the format {name!r} of the schema", why)
    if any(isinstance(step, float) for step in values_of(schema, "multipleOf")):
        why = "promptfoo's validator divides as floating point does, ours exactly"
        notes.lost(place, "a 'multipleOf' of the schema that is no whole number", why)
    common = _common(cases)
    answers = _of_one_kind([_answer(case, common, schema, notes, parsed=parsed) for case in cases])
    objects = [answer for answer in answers if isinstance(answer, _Answer) and _fields(answer)]
    plain = schema is None and not objects
    output = _output(schema, objects)
    contract = Contract(output, schema, plain)
    names = properties(output)
    # A text stands in a field of its own, or in the one field of a schema that is asserted.
    field = next(iter(names)) if len(names) == 1 and (plain or schema is not None) else None
    labelled, kept = [], []
    for case, answer in zip(cases, answers, strict=True):
        expected = _expected(case, answer, field, contract, notes, parsed=parsed or case.parsed)
        if isinstance(expected, str):
            notes.lost(case.place, "a test", expected)
        elif isinstance(answer, _Answer):
            if answer.kind in _NOW_RIGHT:
                what = f"the assertion '{answer.kind}'"
                notes.changed(answer.said_by[0].place, what, _NOW_RIGHT[answer.kind])
            labelled.append(Labelled(case, expected))
            kept.append(answer)
    if plain and labelled:
        why = f"answers are JSON here: the text stands in the field '{ANSWER}'"
        notes.changed(cases[0].place, "the answer as plain text", why)
    return Scoring(
        output=output,
        plain=plain,
        labelled=tuple(labelled),
        scorers=(_scorer(kept, field, notes).to_file(),) if kept else (),
        limits=_limits(cases, notes),
    )


def _of_one_kind(answers: Sequence[_Answer | str]) -> list[_Answer | str]:
    """Leave out the rarer of whole objects and of single fields: one scorer compares all alike."""
    objects = [answer for answer in answers if isinstance(answer, _Answer) and _fields(answer)]
    partial = [answer for answer in objects if answer.kind == "javascript"]
    if not partial or len(partial) == len(objects):
        return list(answers)
    whole = 2 * len(partial) <= len(objects)
    why = (
        "it compares some fields where most tests compare all of the answer"
        if whole
        else "it compares all of the answer where most tests compare some fields"
    )
    return [
        f"{why}: one scorer compares all alike"
        if isinstance(answer, _Answer)
        and _fields(answer)
        and (answer.kind == "javascript") is whole
        else answer
        for answer in answers
    ]


def _all_values(value: JsonValue) -> Iterator[JsonValue]:
    yield value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in items:
        yield from _all_values(item)


def _fields(answer: _Answer) -> JsonObject | None:
    return answer.value if isinstance(answer.value, dict) else None


def _key(assertion: Assertion) -> _Check:
    return assertion.type, json.dumps(assertion.value, sort_keys=True)


def _common(cases: Sequence[TestCase]) -> set[_Check]:
    """Return what is asserted of every test with the same value."""
    sets = [{_key(assertion) for assertion in case.assertions} for case in cases]
    if len(sets) > 1:
        return set.intersection(*sets)
    return {_key(item) for case in cases for item in case.assertions if item.shared}


# --- The schema of answers ---------------------------------------------------------------------


def _schema(cases: Iterable[TestCase], notes: Notes) -> JsonObject | None:
    """Return the JSON Schema that answers are held against; the first where there are several."""
    found: JsonObject | None = None
    for case in cases:
        for assertion in case.assertions:
            if assertion.type not in vocabulary.JSON_CHECKS or assertion.value in (None, ""):
                continue
            value = read_schema(assertion.value)
            wrong = why_unusable(value)
            if wrong is not None or not isinstance(value, dict):
                notes.lost(assertion.place, f"the schema of '{assertion.type}'", str(wrong))
            elif found is None:
                found = value
            elif value != found:
                why = "a task has one output schema: the first one is taken"
                notes.lost(assertion.place, "another schema of the answer", why)
    return found


# --- Right answers -----------------------------------------------------------------------------


def _answer(
    case: TestCase,
    common: set[_Check],
    schema: JsonObject | None,
    notes: Notes,
    *,
    parsed: bool,
) -> _Answer | str:
    """Return what a test says the right answer is, or why it does not say."""
    if case.problem is not None:
        return case.problem
    equals = [element for element in case.assertions if element.type == "equals"]
    if equals:
        return _Answer(_as_object(equals[0], notes), (equals[0],))
    stated: JsonObject = {}
    said_by = []
    for assertion in case.assertions:
        fields = _stated(assertion, schema, parsed=parsed or case.parsed)
        for name, value in (fields or {}).items():
            if stated.setdefault(name, value) != value:
                return f"no answer passes it: two values of {name!r} are asserted"
        said_by += [assertion] if fields else []
    if said_by:
        return _Answer(stated, tuple(said_by))
    weaker = [
        entry
        for entry in case.assertions
        if entry.type in vocabulary.LABELS and _key(entry) not in common
    ]
    if len(weaker) > 1:
        return "several texts must be in its answer, and none of them is known to be all of it"
    if not weaker:
        return "no assertion says what its right answer is; label it as an example yourself"
    return _Answer(js.text(weaker[0].value), (weaker[0],))


def _stated(assertion: Assertion, schema: JsonObject | None, *, parsed: bool) -> JsonObject | None:
    code = assertion.value
    if assertion.type != "javascript" or why_loose(code, schema, parsed=parsed):
        return None
    return vocabulary.stated_fields(code, parsed=parsed)


def _as_object(assertion: Assertion, notes: Notes) -> str | JsonObject:
    """Return an object, also where it was written as text; everything else as text."""
    value = assertion.value
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            parsed: JsonValue = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if isinstance(parsed, dict):
            why = "its text is JSON, and is compared as JSON, not letter by letter"
            notes.changed(assertion.place, "the assertion 'equals'", why)
            return parsed
    return js.as_json(value) if isinstance(value, list) or value is None else js.text(value)


def _expected(
    case: TestCase,
    answer: _Answer | str,
    field: str | None,
    contract: Contract,
    notes: Notes,
    *,
    parsed: bool,
) -> JsonObject | str:
    """Return the right answer as an object that keeps the contract, or why there is none."""
    if isinstance(answer, str):
        # What else is asserted has its line, whether or not there is a right answer.
        for assertion in case.assertions:
            note_lost(assertion, contract, notes, parsed=parsed)
        return answer
    expected = _fields(answer)
    if expected is None and (field is None or (answer.kind == "equals" and not contract.plain)):
        return "its right answer is a text, but answers are objects"
    if expected is None:
        expected = {str(field): answer.value}
    unlisted = sorted(expected.keys() - properties(contract.output).keys())
    if unlisted and answer.kind == "javascript":
        return f"it compares {unlisted[0]!r}, a field that the output schema does not have"
    if any(value is None for value in _all_values(expected)):
        why = "null and a field that is left out are one here"
        notes.changed(answer.said_by[0].place, f"the assertion '{answer.kind}'", why)
    unknown = _others_hold(
        case, answer, answer.value if contract.plain else expected, contract, notes, parsed=parsed
    )
    if unknown is not None:
        return unknown
    problem = schema_problem(expected, contract.output)
    return expected if problem is None else f"its right answer breaks the output schema: {problem}"


def _others_hold(
    case: TestCase,
    answer: _Answer,
    value: JsonValue,
    contract: Contract,
    notes: Notes,
    *,
    parsed: bool,
) -> str | None:
    """Hold everything else that is asserted against the right answer; say what keeps it from it."""
    unknown = False
    for assertion in case.assertions:
        what = f"the assertion '{assertion.type}'"
        if assertion.weight != 1 and assertion.type != LOST_VALUE:
            why = "decides nothing here: one comparison is all that is scored"
            notes.changed(assertion.place, f"the weight of {what[4:]}", why)
        if assertion in answer.said_by or assertion.type in vocabulary.LIMITS:
            continue
        fulfilled = holds(assertion, value)
        if fulfilled is None:
            unknown = True
            note_lost(assertion, contract, notes, parsed=parsed, beside=True)
        elif not fulfilled and answer.kind != "equals" and answer.kind != "javascript":
            unknown = True
            notes.lost(assertion.place, what, "what must be in the answer of its test breaks it")
        elif not fulfilled and not case.lenient:
            return f"no answer passes it: its '{assertion.type}' fails on its right answer"
        elif not fulfilled:
            notes.lost(assertion.place, what, "it fails on the right answer of its test")
        elif is_contract(assertion, contract):
            note_contract(assertion, notes)
        elif assertion.type == "regex" and _CLASS.search(js.text(assertion.value)):
            why = "matches a class of Unicode here; JavaScript matches the letters 'p{…}', never it"
            notes.changed(assertion.place, what, why)
        else:
            why = "holds of the right answer, so that the comparison with it says as much"
            notes.changed(assertion.place, what, why)
    if unknown and answer.kind in ("contains", "icontains"):
        return "something else is asserted of it, too: what must be in its answer is not all of it"
    return None


# --- The output contract -----------------------------------------------------------------------


def _output(schema: JsonObject | None, answers: Sequence[_Answer]) -> JsonObject:
    """Return the output contract: as stated, else as right answers have it, else a text field."""
    if schema is not None:
        return {**schema, "type": "object"}
    if not answers:
        return _object({ANSWER: {"type": "string"}}, [ANSWER], closed=True)
    found = [answer.value for answer in answers if isinstance(answer.value, dict)]
    names = dict.fromkeys(name for answer in found for name in answer)
    # Code that compares a field says nothing about the others.
    partly = any(answer.kind == "javascript" for answer in answers)
    everywhere = [name for name in names if all(name in answer for answer in found)]
    types = {
        name: {}
        if partly and name not in everywhere
        else type_of([answer[name] for answer in found if name in answer])
        for name in names
    }
    return _object(types, everywhere, closed=not partly)


def _object(
    properties: Mapping[str, JsonValue], required: Sequence[str], *, closed: bool
) -> JsonObject:
    return {
        "type": "object",
        **({"additionalProperties": False} if closed else {}),
        "required": list(required),
        "properties": dict(properties),
    }


# --- Scorers and limits ------------------------------------------------------------------------


def _scorer(answers: Sequence[_Answer], field: str | None, notes: Notes) -> PureSettings:
    """Return the comparison with right answers: never laxer than promptfoo's own."""
    texts = all(_fields(answer) is None for answer in answers)
    if texts and field is not None:
        if any(answer.kind != "icontains" for answer in answers):
            return ExactSettings(type="exact", field=field)
        why = "case, width and white space do not count"
        notes.changed(answers[0].said_by[0].place, "a text in any case", why)
        return TextSettings(type="text", field=field)
    if not any(answer.kind == "javascript" for answer in answers):
        return ExactSettings(type="exact")
    fields: dict[str, FieldRule] = {}
    for answer in answers:
        why = "earns its share, and one that is not compared costs nothing"
        notes.changed(answer.said_by[0].place, "each field that is compared", why)
        fields |= dict.fromkeys(_fields(answer) or (), FieldRule(compare="exact"))
    return FieldsSettings(type="json_fields", fields=fields, partial=True)


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
