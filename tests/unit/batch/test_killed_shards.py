"""Processes that answer a shard die, are stopped, and wait: every record once, in its order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.batch import patience
from prompt_hub.batch.objects import FolderObjects
from prompt_hub.batch.segments import Segments
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.running import HEADER, Model
from tests.unit.batch.servers import serving
from tests.unit.batch.stores import Records, drop, in_one_process, of_run, records_command

AT_ONCE = 2
ROWS = [f"PART-{number},Schottky diode 30 V 200 mA SOT-23,,\n" for number in range(60)]


class Faulty(Model):
    """A model that refuses its key for some requests, as in an outage."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.takes = 0.0
        """Seconds of an answer, after the question was taken note of."""
        self.down: range = range(0)
        self.too_long = "no such part"
        self.never = "no such part"
        """About which nothing comes but an error of the provider's."""

    def respond(self, path: str, sent: JsonObject) -> tuple[int, object]:
        self.requests += 1
        if self.requests in self.down:
            return 401, {"error": {"message": "no such key"}}
        messages = cast(list[dict[str, str]], sent["messages"])
        if self.never in messages[-1]["content"]:
            return 500, {"error": {"message": "it thought for too long"}}
        if self.too_long in messages[-1]["content"]:
            return 400, {"error": {"message": "too long"}}
        answer = super().respond(path, sent)
        time.sleep(self.takes)
        return answer


@pytest.fixture
def model(no_long_retries: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """Such a model, asked by two calls at once, and again soon after an outage has begun."""
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.01)
    endpoint = Faulty()
    with serving(endpoint.respond) as url:
        alias = {"provider": "openai", "model": "small", "base_url": f"{url}/v1"}
        entry = {**alias, "concurrency": AT_ONCE}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps({"catalogue-pinned": entry}))
        yield endpoint


def stored(store: Path) -> set[int]:
    """Numbers of the records whose answers are in segments."""
    numbers = set()
    for segment in sorted(of_run(store, "part/00000").glob("*.jsonl")):
        for line in segment.read_text("utf-8").splitlines():
            if "record" in (value := json.loads(line)):
                numbers.add(value["record"])
    return numbers


def asked_of(model: Model) -> Counter[int]:
    """How often each record was asked about."""
    parts = (question.split("PART-")[1].split("\n")[0] for question in model.asked)
    return Counter(int(part) + 1 for part in parts)


def begin(store: Path) -> subprocess.Popen[str]:
    """Begin to answer the first shard in a process of its own."""
    command = records_command(store, "answer", "--shard", "0")
    return subprocess.Popen(
        [sys.executable, "-m", "prompt_hub.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )


def wait_until_asked(model: Model, questions: int, child: subprocess.Popen[str]) -> None:
    while len(model.asked) < questions:
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.01)


@pytest.mark.processes
def test_a_killed_child_resumes_wherever_it_was(
    records: Records, model: Faulty, store: Path
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key) == ExitCode.OK
    model.takes = 0.1
    kept: set[int] = set()
    before: Counter[int] = Counter()
    for answers in (1, 12, 25):  # before its first segment, in the middle, later
        with begin(store) as child:
            goal = len(model.asked) + answers
            wait_until_asked(model, goal, child)
            while answers > 1 and len(stored(store)) == len(kept):
                assert child.poll() is None, child.communicate()[1]
                time.sleep(0.01)
            child.kill()
        before, kept = asked_of(model), stored(store)
    assert records("answer", "--shard", "0") == ExitCode.OK
    assert kept
    after = asked_of(model)
    assert all(after[number] == before[number] for number in kept), "stored, and asked again"
    assert after.total() - before.total() <= len(ROWS) - len(kept) + AT_ONCE
    assert records("merge") == ExitCode.OK
    assert of_run(store, "output.jsonl").read_bytes() == in_one_process(store, key)


@pytest.mark.processes
def test_a_child_that_is_stopped_stores_what_it_has(
    records: Records, model: Faulty, store: Path
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key) == ExitCode.OK
    model.takes = 0.1
    with begin(store) as child:
        wait_until_asked(model, 9, child)
        child.send_signal(signal.SIGTERM)
        assert "stopped: what was answered is stored" in child.communicate(timeout=30)[1]
    assert child.returncode == ExitCode.NOT_MEASURED
    model.takes = 0
    assert records("answer", "--shard", "0") == ExitCode.OK
    assert len(model.asked) <= len(ROWS) + AT_ONCE
    assert records("merge") == ExitCode.OK
    assert of_run(store, "output.jsonl").read_bytes() == in_one_process(store, key)


def test_an_outage_in_the_middle_is_waited_out(
    records: Records,
    model: Faulty,
    store: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key) == ExitCode.OK
    model.down = range(20, 28)
    assert records("answer", "--shard", "0") == ExitCode.OK
    assert "Waiting for it, up to 900 s." in capsys.readouterr().err
    assert asked_of(model) == dict.fromkeys(range(1, 61), 1)
    assert records("merge") == ExitCode.OK
    assert of_run(store, "output.jsonl").read_bytes() == in_one_process(store, key)


def test_a_child_whose_patience_is_over_says_to_try_again(
    records: Records, model: Faulty, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key) == ExitCode.OK
    model.down = range(20, 1000)
    assert records("answer", "--shard", "0", "--patience", "0") == ExitCode.NOT_MEASURED
    assert "records without an answer: the same command asks again" in capsys.readouterr().err
    assert not of_run(store, "out/00000.jsonl").exists()
    model.down = range(0)
    assert records("answer", "--shard", "0") == ExitCode.OK
    assert asked_of(model) == dict.fromkeys(range(1, 61), 1)


def seconds_of(store: Path) -> object:
    return json.loads(of_run(store, "manifest.json").read_bytes())["spent"]["seconds"]


@pytest.mark.parametrize("first", [1, 20])
def test_a_run_with_a_shard_that_was_taken_up_does_not_say_the_seconds_of_the_pause(
    records: Records, model: Faulty, store: Path, first: int
) -> None:
    """A process that had no answer was there, too."""
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key, "--shard-records", "30") == ExitCode.OK
    model.down = range(first, 1000)
    assert records("answer", "--shard", "0", "--patience", "0") == ExitCode.NOT_MEASURED
    model.down = range(0)
    for shard in ("0", "1"):
        assert records("answer", "--shard", shard) == ExitCode.OK
    assert records("merge") == ExitCode.OK
    assert seconds_of(store) is None


def test_a_run_of_shards_that_nothing_interrupted_says_its_seconds(
    records: Records, model: Faulty, store: Path
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key, "--shard-records", "30") == ExitCode.OK
    for shard in ("0", "1"):
        assert records("answer", "--shard", shard) == ExitCode.OK
    assert records("merge") == ExitCode.OK
    assert isinstance(seconds_of(store), float)


def failed_in_first_shard(store: Path) -> dict[int, str]:
    """The errors of the first shard's output, by the record's number."""
    lines = of_run(store, "out/00000.jsonl").read_text("utf-8").splitlines()
    return {line["record"]: line["error"] for line in map(json.loads, lines) if line["error"]}


def test_a_record_that_no_model_takes_ends_no_run(
    records: Records, model: Faulty, store: Path
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    model.too_long = "PART-30\n"
    assert records("plan", "--key", key) == ExitCode.OK
    assert records("answer", "--shard", "0") == ExitCode.OK
    failed = failed_in_first_shard(store)
    assert list(failed) == [31]
    assert "gave no answer: HTTP 400: too long" in failed[31]


def test_a_record_that_is_never_answered_ends_no_run(
    records: Records, model: Faulty, store: Path
) -> None:
    """Each container would ask for it again, and the file would never have an output."""
    key = drop(store, HEADER + "".join(ROWS))
    model.never = "PART-30\n"
    assert records("plan", "--key", key) == ExitCode.OK
    assert records("answer", "--shard", "0", "--patience", "0") == ExitCode.OK
    failed = failed_in_first_shard(store)
    assert list(failed) == [31]
    assert "gave no answer: HTTP 500" in failed[31]


def test_a_journal_of_before_is_stored_once_behind_all_that_is_there(tmp_path: Path) -> None:
    tried: list[str] = []

    class Noted(FolderObjects):
        def create(self, key: str, path: Path) -> bool:
            tried.append(Path(key).stem)
            return super().create(key, path)

    journal, objects = tmp_path / "journal", Noted(tmp_path / "store")
    journal.write_text('{"record": 1}\n')
    for number in range(1, 41):
        objects.write(aws_names.run_key("t", "r", f"part/00000/{number:06}.jsonl"), b"{}\n")
    # Killed and begun again on the machine that has the journal.
    Segments(objects, "t", "r", 0, journal).store()
    assert tried == ["000001", "000041"]
