"""`prompt-hub soak`: waits until a release has held in a stage, before the next one gets it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prompt_hub.cli.stage import (
    add_release,
    add_stage,
    ledger_of,
    release_of,
    stage_of,
    translate_aws_errors,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.items import timestamp
from prompt_hub.release.manifest import Release, load_manifest
from prompt_hub.release.soak import Progress, TaskHistory, TaskSoak, soak

if TYPE_CHECKING:
    from prompt_hub.ledger.table import Ledger

LOOK_EVERY_SECONDS = 15.0
EVENTS = 50
SAMPLES_A_ROUND = 10
"""How many samples are read for each round that is asked for: controls stand among them."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    add_release(parser)
    parser.add_argument(
        "--rounds", type=int, default=1, help="good rounds of the score watch in a row (1)"
    )
    parser.add_argument(
        "--minutes", type=int, default=0, help="minutes since the activation at least (0)"
    )
    parser.add_argument(
        "--limit-minutes", type=int, default=180, help="give up after so many minutes (180)"
    )


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Exit 0 once every task of the release has held, 1 where one has not, 3 after the limit."""
    from prompt_hub.evaluation.results import results_from_environment
    from prompt_hub.repository.reader import PromptRepository

    stage = stage_of(arguments)
    results = results_from_environment(PromptRepository.from_environment().root)
    wait_until_held(
        ledger_of(stage),
        load_manifest(results, release_of(arguments)),
        stage=stage,
        rounds=arguments.rounds,
        least=timedelta(minutes=arguments.minutes),
        limit=timedelta(minutes=arguments.limit_minutes),
    )
    return ExitCode.OK


def wait_until_held(
    ledger: Ledger,
    release: Release,
    *,
    stage: str,
    rounds: int,
    least: timedelta,
    limit: timedelta,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look until every task has held for `rounds` and `least`, and say what changes.

    Raises:
        PromptHubError: a task has not held, another release was activated, or `limit` is over.
    """
    begin = clock()
    said: dict[str, str] = {}
    while True:
        since = _activated_at(ledger, release, stage)
        soaks = _look(ledger, release, since, rounds)
        for item in soaks:
            if said.get(item.task) != item.reason:
                said[item.task] = item.reason
                print(f"{item.progress.value:<7} {item}", flush=True)
        broken = [str(item) for item in soaks if item.progress is Progress.BROKEN]
        if broken:
            raise PromptHubError(
                f"release {release.release} has not held in stage {stage}: {'; '.join(broken)}.",
                hint="The next stage gets nothing of it. What is repaired, and every other task, "
                "comes with the next release; or retry the whole stage, which soaks without what "
                "was taken out.",
                exit_code=ExitCode.BLOCKED,
            )
        waiting = [str(item) for item in soaks if item.progress is Progress.WAITING]
        now = clock()
        if timestamp(now - least) < since:
            waiting.append(f"less than {least} since the activation at {since}")
        if not waiting:
            print(f"release {release.release} has held in stage {stage} since {since}")
            return
        if now - begin >= limit:
            raise PromptHubError(
                f"release {release.release} was watched in stage {stage} for {limit}, and nobody "
                f"can say that it holds: {'; '.join(waiting)}.",
                hint=f"`prompt-hub ledger show --stage {stage}` has the scores: bad ones, or none "
                "where the score watch does not run. Then retry this action.",
                exit_code=ExitCode.NOT_MEASURED,
            )
        sleep(LOOK_EVERY_SECONDS)


def _activated_at(ledger: Ledger, release: Release, stage: str) -> str:
    deployed = ledger.deployed()
    if deployed is None or deployed.release.release != release.release:
        raise PromptHubError(
            f"stage {stage} runs {deployed.release.release if deployed else 'no release'}, not "
            f"{release.release}: there is nothing to watch.",
            hint="Retry the stage from its deployment on.",
            exit_code=ExitCode.BLOCKED,
        )
    return deployed.at


def _look(ledger: Ledger, release: Release, since: str, rounds: int) -> list[TaskSoak]:
    pointers = ledger.pointers()
    soaks = []
    for name, task in release.tasks.items():
        # A drill is rolled back on purpose.
        if name == aws_names.DRILL_TASK:
            continue
        history = TaskHistory(
            task=name,
            pointer=pointers.get(name),
            events=ledger.events(name, EVENTS),
            samples=ledger.samples(name, rounds * SAMPLES_A_ROUND) if rounds else (),
        )
        champion = task.version(task.champion)
        reference = champion.reference if champion else None
        soaks.append(soak(history, reference, release=release.release, since=since, rounds=rounds))
    return soaks
