"""What a person sees before and after a move by hand: states, scores, why, and who serves it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prompt_hub.core import wording
from prompt_hub.core.errors import ExitCode, PromptHubError

if TYPE_CHECKING:
    from prompt_hub.ledger.items import Pointer, ScoreSample, VersionRef
    from prompt_hub.ledger.table import Ledger
    from prompt_hub.release.service_client import Client

SAMPLES_READ = 100
"""Of the newest, for the last score of a version."""
WAIT_SECONDS = 60.0
"""Services look at their ledger every few seconds, each minute at the latest."""


def preview(ledger: Ledger, pointer: Pointer, to: VersionRef) -> Iterator[str]:
    """Yield what a move from `pointer` to `to` means, a line for each version."""
    task = pointer.task
    left = "nothing" if pointer.retired else pointer.version
    yield f"{task}: {left} -> {to.version}{', FROZEN' if pointer.frozen else ''}"
    records = ledger.versions(task)
    samples = ledger.samples(task, SAMPLES_READ)
    for version in dict.fromkeys((pointer.version, to.version)):
        record = records.get(version)
        state = f"{record.state.value} by {record.by}: {record.reason}" if record else "new here"
        yield f"  {version:<10} {state}"
        yield f"  {'':<10} {last_score(samples, version) or 'never measured here'}"


def last_score(samples: Iterable[ScoreSample], version: str) -> str | None:
    """Say the newest score of a version among samples, newest first; None where it has none."""
    last = next((sample for sample in samples if sample.version == version), None)
    if last is None:
        return None
    below = ", BELOW its threshold" if last.below_threshold else ""
    shown = wording.score(last.score, last.threshold)
    least = wording.score(last.threshold, last.score)
    return f"last score {shown} of {least} at {last.at}{below}"


def await_served(
    client: Client, task: str, version: str, *, pause: Callable[[float], None] = time.sleep
) -> float:
    """Wait until the service answers `task` with `version`; returns the seconds that it took.

    Raises `PromptHubError` where it does not within `WAIT_SECONDS`, or has no such task.
    """
    from prompt_hub.release.service_client import UnreachableServiceError

    began, found = time.monotonic(), ""
    while (waited := time.monotonic() - began) < WAIT_SECONDS:
        try:
            served = _served(client, task)
        except UnreachableServiceError as error:
            # Its container may be one that is replaced just now: the next one follows, too.
            found = error.message
        else:
            if served == version:
                return waited
            found = f"{client.url} serves {served or 'no version of it'}."
        pause(0.5)
    raise PromptHubError(
        f"{task} {version} is not served after {WAIT_SECONDS:.0f} s: {found}",
        hint="The ledger has moved. GET /v1/tasks says what the service follows, and what it"
        " refuses.",
        exit_code=ExitCode.UNEXPECTED,
    )


def _served(client: Client, task: str) -> str | None:
    tasks = client.ask("/v1/tasks").object().get("tasks")
    for entry in tasks if isinstance(tasks, list) else ():
        if isinstance(entry, dict) and entry.get("task") == task:
            return str(entry.get("version"))
    return None
