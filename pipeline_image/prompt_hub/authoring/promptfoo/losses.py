"""Why an assertion says nothing that is carried over: for each the reason that is true of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo import javascript as js
from prompt_hub.authoring.promptfoo import vocabulary
from prompt_hub.authoring.promptfoo.checks import why_unreadable
from prompt_hub.authoring.promptfoo.notes import Notes
from prompt_hub.authoring.promptfoo.schemas import read_schema, why_unusable
from prompt_hub.authoring.promptfoo.tests import LOST_VALUE, Assertion
from prompt_hub.repository.contracts import properties, resolve
from prompt_hub.repository.schema import JsonObject

_IS_CONTRACT = "is the output contract: an answer that breaks it is wrong, without a weight"
_LOOKS_AROUND = re.compile(r"\(\?<?[=!]|\\[1-9]|\\k<")
_OTHER_BASES = ("0x", "0o", "0b")


@dataclass(frozen=True)
class Contract:
    """What is known of all answers: the output contract, and whether they were plain text."""

    output: JsonObject
    schema: JsonObject | None
    """The schema that the configuration states, if any; the contract follows from answers else."""
    plain: bool


def note_lost(
    assertion: Assertion, contract: Contract, notes: Notes, *, parsed: bool, beside: bool = False
) -> None:
    """Note an assertion as lost; `beside` a right answer even those that could have been one.

    Args:
        assertion: the assertion.
        contract: what answers are.
        notes: told.
        parsed: whether code sees the answer as an object.
        beside: whether its test has a right answer.
    """
    kind = assertion.type
    if kind in (LOST_VALUE, *vocabulary.LIMITS) or (kind in vocabulary.LABELS and not beside):
        return
    if is_contract(assertion, contract):
        note_contract(assertion, notes)
        return
    why = vocabulary.why_not(kind)
    if kind in vocabulary.TEXT_CHECKS:
        why = _why_no_text(assertion, contract)
    elif kind in vocabulary.JSON_CHECKS:
        unusable = why_unusable(read_schema(assertion.value))
        why = "its schema cannot be held against answers here"
        if unusable is None:
            why = "a task has one output schema, and this is another one"
    elif kind == "javascript":
        why = why_loose(assertion.value, contract.schema, parsed=parsed) or why
    notes.lost(assertion.place, f"the assertion '{kind}'", why)


def is_contract(assertion: Assertion, contract: Contract) -> bool:
    """Whether an assertion says of answers what the output contract says."""
    if assertion.type not in vocabulary.JSON_CHECKS:
        return False
    if assertion.value in (None, ""):
        return True
    schema = read_schema(assertion.value)
    return isinstance(schema, dict) and {**schema, "type": "object"} == contract.output


def note_contract(assertion: Assertion, notes: Notes) -> None:
    """Note an assertion as one that became the output contract."""
    notes.changed(assertion.place, f"'{assertion.type}'", _IS_CONTRACT)


def _why_no_text(assertion: Assertion, contract: Contract) -> str:
    unreadable = why_unreadable(assertion)
    if unreadable is not None and assertion.type != "regex":
        return f"its value cannot be read: {unreadable}"
    if unreadable is not None and _LOOKS_AROUND.search(js.text(assertion.value)):
        return "patterns here look neither around nor back (RE2)"
    if unreadable is not None:
        return f"patterns here are those of RE2, which does not read it: {unreadable}"
    if contract.plain:
        return "it says something of a right answer, not which it is; each example here has one"
    if len(properties(contract.output)) > 1:
        return "answers have several fields, and it does not say which"
    return "it looks at an answer's JSON as text, and answers are compared as data here"


# --- JavaScript's `==` -------------------------------------------------------------------------


def why_loose(code: JsonValue, schema: JsonObject | None, *, parsed: bool) -> str | None:
    """Why a `==` in code does not say which value is right; None where it does, as `===` would.

    To JavaScript 1 == '1'. So a value is the only one that passes where the schema leaves no other
    type than its own, and where no number and no boolean is equal to it.
    """
    fields = vocabulary.stated_fields(code, parsed=parsed) or {}
    for name in sorted(vocabulary.loose_fields(code) & fields.keys()):
        value, kind = fields[name], js.kind(fields[name])
        kinds = set(_kinds_of(properties(schema or {}).get(name), schema)) - {"null"}
        if kinds != {kind} and (kinds or not _is_only_text(value)):
            return (
                f"its '==' takes more than one type (to JavaScript, 1 == '1'),"
                f" and no schema says that {name!r} is a {kind}"
            )
    return None


def _is_only_text(value: JsonValue) -> bool:
    """Whether no number and no boolean is `==` a value: a text that reads as no number."""
    if not isinstance(value, str) or js.trim(value)[:2].lower() in _OTHER_BASES:
        return False
    as_number = js.as_number(value)
    return as_number != as_number


def _kinds_of(schema: JsonValue, root: JsonObject | None) -> Iterator[str]:
    """Yield JavaScript's types of what a field's schema allows; nothing where it does not say."""
    schema = resolve(schema, root)
    if not isinstance(schema, dict):
        return
    if "const" in schema:
        yield js.kind(schema["const"])
    elif isinstance(allowed := schema.get("enum"), list):
        yield from map(js.kind, allowed)
    else:
        types = schema.get("type", [])
        for name in types if isinstance(types, list) else [types]:
            yield {"integer": "number", "array": "object"}.get(str(name), str(name))
