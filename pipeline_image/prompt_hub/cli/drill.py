"""`prompt-hub drill`: proves in a stage that a bad version is taken back by itself, and in time.

The product's own task gets a bad version; watch, alarm, function, ledger and service do the rest,
and everything is put back, whatever came of it. No task of a user's is touched.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from prompt_hub.cli.activate import DRILL, put_back
from prompt_hub.cli.stage import (
    add_stage,
    drill_ledger_of,
    ledger_of,
    now,
    service_url,
    stage_of,
    start_in_stage,
    translate_aws_errors,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import Results, results_from_environment
from prompt_hub.ledger.items import Deployed, VersionRef
from prompt_hub.ledger.transitions import Cause
from prompt_hub.monitoring.drill import (
    ASK_SECONDS,
    WITHIN_SECONDS,
    Drill,
    require_own,
    run_drill,
    taken_over,
)
from prompt_hub.release.drill_repository import BAD_VERSION, GOOD_VERSION
from prompt_hub.repository.json import parse_model


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    parser.add_argument(
        "--within",
        type=float,
        default=WITHIN_SECONDS,
        metavar="SECONDS",
        help="from the first bad sample to the first good answer; %(default)g by default",
    )
    parser.add_argument(
        "--inside", action="store_true", help="look on from here, in the stage's network"
    )


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Exit 0 if the bad version was taken back in time, 1 with the broken link if not.

    4 where another drill or an activation has moved the drill's task meanwhile.
    """
    stage = stage_of(arguments)
    if arguments.within <= 0:
        raise PromptHubError("--within must be more than 0.")
    if arguments.inside:
        return asyncio.run(_inside(stage, arguments.within))
    if put_back(stage):
        print("an earlier rollback drill was broken off; it is put back")
    ledger = ledger_of(stage)
    begun = _begin(stage, ledger.deployed())
    try:
        found = _watched(stage, begun, arguments.within)
    finally:
        # A kill in between leaves it to the next drill, or to the next activation. What another
        # drill has begun meanwhile is its own.
        if not taken_over(ledger, begun[0]):
            put_back(stage)
    _say(found)
    return ExitCode.OK if found.ok else ExitCode.BLOCKED


def _begin(stage: str, deployed: Deployed | None) -> tuple[int, Deployed]:
    """Give the drill's task its bad version; returns the ledger's revision of that."""
    carried = {} if deployed is None else deployed.carries.get(aws_names.DRILL_TASK, {})
    if deployed is None or not {BAD_VERSION, GOOD_VERSION} <= carried.keys():
        raise PromptHubError(
            f"the release that runs in {stage} carries no drill.",
            hint="Deploy and activate a release of this version first.",
            exit_code=ExitCode.BLOCKED,
        )
    event = drill_ledger_of(stage).begin(
        bad=VersionRef(version=BAD_VERSION, sha256=carried[BAD_VERSION]),
        good=VersionRef(version=GOOD_VERSION, sha256=carried[GOOD_VERSION]),
        release=deployed.release,
        cause=Cause(by=DRILL, reason="rollback drill", at=now(), code=DRILL),
    )
    print(f"{stage}: the drill's own task has its bad version; ledger revision {event.revision}")
    return event.revision, deployed


def _watched(stage: str, begun: tuple[int, Deployed], within: float) -> Drill:
    """Let a task in the stage's network look on; returns what it found."""
    revision, deployed = begun
    results = _results()
    command = ("drill", "--inside", "--within", f"{within:g}")
    code = start_in_stage(stage, command, role=aws_names.watch_role(stage), what="the drill")()
    key, hint = aws_names.drill_key(deployed.release.release, stage), "Look at its task's log."
    text = results.get(key)
    found = None if text is None else parse_model(text, key, Drill, hint=hint)
    if code != ExitCode.OK or found is None or found.revision != revision:
        require_own(ledger_of(stage), stage, revision)
    if (
        found is None
        or found.revision != revision
        or code != (ExitCode.OK if found.ok else ExitCode.BLOCKED)
    ):
        raise PromptHubError(
            f"the drill ended with exit code {code} and left no result under {key}.",
            hint=hint,
            exit_code=ExitCode.UNEXPECTED,
        )
    return found


def _results() -> Results:
    """Return the results bucket: whoever is on call has neither a clone nor the bucket's name."""
    from prompt_hub.repository.example_objects import own_bucket

    # Without a name for it, a folder of this machine would be read: it has nothing of a stage's.
    environment = {**os.environ, aws_names.ENV_RESULTS_BUCKET: own_bucket()}
    return results_from_environment(Path(), environment)


async def _inside(stage: str, within: float) -> ExitCode:
    from prompt_hub.cli.watch import connected_watch
    from prompt_hub.release.service_client import Client

    url = service_url()
    async with connected_watch(stage) as watch:
        found = await run_drill(
            ledger_of(stage),
            Client(url, timeout=ASK_SECONDS),
            lambda: watch.measure(aws_names.DRILL_TASK),
            stage=stage,
            release=watch.release.release,
            within=within,
        )
        watch.results.put(aws_names.drill_key(watch.release.release, stage), found.to_json())
    _say(found)
    return ExitCode.OK if found.ok else ExitCode.BLOCKED


def _say(found: Drill) -> None:
    if found.to_rollback is not None:
        print(f"{found.to_rollback:6.2f} s  ledger: rolled back, {found.reason}")
    if found.to_good_answer is not None:
        print(f"{found.to_good_answer:6.2f} s  service: the first good answer")
    for problem in found.problems:
        print(f"problem: {problem}")
    verdict = "took back" if found.ok else "did not take back"
    print(
        f"stage {found.stage} {verdict} a bad version; given were {found.within:g} s from its"
        " first bad sample"
    )
