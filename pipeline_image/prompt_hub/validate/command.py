"""`prompt-hub validate`: everything that is wrong with the prompt repository, at once."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.prompts.repository import METADATA, PromptRepository
from prompt_hub.validate.rules import check
from prompt_hub.validate.stamp import stamp
from prompt_hub.validate.tree import Finding, Tree


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--task", help="report only what concerns this task")
    parser.add_argument("--json", action="store_true", help="print the problems as a JSON list")
    parser.add_argument(
        "--stamp",
        metavar="TASK",
        help="instead of validating, note that TASK's metadata is up to date with its examples"
        " and its candidate's input and output",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Validate; BLOCKED where anything is wrong."""
    repository = PromptRepository.from_environment()
    if arguments.stamp:
        changed = stamp(repository, arguments.stamp)
        said = "stamped" if changed else "is up to date already"
        print(f"prompts/{METADATA}/{arguments.stamp}.yaml: {said}")
        return ExitCode.OK
    tree, findings = check(repository, arguments.task)
    if arguments.task and arguments.task not in tree.tasks:
        known = ", ".join(tree.tasks) or "none"
        raise PromptHubError(f"there is no task {arguments.task!r} (known: {known}).")
    if arguments.json:
        print(json.dumps(list(map(as_json, findings)), ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            print(f"{finding.problem} [{finding.rule}]", file=sys.stderr)
        print(summary(tree, findings, arguments.task))
    return ExitCode.BLOCKED if findings else ExitCode.OK


def as_json(finding: Finding) -> dict[str, str | int]:
    """A finding as machines get it."""
    return asdict(finding.problem)


def summary(tree: Tree, findings: Sequence[Finding], task: str | None = None) -> str:
    """The last line, in words."""
    looked_at = f"task {task}" if task else _count(len(tree.tasks), "task")
    looked_at += f", {_count(len(tree.files), 'file')}"
    if not findings:
        return f"{looked_at}: all valid"
    files = len({finding.problem.file for finding in findings})
    return f"{looked_at}: {_count(len(findings), 'problem')} in {_count(files, 'file')}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
