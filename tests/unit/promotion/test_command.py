"""promote_prompt.py by hand: promote, downgrade, archive, override."""

from __future__ import annotations

import asyncio
import json

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.results import results_from_environment
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.store import evaluation_by
from prompt_hub.promotion.transitions import refuse
from prompt_hub.repository.registry import VersionState
from prompt_hub.repository.transaction import Writer, apply
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.providers import FunctionProvider

METADATA = "prompts/03-metadata/part-class.yaml"
BY_ADA = ("--person", "Ada Lovelace", "--reason", "customers see wrong units")

SAME_AS_1_1 = (
    "prompts/00-templates/catalogue-role.txt",
    "You classify electronic parts for a catalogue.\n",
)
"""The role that makes the candidate the released version word for word."""


@pytest.fixture
def folder(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> RepositoryFolder:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    for name in (aws_names.ENV_EXECUTION, aws_names.ENV_RESULTS_BUCKET):
        monkeypatch.delenv(name, raising=False)
    return healthy


async def evaluated(folder: RepositoryFolder, answer: str = "") -> None:
    caller = FunctionProvider(
        (lambda _: {"part_class": answer}) if answer else catalogue_answer
    ).caller()
    evaluator = Evaluator(
        folder.repository,
        caller,
        results_from_environment(folder.root, {}),
        execution="local",
        commit=COMMIT,
        say=lambda line: None,
    )
    await evaluator.evaluate("part-class")


def released(folder: RepositoryFolder) -> str | None:
    return folder.repository.registry().tasks["part-class"].released


def test_what_was_evaluated_is_released_and_its_champion_archived(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "release", "part-class"]) == ExitCode.USAGE
    assert "prompt-hub evaluate part-class" in capsys.readouterr().err
    asyncio.run(evaluated(folder))
    assert main(["promote", "promote", "part-class", "--json"]) == ExitCode.OK
    written = json.loads(capsys.readouterr().out)["files"]
    assert "prompts/99-archive/part-class/1.1.0.yaml" in written
    assert released(folder) == "1.2.0"
    assert folder.findings() == []


def test_a_stale_record_does_not_promote(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(evaluated(folder))
    folder.edit("prompts/01-examples/part-class.jsonl", "Diodes Incorporated", "Diodes Inc.")
    assert main(["promote", "promote", "part-class"]) == ExitCode.BLOCKED
    assert "examples of part-class changed" in capsys.readouterr().err
    assert released(folder) == "1.1.0"


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
@pytest.mark.parametrize("damage", [b"\xff", b'{"arm": "candidate", "id"', None])
def test_what_cannot_be_read_whole_does_not_promote(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str], ending: str, damage: bytes | None
) -> None:
    asyncio.run(evaluated(folder))
    file = folder.path(f".prompt-hub/results/evaluations/local/part-class{ending}")
    file.write_bytes(damage) if damage is not None else file.unlink()
    code = main(["promote", "promote", "part-class"])
    assert code == (ExitCode.USAGE if damage is None and ending == ".json" else ExitCode.BLOCKED)
    message = capsys.readouterr().err
    assert "Traceback" not in message
    if damage is not None:
        assert f"promote: evaluations/local/part-class{ending}:1:" in message
    assert released(folder) == "1.1.0"


def test_a_blocked_candidate_needs_a_named_override(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(evaluated(folder, "resistor"))
    assert main(["promote", "promote", "part-class"]) == ExitCode.BLOCKED
    assert "'promote' needs the verdict PASS, but its verdict is BLOCK" in capsys.readouterr().err
    assert released(folder) == "1.1.0"
    before = folder.read(METADATA)
    override = ["promote", "override", "part-class", "--person"]
    reason = "The labels of two examples are disputed; see the catalogue board."
    assert main([*override, "Ada Lovelace", "--reason", "short"]) == ExitCode.BLOCKED
    assert "a named person and a reason of 10 characters" in capsys.readouterr().err
    with pytest.raises(SystemExit) as refused:
        main([*override, " ", "--reason", reason])
    assert refused.value.code == ExitCode.USAGE
    assert "argument --person: says nothing" in capsys.readouterr().err
    assert folder.read(METADATA) == before
    assert main([*override, "Ada Lovelace", "--reason", reason]) == ExitCode.OK
    assert folder.findings() == []
    asyncio.run(evaluated(folder, "resistor"))
    assert main(["promote", "promote", "part-class"]) == ExitCode.OK
    entry = folder.repository.registry().tasks["part-class"].versions["1.2.0"]
    assert (entry.person, entry.reason) == ("Ada Lovelace", reason)
    assert folder.findings() == []


def test_an_override_in_the_metadata_is_no_automations(folder: RepositoryFolder) -> None:
    """The command refuses such a name; a file can be edited."""
    assert main(["promote", "override", "part-class", *BY_ADA]) == ExitCode.OK
    folder.edit(METADATA, f"person: {BY_ADA[1]}", "person: rollback (dev)")
    assert any(
        "is what the automation is called" in str(finding.problem) for finding in folder.findings()
    )


def test_an_override_leaves_the_rest_of_the_metadata_as_it_is(folder: RepositoryFolder) -> None:
    folder.write(METADATA, folder.read(METADATA).replace("\n", "\r\n"))
    before = folder.read(METADATA)
    assert main(["promote", "override", "part-class", *BY_ADA]) == ExitCode.OK
    after = folder.read(METADATA)
    assert after.startswith(before)
    assert "\n" not in after.replace("\r\n", "")


def test_an_override_of_a_version_taken_out_is_refused(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(evaluated(folder))
    assert main(["promote", "promote", "part-class"]) == ExitCode.OK
    assert main(["promote", "downgrade", "part-class", "--to", "1.1.0", *BY_ADA]) == ExitCode.OK
    assert main(["promote", "override", "part-class", *BY_ADA]) == ExitCode.BLOCKED
    assert "1.2.0 is downgraded: 'override' is not allowed" in capsys.readouterr().err


def test_downgrade_and_archive(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    downgrade = ["promote", "downgrade", "part-class", *BY_ADA, "--to"]
    assert main([*downgrade, "0.1.0"]) == ExitCode.USAGE
    assert "archived: 1.0.0" in capsys.readouterr().err
    assert main([*downgrade, "1.0.0"]) == ExitCode.OK
    task = folder.repository.registry().tasks["part-class"]
    assert (task.released, task.versions["1.1.0"].state) == ("1.0.0", "downgraded")
    assert task.versions["1.1.0"].person == "Ada Lovelace"
    assert folder.findings() == []
    archive = ["promote", "archive", "part-class", *BY_ADA]
    assert main(archive) == ExitCode.OK
    assert released(folder) is None
    assert folder.repository.production("part-class") is None
    assert main(archive) == ExitCode.USAGE
    assert folder.findings() == []


def test_archive_names_the_candidate_that_the_next_execution_may_release(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    warning = "part-class 1.2.0 waits in 00-templates: the next execution releases it if it passes"
    assert main(["promote", "archive", "part-class", *BY_ADA, "--version", "1.0.0"]) == ExitCode.OK
    assert warning not in capsys.readouterr().out
    # One that is half written waits, too.
    folder.write("prompts/00-templates/part-class.yaml", "messages: [")
    assert main(["promote", "archive", "part-class", *BY_ADA]) == ExitCode.OK
    assert warning in capsys.readouterr().out
    # That of `brand` is the version that is retired.
    assert main(["promote", "archive", "brand", *BY_ADA]) == ExitCode.OK
    assert "WARNING" not in capsys.readouterr().out


@pytest.mark.parametrize("insisted", [False, True])
def test_archive_names_no_candidate_that_no_verdict_releases(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str], insisted: bool
) -> None:
    """It is word for word what did harm, under another number."""
    harm = ["promote", "quarantine", "part-class", *BY_ADA, "--version", "1.1.0", "--to", "1.0.0"]
    assert main(harm) == ExitCode.OK
    folder.write(*SAME_AS_1_1)
    if insisted:
        assert main(["promote", "override", "part-class", *BY_ADA]) == ExitCode.OK
    assert main(["promote", "archive", "part-class", *BY_ADA]) == ExitCode.OK
    assert ("WARNING: part-class 1.2.0 waits" in capsys.readouterr().out) is insisted


def test_what_was_taken_out_comes_back_by_an_explicit_override_only(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    downgrade = ["promote", "downgrade", "part-class", *BY_ADA, "--to"]
    assert main([*downgrade, "1.0.0"]) == ExitCode.OK
    assert main([*downgrade, "1.1.0"]) == ExitCode.BLOCKED
    message = capsys.readouterr().err
    assert "1.1.0 is downgraded: 'restore' needs an explicit override" in message
    assert "--override" in message
    assert main([*downgrade, "1.1.0", "--override"]) == ExitCode.OK
    assert released(folder) == "1.1.0"
    stood_in = folder.repository.registry().tasks["part-class"].versions["1.0.0"]
    assert stood_in.state is VersionState.SUPERSEDED
    assert folder.findings() == []


def test_a_clone_that_has_not_heard_of_a_rollback_is_pulled_first(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Minutes after a rollback it is the branch that has the version in its archive."""
    downgrade = ["promote", "downgrade", "part-class", "--override", *BY_ADA, "--to", "1.1.0"]
    assert main(downgrade) == ExitCode.BLOCKED
    said = capsys.readouterr().err
    assert "part-class 1.1.0 is the released version in this clone." in said
    assert "A rollback comes into it with `git pull`" in said
    assert released(folder) == "1.1.0"


def test_a_retired_task_is_released_again_from_the_archive(folder: RepositoryFolder) -> None:
    assert main(["promote", "archive", "part-class", *BY_ADA]) == ExitCode.OK
    assert main(["promote", "downgrade", "part-class", *BY_ADA, "--to", "1.0.0"]) == ExitCode.OK
    assert released(folder) == "1.0.0"
    assert folder.findings() == []


def test_a_retired_version_itself_comes_back_as_the_page_of_its_retirement_says(
    folder: RepositoryFolder,
) -> None:
    back = ["promote", "downgrade", "part-class", *BY_ADA, "--to", "1.1.0"]
    assert main(["promote", "archive", "part-class", *BY_ADA]) == ExitCode.OK
    assert main(back) == ExitCode.BLOCKED
    assert main([*back, "--override"]) == ExitCode.OK
    assert released(folder) == "1.1.0"
    assert folder.findings() == []


def test_quarantine_needs_a_successor_for_the_champion_and_for_no_other(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    quarantine = ["promote", "quarantine", "part-class", *BY_ADA, "--version"]
    assert main([*quarantine, "1.1.0"]) == ExitCode.USAGE
    assert "something must take its place" in capsys.readouterr().err
    assert main([*quarantine, "1.0.0", "--to", "1.1.0"]) == ExitCode.USAGE
    assert main([*quarantine, "1.1.0", "--to", "1.0.0"]) == ExitCode.OK
    task = folder.repository.registry().tasks["part-class"]
    assert (task.released, task.versions["1.1.0"].state) == ("1.0.0", "quarantined")
    assert folder.findings() == []
    assert main([*quarantine, "1.1.0"]) == ExitCode.BLOCKED
    assert "1.1.0 is quarantined: 'quarantine' is not allowed" in capsys.readouterr().err
    assert main([*quarantine, "1.2.0"]) == ExitCode.BLOCKED
    assert "1.2.0 is a candidate" in capsys.readouterr().err


def test_a_successor_that_was_taken_out_is_released_as_the_refusal_says(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """`quarantine` itself has no override: a hint must name a command that does."""
    downgrade = ["promote", "downgrade", "part-class", *BY_ADA, "--to"]
    quarantine = ["promote", "quarantine", "part-class", *BY_ADA, "--version", "1.0.0"]
    assert main([*downgrade, "1.0.0"]) == ExitCode.OK
    assert main([*quarantine, "--to", "1.1.0"]) == ExitCode.BLOCKED
    hint = "Release it all the same by `prompt-hub promote downgrade --to VERSION --override`."
    assert hint in capsys.readouterr().err
    assert main([*downgrade, "1.1.0", "--override"]) == ExitCode.OK
    assert main(quarantine) == ExitCode.OK
    task = folder.repository.registry().tasks["part-class"]
    assert (task.released, task.versions["1.0.0"].state) == ("1.1.0", "quarantined")
    assert folder.findings() == []


def test_the_version_of_a_retired_champion_is_not_promoted_again(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nothing released, an old candidate's number is still its old version's."""
    assert main(["promote", "archive", "part-class", *BY_ADA]) == ExitCode.OK
    folder.bump("part-class", "1.2.0", "1.0.0")
    before = folder.read("prompts/99-archive/part-class/1.0.0.yaml")
    asyncio.run(evaluated(folder))
    assert main(["promote", "promote", "part-class"]) == ExitCode.BLOCKED
    assert "1.0.0 is superseded: 'promote' is not allowed" in capsys.readouterr().err
    assert folder.read("prompts/99-archive/part-class/1.0.0.yaml") == before
    assert released(folder) is None


def test_an_interrupted_promotion_is_finished_by_the_next_command_whatever_it_is(
    folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(evaluated(folder))
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "_finish", lambda self: None)  # killed at the commit point
        assert main(["promote", "promote", "part-class"]) == ExitCode.OK
    assert released(folder) == "1.1.0"
    assert main(["validate"]) == ExitCode.OK
    assert released(folder) == "1.2.0"


def test_a_new_version_with_the_same_words_is_released_as_itself(folder: RepositoryFolder) -> None:
    folder.write(*SAME_AS_1_1)
    champion = folder.repository.production("part-class")
    assert champion is not None
    assert champion.sha256 == folder.repository.candidate("part-class").sha256
    asyncio.run(evaluated(folder))
    assert main(["promote", "promote", "part-class"]) == ExitCode.OK
    assert released(folder) == "1.2.0"
    assert folder.findings() == []
    # Measured beside the champion, whose words it has: nothing that qualified again.
    folder.edit("prompts/02-production/part-class.yaml", COMMIT, "b" * 40)
    assert folder.rules_broken() == ["registry-lock"]


def refuse_candidate(folder: RepositoryFolder) -> None:
    """Judge the candidate with wrong answers, and log that, as Promote does."""
    asyncio.run(evaluated(folder, "resistor"))
    found = evaluation_by(results_from_environment(folder.root, {}), "local", "part-class")
    assert found is not None
    at = found.record.finished_at
    apply(folder.root, refuse(folder.repository, found.record, found.details_text, at))


@pytest.mark.parametrize("another_since", [False, True])
def test_what_was_refused_before_its_task_was_archived_is_released_by_name_only(
    folder: RepositoryFolder, capsys: pytest.CaptureFixture[str], another_since: bool
) -> None:
    """With nothing to be compared with it may pass: Promote leaves it alone, and so do authors."""
    refuse_candidate(folder)
    if another_since:
        folder.bump("part-class", "1.2.0", "1.3.0")
        refuse_candidate(folder)
        folder.bump("part-class", "1.3.0", "1.2.0")
    assert main(["promote", "archive", "part-class", *BY_ADA]) == ExitCode.OK
    asyncio.run(evaluated(folder))
    before = folder.repository.registry()
    capsys.readouterr()
    assert main(["promote", "release", "part-class"]) == ExitCode.BLOCKED
    why = "1.2.0 was refused (BLOCK), and 1.1.0 was archived since (customers see wrong units)"
    assert f"part-class 1.2.0 may not be released: {why}" in capsys.readouterr().err
    assert folder.repository.registry() == before
    assert main(["promote", "override", "part-class", *BY_ADA]) == ExitCode.OK
    asyncio.run(evaluated(folder))
    assert main(["promote", "release", "part-class"]) == ExitCode.OK
    entry = folder.repository.registry().tasks["part-class"].versions["1.2.0"]
    assert (released(folder), entry.person) == ("1.2.0", "Ada Lovelace")
    assert folder.findings() == []
