"""`prompt-hub promote`: release, downgrade, archive, override; and promotion in the pipeline."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, assert_never

from prompt_hub.cli.options import add_signature
from prompt_hub.cli.stage import add_stages, translate_aws_errors, words_of
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import execution_from_environment, results_from_environment
from prompt_hub.evaluation.store import evaluation_by
from prompt_hub.promotion import transitions
from prompt_hub.promotion.git_promotion import Checkout
from prompt_hub.promotion.promoter import Promoter
from prompt_hub.promotion.registry_view import TaskRegistryView
from prompt_hub.promotion.release_check import changed_since
from prompt_hub.promotion.states import (
    OPEN,
    SAME,
    UNRELEASED,
    Decision,
    Event,
    TransitionContext,
    move,
)
from prompt_hub.promotion.write_back import StageWord
from prompt_hub.repository.documents import read_text
from prompt_hub.repository.edit import edited
from prompt_hub.repository.reader import METADATA, PromptRepository
from prompt_hub.repository.schema import Override
from prompt_hub.repository.transaction import Changes, exclusive

_Move = Literal["override", "archive", "quarantine", "downgrade"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True)

    # The second name is that of earlier versions: scripts have it.
    release = actions.add_parser(
        "release", aliases=["promote"], help="release a candidate that was evaluated here"
    )
    release.add_argument("task")

    downgrade = actions.add_parser("downgrade", help="release an archived version again")
    downgrade.add_argument("task")
    downgrade.add_argument("--to", required=True, metavar="VERSION")
    downgrade.add_argument(
        "--override", action="store_true", help="even a version that was taken out before"
    )

    archive = actions.add_parser("archive", help="retire the released version, with no successor")
    archive.add_argument("task")
    archive.add_argument(
        "--version",
        help="an older version, which a stage went back to; the released one by default",
    )

    quarantine = actions.add_parser("quarantine", help="keep a version out of later images")
    quarantine.add_argument("task")
    quarantine.add_argument("--version", required=True)
    quarantine.add_argument(
        "--to", metavar="VERSION", help="released in its place, where it is the released one"
    )

    override = actions.add_parser("override", help="promote the candidate against its verdict")
    override.add_argument("task")

    for by_hand in (downgrade, archive, quarantine, override):
        add_signature(by_hand)

    execution = actions.add_parser("execution", help="inside the pipeline: promote each task")
    execution.add_argument("--push", action="store_true", help="push the bot commit and the tags")
    add_stages(execution, "stages whose rollbacks are written into git first")

    for action in (release, downgrade, archive, quarantine, override, execution):
        action.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Carry out one action."""
    repository = PromptRepository.from_environment()
    if arguments.action == "execution":
        return _execution(arguments, repository)
    # Read and written under one lock: of two commands at once, the second sees what the first did.
    with exclusive(repository.root) as writer:
        changes = _changes(arguments, repository)
        writer.apply(changes)
    if arguments.json:
        print(json.dumps({"action": arguments.action, "files": sorted(changes)}, indent=2))
    else:
        print(f"{arguments.action} {arguments.task}: done. Commit these files together:")
        for path, text in sorted(changes.items()):
            print(f"  {'removed' if text is None else 'written'}  {path}")
        if arguments.action in ("downgrade", "archive", "quarantine"):
            # The pipeline's trigger leaves the layers alone that promotion writes.
            print(
                "then start the pipeline: aws codepipeline start-pipeline-execution --name"
                f" {aws_names.pipeline()}"
            )
        if arguments.action == "archive":
            _warn_of_successor(repository, arguments.task)
    return ExitCode.OK


def _changes(arguments: argparse.Namespace, repository: PromptRepository) -> Changes:
    now = datetime.now(UTC)
    task: str = arguments.task
    repository.require_task(task)
    if arguments.action in ("release", "promote"):
        return _promotion(repository, task, now)
    action: _Move = arguments.action
    decision = Decision(arguments.person, arguments.reason)
    match action:
        case "override":
            return _override(repository, task, decision)
        case "archive":
            return transitions.archive(repository, task, decision, now, version=arguments.version)
        case "quarantine":
            version, successor = arguments.version, arguments.to
            return transitions.quarantine(
                repository, task, version, decision, now, successor=successor
            )
        case "downgrade":
            decision = replace(decision, override=arguments.override)
            return transitions.downgrade(repository, task, arguments.to, decision, now)
        case _:
            assert_never(action)


def _warn_of_successor(repository: PromptRepository, task: str) -> None:
    """Name the candidate that the next execution may release where nothing is released now."""
    view, version = TaskRegistryView(repository.registry(), task), repository.metadata(task).version
    waits = view.released is None and view.state(version) in UNRELEASED
    if waits and view.refused_before_archive(version) is None:
        print(
            f"WARNING: {task} {version} waits in 00-templates: the next execution releases it if"
            " it passes. Where the task shall stay out of service, undo that change in the same"
            " commit."
        )


def _promotion(repository: PromptRepository, task: str, now: datetime) -> Changes:
    results = results_from_environment(repository.root)
    found = evaluation_by(results, execution_from_environment(), task)
    if found is None:
        raise PromptHubError(
            f"{task} has no evaluation record here.", hint=f"Run prompt-hub evaluate {task} first."
        )
    _still_true(repository, found.record)
    return transitions.promote(repository, found.record, found.details_text, now)


def _still_true(repository: PromptRepository, record: EvaluationRecord) -> None:
    name = changed_since(repository, record)
    if name is not None:
        raise PromptHubError(
            f"the {name} of {record.task} changed since it was evaluated.",
            hint=f"Run prompt-hub evaluate {record.task} again.",
            exit_code=ExitCode.BLOCKED,
        )


def _override(repository: PromptRepository, task: str, decision: Decision) -> Changes:
    """Write the decision into the metadata: it goes through the pipeline like any change."""
    version, champion = repository.metadata(task).version, repository.production(task)
    case = TransitionContext(
        version=version, released=champion.version if champion else None, decision=decision
    )
    state = TaskRegistryView(repository.registry(), task).state(version)
    move(task, state, Event.OVERRIDE, case, later=(OPEN, SAME))
    override = Override(person=decision.person, reason=decision.reason, version=version)
    path = repository.path(METADATA, f"{task}.yaml")
    file = repository.relative(path)
    text = edited(read_text(path, file), file, "override", override.model_dump(mode="json"))
    return {file: text}


def _execution(arguments: argparse.Namespace, repository: PromptRepository) -> ExitCode:
    execution = os.environ.get(aws_names.ENV_EXECUTION)
    if not execution:
        raise PromptHubError("no execution is named.", hint=f"Set {aws_names.ENV_EXECUTION}.")
    promoter = Promoter(
        Checkout(repository.root),
        results_from_environment(repository.root),
        execution=execution,
        branch=os.environ.get(aws_names.ENV_BRANCH, "main"),
        waits_in=os.environ.get(aws_names.ENV_PROMOTION_BRANCH),
        stage_words=lambda: _stage_words(arguments.stages),
        say=(lambda _: None) if arguments.json else print,
    )
    promotion = promoter.run(push=arguments.push)
    if arguments.json:
        print(promotion.to_json(), end="")
    return ExitCode.OK


@translate_aws_errors()
def _stage_words(stages: str) -> list[StageWord]:
    return words_of(stages.split(","))
