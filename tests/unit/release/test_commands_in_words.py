"""Every command that messages tell people to type is one that exists."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.cli.main import COMMANDS, Command
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import Event, EventKind, Notify, VersionRef
from prompt_hub.ledger.messages import message as written
from prompt_hub.promotion.promoter import commit_message
from prompt_hub.promotion.states import LEAST_REASON
from prompt_hub.promotion.write_back import WrittenBack

ROOT = Path(__file__).resolve().parents[3]
DOORS = [path.name for path in (ROOT / "pipeline_image").glob("*.py")]


def commands(text: str) -> list[list[str]]:
    """The words of each indented command, lines that end in a backslash joined."""
    joined = re.sub(r"\\\n\s+", "", text)
    found = re.findall(r"^ {2,}prompt-hub .+$", joined, re.MULTILINE)
    return [shlex.split(line) for line in found]


def parse(words: list[str]) -> argparse.Namespace:
    """Parse a command as `prompt-hub` would; an unknown word ends the test."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    cast(Command, import_module(COMMANDS[words[1]][0])).configure(parser)
    return parser.parse_args(words[2:])


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


@pytest.mark.shipped
def test_messages_and_guides_name_the_command_and_no_file_that_leads_to_it() -> None:
    places = [*ROOT.glob("pipeline_image/prompt_hub/**/*.py"), *ROOT.glob("lambdas/**/*.py")]
    places += [*ROOT.glob("docs/**/*.md"), *ROOT.glob("prompts/.schemas/*.json")]
    assert len(DOORS) == 4
    assert len(places) > 100
    for place in places:
        text = place.read_text(encoding="utf-8")
        assert not [door for door in DOORS if door in text], place


def test_every_command_in_a_message_is_one() -> None:
    for place in ROOT.glob("pipeline_image/prompt_hub/**/*.py"):
        text = place.read_text(encoding="utf-8")
        named = re.findall(r"(?<![\w.\"'-])prompt-hub ([a-z-]+)", text)
        assert set(named) <= {*COMMANDS}, place


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize("reached", ["1.0.0", "1.1.0"])
def test_each_message_ends_with_a_command_that_exists(kind: EventKind, reached: str) -> None:
    message = event(kind, "1.1.0", reached)
    found = commands(written(message, "dev").body)
    assert found
    for words in found:
        arguments = parse(words)
        assert arguments.task == "part-class"
        # A move in git names no stage.
        assert getattr(arguments, "stage", "dev") == "dev"
    assert len(written(message, "dev").subject) <= 100
    assert written(message, "dev").subject.isascii()


def test_a_rollback_is_undone_by_activating_what_was_left() -> None:
    body = written(event(EventKind.ROLLED_BACK, "1.1.0", "1.0.0"), "dev").body
    words, elsewhere, again = commands(body)
    arguments = parse(words)
    assert (arguments.action, arguments.to) == ("activate", "1.1.0")
    assert arguments.person
    assert len(arguments.reason) >= LEAST_REASON
    in_git = parse(elsewhere)
    assert (in_git.action, in_git.to, in_git.override) == ("downgrade", "1.1.0", True)
    assert len(in_git.reason) >= LEAST_REASON
    repair = parse(again)
    assert (repair.task, repair.version, repair.stage) == ("part-class", "1.1.0", "dev")
    # True by `test_quarantine.py`: git alone brings it back into neither.
    told = " ".join(body.split())
    assert "dev and later stages wait for the command above" in told
    in_order = "Undo it in git first: `git pull`, the command below; commit, push and start the"
    assert in_order in told


def test_a_message_names_the_ledger_that_its_commands_would_miss_outside_of_a_clone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two installations in an account both may have this stage, and this task in it."""
    told = event(EventKind.ROLLED_BACK, "1.1.0", "1.0.0")
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLE, "prompt-hub-dev-ledger")
    assert "export" not in written(told, "dev").body
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLE, "prompt-hub-dev-ledger-restored")
    restored = "  export PROMPT_HUB_LEDGER_TABLES=dev=prompt-hub-dev-ledger-restored"
    assert restored in written(told, "dev").body.splitlines()
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLE, "shop-dev-ledger")
    monkeypatch.setenv(aws_names.ENV_INSTALLATION, "shop")
    lines = written(told, "dev").body.splitlines()
    named = lines.index("  export PROMPT_HUB_INSTALLATION=shop")
    assert named < min(n for n, line in enumerate(lines) if line.startswith("  prompt-hub "))


def test_a_retired_task_is_brought_back_in_git() -> None:
    """In the ledger nothing is active that a command could move."""
    retired = event(EventKind.RETIRED, "1.1.0", "1.1.0")
    # As the ledger has it: the task stays where it was.
    retired = replace(retired, left=retired.reached)
    body = written(retired, "dev").body
    (words,) = commands(body)
    arguments = parse(words)
    assert (arguments.action, arguments.to, arguments.override) == ("downgrade", "1.1.0", True)
    assert "`git pull`, the command below; commit, push and start the pipeline." in body
    assert words[1] == "promote"


def test_the_commit_of_a_rollback_ends_with_two_commands_that_are_taken_as_they_stand() -> None:
    back = WrittenBack(
        task="part-class",
        version="1.1.0",
        action="quarantined",
        stage="dev",
        person="rollback (dev)",
        reason="rolled back in dev: it scores 0.41",
        to="1.0.0",
        at=datetime(2026, 11, 27, tzinfo=UTC),
    )
    here, in_git = (parse(words) for words in commands(commit_message([back], {}, "exec-2")))
    assert (here.action, here.stage, here.to) == ("activate", "dev", "1.1.0")
    assert (in_git.action, in_git.override, in_git.to) == ("downgrade", True, "1.1.0")
    assert min(len(here.reason), len(in_git.reason)) >= LEAST_REASON
