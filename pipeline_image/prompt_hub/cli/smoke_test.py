"""`prompt-hub smoke-test`: proves that a stage serves a release.

The load balancer is internal, so the test itself runs as a task in the stage's network; from
outside, this command starts it, waits, and reads its result from the results bucket.
"""

from __future__ import annotations

import argparse

from prompt_hub.cli.stage import (
    add_release,
    add_stage,
    ledger_of,
    release_of,
    service_url,
    stage_of,
    start_in_stage,
    translate_aws_errors,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import results_from_environment
from prompt_hub.ledger.items import Pointer
from prompt_hub.release.service_client import Client
from prompt_hub.release.smoke_test import ASK_SECONDS, SmokeTest, check_end, smoke_test
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.rendering import rejection_reason
from prompt_hub.repository.schema import Example


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    add_release(parser)
    parser.add_argument(
        "--inside", action="store_true", help="ask the service from here, in the stage's network"
    )


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Exit 0 if the stage serves the release, 1 with each problem if not."""
    stage, release = stage_of(arguments), release_of(arguments)
    repository = PromptRepository.from_environment()
    results = results_from_environment(repository.root)
    key = aws_names.smoke_key(release, stage)
    if arguments.inside:
        test = _inside(repository, stage, release)
        results.put(key, test.model_dump_json(indent=2) + "\n")
    else:
        role = aws_names.smoke_role(stage)
        wait = start_in_stage(stage, ("smoke-test", "--inside"), role=role, what="the smoke test")
        code = wait()
        text = results.get(key)
        if text is None:
            raise PromptHubError(
                f"the smoke test of release {release} left no result under {key}.",
                hint="Look at the log of its task.",
                exit_code=ExitCode.UNEXPECTED,
            )
        test = parse_model(text, key, SmokeTest, hint="Look at the log of its task.")
        check_end(test, code)
    _say(test)
    return ExitCode.OK if test.ok else ExitCode.BLOCKED


def _inside(repository: PromptRepository, stage: str, release: str) -> SmokeTest:
    url = service_url()

    def example_for(pointer: Pointer) -> Example | None:
        prompt = repository.version(pointer.task, pointer.version)
        if prompt is None:
            return None
        found = (each for each in repository.stream_examples(pointer.task) if each.split == "eval")
        return next(
            (example for example in found if rejection_reason(prompt, example.input) is None), None
        )

    ledger = ledger_of(stage)
    return smoke_test(
        Client(url, timeout=ASK_SECONDS),
        release=release,
        stage=stage,
        pointers=ledger.pointers,
        example_for=example_for,
    )


def _say(test: SmokeTest) -> None:
    for check in test.checks:
        mark = "ok " if check.ok else "BAD"
        print(f"{mark} {check.task} {check.version} in {check.seconds:.2f} s: {check.said}")
    for problem in test.problems:
        print(f"problem: {problem}")
    verdict = "serves" if test.ok else "does not serve"
    print(f"stage {test.stage} {verdict} release {test.release}")
