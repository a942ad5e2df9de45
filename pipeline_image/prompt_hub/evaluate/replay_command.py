"""`prompt-hub replay`: make stored records again, without a model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.record import EvaluationRecord
from prompt_hub.evaluate.replay import (
    CannotReplay,
    Replayed,
    details_path,
    is_record,
    replay,
    rewrite,
)
from prompt_hub.evaluate.results import FolderResults
from prompt_hub.promote.moves import evaluation_path, remade
from prompt_hub.prompts.repository import PromptRepository
from prompt_hub.prompts.transaction import apply


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
    """Replay every record; 1 if one of them does not come out the same."""
    repository = PromptRepository.from_environment()
    results = []
    for path in _records(arguments.record):
        changes = _replayed(repository, path, arguments.write)
        results.append({"record": path.as_posix(), "same": not changes, "changes": changes})
        if not arguments.json:
            _tell(path, changes, arguments.write)
    if arguments.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    return ExitCode.OK if all(result["same"] for result in results) else ExitCode.BLOCKED


def _records(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = sorted(path.rglob("*.json"))
            found += [file for file in files if is_record(file.read_text(encoding="utf-8"))]
        elif path.is_file():
            found.append(path)
        else:
            raise PromptHubError(f"there is no record {path}.", hint="Name a file or a folder.")
    if not found:
        raise PromptHubError("there are no evaluation records there.", hint="Name another folder.")
    return found


def _replayed(repository: PromptRepository, path: Path, write: bool) -> list[dict[str, str]]:
    text = path.read_text(encoding="utf-8")
    beside = details_path(path)
    details = beside.read_text(encoding="utf-8") if beside.exists() else None
    try:
        replayed = (rewrite if write else replay)(repository, text, details)
    except CannotReplay as error:
        return [vars(change) for change in error.changes]
    if write:
        _write(repository, path, replayed)
    return []


def _write(repository: PromptRepository, path: Path, replayed: Replayed) -> None:
    record = replayed.record
    registered = repository.prompts / evaluation_path(record.task, record.version)
    if path.resolve() == registered:
        apply(repository.root, remade(repository, record, replayed.details))
        return
    folder = FolderResults(path.parent)
    folder.put(details_path(path).name, replayed.details)
    folder.put(path.name, record.to_json())


def _tell(path: Path, changes: list[dict[str, str]], write: bool) -> None:
    text = path.read_text(encoding="utf-8")
    if not changes:
        record = EvaluationRecord.model_validate_json(text)
        done = "written anew from its answers" if write else "the same, byte for byte"
        print(f"{path}: {record.task} {record.version} {record.verdict.status}, {done}")
        return
    print(f"{path}: {'not written' if write else 'cannot be made again'}")
    for change in changes:
        print(f"  {change['what']}: {change['how']}")
    if _INPUTS & {change["what"] for change in changes}:
        commit = json.loads(text)["commit"]
        print(f"  the inputs were those of commit {commit}: check it out to make the record again")


_INPUTS = {"examples", "metadata", "candidate", "champion", "scorers", "gate"}
