"""What promptfoo asserts of single tests as right answers, and one scorer that compares with them.

There, each test has assertions of its own. Here, each example has a right answer, and the same
scorer compares all of them. So what is asserted of one test becomes its right answer. All else that
is asserted is held against that answer: what holds of it is said by the comparison, too, and needs
no weight in the score; what does not hold of it makes a test that nothing passes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.importing.documents import json_or_text
from prompt_hub.authoring.importing.form import ANSWER, plain_contract
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.schemas import contract_of, read_schema, why_unusable
from prompt_hub.authoring.promptfoo import vocabulary
from prompt_hub.authoring.promptfoo.checks import holds, why_unreadable
from prompt_hub.authoring.promptfoo.tests import LOST_VALUE, Assertion, TestCase
from prompt_hub.repository.contracts import keywords_in, properties, schema_problem
from prompt_hub.repository.formats import ASSERTED
from prompt_hub.repository.schema import JsonObject
from prompt_hub.scoring.base import PureSettings
from prompt_hub.scoring.scorers.exact import ExactSettings
from prompt_hub.scoring.scorers.json_fields import FieldRule, FieldsSettings
from prompt_hub.scoring.scorers.text import TextSettings

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


class _NoAnswerError(Exception):
    """A test has no right answer that is known here, in words."""


@dataclass(frozen=True)
class _Answer:
    """What a test says the right answer is, and the assertions that say so."""

    value: str | JsonObject
    said_by: tuple[Assertion, ...]

    @property
    def kind(self) -> str:
        return self.said_by[0].type


@dataclass(frozen=True)
class _Contract:
    """What is known of all answers: the output contract, and whether they were plain text."""

    output: JsonObject
    plain: bool
    field: str | None
    """Where the text of an answer stands: its own field, or the only one of a stated schema."""


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
    place = cases[0].place if cases else ("", 1)
    schema = _schema(cases, schema, place, notes)
    common = _common(cases)
    found: list[tuple[TestCase, _Answer | None]] = []
    for case in cases:
        try:
            found.append((case, _answer(case, common, notes, parsed=parsed)))
        except _NoAnswerError as error:
            notes.lost(case.place, "a test", str(error))
            found.append((case, None))
    objects = [answer for _, answer in found if answer and isinstance(answer.value, dict)]
    whole = any(answer.kind != "javascript" for answer in objects)
    if whole:
        objects = [answer for answer in objects if answer.kind != "javascript"]
    contract = _contract(schema, objects, place, notes)
    labelled, kept = [], []
    for case, answer in found:
        if answer is None:
            # What else is asserted has its line, whether or not there is a right answer.
            for assertion in case.assertions:
                _note_lost(assertion, contract, notes)
            continue
        try:
            if answer.kind == "javascript" and whole:
                raise _NoAnswerError("it compares some fields where others compare all of them")
            expected = _expected(case, answer, contract, notes)
        except _NoAnswerError as error:
            notes.lost(case.place, "a test", str(error))
            continue
        if answer.kind in _NOW_RIGHT:
            what = f"the assertion '{answer.kind}'"
            notes.changed(answer.said_by[0].place, what, _NOW_RIGHT[answer.kind])
        labelled.append(Labelled(case, expected))
        kept.append(answer)
    if contract.plain and labelled:
        why = f"answers are JSON here: the text stands in the field '{ANSWER}'"
        notes.changed(place, "the answer as plain text", why)
    return Scoring(
        output=contract.output,
        plain=contract.plain,
        labelled=tuple(labelled),
        scorers=(_scorer(kept, contract.field, notes).to_file(),) if kept else (),
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


# --- The schema of answers ---------------------------------------------------------------------


def _schema(
    cases: Iterable[TestCase], stated: JsonObject | None, place: Place, notes: Notes
) -> JsonObject | None:
    """Return the JSON Schema that answers are held against; the first where there are several."""
    found = stated
    asserted = [item for case in cases for item in case.assertions] if found is None else []
    for assertion in asserted:
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
    for _, word, value in keywords_in(found):
        if word == "format" and value not in ASSERTED:
            why = "promptfoo's validator holds answers to it, ours does not"
            notes.lost(place, f"the format {value!r} of the schema", why)
        if word == "multipleOf" and isinstance(value, float):
            why = "promptfoo's validator divides as floating point does, ours exactly"
            notes.lost(place, "a 'multipleOf' of the schema that is no whole number", why)
    return found


def _contract(
    schema: JsonObject | None, answers: Sequence[_Answer], place: Place, notes: Notes
) -> _Contract:
    """Return the output contract: as stated, else as right answers have it, else a text field."""
    if schema is not None:
        names = [*properties(schema)]
        return _Contract({**schema, "type": "object"}, False, names[0] if len(names) == 1 else None)
    if not answers:
        return _Contract(plain_contract(), True, ANSWER)
    found = [answer.value for answer in answers if isinstance(answer.value, dict)]
    # Code that compares a field says nothing about the others.
    partly = answers[0].kind == "javascript"
    return _Contract(contract_of(found, place, notes, partly=partly), False, None)


def _is_contract(assertion: Assertion, contract: _Contract) -> bool:
    """Whether an assertion says of answers what the output contract says."""
    if assertion.type not in vocabulary.JSON_CHECKS:
        return False
    schema = read_schema(assertion.value or None)
    return (schema is None and not assertion.value) or (
        isinstance(schema, dict) and {**schema, "type": "object"} == contract.output
    )


# --- Right answers -----------------------------------------------------------------------------


def _answer(case: TestCase, common: set[_Check], notes: Notes, *, parsed: bool) -> _Answer:
    """Return what a test says the right answer is; raises `_NoAnswerError`."""
    if case.problem is not None:
        raise _NoAnswerError(case.problem)
    stated: JsonObject = {}
    said_by = []
    for assertion in case.assertions:
        if assertion.type == "equals":
            return _Answer(_as_object(assertion, notes), (assertion,))
    for assertion in case.assertions:
        if assertion.type != "javascript":
            continue
        fields = vocabulary.stated_fields(assertion.value, parsed=parsed or case.parsed) or {}
        for name, value in fields.items():
            if stated.setdefault(name, value) != value:
                raise _NoAnswerError(f"no answer passes it: two values of {name!r} are asserted")
        said_by += [assertion] if fields else []
    if said_by:
        return _Answer(stated, tuple(said_by))
    weaker = [
        entry
        for entry in case.assertions
        if entry.type in vocabulary.LABELS and _key(entry) not in common
    ]
    if len(weaker) > 1:
        raise _NoAnswerError(
            "several texts must be in its answer, and none of them is known to be all of it"
        )
    if not weaker:
        raise _NoAnswerError(
            "no assertion says what its right answer is; label it as an example yourself"
        )
    return _Answer(js.text(weaker[0].value), (weaker[0],))


def _as_object(assertion: Assertion, notes: Notes) -> str | JsonObject:
    """Return an object, also where it was written as text; everything else as text."""
    value = assertion.value
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        parsed = json_or_text(value)
        if isinstance(parsed, dict):
            why = "its text is JSON, and is compared as JSON, not letter by letter"
            notes.changed(assertion.place, "the assertion 'equals'", why)
            return parsed
    return js.as_json(value) if isinstance(value, list) or value is None else js.text(value)


def _expected(case: TestCase, answer: _Answer, contract: _Contract, notes: Notes) -> JsonObject:
    """Return the right answer as an object that keeps the contract; raises `_NoAnswerError`."""
    if isinstance(answer.value, dict):
        expected = answer.value
    elif contract.field is None or (answer.kind == "equals" and not contract.plain):
        raise _NoAnswerError("its right answer is a text, but answers are objects")
    else:
        expected = {contract.field: answer.value}
    unlisted = sorted(expected.keys() - properties(contract.output).keys())
    if unlisted and answer.kind == "javascript":
        raise _NoAnswerError(
            f"it compares {unlisted[0]!r}, a field that the output schema does not have"
        )
    if None in js.parts(expected):
        why = "null and a field that is left out are one here"
        notes.changed(answer.said_by[0].place, f"the assertion '{answer.kind}'", why)
    _hold_the_others(case, answer, answer.value if contract.plain else expected, contract, notes)
    if problem := schema_problem(expected, contract.output):
        raise _NoAnswerError(f"its right answer breaks the output schema: {problem}")
    return expected


def _hold_the_others(
    case: TestCase, answer: _Answer, value: JsonValue, contract: _Contract, notes: Notes
) -> None:
    """Hold everything else that is asserted against the right answer; raises `_NoAnswerError`."""
    weak = answer.kind in ("contains", "icontains")
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
            _note_lost(assertion, contract, notes, beside=True)
        elif not fulfilled and weak:
            unknown = True
            notes.lost(assertion.place, what, "what must be in the answer of its test breaks it")
        elif not fulfilled and not case.lenient and assertion.type in vocabulary.JSON_CHECKS:
            # promptfoo's validator may read a pattern otherwise, and take it.
            raise _NoAnswerError(
                f"its '{assertion.type}' fails on its right answer, as schemas are read here"
            )
        elif not fulfilled and not case.lenient:
            raise _NoAnswerError(
                f"no answer passes it: its '{assertion.type}' fails on its right answer"
            )
        elif not fulfilled:
            notes.lost(assertion.place, what, "it fails on the right answer of its test")
        elif _is_contract(assertion, contract):
            notes.changed(assertion.place, f"'{assertion.type}'", _IS_CONTRACT)
        elif assertion.type == "regex" and _CLASS.search(js.text(assertion.value)):
            why = "matches a class of Unicode here; JavaScript matches the letters 'p{…}', never it"
            notes.changed(assertion.place, what, why)
        else:
            why = "holds of the right answer, so that the comparison with it says as much"
            notes.changed(assertion.place, what, why)
    if unknown and weak:
        raise _NoAnswerError(
            "something else is asserted of it, too: what must be in its answer is not all of it"
        )


_IS_CONTRACT = "is the output contract: an answer that breaks it is wrong, without a weight"


def _note_lost(
    assertion: Assertion, contract: _Contract, notes: Notes, *, beside: bool = False
) -> None:
    """Note an assertion as lost; `beside` a right answer even those that could have been one."""
    kind = assertion.type
    if kind in (LOST_VALUE, *vocabulary.LIMITS) or (kind in vocabulary.LABELS and not beside):
        return
    if _is_contract(assertion, contract):
        notes.changed(assertion.place, f"'{kind}'", _IS_CONTRACT)
        return
    unreadable = why_unreadable(assertion)
    why = vocabulary.why_not(kind)
    if unreadable:
        why = f"its value cannot be read: {unreadable}"
    notes.lost(assertion.place, f"the assertion '{kind}'", why)


# --- Scorers and limits ------------------------------------------------------------------------


def _scorer(answers: Sequence[_Answer], field: str | None, notes: Notes) -> PureSettings:
    """Return the comparison with right answers: never laxer than promptfoo's own."""
    first = answers[0].said_by[0].place
    if field is not None and not any(isinstance(answer.value, dict) for answer in answers):
        if any(answer.kind != "icontains" for answer in answers):
            return ExactSettings(type="exact", field=field)
        notes.changed(first, "a text in any case", "case, width and white space do not count")
        return TextSettings(type="text", field=field)
    if not any(answer.kind == "javascript" for answer in answers):
        return ExactSettings(type="exact")
    why = "earns its share, and one that is not compared costs nothing"
    notes.changed(first, "each field that is compared", why)
    names = (name for answer in answers if isinstance(answer.value, dict) for name in answer.value)
    fields = dict.fromkeys(names, FieldRule(compare="exact"))
    return FieldsSettings(type="json_fields", fields=fields, partial=True)


_LIMITS = {
    "cost": ("usd_per_call", 1, "the mean cost of a call"),
    "latency": ("seconds_p95", 1000, "95 % of the calls"),
}


def _limits(cases: Sequence[TestCase], notes: Notes) -> JsonObject:
    """Cost and latency as limits of a version: the widest of those that tests state."""
    limits: dict[str, float] = {}
    for assertion in (item for case in cases for item in case.assertions):
        if assertion.type not in _LIMITS:
            continue
        what = f"the assertion '{assertion.type}'"
        if assertion.threshold is None or assertion.threshold <= 0:
            notes.lost(assertion.place, what, "it states no limit")
            continue
        name, unit, of_all = _LIMITS[assertion.type]
        limits[name] = max(assertion.threshold / unit, limits.get(name, 0.0))
        why = f"is a limit of {of_all} here, the widest where tests differ"
        notes.changed(assertion.place, what, why)
    return dict(limits)
