"""`prompt-hub records`: a file of records in parts, each of which may run anywhere.

`plan` cuts it into shards, `answer` answers one of them, `merge` makes the output. A state machine
runs them in containers; on one machine a folder is the store.
"""

from __future__ import annotations

import argparse
import os

from prompt_hub.cli.options import positive
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode

SHARD_RECORDS = 10_000
CHILDREN = 10
PATIENCE_SECONDS = 900


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True)
    plan = actions.add_parser("plan", help="count and predict, and cut into shards")
    plan.add_argument(
        "--key", required=True, help=f"key of the file: {aws_names.INCOMING}TASK/NAME"
    )
    plan.add_argument("--version-id", metavar="ID", help="which version of the object")
    plan.add_argument("--run", help="name of the run (default: made from key and version)")
    plan.add_argument(
        "--children",
        type=positive,
        default=CHILDREN,
        metavar="N",
        help=f"processes that may answer at once ({CHILDREN})",
    )
    plan.add_argument(
        "--shard-records",
        type=positive,
        default=SHARD_RECORDS,
        metavar="N",
        help=f"records of a shard ({SHARD_RECORDS})",
    )
    answer = actions.add_parser("answer", help="answer the records of one shard")
    _add_run(answer)
    answer.add_argument("--shard", required=True, type=int, metavar="N", help="its number, from 0")
    answer.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for a provider that does not answer ({PATIENCE_SECONDS})",
    )
    merge = actions.add_parser("merge", help="make the output of all shards, and the manifest")
    _add_run(merge)
    for action in (plan, answer, merge):
        action.add_argument(
            "--store",
            default=_store_of_environment(),
            metavar="ADDRESS",
            help=f"s3://BUCKET or a folder; s3://${aws_names.ENV_RECORDS_BUCKET} by default",
        )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Do one part; NOT_MEASURED means that the same command goes on later, BLOCKED that none does.
    """
    raise NotImplementedError


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True)
    parser.add_argument("--run", required=True, help="name of the run, as its plan has it")


def _store_of_environment() -> str | None:
    bucket = os.environ.get(aws_names.ENV_RECORDS_BUCKET)
    return f"s3://{bucket}" if bucket else None
