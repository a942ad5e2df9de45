"""`prompt-hub doctor`: what is wrong with an installation and a stage, and how to mend it."""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_hub.cli.stage import add_stage, stage_of, translate_aws_errors
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.doctor.examination import CheckResult, examine, exit_code
from prompt_hub.doctor.installation import Installation, read_cdk_json
from prompt_hub.doctor.readers import Readers
from prompt_hub.doctor.registry import all_checks
from prompt_hub.ledger.stage_session import session_of

if TYPE_CHECKING:
    from boto3 import Session


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    parser.add_argument(
        "--skip",
        nargs="+",
        default=[],
        choices=[check.name for check in all_checks()],
        metavar="CHECK",
        help=f"leave out some of {', '.join(check.name for check in all_checks())}",
    )
    parser.add_argument(
        "--templates",
        type=Path,
        metavar="FOLDER",
        help="what `cdk synth` wrote, for quotas; by default what is deployed",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Print findings; 0 if there is none, 1 if there is one, 3 if not everything was looked at."""
    stage = stage_of(arguments)
    root = Path(os.environ.get(aws_names.ENV_ROOT, "."))
    cdk_json = read_cdk_json(root, stage)
    readers = Readers(
        stage=stage,
        root=root,
        session=_session(),
        there=_session_there(stage, cdk_json.context.installation),
        cdk_json=cdk_json,
        now=datetime.now(UTC),
        bucket=os.environ.get(aws_names.ENV_RESULTS_BUCKET),
        configured=os.environ.get(aws_names.ENV_MODELS),
        synthesised=arguments.templates,
    )
    results = examine(
        [check for check in all_checks() if check.name not in arguments.skip], readers
    )
    code = exit_code(results)
    if arguments.json:
        checks = [result.to_json() for result in results]
        print(json.dumps({"stage": stage, "exit_code": code, "checks": checks}, indent=2))
    else:
        print("\n".join(_lines(results)))
    return code


def _lines(results: Sequence[CheckResult]) -> list[str]:
    lines = []
    for result in results:
        lines.append(f"{result.state:<12} {result.name}")
        for finding in result.findings:
            lines += [f"    {finding.problem}", f"    {finding.mend}", f"        {finding.command}"]
        if result.not_checked:
            lines.append(f"    {result.not_checked}")
    return lines


def _session_there(stage: str, settings: Installation | None) -> Session | None:
    """Return a session where `stage` lives, `None` where that is the pipeline's own place.

    Raises `PromptHubError` where it lives elsewhere and nothing says how to get there: what is well
    elsewhere would be called missing here.
    """
    found = session_of(stage, _shared())
    if found is None and settings is not None and settings.elsewhere(stage):
        account, region = settings.place(stage)
        raise PromptHubError(
            f"stage {stage} lives in account {account} and region {region}, and there is no profile"
            f" {aws_names.stage_profile(stage)} to reach it by.",
            hint="Write it into ~/.aws/config: docs/deployment.md, a stage in another account.",
        )
    return found


def _session() -> Session:
    from botocore.exceptions import NoRegionError

    session = _shared()()
    if session.region_name is None:
        raise NoRegionError
    return session


def _shared() -> type[Session]:
    """Return a kind of session that all checks can use at once."""
    import boto3
    from botocore.config import Config

    # Checks wait at once; a service that hangs must not keep a person waiting for minutes.
    config = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3})
    lock = threading.Lock()

    class SharedSession(boto3.Session):
        """Makes each client once, and one at a time: clients are safe for threads, that is not."""

        if not TYPE_CHECKING:

            def client(self, name: str) -> object:
                with lock:
                    made = self.__dict__.setdefault("made", {})
                    if name not in made:
                        made[name] = super().client(name, config=config)
                    return made[name]

    return SharedSession
