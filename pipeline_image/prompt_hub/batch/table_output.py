"""The lines of an output as a table: one column a field, for spreadsheets and databases."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.batch.output_lines import was_refused
from prompt_hub.core.files import atomic_write, explain_write_errors
from prompt_hub.repository.schema import JsonObject

_BEFORE = ("record",)
_BEHIND = ("error", "version", "sha256", "release", "model")
_USAGE = ("input_tokens", "output_tokens", "usd")


def table_beside(output: Path) -> Path:
    """Return where the table of an output lies."""
    return output.with_name(f"{output.name}.csv")


def write_csv(lines: Path, path: Path) -> None:
    """Write the JSON lines at `lines` as a table to `path`.

    Fields of input and output have columns of their own, in the order in which they come first;
    the input of a record that no model was asked about has no fields and adds none. Lists and
    objects are cells of JSON.
    """
    columns: dict[tuple[str, str], None] = {}
    for line in _read(lines):
        for part in ("input", "output"):
            if part == "output" or not was_refused(line):
                columns |= dict.fromkeys((part, name) for name in _object(line[part]))
    # Inputs before outputs, whichever line had them first.
    fields = sorted(columns, key=lambda column: column[0])
    with explain_write_errors(path), atomic_write(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        table = csv.writer(text, lineterminator="\r\n")  # RFC 4180
        names = [f"{part}.{name}" for part, name in fields]
        table.writerow([*_BEFORE, *names, *_BEHIND, *_USAGE])
        for line in _read(lines):
            table.writerow(
                [
                    *(_cell(line.get(name)) for name in _BEFORE),
                    *(_cell(_object(line[part]).get(name)) for part, name in fields),
                    *(_cell(line.get(name)) for name in _BEHIND),
                    *(_cell(_object(line.get("usage")).get(name)) for name in _USAGE),
                ]
            )
        text.detach()


def _read(lines: Path) -> Iterator[JsonObject]:
    with lines.open("rb") as stream:
        yield from map(json.loads, stream)


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _cell(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
