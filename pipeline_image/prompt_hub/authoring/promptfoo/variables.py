"""The values of variables, as promptfoo has them before it fills in a prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo import javascript as js
from prompt_hub.authoring.promptfoo.reading import REFERENCE, Project
from prompt_hub.repository.templates import MAX_TEMPLATE

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_DATE = re.compile(r"(?:^|[\s\[{,:])\d{4}-\d\d?-\d\d?")
_BINARY = {
    ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".svg", ".tif", ".tiff", ".ico", ".avif",
    ".heic", ".heif", ".mp4", ".webm", ".mov", ".mp3", ".wav", ".m4a", ".ogg", ".flac", ".pdf",
}  # fmt: skip
_PROGRAMS = {".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py"}


def expanded(project: Project, value: JsonValue) -> list[JsonValue]:
    """Return what a variable stands for: a list that begins with a text, for each element."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value
    if isinstance(value, str) and value.startswith(REFERENCE):
        found: list[JsonValue] = [f"{REFERENCE}{path}" for path in project.find(value)]
        return found or [value]
    return [value]


def read_variables(project: Project, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return variables as they are before the prompt is filled in; raises `UnreadableError`."""
    read: dict[str, JsonValue] = {}
    for name, value in values.items():
        if isinstance(value, str) and value.startswith(REFERENCE):
            (path, *_) = project.find(value) or [Path(value[:80])]
            value = _of_file(project, path)
        read[name] = value.removesuffix("\n") if isinstance(value, str) else value
    return _resolved(read)


class UnreadableError(Exception):
    """A variable that has no value here, in words."""


def _of_file(project: Project, path: Path) -> str:
    """Return what promptfoo makes of a file that a variable names: a text, also of data."""
    suffix = path.suffix.lower()
    if suffix in _BINARY or suffix in _PROGRAMS:
        raise UnreadableError(f"{project.name(path)} is neither text nor data")
    if not path.is_file():
        raise UnreadableError(f"no file has the name {project.name(path)}")
    if suffix not in (".yaml", ".yml"):
        return js.trim(project.text(path))
    if _DATE.search(project.text(path)):
        raise UnreadableError(f"{project.name(path)} has a date without quotes")
    try:
        return js.as_json(project.load(path, infinite=True).data)
    except ArithmeticError as error:
        raise UnreadableError(f"{project.name(path)} has {error}") from None


def _resolved(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Put variables that are texts into each other, as promptfoo does: at most five rounds."""
    for _ in range(5):
        settled = True
        for name, value in values.items():
            match = _PLACEHOLDER.search(value) if isinstance(value, str) else None
            if match is None or not isinstance(value, str) or match[1] not in values:
                continue
            inner = js.text(values[match[1]]) if values[match[1]] is not None else "null"
            if "$" in inner:
                raise UnreadableError(f"the variable {name!r} takes in another that has a '$'")
            if len(value) + len(inner) > MAX_TEMPLATE:
                raise UnreadableError(f"the variable {name!r} grows without end")
            values[name] = value.replace(match[0], inner, 1)
            settled = False
        if settled:
            break
    return values


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
