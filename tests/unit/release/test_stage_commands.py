"""Commands about a stage, where there is none to ask: what is missing is said before AWS is."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from prompt_hub.cli.main import COMMANDS, main
from prompt_hub.cli.options import CommandParser
from prompt_hub.cli.stage import translate_aws_errors
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.errors import LedgerMissingError
from prompt_hub.ledger.items import Deployed, ReleaseRef, VersionRef
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeLedger

BY_ADA = ("--person", "Ada Lovelace", "--reason", "supplier audit")
DECISIONS = [
    ["ledger", "freeze", "part-class"],
    ["ledger", "unfreeze", "part-class"],
    ["ledger", "downgrade", "part-class", "--to", "1.0.0"],
    ["ledger", "activate", "part-class", "--to", "1.0.0"],
    ["promote", "downgrade", "part-class", "--to", "1.0.0"],
    ["promote", "archive", "part-class"],
    ["promote", "quarantine", "part-class", "--version", "1.0.0"],
    ["promote", "override", "part-class"],
]
"""Every command that takes a person."""


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


@pytest.mark.parametrize("words", DECISIONS, ids=" ".join)
def test_every_decision_by_hand_needs_a_person_and_a_reason(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for given, missing in (
        ([], "required: --person, --reason"),
        (["--person", "Ada"], "required: --reason"),
        (["--person", "Ada", "--reason", " "], "argument --reason: says nothing"),
    ):
        with pytest.raises(SystemExit) as refused:
            main([*words, *given])
        assert refused.value.code == ExitCode.USAGE
        assert missing in capsys.readouterr().err


@pytest.mark.parametrize("words", [["watch"], ["watch", "part-class", "--due"]], ids=" ".join)
def test_the_watch_measures_one_task_or_what_is_due(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--stage", "dev"]) == ExitCode.USAGE
    assert "Name one task, or say --due and no task." in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["ledger", "show"],
        ["ledger", "freeze", "part-class", *BY_ADA],
        ["watch", "part-class", "--now"],
        ["watch", "--due", "--now"],
        ["activate", "--release", "exec-1"],
    ],
    ids=" ".join,
)
def test_without_a_region_the_setting_is_asked_for(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--stage", "dev"]) == ExitCode.USAGE
    message = capsys.readouterr().err
    assert "AWS was not asked: You must specify a region. Set AWS_DEFAULT_REGION" in message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["verdict", "--execution", "exec-9"],
            "execution exec-9 has no promotion record. Look at its Promote action.",
        ),
        (
            ["record", "--stage", "dev", "--release", "exec-9"],
            "release exec-9 has no manifest. Look at its Image action.",
        ),
    ],
)
def test_what_an_earlier_action_did_not_leave_names_that_action(
    words: list[str],
    expected: str,
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    for variable in (aws_names.ENV_RESULTS_BUCKET, aws_names.ENV_LEDGER_TABLE):
        monkeypatch.delenv(variable, raising=False)
    assert main(words) == ExitCode.USAGE
    assert capsys.readouterr().err == f"prompt-hub {words[0]}: {expected}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["freeze"],
        ["downgrade", "--to", "1.0.0"],
        ["activate", "--no-watch", "--to", "1.0.0"],
    ],
    ids=lambda words: words[0],
)
def test_a_move_in_the_ledger_takes_the_reason_that_one_in_git_takes(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, release = FakeLedger(), ReleaseRef(release="exec-1", made_at="2026-11-03")
    old, new = (VersionRef(version=number, sha256=number) for number in ("1.0.0", "1.1.0"))
    first = Cause(by="pipeline", reason="first", at=release.made_at)
    ledger.seed("part-class", new, previous=old, release=release, cause=first)
    carried = {"part-class": {each.version: each.sha256 for each in (old, new)}}
    ledger.deploy(
        Deployed(release=release, commit="c0ffee", carries=carried, at=first.at), by="pipeline"
    )
    monkeypatch.setattr(Ledger, "connect", lambda table, **_: ledger)
    before = ledger.pointer("part-class")
    command = ["ledger", words[0], "part-class", *words[1:], "--stage", "dev", "--person", "x"]
    assert main([*command, "--reason", "y"]) == ExitCode.BLOCKED
    assert "a reason of 10 characters" in capsys.readouterr().err
    assert ledger.pointer("part-class") == before
    # Nothing else was wrong with it.
    assert main([*command, "--reason", "customers see wrong classes"]) == ExitCode.OK
    assert ledger.pointer("part-class") != before


@pytest.mark.parametrize(
    "words",
    [
        ["ledger", "show", "part-clas"],
        ["ledger", "freeze", "part-clas", *BY_ADA],
        ["ledger", "activate", "part-clas", "--to", "1.0.0", *BY_ADA],
        ["watch", "part-clas", "--now"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_task_that_the_stage_does_not_know_is_a_usage_error(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, release = FakeLedger(), ReleaseRef(release="exec-1", made_at="2026-11-03")
    first = Cause(by="pipeline", reason="first", at=release.made_at)
    active = VersionRef(version="1.0.0", sha256="a")
    ledger.seed("part-class", active, previous=None, release=release, cause=first)
    # Carried, and never active here: known all the same.
    carried = {"part-class": {"1.0.0": "a"}, "brand": {"0.1.0": "b"}}
    ledger.deploy(
        Deployed(release=release, commit="c0ffee", carries=carried, at=first.at), by="pipeline"
    )
    monkeypatch.setattr(Ledger, "connect", lambda table, **_: ledger)
    assert main([*words, "--stage", "dev"]) == ExitCode.USAGE
    assert capsys.readouterr() == (
        "",
        f"prompt-hub {words[0]}: there is no task 'part-clas' (known: brand, part-class). "
        "Did you mean 'part-class'?\n",
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ReadTimeoutError(endpoint_url="https://dynamodb"), "AWS did not answer: Read timeout"),
        (EndpointConnectionError(endpoint_url="https://dynamodb"), "AWS did not do it: Could not"),
    ],
)
def test_a_change_that_may_have_been_made_is_not_said_to_be_none(
    error: Exception, told: str
) -> None:
    with pytest.raises(PromptHubError, match=f"^{told}"), translate_aws_errors():
        raise error


def test_a_stage_that_is_not_there_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_table(table: str, **_: object) -> None:
        raise LedgerMissingError(f"there is no table {table}")

    monkeypatch.setattr(Ledger, "connect", no_table)
    monkeypatch.setenv("AWS_PROFILE", "sandbox")
    assert main(["ledger", "show", "--stage", "prdo"]) == ExitCode.USAGE
    message = capsys.readouterr().err
    assert "there is no table prompt-hub-prdo-ledger. Look at --stage" in message
    assert "AWS_DEFAULT_REGION (not set) and AWS_PROFILE (sandbox)" in message


@pytest.mark.parametrize("words", DECISIONS, ids=" ".join)
@pytest.mark.parametrize(
    "name", ["pipeline", "rollback", "drill", "rollback (dev)", "rollback(dev)", " Rollback: dev"]
)
def test_a_person_is_not_called_like_the_automation(
    words: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main([*words, "--person", name, "--reason", "supplier audit"])
    assert refused.value.code == ExitCode.USAGE
    assert "is what the automation is called" in capsys.readouterr().err


def test_every_command_that_takes_a_person_is_known_here() -> None:
    found = set()
    for name, (module, _) in COMMANDS.items():
        parser = CommandParser()
        import_module(module).configure(parser)
        for action in parser._actions:
            if not isinstance(action, argparse._SubParsersAction):
                assert action.dest != "person", name
                continue
            for word, sub in action.choices.items():
                if "--person" in sub.format_help():
                    found.add((name, word))
    assert found == {(words[0], words[1]) for words in DECISIONS}
