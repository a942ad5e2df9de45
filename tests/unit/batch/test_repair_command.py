"""`prompt-hub repair` from end to end: a run, a version that is taken back, its records again."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest

from prompt_hub.batch.local_run import local_runs
from prompt_hub.batch.mapping import RecordError
from prompt_hub.batch.output_summary import describe
from prompt_hub.batch.readers import Record
from prompt_hub.batch.repair import LineReader
from prompt_hub.batch.run_manifest import RunManifest, write_manifest
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.ledger import stage_session
from prompt_hub.ledger.items import VersionRef
from prompt_hub.ledger.table import Ledger
from prompt_hub.release import ecs_task
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.repairing import (
    BAD_WORDS,
    BY_ADA,
    REPAIR,
    lines_of,
    local_manifests,
    output,
    take_back,
)
from tests.unit.batch.running import ROWS, Model, Run
from tests.unit.batch.servers import serving
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.causes import RELEASE, cause
from tests.unit.ledger.fake_dynamodb import FakeLedger


def test_a_run_is_made_again_with_the_version_that_was_restored(
    bad_run: bytes,
    model: Model,
    healthy: RepositoryFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    take_back()
    asked = len(model.asked)
    capsys.readouterr()
    # The row that no model was asked about has an error still.
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    assert len(model.asked) == asked + 3
    assert output().read_bytes() == bad_run
    lines = lines_of(tmp_path / "out-repaired-1.0.0.jsonl")
    assert [line["record"] for line in lines] == [1, 2, 3, 4]
    assert {line["version"] for line in lines} == {"1.0.0"}
    assert lines[0]["output"] == {"part_class": "diode"}
    assert (lines[1]["error"], lines[1]["input"]) == (
        "line 3: 2 cells, where the header has 4",
        {"MPN": "too", "Description": "short"},
    )
    assert lines_of(tmp_path / "out-repaired-1.0.0.changes.jsonl") == [
        {"record": 1, "field": "part_class", "before": "resistor", "after": "diode"}
    ]
    said = capsys.readouterr()
    assert "part-class 1.0.0" in said.err
    assert "4 of 4 records by 1.1.0, about 3 calls" in said.err
    assert "1 of 4 records made again came out otherwise" in said.out
    page = (tmp_path / "out-repaired-1.0.0.changes.html").read_text("utf-8")
    assert "diodes come out as resistors" in page
    summary = json.loads((tmp_path / "out-repaired-1.0.0.changes.json").read_text("utf-8"))
    assert (summary["made_again"], summary["changed"]) == (4, 1)


def test_the_manifest_says_what_was_repaired_and_what_only_that_has_cost(
    bad_run: bytes, healthy: RepositoryFolder, tmp_path: Path
) -> None:
    take_back()
    main([*REPAIR, "--yes"])
    [old], [new] = local_manifests(healthy, "1.1.0"), local_manifests(healthy, "1.0.0")
    assert new.repair_of is not None
    assert (new.repair_of.run, new.repair_of.version) == (old.run, "1.1.0")
    assert new.repair_of.reason == "1.1.0 is downgraded: diodes come out as resistors"
    assert (new.records, new.answered, new.failed) == (4, 3, 1)
    assert (new.spent.calls, new.spent.input_tokens, new.spent.output_tokens) == (3, 30, 15)
    assert (new.source.uri, new.source.sha256) == (old.outputs[0].uri, old.outputs[0].sha256)
    beside = (tmp_path / "out-repaired-1.0.0.jsonl.manifest.json").read_text("utf-8")
    assert RunManifest.model_validate_json(beside) == new
    expected = new.forecast
    assert expected is not None
    assert expected.calls == 3
    # 1.0.0 says less than 1.1.0 did to the same records.
    assert 0.8 * 30 < expected.input_tokens < 30
    assert expected.output_tokens == 15


def test_where_the_lines_say_what_they_took_no_evaluation_is_read(
    bad_run: bytes, healthy: RepositoryFolder
) -> None:
    """After a rollback that would be all examples of the task, for each run of it."""
    take_back()
    healthy.write("prompts/04-evals/part-class/1.0.0.json", "{")
    main([*REPAIR, "--yes"])
    [new] = local_manifests(healthy, "1.0.0")
    assert new.forecast is not None
    assert new.forecast.output_tokens == 15


def test_what_is_repaired_is_not_repaired_again(
    bad_run: bytes, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    main([*REPAIR, "--yes"])
    asked = len(model.asked)
    assert main([*REPAIR, "--yes"]) == ExitCode.OK
    assert "no other run" in capsys.readouterr().err
    assert len(model.asked) == asked
    assert sorted(path.name for path in tmp_path.glob("out-repaired*.jsonl")) == [
        "out-repaired-1.0.0.changes.jsonl",
        "out-repaired-1.0.0.jsonl",
    ]


def test_one_run_is_named_by_how_it_begins(
    bad_run: bytes, healthy: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    [old] = local_manifests(healthy, "1.1.0")
    assert main([*REPAIR, "--run", "none-of-them", "--yes"]) == ExitCode.USAGE
    assert f"known: {old.run[:12]}" in capsys.readouterr().err
    assert main([*REPAIR, "--run", old.run[:9], "--yes"]) == ExitCode.BLOCKED
    assert main([*REPAIR, "--run", old.run[:9], "--yes"]) == ExitCode.OK
    assert "was repaired already" in capsys.readouterr().err


def test_nothing_is_ever_written_over(bad_run: bytes, tmp_path: Path) -> None:
    take_back()
    (tmp_path / "out-repaired-1.0.0.jsonl").write_text("mine\n")
    (tmp_path / "out-repaired-1.0.0-2.changes.html").write_text("mine\n")
    main([*REPAIR, "--yes"])
    assert (tmp_path / "out-repaired-1.0.0.jsonl").read_text() == "mine\n"
    assert (tmp_path / "out-repaired-1.0.0-2.changes.html").read_text() == "mine\n"
    assert len(lines_of(tmp_path / "out-repaired-1.0.0-3.jsonl")) == 4


def test_a_version_that_is_still_active_is_not_repaired(
    bad_run: bytes, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = len(model.asked)
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    told = capsys.readouterr().err
    assert "part-class 1.1.0 itself is still released" in told
    assert "`git pull` once promotion has written so" in told
    assert len(model.asked) == asked


def test_a_dry_run_asks_nothing_and_nobody(
    bad_run: bytes, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    asked = len(model.asked)
    capsys.readouterr()
    assert main([*REPAIR, "--dry-run", "--json"]) == ExitCode.OK
    said = capsys.readouterr()
    assert "4 of 4 records by 1.1.0, about 3 calls" in said.err
    assert " UTC, /" in said.err, "a person is asked by these words"
    assert json.loads(said.out) == []
    assert len(model.asked) == asked
    assert not list(tmp_path.glob("out-repaired*"))


def test_without_a_person_to_ask_it_needs_a_yes(
    bad_run: bytes, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    asked = len(model.asked)
    assert main([*REPAIR]) == ExitCode.USAGE
    assert "Give --yes." in capsys.readouterr().err
    assert len(model.asked) == asked


@pytest.mark.parametrize(
    ("answer", "made"), [("y\n", True), ("n\n", False), ("\n", False), ("\x04", False)]
)
def test_a_person_is_asked(
    bad_run: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    made: bool,
) -> None:
    take_back()
    capsys.readouterr()
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        code = main([*REPAIR, "--json"])
    os.close(ours)
    assert code == (ExitCode.BLOCKED if made else ExitCode.OK)
    said = capsys.readouterr()
    assert said.err.endswith("again? [y/N] ") is not made
    assert len(json.loads(said.out)) == made
    assert (tmp_path / "out-repaired-1.0.0.jsonl").exists() is made


def test_a_repair_over_the_budget_is_refused_before_the_first_call(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    healthy.edit(
        "prompts/03-metadata/part-class.yaml", "records:\n", "records:\n  budget: {calls: 2}\n"
    )
    asked = len(model.asked)
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    assert "would take about 3 calls, and records.budget allows 2" in capsys.readouterr().err
    assert len(model.asked) == asked


def test_an_outage_writes_nothing_and_the_same_command_asks_only_for_the_rest(
    bad_run: bytes, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    model.answers = len(model.asked) + 1
    command = [*REPAIR, "--yes", "--concurrency", "1"]
    assert main(command) == ExitCode.NOT_MEASURED
    assert "run the same command again" in capsys.readouterr().err
    assert not list(tmp_path.glob("out-repaired*"))
    # Who is asked to agree is told what is still to be paid.
    assert main([*REPAIR, "--dry-run"]) == ExitCode.OK
    left = "4 of 4 records by 1.1.0, 1 call made before, about 2 calls, "
    assert left in capsys.readouterr().err
    model.answers = 10**9
    before = len(model.asked)
    assert main(command) == ExitCode.BLOCKED
    assert len(model.asked) == before + 2
    assert len(lines_of(tmp_path / "out-repaired-1.0.0.jsonl")) == 4


def test_an_output_that_was_changed_since_is_left_out_and_said(
    bad_run: bytes, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    output().write_bytes(bad_run.replace(b"resistor", b"capacitor"))
    asked = len(model.asked)
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    assert "it was changed since" in capsys.readouterr().err
    output().unlink()
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    assert "is not there any more" in capsys.readouterr().err
    assert len(model.asked) == asked


def test_an_answer_that_broke_the_contract_is_asked_again(
    run: Run, model: Model, tmp_path: Path
) -> None:
    model.nonsense_about = "2N7002"
    run(*ROWS)
    take_back()
    model.nonsense_about = ""
    assert main([*REPAIR, "--yes"]) == ExitCode.OK
    changes = lines_of(tmp_path / "out-repaired-1.0.0.changes.jsonl")
    assert [(change["record"], change["field"]) for change in changes] == [
        (2, None),
        (2, "part_class"),
    ]
    assert "after" not in changes[0]
    assert changes[1] == {"record": 2, "field": "part_class", "after": "transistor"}


def test_a_repair_is_repaired_itself(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, tmp_path: Path
) -> None:
    take_back()
    main([*REPAIR, "--yes"])
    restore = ["promote", "downgrade", "part-class", "--to", "1.1.0", "--override", *BY_ADA]
    assert main(restore) == ExitCode.OK
    model.misled_by = ""
    assert main(["repair", "part-class", "--version", "1.0.0", "--yes"]) == ExitCode.BLOCKED
    lines = lines_of(tmp_path / "out-repaired-1.1.0.jsonl")
    assert {line["version"] for line in lines} == {"1.1.0"}
    assert [each.repair_of is not None for each in local_manifests(healthy, "1.1.0")] == [
        False,
        True,
    ]


def test_what_other_versions_answered_stays_byte_for_byte(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, tmp_path: Path
) -> None:
    # A run that followed what is active has lines of both versions.
    take_back()
    raw = bad_run.splitlines(keepends=True)
    raw[2] = raw[2].replace(b'"1.1.0"', b'"1.0.0"')
    _rewrite(healthy, b"".join(raw))
    asked = len(model.asked)
    main([*REPAIR, "--yes"])
    assert len(model.asked) == asked + 2
    corrected = (tmp_path / "out-repaired-1.0.0.jsonl").read_bytes().splitlines(keepends=True)
    assert corrected[2] == raw[2]
    assert corrected[0] != raw[0]


def test_a_field_that_the_restored_version_does_not_take_is_left_out(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, tmp_path: Path
) -> None:
    take_back()
    _rewrite(healthy, bad_run.replace(b'"input":{', b'"input":{"package":"SOT-23",'))
    asked = len(model.asked)
    assert main([*REPAIR, "--yes"]) == ExitCode.BLOCKED
    assert len(model.asked) == asked + 3
    first = lines_of(tmp_path / "out-repaired-1.0.0.jsonl")[0]
    assert first["output"] == {"part_class": "diode"}
    assert cast(JsonObject, first["input"]).keys() == {"part_number", "title", "manufacturer"}


def test_a_record_of_which_the_restored_version_takes_nothing_has_an_error() -> None:
    """As in a run: a model that is asked about nothing answers something."""
    reader = LineReader({"type": "object", "properties": {"title": {"type": "string"}}})
    with pytest.raises(RecordError, match="none of its fields has a value"):
        reader.fields(Record(1, 2, ("package",), ("SOT-23",)))


def _rewrite(healthy: RepositoryFolder, content: bytes) -> None:
    """Make a file that a run is said to have written."""
    output().write_bytes(content)
    [manifest] = local_manifests(healthy, "1.1.0")
    form = describe(output(), str(output()), "jsonl")
    write_manifest(local_runs(healthy.root), manifest.model_copy(update={"outputs": (form,)}))


@pytest.mark.processes
def test_a_killed_repair_goes_on_where_it_was(run: Run, model: Model, tmp_path: Path) -> None:
    rows = [f"PART-{number},Schottky diode 30 V 200 mA SOT-23,,\n" for number in range(30)]
    model.misled_by = BAD_WORDS
    run(*rows)
    take_back()
    model.seconds = 0.05
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", "prompt_hub.cli", *REPAIR, "--yes", "--concurrency", "2"]
    environment = {**os.environ, "PYTHONPATH": str(root / "pipeline_image")}
    before = len(model.asked)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as killed:
        while len(model.asked) < before + 6:
            assert killed.poll() is None
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    assert not list(tmp_path.glob("out-repaired*"))
    model.seconds = 0.0
    assert main([*REPAIR, "--yes"]) == ExitCode.OK
    lines = lines_of(tmp_path / "out-repaired-1.0.0.jsonl")
    assert [line["record"] for line in lines] == [*range(1, 31)]
    assert {json.dumps(line["output"]) for line in lines} == {'{"part_class": "diode"}'}
    # Those in flight when it died are all that is asked twice.
    assert len(model.asked) - before <= 30 + 2


def _with_the_bad_version(healthy: RepositoryFolder) -> FakeLedger:
    """A stage in which 1.1.0 is active, and 1.0.0 its way back."""
    ledger = FakeLedger()
    old, new = (_reference(healthy, version) for version in ("1.0.0", "1.1.0"))
    ledger.seed("part-class", new, previous=old, release=RELEASE, cause=cause())
    return ledger


def _roll_back(ledger: FakeLedger) -> None:
    pointer = ledger.pointer("part-class")
    assert pointer is not None
    ledger.roll_back("part-class", seen=pointer.revision, cause=cause())


def test_the_rollback_of_a_stage_decides_which_version_answers(
    bad_run: bytes,
    healthy: RepositoryFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ledger = _with_the_bad_version(healthy)

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        asked = cast(dict[str, Any], sent)
        del asked["TableName"]
        if "Key" in asked:
            return 200, ledger.table.get_item(TableName="", **asked)
        return 200, ledger.table.query(**asked)

    with serving(respond) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        store = local_runs(healthy.root).address
        command = [*REPAIR, "--stage", "dev", "--store", store, "--yes"]
        assert main(command) == ExitCode.BLOCKED
        assert "1.1.0 itself is still active in the ledger" in capsys.readouterr().err
        _roll_back(ledger)
        main(command)
    lines = lines_of(tmp_path / "out-repaired-1.0.0.jsonl")
    assert {line["version"] for line in lines} == {"1.0.0"}
    [manifest] = local_manifests(healthy, "1.0.0")
    assert manifest.stage == "dev"
    assert manifest.repair_of is not None
    assert manifest.repair_of.reason == "1.1.0 is quarantined: test"


def test_where_this_machine_names_no_model_those_of_the_stage_answer(
    bad_run: bytes,
    model: Model,
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever is on call has a clone, the command of the message, and no settings of models."""
    ledger = _with_the_bad_version(healthy)
    _roll_back(ledger)
    monkeypatch.setattr(Ledger, "connect", lambda table, **_: ledger)
    there = {aws_names.ENV_MODELS: os.environ[aws_names.ENV_MODELS]}
    monkeypatch.delenv(aws_names.ENV_MODELS)
    monkeypatch.setattr(stage_session, "ecs_of", lambda stage: f"ECS of {stage}")
    running = {("ECS of dev", "dev"): there}
    monkeypatch.setattr(ecs_task, "running_environment", lambda ecs, stage: running[ecs, stage])
    asked = len(model.asked)
    store = local_runs(healthy.root).address
    # The row that no model was asked about has an error still.
    assert main([*REPAIR, "--stage", "dev", "--store", store, "--yes"]) == ExitCode.BLOCKED
    assert len(model.asked) == asked + 3
    assert "asks openai:small\n" in capsys.readouterr().err


def _reference(healthy: RepositoryFolder, version: str) -> VersionRef:
    prompt = healthy.repository.version("part-class", version)
    assert prompt is not None
    return VersionRef(version=version, sha256=prompt.sha256)
