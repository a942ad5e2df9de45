"""`prompt-hub verdict`: tells people at once of what an execution refused, and ends it red."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import results_from_environment
from prompt_hub.gate.types import Status
from prompt_hub.promotion.promoter import TaskOutcome, promotion_by
from prompt_hub.repository.reader import PromptRepository

LONGEST_MESSAGE = 20_000


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
            red += [text, *_for_its_author(task, outcome)]
    if arguments.tell:
        if red:
            _tell(arguments.execution, red, sum(map(newly_refused, promotion.tasks.values())))
        return ExitCode.OK
    return ExitCode.BLOCKED if red else ExitCode.OK


def _for_its_author(task: str, outcome: TaskOutcome) -> Iterator[str]:
    """Yield who changed a task that was refused, and the commands that show why."""
    if outcome.author:
        yield f"  changed by {outcome.author}"
    if outcome.status not in (Status.BLOCK, Status.INCONCLUSIVE):
        return
    yield "  in a clone, after `git pull`:"
    yield f"  prompt-hub report evaluation {task} {outcome.version} --html {task}.html"
    if outcome.champion is not None:
        yield f"  prompt-hub diff {task} {outcome.champion} candidate"


def _tell(execution: str, red: list[str], blocked: int) -> None:
    """Publish what was refused; never raises, for the release must go on with what passed."""
    topic = os.environ.get(aws_names.ENV_TOPIC_ARN)
    if not topic:
        print(f"nobody was told: {aws_names.ENV_TOPIC_ARN} is not set")
        return
    import boto3

    message = "\n".join(
        [
            f"Execution {execution} of {aws_names.pipeline()} did not release:",
            "",
            *red,
            "",
            "Everything else goes on through the stages; the execution ends red after the last.",
        ]
    )
    try:
        boto3.client("sns").publish(
            TopicArn=topic,
            Subject=f"{aws_names.installation()}: {blocked} blocked",
            # SNS takes 256 KiB; a mail that long is read by nobody.
            Message=message[:LONGEST_MESSAGE],
        )
    except Exception as error:
        print(f"nobody was told ({type(error).__name__}: {error}); the execution ends red for it")
        return
    print(f"told {topic}")


def newly_refused(outcome: TaskOutcome) -> bool:
    """Whether people must look: refused or undecided, and not known from an earlier execution."""
    if outcome.outcome in ("champion changed", "not allowed"):
        return True
    decided_against = outcome.status in (Status.BLOCK, Status.INCONCLUSIVE, Status.NOT_MEASURED)
    return outcome.outcome == "refused" and decided_against and not outcome.remembered
