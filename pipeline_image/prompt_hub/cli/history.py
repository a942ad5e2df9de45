"""`prompt-hub history`: what was tried of a task on this machine, and what each try changed."""

from __future__ import annotations

import argparse
import json

from prompt_hub.core.errors import ExitCode
from prompt_hub.reporting.attempts import attempts, in_words
from prompt_hub.repository.reader import PromptRepository


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task")
    parser.add_argument("--json", action="store_true", help="for programs, with every example")


def run(arguments: argparse.Namespace) -> ExitCode:
    """List the attempts, the newest last, each with the examples that it won and lost."""
    repository = PromptRepository.from_environment()
    repository.require_task(arguments.task)
    found = attempts(repository.root, arguments.task)
    if arguments.json:
        listed = [
            {
                "finished_at": attempt.record.finished_at.isoformat(),
                "version": attempt.record.version,
                "digest": attempt.record.digest,
                "status": attempt.record.verdict.status,
                "score": attempt.record.candidate.score if attempt.record.candidate else None,
                "threshold": attempt.record.threshold,
                "won": attempt.won,
                "lost": attempt.lost,
                "large_answers": attempt.large.uri if attempt.large else None,
            }
            for attempt in found
        ]
        print(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        for line in in_words(found):
            print(line)
        if not found:
            print(f"nothing of {arguments.task} was judged on this machine yet")
    return ExitCode.OK
