"""What the commands that make a task share: options, and what they say in the end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.reader import PromptRepository

DEFAULT_ALIAS = "catalogue-pinned"
DEFAULT_OWNER = "your-team"


def add_description(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe a new task, and `--json`."""
    parser.add_argument("--description", help="what the task does, in one sentence")
    parser.add_argument("--owner", help=f"who answers for the task; {DEFAULT_OWNER} by default")
    parser.add_argument("--model", metavar="ALIAS", help="the model alias that the prompt asks for")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def usual_alias(repository: PromptRepository) -> str:
    """Return the alias that the repository's first task uses: most likely it is configured.

    A task that cannot be read is passed over: it keeps nobody from making another.
    """
    for task in repository.tasks():
        with suppress(PromptHubError):
            return repository.draft(task).model.alias
    return DEFAULT_ALIAS


def tell(
    task: str,
    files: Iterable[str],
    first: Sequence[str],
    *,
    as_json: bool,
    more: Mapping[str, object],
) -> None:
    """Say which files were written and what comes next: `first`, then what every task needs.

    `more` is said in JSON alone.
    """
    steps = [
        *first,
        f"after a change of examples or fields: prompt-hub validate --stamp {task}",
        f"try it: prompt-hub evaluate {task}",
        "commit, and push: the pipeline evaluates, promotes and deploys it",
    ]
    if as_json:
        result = {"task": task, "files": sorted(files), **more, "next": steps}
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return
    print(f"{task} is a task now:")
    for path in sorted(files):
        print(f"  written  {path}")
    print("Next:")
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. {step}")
