"""`prompt-hub completion`: the script with which a shell completes our commands."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError

if TYPE_CHECKING:
    from prompt_hub.cli.main import Command

PROGRAM = "prompt-hub"
SHELLS = ("bash", "zsh", "fish")
LISTS = ("tasks", "stages")
"""What completion asks for while a person types: kept free of imports."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
"""What a task or a stage can be called. Nothing else is offered: bash expands the words that it is
given, so a file named `$(…).yaml` in somebody's clone would be run by the tabulator key."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "what",
        choices=(*SHELLS, *LISTS),
        help="a shell: print its script; tasks, stages: print their names, as the scripts ask",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print a script, or the names of tasks or stages."""
    root = Path(os.environ.get(aws_names.ENV_ROOT, "."))
    match arguments.what:
        case "tasks":
            _list(sorted(path.stem for path in root.glob("prompts/03-metadata/*.yaml")))
        case "stages":
            _list(_stages(root))
        case shell:
            print(script(shell))
    return ExitCode.OK


def _list(names: Iterable[str]) -> None:
    print("\n".join(name for name in names if _NAME.fullmatch(name)))


def script(shell: str) -> str:
    """Return the completion script for a shell, made from the parsers of all commands."""
    try:
        import shtab
    except ImportError:
        raise PromptHubError(
            "completion scripts are made by shtab, which is not installed here.",
            hint="Run this where `make setup` has installed prompt-hub.",
        ) from None
    tasks, stages = (_asked(shtab.cmd(question), name, question) for name, question in _questions())
    parser = every_command()
    by_name = {"task": tasks, "tasks": tasks, "stage": stages, "stages": stages}
    _complete(parser, by_name, shtab.FILE)
    return shtab.complete(parser, shell)


def _questions() -> Iterator[tuple[str, str]]:
    for name in LISTS:
        yield name, f"{PROGRAM} completion {name} 2>/dev/null"


def _asked(known: Mapping[str, object], name: str, question: str) -> dict[str, object]:
    """Let zsh, too, ask when a person presses the key: shtab has it ask all when it is loaded."""
    function = f"_prompt_hub_{name}"
    before = known["preamble"]
    assert isinstance(before, dict)
    body = f'{function}() {{ compadd -- ${{(f)"$({question})"}} }}'
    return {**known, "zsh": function, "preamble": {**before, "zsh": body}}


def every_command() -> argparse.ArgumentParser:
    """Return one parser with every command as a subcommand."""
    from prompt_hub.cli.main import COMMANDS
    from prompt_hub.cli.options import CommandParser

    parser = argparse.ArgumentParser(prog=PROGRAM)
    commands = parser.add_subparsers(dest="command", parser_class=CommandParser)
    for name, (module, summary) in COMMANDS.items():
        command = cast("Command", import_module(module))
        command.configure(commands.add_parser(name, help=summary, description=summary))
    return parser


def _complete(
    parser: argparse.ArgumentParser, by_name: Mapping[str, object], files: object
) -> None:
    """Say of each argument how it is completed: by its name, or as a file where it is a path."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete(command, by_name, files)
        elif action.dest in by_name:
            action.complete = by_name[action.dest]  # type: ignore[attr-defined]
        elif action.type is Path:
            action.complete = files  # type: ignore[attr-defined]


def _stages(root: Path) -> list[str]:
    """Return the names of the stages in `cdk.json`; none where it cannot be read."""
    try:
        context = json.loads((root / aws_names.CONTEXT_FILE).read_bytes())["context"]
        return [str(stage["name"]) for stage in context[aws_names.CONTEXT_KEY]["stages"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
