"""Write `docs/decisions/README.md` from the records beside it.

`make docs` brings the index up to date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "decisions"
SECTIONS = ("Context", "Options", "Outcome", "Consequences")

_TITLE = re.compile(r"# (\d{4}): (\S.*)")
_STATUS = re.compile(r"- Status: (accepted|superseded by \[(\d{4})\]\((\2-[a-z0-9-]+\.md)\))")
_DATE = re.compile(r"- Date: (\d{4}-\d{2}-\d{2})")

_HEAD = """\
# Decision records

Written by `make docs`; do not edit. What was decided, when, against what, and at which price. The
decisions that shape everything are told together in
[the architecture](../architecture.md#decisions-that-shape-it).

A record is one file, `NNNN-short-name.md`: title, status, date, then context, options, outcome and
consequences. A number is used once. A record is not rewritten when minds change: a new one
supersedes it, and its status says so.

| record | status | date |
|---|---|---|
"""


class FormatError(ValueError):
    """A record does not have the form that the index states."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One decision record, as the index lists it."""

    file: str
    number: str
    title: str
    status: str
    date: str


def read_record(file: str, text: str) -> Record:
    """Read a record's head and check its form.

    Raises:
        FormatError: naming the file, what was expected and what was found.
    """
    lines = text.splitlines()
    title = _match(file, _TITLE, lines, 0, "# NNNN: title")
    status = _match(file, _STATUS, lines, 2, "- Status: accepted | superseded by [NNNN](file)")
    date = _match(file, _DATE, lines, 3, "- Date: YYYY-MM-DD")
    if not file.startswith(f"{title[1]}-"):
        raise FormatError(f"{file}: its title has the number {title[1]}; expected the file's own.")
    _check_sections(file, text)
    return Record(file=file, number=title[1], title=title[2], status=status[1], date=date[1])


def read_records(folder: Path) -> list[Record]:
    """Read every record of `folder`, in the order of their numbers; raises `FormatError`."""
    files = sorted(file for file in folder.glob("*.md") if file.name != "README.md")
    return [read_record(file.name, file.read_text(encoding="utf-8")) for file in files]


def index_page(folder: Path) -> str:
    """Make the index as Markdown; raises `FormatError`."""
    rows = [
        f"| [{record.number}]({record.file}) {record.title} | {record.status} | {record.date} |"
        for record in read_records(folder)
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _match(
    file: str, pattern: re.Pattern[str], lines: list[str], index: int, expected: str
) -> re.Match[str]:
    found = lines[index] if index < len(lines) else ""
    match = pattern.fullmatch(found)
    if match is None:
        raise FormatError(f"{file}:{index + 1}: found {found!r}; expected {expected!r}.")
    return match


def _check_sections(file: str, text: str) -> None:
    head, *parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    if loose := "\n".join(head.splitlines()[4:]).strip():
        raise FormatError(f"{file}: found {loose!r} before the first section; expected nothing.")
    if tuple(parts[::2]) != SECTIONS:
        expected = ", ".join(SECTIONS)
        raise FormatError(f"{file}: found the sections {parts[::2]}; expected {expected}.")
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if not body.strip():
            raise FormatError(f"{file}: the section {name} is empty.")


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(index_page(FOLDER), encoding="utf-8")
