"""JSON and JSON lines as people wrote them: parsed strictly, every value knowing its line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from prompt_hub.core.json_strict import MAX_DEPTH, NestingError, is_deeper, strict_json
from prompt_hub.repository.documents import (
    Document,
    InvalidDocumentsError,
    ModelT,
    Problem,
    first_of,
    to_model,
)
from prompt_hub.repository.json_positions import (
    JsonScanner,
    LineIndex,
    PositionMap,
)
from prompt_hub.repository.syntax_words import CONFLICT, conflict_marker, json_words


def parse_json(text: str, file: str) -> Document:
    """Parse a file that holds one JSON value.

    Raises:
        InvalidDocumentsError: (see `strict_json`).
    """
    try:
        data = strict_json(text)
    except ValueError as error:
        raise InvalidDocumentsError(list(json_problems(text, file, 1, error))) from None
    return Document(file, data, PositionMap(text), PositionMap(text, of_keys=True))


def parse_jsonl(text: str, file: str) -> Iterator[tuple[int, Document]]:
    """Yield `(line, document)` of each good line.

    Raises:
        InvalidDocumentsError: after the last line, if any was bad.
    """
    problems: list[Problem] = []
    names: dict[str, str] = {}
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            continue
        try:
            data = strict_json(line, names=names)
        except ValueError as error:
            problems += json_problems(line, file, number, error)
            continue
        yield number, line_document(line, file, number, data)
    if problems:
        raise InvalidDocumentsError(problems)


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines of a text that may be long: a list of all would hold it twice.

    Not those of `splitlines`: U+2028 and its kind may stand inside a JSON string.
    """
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def line_document(line: str, file: str, number: int, data: object) -> Document:
    """Return the document on one line of a file; its places are found when they are asked for."""
    return Document(file, data, PositionMap(line, number), PositionMap(line, number, of_keys=True))


def json_problems(text: str, file: str, first_line: int, error: ValueError) -> Iterator[Problem]:
    """Yield all that strict JSON forbids in a text, which `error` has refused."""
    whole = "one JSON value on this line" if file.endswith(".jsonl") else "valid JSON"
    if isinstance(error, json.JSONDecodeError):
        line = error.lineno + first_line - 1
        found, expected = json_words(error, whole)
        here = error.doc[error.pos - error.colno + 1 :]
        rule = CONFLICT if conflict_marker(here.split("\n", 1)[0]) else "json-syntax"
        yield Problem(file, line, error.colno, "", found, expected, rule)
        return
    if isinstance(error, NestingError):
        expected = f"at most {MAX_DEPTH} levels"
        yield Problem(file, first_line, 1, "", str(error), expected, "too-deep")
        return
    try:
        # What is odd was met before the rest of the text was read: is that at least JSON?
        value = json.loads(text, parse_int=len, parse_float=len)
    except json.JSONDecodeError as syntax:
        yield from json_problems(text, file, first_line, syntax)
        return
    except RecursionError:
        yield from json_problems(text, file, first_line, NestingError())
        return
    if is_deeper(value):
        yield from json_problems(text, file, first_line, NestingError())
        return
    lines = LineIndex(text, first_line)
    for oddity in JsonScanner(text).oddities:
        line, column = lines.position(oddity.offset)
        what = ".".join(map(str, oddity.location))
        expected = _INSTEAD[oddity.rule]
        yield Problem(file, line, column, what, oddity.found, expected, oddity.rule)


_INSTEAD = {
    "duplicate-key": "each key once",
    "not-finite": "a finite number",
    "surrogate": "whole characters",
}


def parse_model(text: str, file: str, model: type[ModelT], *, hint: str) -> ModelT:
    """Return the model in a JSON file that a command wrote.

    `hint` says what to do about a broken one, as in `first_of`.

    Raises `InvalidDocumentsError` with the first problem alone: nobody mends such a file by hand.
    """
    try:
        return to_model(parse_json(text, file), model)
    except InvalidDocumentsError as error:
        raise first_of(error, hint) from None
