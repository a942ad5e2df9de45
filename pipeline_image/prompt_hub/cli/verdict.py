"""`prompt-hub verdict`: the last action of an execution, red for what it newly refused."""

from __future__ import annotations

import argparse
import os

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import results_from_environment
from prompt_hub.gate.types import Status
from prompt_hub.promotion.promoter import TaskOutcome, promotion_by
from prompt_hub.repository.reader import PromptRepository


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--execution",
        default=os.environ.get(aws_names.ENV_EXECUTION),
        help=f"pipeline execution; {aws_names.ENV_EXECUTION} by default",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Exit 1 with a sentence for each task that this execution newly refused."""
    if not arguments.execution:
        raise PromptHubError("no execution is named.", hint=f"Set {aws_names.ENV_EXECUTION}.")
    repository = PromptRepository.from_environment()
    results = results_from_environment(repository.root)
    promotion = promotion_by(results, arguments.execution)
    red = False
    for task, outcome in promotion.tasks.items():
        fresh = newly_refused(outcome)
        red = red or fresh
        mark = "RED" if fresh else "ok "
        print(
            f"{mark} {task} {outcome.version}: {outcome.outcome}, {outcome.status}"
            f"{' (known before)' if outcome.remembered else ''}: {'; '.join(outcome.reasons)}"
        )
    return ExitCode.BLOCKED if red else ExitCode.OK


def newly_refused(outcome: TaskOutcome) -> bool:
    """Whether people must look: refused or undecided, and not known from an earlier execution."""
    if outcome.outcome in ("champion changed", "not allowed"):
        return True
    decided_against = outcome.status in (Status.BLOCK, Status.INCONCLUSIVE, Status.NOT_MEASURED)
    return outcome.outcome == "refused" and decided_against and not outcome.remembered
