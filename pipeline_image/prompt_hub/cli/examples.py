"""`prompt-hub examples`: sets that are too large for git lie in S3, and git says which."""

from __future__ import annotations

import argparse
from pathlib import Path

from prompt_hub.cli.progress import say
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.hashing import file_sha256
from prompt_hub.core.wording import count
from prompt_hub.repository.documents import read_bytes
from prompt_hub.repository.example_sets import (
    LONGEST_REFERENCE,
    open_set,
    push_set,
    reference_in,
    set_path,
)
from prompt_hub.repository.reader import EXAMPLES, PromptRepository
from prompt_hub.repository.transaction import exclusive


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True)
    push = actions.add_parser("push", help="put a set into S3, and its reference into 01-examples")
    push.add_argument("task")
    push.add_argument(
        "file",
        nargs="?",
        type=Path,
        help="JSON lines of examples (default: those that 01-examples has)",
    )
    push.add_argument("--bucket", help="where to (default: the results bucket)")
    fetch = actions.add_parser(
        "fetch", help="fetch the set that 01-examples names, say where it is"
    )
    fetch.add_argument("task")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Do the action; BLOCKED where examples or reference are wrong, NOT_MEASURED without S3."""
    repository = PromptRepository.from_environment()
    repository.metadata(arguments.task)
    if arguments.action == "push":
        _push(repository, arguments.task, arguments.file, arguments.bucket)
    else:
        _fetch(repository, arguments.task)
    return ExitCode.OK


def _push(repository: PromptRepository, task: str, file: Path | None, bucket: str | None) -> None:
    from prompt_hub.repository.example_objects import own_bucket

    place = repository.path(EXAMPLES, f"{task}.jsonl")
    name = repository.relative(place)
    file = file or place
    if not file.is_file():
        raise PromptHubError(f"there is no file {file}.")
    shown = name if file == place else str(file)
    with file.open("rb") as stream:
        names_a_set = reference_in(stream.read(LONGEST_REFERENCE), shown) is not None
    if names_a_set:
        raise PromptHubError(f"{shown} names a set already.", hint="Say which file to push.")
    before = _state(place)
    reference = push_set(file, shown, bucket or own_bucket(), repository.root)
    with exclusive(repository.root) as writer:
        # The upload took a while, and git and editors know nothing of our lock.
        if _state(place) != before:
            raise PromptHubError(
                f"nothing was written: {name} was changed meanwhile.",
                hint="Look it over, then push it again.",
            )
        writer.apply({name: reference.line()})
    print(f"{reference.uri}: {count(reference.count, 'example')}, {count(reference.size, 'byte')}")
    if bucket and not aws_names.may_be_results_bucket(bucket):
        results = aws_names.results_bucket("ACCOUNT", "REGION")
        say(
            f"{bucket} is not {results}, the only bucket from which the roles of pipeline and"
            " stages may read sets: `validate` passes here, and there it ends with 3 (not"
            " measured). Push it without --bucket, unless it is for this machine alone."
        )
    print(f"{name} names them: commit it. Then: prompt-hub validate --stamp {task}")


def _state(place: Path) -> str | None:
    return file_sha256(place) if place.is_file() else None


def _fetch(repository: PromptRepository, task: str) -> None:
    place = repository.path(EXAMPLES, f"{task}.jsonl")
    name = repository.relative(place)
    reference = reference_in(read_bytes(place, name), name)
    if reference is None:
        raise PromptHubError(f"{name} has its examples itself.", hint="There is nothing to fetch.")
    open_set(reference, name, repository.root).close()
    kept = set_path(reference, repository.root)
    if not kept.is_file():
        raise PromptHubError(f"{kept} cannot be written, so the set was fetched and not kept.")
    print(kept)
