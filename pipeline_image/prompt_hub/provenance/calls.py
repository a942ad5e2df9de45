"""Calls as they were written down: lines of the execution log and of batch outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.json_strict import ENVELOPE_DEPTH, strict_json
from prompt_hub.core.wording import count


@dataclass(frozen=True, kw_only=True)
class Call:
    """One answered, or failed, question, whichever file keeps it."""

    kind: Literal["log", "batch"]
    where: str
    """File and line, or the stream of the log."""
    task: str
    version: str
    sha256: str
    release: str | None
    """None where a batch ran on a machine, outside of any release."""
    outcome: str
    record: int | None = None
    trace_id: str | None = None
    revision: int | None = None
    """The ledger's revision that had made the version active; None where it was not recorded."""
    model: str | None = None
    provider: str | None = None
    """As telemetry names it; batch lines name it within the model's identity."""
    stage: str | None = None
    at: str | None = None

    def within(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether the call was made in a span; one whose time is unknown may have been."""
        if self.at is None:
            return True
        at = moment(self.at)
        return (since is None or at >= since) and (until is None or at < until)


def moment(text: str) -> datetime:
    """Return a time in ISO 8601, UTC where it names no zone; raises `PromptHubError`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise PromptHubError(
            f"{text!r} is no time.", hint="Write it as 2026-11-27T10:00:00Z."
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def call_in(text: str, where: str) -> Call | None:
    """Return the call in a line; None for a line about something else, or that nobody can read."""
    try:
        line = strict_json(text, max_depth=ENVELOPE_DEPTH)
    except ValueError:
        return None
    if not isinstance(line, dict):
        return None
    is_batch = isinstance(line.get("record"), int)
    named = all(isinstance(line.get(name), str) for name in ("task", "version", "sha256"))
    if not named or not (is_batch or line.get("event") == "prompt_call"):
        return None
    # What the lines of one kind do not have is None.
    return Call(
        kind="batch" if is_batch else "log",
        where=where,
        task=str(line["task"]),
        version=str(line["version"]),
        sha256=str(line["sha256"]),
        release=_text(line.get("release")),
        outcome=("error" if line.get("error") else "ok") if is_batch else str(line.get("outcome")),
        record=_number(line.get("record")),
        trace_id=_text(line.get("trace_id")),
        revision=_number(line.get("revision")),
        model=_text(line.get("model" if is_batch else "gen_ai.request.model")),
        provider=_text(line.get("gen_ai.provider.name")),
        stage=_text(line.get("stage")),
        at=_text(line.get("time")),
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def calls_in(files: Iterable[Path]) -> Iterator[Call]:
    """Yield every call in files, logs and batch outputs alike; raises `PromptHubError`."""
    for path in files:
        for number, text in enumerate(_lines_of(path), 1):
            call = call_in(text, f"{path}:{number}")
            if call is not None:
                yield call


def line_at(path: Path, wanted: int) -> str:
    """Return a line by its number, as `calls_in` counts them; raises `PromptHubError`."""
    number = 0
    for number, text in enumerate(_lines_of(path), 1):
        if number == wanted:
            return text
    raise PromptHubError(f"{path} has {count(number, 'line')}, no line {wanted}.")


def _lines_of(path: Path) -> Iterator[str]:
    try:
        # Not `str.splitlines`: it divides a line where an answer in it has a separator of its own.
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield from lines
    except OSError as error:
        raise PromptHubError(f"{path} cannot be read: {error.strerror}.") from None
