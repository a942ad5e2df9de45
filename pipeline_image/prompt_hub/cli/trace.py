"""`prompt-hub trace`: where an answer came from, and what became of a version, hop by hop."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from prompt_hub.cli.stage import add_stage, ledger_of, translate_aws_errors
from prompt_hub.core import aws_names, wording
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.provenance.calls import Call, calls_in, moment
from prompt_hub.provenance.chain import to_json
from prompt_hub.provenance.git_history import GitHistory
from prompt_hub.provenance.stage_reader import StageReader
from prompt_hub.provenance.tracing import VERSION, Tracer


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "subject",
        nargs="*",
        help="a trace id, a line of the execution log or of a batch output (the JSON itself,"
        " FILE:LINE, or - for standard input), a release id, TASK@VERSION, or an image digest",
    )
    add_stage(parser)
    parser.add_argument(
        "--in",
        dest="files",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="execution logs and batch outputs in which calls are looked for",
    )
    parser.add_argument(
        "--calls",
        metavar="TASK@VERSION",
        help="list the calls that this version answered, in --in files and in the stage's log",
    )
    parser.add_argument("--from", dest="since", metavar="TIME", help="with --calls: not before")
    parser.add_argument("--to", dest="until", metavar="TIME", help="with --calls: before this")
    parser.add_argument("--json", action="store_true", help="for programs")


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Print chains, or calls; 1 if a link of a chain is missing or does not match."""
    stage = _stage(arguments.stage) if arguments.stage else None
    if arguments.calls:
        return _list_calls(arguments, stage)
    words = [word if word != "-" else sys.stdin.readline() for word in arguments.subject]
    if not words:
        raise PromptHubError("there is nothing to trace.", hint="Name a call, version or release.")
    tracer = Tracer(GitHistory(Path(os.environ.get(aws_names.ENV_ROOT, "."))), stage)
    chains = tracer.chains(tracer.subject(words, arguments.files))
    if arguments.json:
        print(json.dumps(to_json(" ".join(words).strip(), chains), indent=2, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(chain.lines()) for chain in chains))
    broken = [hop.name for chain in chains for hop in chain.broken]
    if broken and not arguments.json:
        print(f"\nbroken at: {', '.join(dict.fromkeys(broken))}")
    return ExitCode.BLOCKED if broken else ExitCode.OK


def _list_calls(arguments: argparse.Namespace, stage: StageReader | None) -> ExitCode:
    """List calls by the version that made them: what a repair would ask again."""
    wanted = VERSION.fullmatch(arguments.calls)
    if wanted is None:
        raise PromptHubError(f"{arguments.calls!r} is no version.", hint="Write TASK@1.2.0.")
    if not arguments.files and stage is None:
        raise PromptHubError("there is nowhere to look.", hint="Name --in FILE, or --stage.")
    since = moment(arguments.since) if arguments.since else None
    until = moment(arguments.until) if arguments.until else None

    logged = stage.calls("prompt_call", since, until) if stage else ()
    count, timeless = 0, 0
    for call in itertools.chain(calls_in(arguments.files), logged):
        by_it = (call.task, call.version) == (wanted["task"], wanted["version"])
        if not by_it or not call.within(since, until):
            continue
        count += 1
        timeless += call.at is None
        print(json.dumps(asdict(call), ensure_ascii=False) if arguments.json else _line(call))
    if timeless and (since or until):
        print(
            f"{timeless} of them say no time, as batch outputs do: they are listed all the same",
            file=sys.stderr,
        )
    print(
        f"{wording.count(count, 'call')} by {wanted['task']} {wanted['version']}", file=sys.stderr
    )
    return ExitCode.OK


def _line(call: Call) -> str:
    name = f"record {call.record}" if call.record is not None else f"trace {call.trace_id}"
    release = f"release {call.release}" if call.release else "no release"
    return f"{call.where}  {name}  {call.at or 'no time'}  {call.outcome}  {release}"


def _stage(stage: str) -> StageReader:
    import boto3

    from prompt_hub.evaluation.results import BucketResults
    from prompt_hub.ledger.stage_session import session_of
    from prompt_hub.repository.example_objects import own_bucket

    there = session_of(stage) or boto3
    return StageReader(
        stage,
        ledger=ledger_of(stage),
        results=BucketResults(boto3.client("s3"), own_bucket()),
        ecr=boto3.client("ecr"),
        ecs=there.client("ecs"),
        logs=there.client("logs"),
    )
