"""After a rollback by itself, and what lies in a store: `prompt-hub repair` without a person."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs

import pytest

from prompt_hub.batch import other_runs
from prompt_hub.batch.objects import FolderObjects
from prompt_hub.batch.run_manifest import runs_of
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.repairing import (
    BAD_WORDS,
    REPAIR,
    RUINED,
    lines_of,
    local_manifests,
    output,
    take_back,
)
from tests.unit.batch.running import HEADER, ROWS, Model, Run
from tests.unit.building import RepositoryFolder

AFTER = ("repair", "part-class", "--version", "1.1.0", "--after-rollback")


def _ask_for_it(healthy: RepositoryFolder, more: str = "") -> None:
    metadata = "prompts/03-metadata/part-class.yaml"
    healthy.edit(metadata, "records:\n", f"records:\n  repair: after_rollback\n{more}")


def test_after_a_rollback_it_is_left_to_people_unless_the_task_asks_for_it(
    bad_run: bytes, model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take_back()
    asked = len(model.asked)
    assert main([*AFTER]) == ExitCode.OK
    assert "records.repair leaves this to people" in capsys.readouterr().err
    assert len(model.asked) == asked
    assert not list(tmp_path.glob("out-repaired*"))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What AWS is asked to do: messages to the topic, and events."""
    bodies: list[str] = []

    class Aws(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            bodies.append(body)
            sns = "Action=Publish" in body
            answer = (
                "<PublishResponse xmlns='http://sns.amazonaws.com/doc/2010-03-31/'><PublishResult>"
                "<MessageId>1</MessageId></PublishResult></PublishResponse>"
                if sns
                else '{"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}'
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: object) -> None:
            """Tests need no access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv(aws_names.ENV_TOPIC_ARN, "arn:aws:sns:eu-central-1:111122223333:topic")
    yield bodies
    server.shutdown()
    server.server_close()


def test_after_a_rollback_it_repairs_and_tells_the_stage(
    bad_run: bytes, healthy: RepositoryFolder, tmp_path: Path, told: list[str]
) -> None:
    take_back()
    _ask_for_it(healthy)
    # A row that is none is no failure, which the state machine would try again.
    assert main([*AFTER]) == ExitCode.OK
    assert len(lines_of(tmp_path / "out-repaired-1.0.0.jsonl")) == 4
    [event] = [body for body in told if "RecordsAnswered" in body]
    [old] = local_manifests(healthy, "1.1.0")
    assert old.run in event
    [message] = [parse_qs(body) for body in told if "Action=Publish" in body]
    assert message["Subject"] == ["prompt-hub: part-class: a run of 1.1.0 repaired"]
    assert "diodes come out as resistors" in message["Message"][0]
    assert str(tmp_path / "out-repaired-1.0.0.jsonl") in message["Message"][0]


def test_after_a_rollback_what_is_over_the_budget_is_told_and_not_tried_again(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, told: list[str]
) -> None:
    take_back()
    _ask_for_it(healthy, "  budget: {calls: 2}\n")
    asked = len(model.asked)
    assert main([*AFTER]) == ExitCode.OK
    [message] = [parse_qs(body) for body in told]
    assert message["Subject"] == ["prompt-hub: part-class: 1.1.0 not repaired"]
    assert "records.budget allows 2" in message["Message"][0]
    assert len(model.asked) == asked


def test_after_a_rollback_a_run_over_the_budget_keeps_no_other_from_being_repaired(
    bad_run: bytes, healthy: RepositoryFolder, tmp_path: Path, told: list[str]
) -> None:
    small = tmp_path / "small.jsonl"
    records = tmp_path / "small.csv"
    records.write_text(HEADER + ROWS[0], encoding="utf-8")
    assert main(["run", "part-class", str(records), str(small)]) == ExitCode.OK
    take_back()
    _ask_for_it(healthy, "  budget: {calls: 2}\n")
    assert main([*AFTER]) == ExitCode.OK
    [line] = lines_of(tmp_path / "small-repaired-1.0.0.jsonl")
    assert line["version"] == "1.0.0"
    assert not (tmp_path / "out-repaired-1.0.0.jsonl").exists()
    messages = [parse_qs(body) for body in told if "Action=Publish" in body]
    assert [message["Subject"] for message in messages] == [
        ["prompt-hub: part-class: a run of 1.1.0 repaired"],
        ["prompt-hub: part-class: 1.1.0 not repaired"],
    ]
    assert "records.budget allows 2" in messages[1]["Message"][0]


def test_after_a_rollback_an_output_that_was_changed_since_is_told(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, told: list[str]
) -> None:
    take_back()
    _ask_for_it(healthy)
    output().write_bytes(bad_run + b"\n")
    asked = len(model.asked)
    assert main([*AFTER]) == ExitCode.OK
    [message] = [parse_qs(body) for body in told]
    assert message["Subject"] == ["prompt-hub: part-class: 1.1.0 not repaired"]
    assert "it was changed since" in message["Message"][0]
    assert len(model.asked) == asked


def test_after_a_rollback_what_is_left_out_is_told_once_however_long_an_outage_lasts(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, tmp_path: Path, told: list[str]
) -> None:
    other = tmp_path / "other.jsonl"
    code = main(["run", "part-class", str(tmp_path / "parts.csv"), str(other)])
    assert code == ExitCode.BLOCKED
    take_back()
    _ask_for_it(healthy)
    output().write_bytes(bad_run + b"\n")
    model.answers = len(model.asked)
    for _ in range(2):
        assert main([*AFTER]) == ExitCode.NOT_MEASURED
        assert told == []
    model.answers = 10**9
    assert main([*AFTER]) == ExitCode.OK
    messages = [parse_qs(body) for body in told if "Action=Publish" in body]
    assert [message["Subject"] for message in messages] == [
        ["prompt-hub: part-class: a run of 1.1.0 repaired"],
        ["prompt-hub: part-class: 1.1.0 not repaired"],
    ]
    assert "it was changed since" in messages[1]["Message"][0]


def test_after_a_rollback_an_outage_is_tried_again(
    bad_run: bytes, model: Model, healthy: RepositoryFolder, told: list[str]
) -> None:
    take_back()
    _ask_for_it(healthy)
    model.answers = len(model.asked)
    assert main([*AFTER]) == ExitCode.NOT_MEASURED
    assert told == []


def test_after_a_rollback_the_log_has_nothing_of_records_and_no_words_of_a_provider(
    bad_run: bytes,
    model: Model,
    healthy: RepositoryFolder,
    told: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    take_back()
    _ask_for_it(healthy)
    model.answers = len(model.asked)
    capsys.readouterr()
    assert main([*AFTER]) == ExitCode.NOT_MEASURED
    said = capsys.readouterr().err
    assert "gave no answer: HTTP 401." in said
    assert "out of order" not in said
    model.answers = 10**9
    assert main([*AFTER]) == ExitCode.OK
    done = capsys.readouterr()
    assert "what changed: " in done.err
    assert "where the header has" not in said + done.err
    assert done.out == ""


def test_after_a_rollback_a_repair_that_could_not_be_announced_is_by_the_next_try(
    bad_run: bytes,
    model: Model,
    healthy: RepositoryFolder,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take_back()
    _ask_for_it(healthy)
    with monkeypatch.context() as outage:
        outage.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        outage.setenv("AWS_MAX_ATTEMPTS", "1")
        assert main([*AFTER]) == ExitCode.NOT_MEASURED
    asked = len(model.asked)
    assert main([*AFTER]) == ExitCode.OK
    [event] = [body for body in told if "RecordsAnswered" in body]
    [old] = local_manifests(healthy, "1.1.0")
    assert old.run in event
    assert len([body for body in told if "Action=Publish" in body]) == 1
    told.clear()
    assert main([*AFTER]) == ExitCode.OK
    assert (told, len(model.asked)) == ([], asked)


def _drop_and_run(store: Path, rows: tuple[str, ...]) -> None:
    key = f"{aws_names.INCOMING}part-class/parts.csv"
    (store / key).parent.mkdir(parents=True)
    (store / key).write_text(HEADER + "".join(rows), encoding="utf-8")
    of_run = ("--task", "part-class", "--run", "r", "--store", str(store))
    plan = ("--shard-records", "2", "--run", "r", "--store", str(store))
    assert main(["records", "plan", "--key", key, *plan]) == ExitCode.OK
    for shard in ("0", "1"):
        assert main(["records", "answer", *of_run, "--shard", shard]) == ExitCode.OK
    assert main(["records", "merge", *of_run]) == ExitCode.OK


def test_a_run_in_a_store_is_repaired_in_the_store(
    run: Run,
    model: Model,
    healthy: RepositoryFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The run before it counts as another that still asks, which would be waited for.
    monkeypatch.setattr(other_runs, "SLOT_SECONDS", 0.05)
    healthy.edit(
        "prompts/03-metadata/part-class.yaml", "records:\n", "records:\n  formats: [jsonl, csv]\n"
    )
    store = tmp_path / "store"
    model.misled_by = BAD_WORDS
    _drop_and_run(store, RUINED)
    take_back()
    # An outage in the middle: what is answered is stored there, and goes on from anywhere.
    model.answers = len(model.asked) + 1
    command = [*REPAIR, "--store", str(store), "--yes", "--concurrency", "1"]
    assert main(command) == ExitCode.NOT_MEASURED
    model.answers = 10**9
    shutil.rmtree(healthy.root / ".prompt-hub" / "repairs")
    asked = len(model.asked)
    assert main(command) == ExitCode.BLOCKED
    assert len(model.asked) == asked + 2
    [manifest] = runs_of(FolderObjects(store), "part-class", "1.0.0")
    folder = store / f"runs/part-class/{manifest.run}"
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        *("output.jsonl", "output.csv", "manifest.json", "changes.jsonl"),
        *("changes.html", "changes.md", "changes.json"),
    }
    assert [output.format for output in manifest.outputs] == ["jsonl", "csv"]
    old = lines_of(store / "runs/part-class/r/output.jsonl")
    assert [line["version"] for line in old] == ["1.1.0"] * 4
    new = lines_of(folder / "output.jsonl")
    assert cast(JsonObject, new[0]["output"]) == {"part_class": "diode"}
    assert not (healthy.root / ".prompt-hub" / "repairs" / manifest.run).exists()


def test_an_output_that_was_stored_without_an_answer_is_the_repairs_own(
    run: Run, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other_runs, "SLOT_SECONDS", 0.05)
    store = tmp_path / "store"
    model.misled_by = BAD_WORDS
    _drop_and_run(store, RUINED)
    take_back()
    create = FolderObjects.create

    def lose_the_answer(objects: FolderObjects, key: str, path: Path) -> bool:
        # Who asks once more hears that it is there.
        return create(objects, key, path) and not key.endswith("/output.jsonl")

    monkeypatch.setattr(FolderObjects, "create", lose_the_answer)
    assert main([*REPAIR, "--store", str(store), "--yes"]) == ExitCode.BLOCKED  # a row that is none
    [manifest] = runs_of(FolderObjects(store), "part-class", "1.0.0")
    assert manifest.repair_of is not None
    assert manifest.records == 4
