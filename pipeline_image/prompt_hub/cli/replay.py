"""`prompt-hub replay`: make stored records again, without a model."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from prompt_hub.core import wording
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.example_results import details_path
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.replay import (
    FILES,
    Change,
    Replayed,
    ReplayError,
    replay,
    rewrite,
)
from prompt_hub.evaluation.results import LOCAL_EXECUTION, FolderResults
from prompt_hub.evaluation.store import read_evaluation
from prompt_hub.gate.rules import GATE_VERSION
from prompt_hub.promotion.transitions import replace_record
from prompt_hub.repository.documents import InvalidDocumentsError, read_text
from prompt_hub.repository.json import parse_json
from prompt_hub.repository.reader import PromptRepository, evaluation_path
from prompt_hub.repository.transaction import apply
from prompt_hub.scoring import SCORERS_VERSION


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "record",
        nargs="+",
        type=Path,
        help="a record such as prompts/04-evals/TASK/1.0.0.json, or a folder of records",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="score the stored answers with today's scorers and gate and write the record anew",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Replay every record; 1 if one does not come out the same, 3 if one could not be looked at."""
    repository = PromptRepository.from_environment()
    results = []
    for path in _records(arguments.record):
        result: dict[str, object] = {"record": path.as_posix()}
        try:
            record, changes = _replayed(repository, path, arguments.write)
        except PromptHubError as error:
            if error.exit_code is not ExitCode.NOT_MEASURED:
                raise
            # Its answers or examples lie where they cannot be read now: no word about the record.
            result |= {"same": None, "changes": [], "unread": error.message}
            if not arguments.json:
                print(f"{path}: not looked at\n  {error.message}\n  {error.hint}")
        else:
            listed = [vars(change) for change in changes]
            result |= {"same": not changes, "changes": listed}
            if not arguments.json:
                _report(repository, path, record, changes, arguments.write)
        results.append(result)
    unread = sum(result["same"] is None for result in results)
    if arguments.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    elif unread:
        print(f"{unread:,} of {wording.count(len(results), 'record')} could not be looked at")
    if any(result["same"] is False for result in results):
        return ExitCode.BLOCKED
    return ExitCode.NOT_MEASURED if unread else ExitCode.OK


def _records(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += filter(_may_be_record, sorted(path.rglob("[!.]*.json")))
        elif path.is_file():
            found.append(path)
        else:
            raise PromptHubError(f"there is no record {path}.", hint="Name a file or a folder.")
    if not found:
        raise PromptHubError("there are no evaluation records there.", hint="Name another folder.")
    return found


def _may_be_record(path: Path) -> bool:
    """Whether a file is a record, or cannot be read: a torn record must not be passed over."""
    try:
        found = parse_json(read_text(path, str(path)), str(path)).data
    except InvalidDocumentsError:
        return True
    return isinstance(found, dict) and found.get("schema") == "prompt-hub/evaluation@1"


def _replayed(
    repository: PromptRepository, path: Path, write: bool
) -> tuple[EvaluationRecord | None, Sequence[Change]]:
    """Replay the record in a file; None if it cannot be read, and why it comes out otherwise.

    Raises `PromptHubError`, NOT_MEASURED, where what it rests on cannot be read now.
    """
    try:
        stored = read_evaluation(path)
    except PromptHubError as error:
        return None, [Change("record", error.message)]
    if write and stored.large is not None:
        how = f"its answers lie at {stored.large.uri}: evaluate again, which asks no model"
        return stored.record, [Change("details", how)]
    try:
        replayed = (rewrite if write else replay)(repository, stored)
    except ReplayError as error:
        return stored.record, error.changes
    except InvalidDocumentsError as error:
        return stored.record, [Change("files", error.message)]
    if write:
        _write(repository, path, replayed)
    return replayed.record, []


def _write(repository: PromptRepository, path: Path, replayed: Replayed) -> None:
    record = replayed.record
    registered = repository.prompts / evaluation_path(record.task, record.version)
    if path.resolve() == registered:
        apply(repository.root, replace_record(repository, record, replayed.details))
        return
    folder = FolderResults(path.parent)
    folder.put(details_path(path.name), replayed.details)
    folder.put(path.name, record.to_json())


def _report(
    repository: PromptRepository,
    path: Path,
    record: EvaluationRecord | None,
    changes: Sequence[Change],
    write: bool,
) -> None:
    if record is not None and not changes:
        done = "written anew from its answers" if write else "the same, byte for byte"
        if record.gate_version != GATE_VERSION:
            done = f"the same, decided by gate {record.gate_version} and rounded by today's"
        if record.scorers_version != SCORERS_VERSION:
            done = f"scored by scorers {record.scorers_version} as by today's, {done}"
        print(f"{path}: {record.task} {record.version} {record.verdict.status}, {done}")
        return
    print(f"{path}: {'not written' if write else 'cannot be made again'}")
    for change in changes:
        print(f"  {change.what}: {change.how}")
    if record is not None and any(change.what in FILES for change in changes):
        print(f"  {_inputs_of_then(repository, path, record)}")


def _inputs_of_then(repository: PromptRepository, path: Path, record: EvaluationRecord) -> str:
    """Say where the inputs of a record are: those of a machine were committed with it at best."""
    if record.execution != LOCAL_EXECUTION:
        return f"it was made at commit {record.commit}: look there for the inputs of then"
    if not path.resolve().is_relative_to(repository.prompts):
        return (
            f"it was made on a machine, on top of commit {record.commit}, and its inputs of then"
            f" need not be in git: run prompt-hub evaluate {record.task} again"
        )
    commit = f"git log --diff-filter=A -- {shlex.quote(str(path))}"
    return f"it was made on a machine: look for its inputs where it came into git, {commit}"
