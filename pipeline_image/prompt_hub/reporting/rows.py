"""One example as a row: what was asked, what was expected, and what each version answered.

Of outputs with several fields only those are said in which some version differs: they are what a
reader looks for. What scorers counted as the same is no difference, however it is spelled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.reporting.answers import Answers, counted_fields, object_in
from prompt_hub.repository.schema import Example

UNKNOWN = "no longer in the repository, or unreadable"
AS_EXPECTED = "as expected"


@dataclass(frozen=True)
class Row:
    """The texts of a row; `answers` has one for each version."""

    input: str
    expected: str
    answers: tuple[str, ...]


def row_of(example: Example | None, *versions: Answers | None) -> Row:
    """Return an example with the answers of some versions, of repeated ones the worst."""
    expected = dict(_leaves(example.expected)) if example else None
    given = [_fields(answers) for answers in versions]
    every = dict.fromkeys(name for fields in (expected, *given) if fields for name in fields)
    wrong = [
        _wrong(expected, fields, answers) for fields, answers in zip(given, versions, strict=True)
    ]
    differing = [name for name in every if any(name in names for names in wrong)]
    names, alone = differing or [*(expected or ())], len(every) == 1
    return Row(
        input=" · ".join(text for _, text in _leaves(example.input)) if example else UNKNOWN,
        expected=UNKNOWN if expected is None else _said(expected, names, alone=alone),
        answers=tuple(
            _said(fields, names, alone=alone)
            if fields is not None and different
            else _otherwise(answers, as_expected=fields is not None)
            for answers, fields, different in zip(versions, given, wrong, strict=True)
        ),
    )


def same_in_other_words(call: ExampleResult, example: Example | None) -> tuple[str, ...]:
    """Return the leaves that differ from what was expected, and that scorers counted as right."""
    given = object_in(call)
    if example is None or given is None or given == example.expected:
        return ()
    expected, fields = dict(_leaves(example.expected)), dict(_leaves(given))
    return tuple(name for name in _differing(expected, fields) if _is_counted_right(call, name))


def _differing(expected: dict[str, str], fields: dict[str, str]) -> list[str]:
    names = dict.fromkeys((*expected, *fields))
    return [name for name in names if fields.get(name) != expected.get(name)]


def _wrong(
    expected: dict[str, str] | None, fields: dict[str, str] | None, answers: Answers | None
) -> frozenset[str]:
    """Return the leaves of a version's worst answer that differ, and are not right all the same."""
    worst = None if answers is None else answers.worst
    if fields is None or worst is None:
        return frozenset()
    return frozenset(
        name
        for name in _differing(expected or {}, fields)
        if expected is None or not _is_counted_right(worst, name)
    )


def _is_counted_right(call: ExampleResult, leaf: str) -> bool:
    """Whether scorers looked at a leaf, or at what holds it, and all found it fully matched."""
    holders = {leaf[: end.start()] for end in re.finditer(r"[.\[]|$", leaf)}
    counted = [right for name, right in counted_fields(call) if name in holders]
    return bool(counted) and all(counted)


def _otherwise(answers: Answers | None, *, as_expected: bool) -> str:
    """Say what there is to say of a version that answered no fields, or the expected ones."""
    if answers is None:
        return "not asked"
    if as_expected:
        # What lost all the same was lost to another scorer than one of fields.
        return "; ".join(answers.losses) or AS_EXPECTED
    return (answers.worst and answers.worst.answer) or "; ".join(answers.errors) or "no answer"


def _fields(answers: Answers | None) -> dict[str, str] | None:
    """Return the fields of the worst answer; None where there is none, or it is no JSON object."""
    if answers is None or answers.worst is None:
        return None
    value = object_in(answers.worst)
    return None if value is None else dict(_leaves(value))


def _leaves(value: JsonValue, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place of every leaf, and what stands there."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{index}]")
    else:
        yield place, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _said(fields: dict[str, str], names: list[str], *, alone: bool) -> str:
    """Return some fields as a text; the name of an output's only one goes without saying."""
    values = {name: fields.get(name, "not given") for name in names}
    if alone:
        return next(iter(values.values()), "")
    return "; ".join(f"{name}: {text}" for name, text in values.items())
