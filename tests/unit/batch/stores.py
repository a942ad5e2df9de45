"""A store of runs on this machine, and what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode

Records = Callable[..., int]
"""Does an action of `prompt-hub records` on the run `r`."""


def records_command(store: Path, action: str, *options: str) -> list[str]:
    """The words of an action on the run `r`."""
    task = () if action == "plan" else ("--task", "part-class")
    return ["records", action, *task, "--run", "r", "--store", str(store), *options]


def drop(store: Path, text: str, name: str = "parts.csv") -> str:
    """Drop a file, and return its key."""
    key = f"{aws_names.INCOMING}part-class/{name}"
    path = store / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return key


def of_run(store: Path, name: str) -> Path:
    """A file of the run."""
    return store / aws_names.run_key("part-class", "r", name)


def in_one_process(store: Path, key: str) -> bytes:
    """What `prompt-hub run` makes of the same file."""
    output = store / "one.jsonl"
    assert main(["run", "part-class", str(store / key), str(output)]) in {
        ExitCode.OK,
        ExitCode.BLOCKED,
    }
    return output.read_bytes()
