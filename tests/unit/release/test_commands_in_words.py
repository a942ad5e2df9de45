"""Every command that messages and the operations guide tell people to type is one that exists."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

from messages import body, subject
from prompt_hub.cli import COMMANDS, Command
from prompt_hub.ledger.items import Event, EventKind, Notify, VersionRef

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "operations.md"
DOORS = {"pipeline_image/promote_prompt.py": "promote"}


def commands(text: str) -> list[list[str]]:
    """The words of each indented command, lines that end in a backslash joined."""
    joined = re.sub(r"\\\n\s+", "", text)
    found = re.findall(r"^ {2,}(?:prompt-hub|python) .+$", joined, re.MULTILINE)
    return [shlex.split(line) for line in found]


def parse(words: list[str]) -> argparse.Namespace:
    """Parse a command as `prompt-hub` would; an unknown word ends the test."""
    name, rest = (DOORS[words[1]], words[2:]) if words[0] == "python" else (words[1], words[2:])
    parser = argparse.ArgumentParser(exit_on_error=False)
    cast(Command, import_module(COMMANDS[name][0])).configure(parser)
    return parser.parse_args(rest)


def event(kind: EventKind, left: str, reached: str) -> Event:
    return Event(
        task="part-class",
        revision=7,
        kind=kind,
        left=VersionRef(version=left, sha256="left"),
        reached=VersionRef(version=reached, sha256="reached"),
        by="rollback",
        code="below-threshold",
        reason="1.1.0 scores 0.55 against 0.85",
        at="2026-11-03T09:31:00.000000Z",
        notify=Notify.PENDING,
    )


def test_the_guides_commands_exist() -> None:
    found = commands(GUIDE.read_text(encoding="utf-8"))
    assert len(found) >= 8
    for words in found:
        assert parse(words), words


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize("reached", ["1.0.0", "1.1.0"])
def test_each_message_ends_with_a_command_that_exists(kind: EventKind, reached: str) -> None:
    told = event(kind, "1.1.0", reached)
    found = commands(body(told, "dev"))
    assert found
    for words in found:
        arguments = parse(words)
        assert (arguments.stage, arguments.task) == ("dev", "part-class")
    assert len(subject(told, "dev")) <= 100
    assert subject(told, "dev").isascii()


def test_a_rollback_is_undone_by_activating_what_was_left() -> None:
    (words,) = commands(body(event(EventKind.ROLLED_BACK, "1.1.0", "1.0.0"), "dev"))
    arguments = parse(words)
    assert arguments.version == "1.1.0"
    assert arguments.override
    assert arguments.reason
