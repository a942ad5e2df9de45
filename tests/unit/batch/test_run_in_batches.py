"""`prompt-hub run --backend batch`, against a server that keeps the contract of batches."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.batch.runner import Runner
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation import batch_provider
from prompt_hub.evaluation.batch_journal import BatchJournal
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.running import HEADER, Lines, Run
from tests.unit.building import RepositoryFolder
from tests.unit.command_process import start_command
from tests.unit.llm.batch_server import TOKENS, BatchServer, batch_server

IN_BATCHES = ("--backend", "batch")
RECORDS = 30


def row(number: int) -> str:
    kind = "Schottky diode" if number % 3 else "Thick film resistor"
    return f"P{number},{kind} number {number},,1\n"


ROWS = [row(number) for number in range(1, RECORDS + 1)]


def part_class(question: str) -> str:
    return json.dumps({"part_class": "diode" if "Schottky diode" in question else "resistor"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    """A provider of batches that `PROMPT_HUB_MODELS` names."""
    monkeypatch.setattr(batch_provider, "FIRST_PAUSE", 0.002)
    with batch_server(answer=part_class) as provider:
        monkeypatch.setenv(aws_names.ENV_MODELS, provider.models())
        yield provider


def without_price(lines: Lines) -> Lines:
    """Leave out what a batch costs otherwise."""
    for line in lines:
        usage = cast(JsonObject, line["usage"])
        assert usage.pop("usd") is not None
    return lines


def test_the_output_is_that_of_calls_but_for_their_price(
    run: Run, server: BatchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = run(*ROWS, options=IN_BATCHES)
    assert code == ExitCode.OK
    assert (len(server.batches), sum(server.live.values())) == (1, 0)
    assert [line["record"] for line in lines] == [*range(1, RECORDS + 1)]
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text("utf-8"))
    half = RECORDS * (TOKENS[0] + 2 * TOKENS[1]) / 1e6 / 2
    assert manifest["spent"]["usd"] == pytest.approx(half)
    assert manifest["forecast"]["seconds"] is None
    in_batches = capsys.readouterr().err
    assert without_price(run(*ROWS)[1]) == without_price(lines)
    assert sum(server.live.values()) == RECORDS
    live = capsys.readouterr().err
    prices = [float(text.partition(" US dollars")[0].split()[-1]) for text in (in_batches, live)]
    assert prices[0] == pytest.approx(prices[1] / 2, rel=0.01)
    assert {path.name for path in tmp_path.iterdir()} >= {"out.jsonl", "parts.csv"}
    assert not (tmp_path / "out.jsonl.batches").exists()


def test_records_that_are_alike_are_asked_each(run: Run, server: BatchServer) -> None:
    code, lines = run(*[row(1)] * 12, options=IN_BATCHES)
    assert (code, len(lines)) == (ExitCode.OK, 12)
    assert (len(server.batches), [*server.paid.values()]) == (1, [12])


def test_a_file_without_records_has_an_empty_output(run: Run, server: BatchServer) -> None:
    assert run(options=IN_BATCHES) == (ExitCode.OK, [])
    assert run(",no part number,,\n", options=IN_BATCHES)[0] == ExitCode.BLOCKED
    assert not server.batches


def test_few_records_go_live(run: Run, server: BatchServer) -> None:
    code, lines = run(*ROWS[:9], options=IN_BATCHES)
    assert (code, len(lines), len(server.batches)) == (ExitCode.OK, 9, 0)


def test_what_is_no_record_and_what_is_over_the_limit_is_not_asked(
    run: Run, server: BatchServer
) -> None:
    rows = [",,,\n", ",no part number,,\n", *ROWS]
    code, lines = run(*rows, options=(*IN_BATCHES, "--limit", "13"))
    assert code == ExitCode.BLOCKED
    assert [line["record"] for line in lines] == [*range(2, 15)]
    assert lines[0]["error"] == "line 3: part_number is empty"
    assert sum(server.paid.values()) == 12
    assert run(*rows, options=IN_BATCHES)[1][:13] == lines


@pytest.mark.parametrize("ending", ["completed", "expired"])
def test_what_a_batch_leaves_open_is_asked_again(
    run: Run, server: BatchServer, ending: str
) -> None:
    if ending == "expired":
        server.endings = ["expired"]
    else:
        server.faults = lambda question, batch: "rate" if "number 7" in question else ""
    code, lines = run(*ROWS, options=IN_BATCHES)
    assert (code, len(lines)) == (ExitCode.OK, RECORDS)
    assert set(server.paid.values()) == {1}
    live = sum(server.live.values())
    assert (len(server.batches), live) == ((2, 0) if ending == "expired" else (1, 1))


def test_a_record_that_the_provider_refuses_gets_a_line_and_the_others_their_answers(
    run: Run, server: BatchServer
) -> None:
    server.faults = lambda question, batch: "filtered" if "number 7" in question else ""
    code, lines = run(*ROWS, options=IN_BATCHES)
    assert code == ExitCode.BLOCKED
    assert [line["record"] for line in lines if line["error"]] == [7]


def test_every_record_that_no_request_is_taken_of_has_its_line_after_one_run(
    run: Run, server: BatchServer
) -> None:
    words = "much too long"
    server.faults = lambda question, batch: "refused" if words in question else ""
    server.too_long = words
    rows = [*ROWS, *(f"L{number},{words},,1\n" for number in range(8))]
    code, lines = run(*rows, options=(*IN_BATCHES, "--concurrency", "1"))
    assert code == ExitCode.BLOCKED
    assert [line["record"] for line in lines if line["error"]] == [*range(31, 39)]
    assert (len(server.batches), sum(server.live.values())) == (1, 0)


def test_a_record_without_an_answer_stays_open_as_an_example_may_be_stored(
    run: Run, server: BatchServer
) -> None:
    server.faults = lambda question, batch: "rate" if "number 7" in question else ""
    server.too_long, server.refusal = "number 7", 401
    assert run(*ROWS, options=IN_BATCHES) == (ExitCode.NOT_MEASURED, [])
    server.too_long = ""
    assert run(*ROWS, options=IN_BATCHES)[0] == ExitCode.OK


def test_a_batch_that_fails_costs_nothing_and_the_same_command_asks_anew(
    run: Run, server: BatchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.endings = ["failed"]
    code, lines = run(*ROWS, options=IN_BATCHES)
    assert (code, lines) == (ExitCode.NOT_MEASURED, [])
    assert "batch_1 failed: The model m-1 has no batches" in capsys.readouterr().out
    assert not server.paid
    # Calls by themselves do not know what was paid for in batches.
    assert run(*ROWS)[0] == ExitCode.USAGE
    assert "Go on with --backend batch, or delete that folder" in capsys.readouterr().err
    assert len(run(*ROWS, options=IN_BATCHES)[1]) == RECORDS
    assert set(server.paid.values()) == {1}


def test_a_run_that_follows_what_is_active_is_not_asked_in_batches(
    run: Run,
    server: BatchServer,
    healthy: RepositoryFolder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = healthy.root / "prompts/03-metadata/part-class.yaml"
    text = path.read_text(encoding="utf-8")
    assert "\nrecords:\n" in text
    path.write_text(text.replace("\nrecords:\n", "\nrecords:\n  versions: follow\n"), "utf-8")
    assert run(*ROWS, options=IN_BATCHES)[0] == ExitCode.USAGE
    assert "a batch is asked of one version" in capsys.readouterr().err
    assert not server.batches


@pytest.mark.parametrize("other", [("--service", "http://127.0.0.1:9"), ("--stage", "dev")])
def test_others_do_not_ask_in_batches(
    run: Run, server: BatchServer, other: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*ROWS, options=(*IN_BATCHES, *other))[0] == ExitCode.USAGE
    assert "--backend batch" in capsys.readouterr().err


# --- killed ------------------------------------------------------------------------------------


def start(folder: RepositoryFolder, server: BatchServer, tmp_path: Path) -> subprocess.Popen[bytes]:
    records, output = tmp_path / "parts.csv", tmp_path / "out.jsonl"
    records.write_text(HEADER + "".join(ROWS), encoding="utf-8")
    command = ["run", "part-class", str(records), str(output), *IN_BATCHES]
    return start_command(command, root=folder.root, models=server.models(), folder=tmp_path)


@pytest.mark.processes
@pytest.mark.parametrize("where", ["waiting", "submitting", "reading"])
def test_a_run_that_is_killed_pays_for_nothing_twice(
    healthy: RepositoryFolder,
    server: BatchServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    held = {
        "waiting": server.released,
        "submitting": server.answer_creations,
        "reading": server.send_whole_files,
    }[where]
    held.clear()
    first = start(healthy, server, tmp_path)
    if where == "waiting":
        deadline = time.monotonic() + 30
        while sum(server.polls.values()) < 2:
            assert time.monotonic() < deadline, "nobody waits for a batch"
            time.sleep(0.005)
    else:
        reached: threading.Event = server.creating if where == "submitting" else server.reading
        assert reached.wait(30), "the run did not get so far"
    first.kill()
    first.communicate(timeout=30)
    assert first.returncode == -signal.SIGKILL
    held.set()
    second = start(healthy, server, tmp_path)
    _, told = second.communicate(timeout=60)
    assert second.returncode == 0, told.decode()
    (waits,) = [line for line in told.decode().splitlines() if "of an earlier run" in line]
    assert f"do without them, delete {tmp_path / 'out.jsonl.batches'}" in waits
    lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["record"] for line in lines] == [*range(1, RECORDS + 1)]
    assert (len(server.batches), server.asked["POST /batches"]) == (1, 1)
    assert (set(server.paid.values()), sum(server.live.values())) == ({1}, 0)
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text("utf-8"))
    assert (manifest["spent"]["calls"], manifest["spent"]["seconds"]) == (RECORDS, None)


@pytest.mark.processes
def test_who_changed_the_input_may_do_without_the_batches_of_the_old_one(
    healthy: RepositoryFolder,
    run: Run,
    server: BatchServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    server.released.clear()
    first = start(healthy, server, tmp_path)
    deadline = time.monotonic() + 30
    while sum(server.polls.values()) < 2:
        assert time.monotonic() < deadline, "nobody waits for a batch"
        time.sleep(0.005)
    first.kill()
    first.communicate(timeout=30)
    (journal,) = (tmp_path / "out.jsonl.batches").rglob("*.batches.jsonl")
    journal.unlink()
    server.released.set()
    before = server.polls["batch_1"]
    others = [row(number) for number in range(101, 131)]
    code, lines = run(*others, options=IN_BATCHES)
    assert (code, len(lines)) == (ExitCode.OK, RECORDS)
    assert (len(server.batches), server.polls["batch_1"]) == (2, before)
    assert not (tmp_path / "out.jsonl.batches").exists()


def test_a_run_of_the_first_records_keeps_what_a_killed_one_paid_for(
    run: Run, server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*told: object) -> None:
        raise PromptHubError("killed before the first line")

    with monkeypatch.context() as killed:
        killed.setattr(Runner, "run", die)
        assert run(*ROWS, options=IN_BATCHES) == (ExitCode.USAGE, [])
    code, lines = run(*ROWS, options=(*IN_BATCHES, "--limit", "13"))
    assert (code, len(lines)) == (ExitCode.OK, 13)
    assert (tmp_path / "out.jsonl.batches").is_dir()
    code, lines = run(*ROWS, options=(*IN_BATCHES, "--limit", str(RECORDS + 1)))
    assert (code, len(lines)) == (ExitCode.OK, RECORDS)
    assert (len(server.batches), set(server.paid.values())) == (1, {1})
    assert sum(server.live.values()) == 0
    assert not (tmp_path / "out.jsonl.batches").exists()


def ask_another_version(output: Path, name: str, *, open_batches: int) -> Path:
    """Leave what a killed run of another version leaves: two batches, so many of them open."""
    cache_file = output.with_name("out.jsonl.batches") / "part-class" / f"{name}.jsonl"
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    cache_file.write_text('{"schema": "prompt-hub/responses@1"}\n', encoding="utf-8")
    journal = BatchJournal(cache_file)
    for number in range(2):
        batch = journal.started(journal.starting(f"{name}-{number}", 10), f"batch_{name}_{number}")
        if number >= open_batches:
            journal.over(batch)
    journal.close()
    return cache_file


def test_what_another_version_was_asked_does_not_stay_behind_a_run_that_is_done(
    run: Run, server: BatchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask_another_version(tmp_path / "out.jsonl", "done", open_batches=0)
    code, lines = run(*ROWS, options=IN_BATCHES)
    assert (code, len(lines)) == (ExitCode.OK, RECORDS)
    assert not (tmp_path / "out.jsonl.batches").exists()
    assert "another version" not in capsys.readouterr().err


def test_a_batch_of_another_version_that_is_open_is_told_when_the_run_is_done(
    run: Run, server: BatchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask_another_version(tmp_path / "out.jsonl", "done", open_batches=0)
    kept = ask_another_version(tmp_path / "out.jsonl", "open", open_batches=1)
    assert run(*ROWS, options=IN_BATCHES)[0] == ExitCode.OK
    told = capsys.readouterr().err
    assert "may still be under way: batch_open_0. Cancel them at the provider" in told
    left = {path for path in (tmp_path / "out.jsonl.batches").rglob("*") if path.is_file()}
    assert left == {kept, kept.with_suffix(".batches.jsonl")}
