"""`prompt-hub verdict`: tells people at once of what an execution refused, and ends it red."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from prompt_hub.cli.evaluate import MOST_ON_A_PAGE
from prompt_hub.cli.telling import tell
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import explain_write_errors
from prompt_hub.core.foreign_text import shortened
from prompt_hub.evaluation.results import results_from_environment
from prompt_hub.gate.types import Status
from prompt_hub.promotion.promoter import Promotion, TaskOutcome, promotion_by
from prompt_hub.repository.reader import PromptRepository

LONGEST_SUMMARY = 400
"""Characters of the line that names what was refused."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--execution",
        default=os.environ.get(aws_names.ENV_EXECUTION),
        help=f"pipeline execution; {aws_names.ENV_EXECUTION} by default",
    )
    parser.add_argument(
        "--tell",
        action="store_true",
        help="tell people now and end with 0: the release goes on with what passed, and the last "
        f"action ends red for the rest; {aws_names.ENV_TOPIC_ARN} names the topic",
    )
    parser.add_argument(
        "--summary",
        type=Path,
        metavar="FILE",
        help="write what was refused into this file, in one line",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Exit 1 with a sentence for each task that this execution newly refused."""
    if not arguments.execution:
        raise PromptHubError("no execution is named.", hint=f"Set {aws_names.ENV_EXECUTION}.")
    repository = PromptRepository.from_environment()
    results = results_from_environment(repository.root)
    promotion = promotion_by(results, arguments.execution)
    red: list[str] = []
    for task, outcome in promotion.tasks.items():
        fresh = newly_refused(outcome)
        text = (
            f"{task} {outcome.version}: {outcome.outcome}, {outcome.status}"
            f"{' (known before)' if outcome.remembered else ''}: {'; '.join(outcome.reasons)}"
        )
        print(f"{'RED' if fresh else 'ok '} {text}")
        if fresh:
            red += [text, *_for_its_author(task, outcome, arguments.execution)]
    if arguments.summary:
        with explain_write_errors(arguments.summary):
            arguments.summary.parent.mkdir(parents=True, exist_ok=True)
            arguments.summary.write_text(_summary(promotion), encoding="utf-8")
    if arguments.tell:
        if red:
            blocked = sum(map(newly_refused, promotion.tasks.values()))
            tell(f"{blocked} blocked", _message(arguments.execution, red))
        return ExitCode.OK
    return ExitCode.BLOCKED if red else ExitCode.OK


def _for_its_author(task: str, outcome: TaskOutcome, execution: str) -> Iterator[str]:
    """Yield who changed a task that was refused, and the commands that show why."""
    if outcome.author:
        yield f"  changed by {outcome.author}"
    if outcome.status not in (Status.BLOCK, Status.INCONCLUSIVE):
        return
    # Of a champion that falls short, and of what Promote did not judge, git has no such record.
    if outcome.outcome == "refused" and outcome.version != outcome.champion:
        waits_in = os.environ.get(aws_names.ENV_PROMOTION_BRANCH)
        merged = f" when {waits_in} is merged," if waits_in else ""
        yield f"  in a clone,{merged} after `git pull`:"
        yield f"  prompt-hub report evaluation {task} {outcome.version} --html {task}.html"
        if outcome.champion is not None:
            yield f"  prompt-hub diff {task} {outcome.champion} candidate"
    if bucket := os.environ.get(aws_names.ENV_RESULTS_BUCKET):
        key = aws_names.evaluation_page_key(execution, task)
        yield f"  without a clone, the page of every example (kept of {MOST_ON_A_PAGE:,} at most):"
        yield f"  aws s3 cp s3://{bucket}/{key} {task}.html"


def _message(execution: str, red: list[str]) -> str:
    return "\n".join(
        [
            f"Execution {execution} of {aws_names.pipeline()} did not release:",
            "",
            *red,
            "",
            "Everything else goes on through the stages; the execution ends red after the last.",
        ]
    )


def _summary(promotion: Promotion) -> str:
    """Return in one line what was refused; CodePipeline shows it as a variable of the action."""
    refused = [
        f"{task} {outcome.version}: {outcome.outcome}, {outcome.status}"
        for task, outcome in promotion.tasks.items()
        if newly_refused(outcome)
    ]
    return shortened("; ".join(refused), LONGEST_SUMMARY) or "nothing"


def newly_refused(outcome: TaskOutcome) -> bool:
    """Whether people must look: refused or undecided, and not known from an earlier execution."""
    if outcome.outcome in ("champion changed", "not allowed"):
        return True
    decided_against = outcome.status in (Status.BLOCK, Status.INCONCLUSIVE, Status.NOT_MEASURED)
    return outcome.outcome == "refused" and decided_against and not outcome.remembered
