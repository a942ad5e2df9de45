"""`prompt-hub demo`: the whole life on the product's own code, and its parts keep their word."""

from __future__ import annotations

import asyncio
import json
import webbrowser
from dataclasses import replace
from pathlib import Path

import pytest

from prompt_hub.authoring.demo.lifecycle import TASK, WORDINGS
from prompt_hub.authoring.demo.memory_ledger import MemoryLedger
from prompt_hub.authoring.demo.model import RuleReader, aliases
from prompt_hub.cli import demo as command
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.ledger.errors import LedgerConflictError, TransitionRefusedError
from prompt_hub.ledger.items import Deployed, ReleaseRef, VersionRef
from prompt_hub.ledger.table import Ledger, Step
from prompt_hub.ledger.transitions import Cause
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.validation.check import check
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on


def test_one_is_promoted_one_blocked_one_rolled_back_and_the_pages_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    opened: list[str] = []
    monkeypatch.setattr(command, "_has_a_display", lambda: True)
    monkeypatch.setattr(webbrowser, "open", opened.append)

    assert main(["demo", "--into", str(folder)]) == 0

    repository = PromptRepository(folder)
    entry = repository.registry().tasks[TASK]
    states = {version: str(known.state) for version, known in entry.versions.items()}
    assert states == {"0.1.0": "released", "0.2.0": "quarantined", "0.3.0": "blocked"}
    assert entry.released == "0.1.0"
    assert entry.versions["0.2.0"].person == "rollback (demo)"
    assert [item for item in check(repository)[1] if item.is_error] == []
    page = folder / "demo.html"
    assert opened == [page.as_uri()]
    html = page.read_text("utf-8")
    for version in WORDINGS:
        assert f'href="{TASK}-{version}.html"' in html
        assert (folder / f"{TASK}-{version}.html").is_file()
    output = capsys.readouterr().out
    assert f"files     {folder}" in output
    assert "0.2.0: PASS" in output
    assert "0.3.0: BLOCK" in output
    assert "0.2.0 is quarantined, 0.1.0 is active" in output

    monkeypatch.setenv(aws_names.ENV_ROOT, str(folder))
    for go_on in (
        ["history", TASK],
        ["diff", TASK, "0.1.0", "0.2.0"],
        ["diff", TASK, "previous", "candidate"],
        ["replay", str(folder / f"prompts/04-evals/{TASK}/0.2.0.json")],
    ):
        assert main(go_on) == 0, go_on


def test_a_folder_that_is_there_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--into", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main(["demo", "--into", str(file / "demo")]) == 2
    assert "cannot be made: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wording", "title", "lists", "answer"),
    [
        ("0.1.0", "0.1 µF ±10%", True, "capacitor"),
        ("0.1.0", "22 pF ±5%", True, "resistor"),
        ("0.2.0", "22 pF ±5%", True, "capacitor"),
        ("0.2.0", "22 pF ±5%", False, "resistor"),
        ("0.1.0", "0.1 µF ±10%", False, "capacitor"),
    ],
)
def test_the_scripted_model_follows_the_prompt_s_rules_alone(
    wording: str, title: str, lists: bool, answer: str
) -> None:
    model = RuleReader()
    model.reads_lists = lists
    messages = [
        {"role": "system", "content": WORDINGS[wording]},
        {"role": "user", "content": f"Title: {title}"},
    ]
    response = asyncio.run(model.complete(next(iter(aliases())), messages, {}, {}))
    assert json.loads(response.text) == {"part_class": answer}


ONE, TWO = (VersionRef(version=version, sha256=version * 8) for version in ("1.0.0", "2.0.0"))
RELEASE = ReleaseRef(release="r", made_at="2026-11-28T09:00:00.000000Z")
CAUSE = Cause(by="ann", reason="a reason", at="2026-11-28T10:00:00.000000Z", evidence={"n": (1,)})


def life(ledger: Ledger) -> None:
    """Every kind of write, some of them refused."""
    carried = {"brand": {"1.0.0": ONE.sha256, "2.0.0": TWO.sha256}}
    deployed = Deployed(release=RELEASE, commit="c", carries=carried, at=CAUSE.at)
    ledger.deploy(deployed, by="pipeline")
    ledger.seed("brand", ONE, previous=None, release=RELEASE, cause=CAUSE)
    with pytest.raises(LedgerConflictError):
        ledger.seed("brand", TWO, previous=None, release=RELEASE, cause=CAUSE)
    ledger.activate("brand", TWO, seen=1, release=RELEASE, cause=CAUSE)
    with pytest.raises(LedgerConflictError):
        ledger.roll_back("brand", seen=1, cause=CAUSE)
    ledger.roll_back("brand", seen=2, cause=CAUSE)
    with pytest.raises(TransitionRefusedError):
        ledger.roll_back("brand", seen=3, cause=CAUSE)
    ledger.freeze("brand", seen=3, cause=replace(CAUSE, code="why"))
    ledger.deploy(replace(deployed, at="2026-11-28T11:00:00.000000Z"), by="pipeline")


def test_the_ledger_in_memory_is_the_ledger_on_a_table() -> None:
    table, memory = ledger_on(FakeDynamoDB()), MemoryLedger()
    for ledger in (table, memory):
        life(ledger)
    assert memory.revision() == table.revision() == 4
    assert memory.pointers() == table.pointers()
    assert memory.versions("brand") == table.versions("brand")
    assert memory.events("brand", 3) == table.events("brand", 3)
    assert memory.deployed() == table.deployed()
    assert memory.pointer("unit") is None


def test_a_transaction_in_memory_is_written_whole_or_not_at_all() -> None:
    ledger = MemoryLedger()
    good = Step(key=("a", "1"), attributes={"revision": 1})
    with pytest.raises(LedgerConflictError):
        ledger._write(good, Step(key=("a", "2"), attributes={"revision": 1}, believed=7))
    assert ledger._query("a") == []
    ledger._write(good, Step(key=("a", "2"), attributes={"revision": 2}))
    assert [item["revision"] for item in ledger._query("a", newest_first=True)] == [2, 1]
