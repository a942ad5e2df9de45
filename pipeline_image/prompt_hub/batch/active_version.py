"""Which version answers records here: the ledger's active one, or else the released one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.reader import PRODUCTION, PromptRepository
from prompt_hub.repository.registry import VersionState
from prompt_hub.repository.schema import Prompt

if TYPE_CHECKING:
    from prompt_hub.ledger.table import Ledger


def stage_of_environment() -> str | None:
    """Return the stage that this process belongs to, as a container of it does; None elsewhere."""
    with_ledger = os.environ.get(aws_names.ENV_LEDGER_TABLE)
    return os.environ.get(aws_names.ENV_STAGE) if with_ledger else None


def _table(stage: str | None) -> str:
    """Return the table of the ledger of `stage`, or of the environment; empty without either."""
    from prompt_hub.ledger.stage_session import table_of

    return table_of(stage) if stage else os.environ.get(aws_names.ENV_LEDGER_TABLE, "")


def _ledger(table: str, stage: str | None) -> Ledger:
    from prompt_hub.ledger.stage_session import session_of
    from prompt_hub.ledger.table import Ledger

    return Ledger.connect(table, session=session_of(stage))


def active_version(
    repository: PromptRepository, task: str, stage: str | None = None
) -> tuple[Prompt, str]:
    """Return the active version by the ledger, where there is one, or the released one.

    In words, too. The ledger is that of `stage`, without one that of the environment.

    Raises:
        PromptHubError: there is none, the ledger does not answer, or this tree does not have it.
    """
    table = _table(stage)
    if not table:
        released = repository.production(task)
        if released is None:
            raise PromptHubError(
                f"{task} has no released version.",
                hint=_way_to_release(repository, task),
            )
        return released, f"released in {PRODUCTION}"
    try:
        pointer = _ledger(table, stage).pointer(task)
    except Exception as error:  # the ledger's own, or any of the AWS client's
        raise PromptHubError(
            f"the ledger {table} does not answer: {error}.",
            hint=f"Without a stage and {aws_names.ENV_LEDGER_TABLE} the released version is used.",
            exit_code=ExitCode.NOT_MEASURED,
        ) from None
    if pointer is None:
        raise PromptHubError(f"the ledger {table} has no active version of {task}.")
    prompt = repository.version(task, pointer.version)
    if prompt is None or prompt.sha256 != pointer.sha256:
        raise PromptHubError(
            f"{task} {pointer.version} ({pointer.sha256[:12]}) is active, but this checkout does"
            " not have it.",
            hint="Pull the branch that the pipeline releases from, or use --service.",
        )
    return prompt, f"active in the ledger {table}"


def _way_to_release(repository: PromptRepository, task: str) -> str:
    """Say what gives a task a released version, which is another thing where it had one."""
    entry = repository.registry().tasks.get(task)
    known = entry.versions.values() if entry is not None and entry.released is None else ()
    if any(version.state is not VersionState.BLOCKED for version in known):
        from prompt_hub.ledger.messages import SIGNED

        return (
            "Its versions were taken out: release a candidate that has a higher version, or bring"
            f" one back: prompt-hub promote downgrade {task} --to VERSION --override {SIGNED}"
        )
    return (
        "Where the pipeline has released one, `git pull` brings it; else push the candidate, or"
        f" release it here: prompt-hub promote release {task}."
    )


@dataclass(frozen=True)
class Restored:
    """The version that is active now, and why another one is not."""

    prompt: Prompt
    source: str
    """Where it comes from, in words."""
    reason: str


def restored_version(
    repository: PromptRepository, task: str, bad: str, stage: str | None = None
) -> Restored:
    """Find out what is active instead of `bad`; raises `PromptHubError` if that will not do."""
    prompt, source = active_version(repository, task, stage)
    if prompt.version == bad:
        raise PromptHubError(
            f"{task} {bad} itself is still {source}.",
            hint="If a stage has rolled it back, `git pull` once promotion has written so, or ask"
            " the stage itself with --stage. Else take it back first"
            " (docs/operations.md#go-back-by-hand), or name the version whose records are bad.",
            exit_code=ExitCode.BLOCKED,
        )
    states = _states(repository, task, stage)
    if states.get(prompt.version, ("", ""))[0] == VersionState.QUARANTINED:
        raise PromptHubError(
            f"{task} {prompt.version} would answer, and is quarantined itself.",
            hint="Release or activate a version that may answer.",
            exit_code=ExitCode.BLOCKED,
        )
    state, reason = states.get(bad, ("not active", ""))
    return Restored(prompt, source, f"{bad} is {state}{f': {reason}' if reason else ''}")


def _states(
    repository: PromptRepository, task: str, stage: str | None
) -> dict[str, tuple[str, str]]:
    """Return the state of every version and why it has it: by the ledger, or else by git."""
    entry = repository.registry().tasks.get(task)
    states = {
        version: (known.state.value, known.reason or "")
        for version, known in (entry.versions.items() if entry else ())
    }
    if table := _table(stage):
        for version, record in _ledger(table, stage).versions(task).items():
            states[version] = (record.state.value, record.reason)
    return states
