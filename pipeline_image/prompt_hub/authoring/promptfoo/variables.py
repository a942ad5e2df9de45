"""The values of variables, as promptfoo has them before it fills in a prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.promptfoo.reading import REFERENCE, Project

_TEXTS = {".txt", ".md", ".json", ".jsonl", ".csv", ".html", ".xml"}


def expanded(project: Project, value: JsonValue) -> list[JsonValue]:
    """Return what a variable stands for: a list that begins with a text, for each element."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value
    if isinstance(value, str) and value.startswith(REFERENCE):
        found: list[JsonValue] = [f"{REFERENCE}{path}" for path in project.find(value)]
        return found or [value]
    return [value]


def read_variables(project: Project, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return variables as they are before the prompt is filled in; raises `UnknownMeaningError`."""
    read: dict[str, JsonValue] = {}
    for name, value in values.items():
        if isinstance(value, str) and value.startswith(REFERENCE):
            (path, *_) = project.find(value) or [Path(value[:80])]
            value = _of_file(project, path)
        read[name] = value.removesuffix("\n") if isinstance(value, str) else value
    return read


def _of_file(project: Project, path: Path) -> str:
    """Return what promptfoo makes of a file that a variable names: its text, also of data."""
    if path.suffix.lower() not in _TEXTS:
        raise js.UnknownMeaningError(
            f"{project.name(path)} is no text; promptfoo makes another of it"
        )
    if not path.is_file():
        raise js.UnknownMeaningError(f"no file has the name {project.name(path)}")
    return js.trim(project.text(path))


def listed(value: str) -> list[JsonValue]:
    """Return the texts of a list between commas; quotes hold commas together.

    Raises `ValueError` where a quote does not end or something follows it.
    """
    found: list[JsonValue] = []
    rest = value.lstrip(_SEPARATORS)
    while rest:
        match = _QUOTED_ITEM.match(rest) if rest[0] == '"' else _BARE_ITEM.match(rest)
        if match is None:
            raise ValueError(f"a list whose quotes do not end ({value[:40]})")
        quoted = match[1] if rest[0] == '"' else None
        found.append(match[0].strip() if quoted is None else _QUOTE.sub(r"\1\2", quoted))
        rest = rest[match.end() :].lstrip(_SEPARATORS)
    return found


_SEPARATORS = " \t\r\n,"
_QUOTED_ITEM = re.compile(r'"((?:\\["\\]|""|[^"])*)"\s*(?=,|$)', re.DOTALL)
_BARE_ITEM = re.compile(r"[^,]+")
_QUOTE = re.compile(r'\\(["\\])|(")"')
