"""What every command about a stage needs: its name, its ledger, and its arguments said once."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.errors import (
    LedgerConflictError,
    LedgerError,
    LedgerMissingError,
    TransitionRefusedError,
)

if TYPE_CHECKING:
    from prompt_hub.ledger.drill import DrillLedger
    from prompt_hub.ledger.table import Ledger
    from prompt_hub.promotion.write_back import StageWord


def stage_name(text: str) -> str:
    """Read a stage's name, as an argument of a command; an empty one stays empty."""
    try:
        return aws_names.stage_name(text) if text else text
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def stage_names(text: str) -> str:
    """Read names of stages between commas, as an argument of a command."""
    return ",".join(map(stage_name, text.split(",")))


def add_stage(parser: argparse.ArgumentParser) -> None:
    """Add `--stage`."""
    parser.add_argument(
        "--stage",
        type=stage_name,
        default=os.environ.get(aws_names.ENV_STAGE),
        help=f"name of the stage; {aws_names.ENV_STAGE} by default",
    )


def add_release(parser: argparse.ArgumentParser) -> None:
    """Add `--release`."""
    parser.add_argument(
        "--release",
        default=os.environ.get(aws_names.ENV_RELEASE),
        help=f"id of the release; {aws_names.ENV_RELEASE} by default",
    )


def named(value: str | None, option: str, variable: str) -> str:
    """`value`, or a `PromptHubError` that names the option and the variable to set."""
    if not value:
        raise PromptHubError(f"{option} is missing.", hint=f"Give it, or set {variable}.")
    return value


def stage_of(arguments: argparse.Namespace) -> str:
    """Return the stage that the arguments name."""
    return named(arguments.stage, "--stage", aws_names.ENV_STAGE)


def release_of(arguments: argparse.Namespace) -> str:
    """Return the release that the arguments name."""
    return named(arguments.release, "--release", aws_names.ENV_RELEASE)


def ledger_of(stage: str) -> Ledger:
    """Return the ledger of `stage`."""
    from prompt_hub.ledger.stage_session import session_of, table_of
    from prompt_hub.ledger.table import Ledger

    return Ledger.connect(table_of(stage), session=session_of(stage))


def drill_ledger_of(stage: str) -> DrillLedger:
    """Return the ledger of `stage`, as the rollback drill may change it."""
    from prompt_hub.ledger.drill import DrillLedger
    from prompt_hub.ledger.stage_session import session_of, table_of

    return DrillLedger.connect(table_of(stage), session=session_of(stage))


def service_url() -> str:
    """Return where the service of this container's stage is; raises `PromptHubError` elsewhere."""
    url = os.environ.get(aws_names.ENV_SERVICE_URL)
    if not url:
        raise PromptHubError(
            f"{aws_names.ENV_SERVICE_URL} is not set.", hint="Run it in the stage."
        )
    return url


def start_in_stage(
    stage: str, command: Sequence[str], *, role: str, what: str
) -> Callable[[], int]:
    """Start one of our commands as a task in `stage`, and say that `what` runs there.

    Returns what waits for the task's end, and then returns its exit code.
    """
    from prompt_hub.ledger.stage_session import ecs_of
    from prompt_hub.release.ecs_task import run, wait

    ecs = ecs_of(stage)
    task = run(ecs, stage, ["prompt-hub", *command], role=role)
    print(f"{what} runs in {stage} as {task.rpartition('/')[2]}", flush=True)
    return partial(wait, ecs, stage, task)


def require_known(ledger: Ledger, task: str) -> None:
    """Raise `PromptHubError` unless the stage has, had or could have a version of `task`."""
    deployed = ledger.deployed()
    known = {*ledger.every_pointer(), *(deployed.carries if deployed else ())}
    if task not in known:
        from prompt_hub.repository.reader import no_task

        raise no_task(task, known - {aws_names.DRILL_TASK})


def add_stages(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--stages`; `what` says what those stages are asked for."""
    parser.add_argument(
        "--stages",
        type=stage_names,
        default=os.environ.get(aws_names.ENV_STAGES, ""),
        metavar="STAGE,STAGE",
        help=f"{what}; {aws_names.ENV_STAGES} by default",
    )


def words_of(stages: Iterable[str]) -> list[StageWord]:
    """Return what every stage's ledger says of versions; one that does not answer raises."""
    from prompt_hub.promotion.write_back import read_words

    words: list[StageWord] = []
    for stage in filter(None, stages):
        # A stage that was never deployed has decided nothing.
        with suppress(LedgerMissingError):
            words += read_words(stage, ledger_of(stage))
    return words


def now() -> str:
    """Return the present as the ledger writes it."""
    from prompt_hub.ledger.items import timestamp

    return timestamp(datetime.now(UTC))


def now_after(at: str) -> str:
    """Return the present, or the moment after `at` where this machine's clock is not so far yet.

    Which of two decisions is the newer one is told by their times: a person's may not seem older
    than what it answers because another clock wrote that.
    """
    from prompt_hub.ledger.items import timestamp

    present = now()
    if present > at:
        return present
    return timestamp(datetime.fromisoformat(at) + timedelta(microseconds=1))


_NOT_CONFIGURED = {
    "NoRegionError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "InvalidRegionError",
}
"""What botocore raises before it sends anything, because this machine does not say whom to ask."""
_UNANSWERED = {"ReadTimeoutError", "ConnectionClosedError"}
"""What botocore raises where a request went out and no answer came."""


def _asked_as() -> str:
    """Return in words what says whom this machine asks, and as whom."""
    names = ("AWS_DEFAULT_REGION", "AWS_PROFILE")
    region, profile = (f"{name} ({os.environ.get(name) or 'not set'})" for name in names)
    return f"{region} and {profile}; `aws sts get-caller-identity` names account and role"


@contextmanager
def translate_aws_errors() -> Iterator[None]:
    """Turn what the ledger and AWS raise into sentences and exit codes; decorates a `run`."""
    try:
        yield
    except TransitionRefusedError as error:
        raise PromptHubError(f"refused: {error}.", exit_code=ExitCode.BLOCKED) from None
    except LedgerConflictError as error:
        raise PromptHubError(
            f"the ledger changed meanwhile: {error}.",
            hint="Look at it and run the command again.",
            exit_code=ExitCode.UNEXPECTED,
        ) from None
    except LedgerMissingError as error:
        raise PromptHubError(
            f"{error}.",
            hint=f"Look at --stage, {_asked_as()}. A new stage is deployed first.",
            exit_code=ExitCode.USAGE,
        ) from None
    except LedgerError as error:
        raise PromptHubError(f"{error}.", exit_code=ExitCode.UNEXPECTED) from None
    except Exception as error:
        # Told by its module, so that commands that meet no error never import botocore for it.
        if not type(error).__module__.startswith("botocore."):
            raise
        if type(error).__name__ in _NOT_CONFIGURED:
            raise PromptHubError(
                f"AWS was not asked: {str(error).rstrip('.')}.",
                hint="Set AWS_DEFAULT_REGION, and credentials of the stage's account.",
            ) from None
        if type(error).__name__ in _UNANSWERED:
            raise PromptHubError(
                f"AWS did not answer: {str(error).rstrip('.')}.",
                hint="A change may have been made all the same: look before you run it again.",
                exit_code=ExitCode.UNEXPECTED,
            ) from None
        raise PromptHubError(
            f"AWS did not do it: {str(error).rstrip('.')}.",
            hint=f"Look at the role's permissions, {_asked_as()}.",
            exit_code=ExitCode.UNEXPECTED,
        ) from None
