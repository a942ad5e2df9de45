"""Which version answers records here: the ledger's active one, or else the released one."""

from __future__ import annotations

import os

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.reader import PRODUCTION, PromptRepository
from prompt_hub.repository.schema import Prompt


def active_version(
    repository: PromptRepository, task: str, stage: str | None = None
) -> tuple[Prompt, str]:
    """Return the active version by the ledger, where there is one, or the released one.

    In words, too. The ledger is that of `stage`, without one that of the environment.

    Raises:
        PromptHubError: there is none, the ledger does not answer, or this tree does not have it.
    """
    from prompt_hub.ledger.stage_session import session_of, table_of

    table = table_of(stage) if stage else os.environ.get(aws_names.ENV_LEDGER_TABLE)
    if not table:
        released = repository.production(task)
        if released is None:
            raise PromptHubError(
                f"{task} has no released version.",
                hint="Where the pipeline has released one, `git pull` brings it; else push the"
                f" candidate, or release it here: prompt-hub promote release {task}.",
            )
        return released, f"released in {PRODUCTION}"
    from prompt_hub.ledger.table import Ledger

    try:
        session = session_of(stage) if stage else None
        pointer = Ledger.connect(table, session=session).pointer(task)
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
