"""The harness of the evaluation benchmark: what it counts, injects and refuses can be relied on."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.eval import measuring, task
from benchmarks.eval.__main__ import main
from benchmarks.eval.endpoint import Fault
from benchmarks.eval.faults import FaultPlan, exactly, fault_run
from benchmarks.eval.measuring import MeasurementError, MockModel, bare_environment, run
from benchmarks.eval.peers import promptfoo
from benchmarks.eval.printing import table
from benchmarks.eval.repository import BenchRepository
from benchmarks.eval.sections import SECTIONS, Plan, Runner, sample
from benchmarks.eval.task import Item, Outcome
from benchmarks.results import Ratio, ratio_table

HERE = Path(measuring.__file__).parent


@pytest.fixture
def model() -> Iterator[MockModel]:
    with MockModel(latency=0.0) as model:
        yield model


def ask(model: MockModel, number: int) -> tuple[int, dict[str, str], bytes]:
    """One call on a connection of its own; status 0 where the connection broke."""
    connection = http.client.HTTPConnection("127.0.0.1", model.port, timeout=10)
    try:
        body = json.dumps(Item(number).request)
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    except (http.client.HTTPException, ConnectionError):
        return 0, {}, b""
    finally:
        connection.close()


# --- The mock model ----------------------------------------------------------------------------


@pytest.mark.processes
def test_the_mock_model_answers_from_the_question_and_misreads_a_tenth(model: MockModel) -> None:
    right = 0
    for number in range(20):
        status, _, body = ask(model, number)
        message = json.loads(body)["choices"][0]["message"]["content"]
        assert status == 200
        right += json.loads(message) == Item(number).expected
    assert right == task.right_outcome(20).right == 18


def test_a_misread_record_is_wrong_in_every_field() -> None:
    message = json.loads(task.answer_text(Item(7).messages))
    assert all(message[field] != value for field, value in Item(7).expected.items())


@pytest.mark.processes
def test_every_answer_is_counted_and_a_repeated_one_as_paid_again(model: MockModel) -> None:
    for number in (1, 2, 2, 2):
        ask(model, number)
    stats = model.stats()
    assert (stats.requests, stats.answered, stats.unique_answered) == (4, 4, 2)
    assert stats.paid_again == 2
    assert stats.answered_times == {1: 1, 3: 1}


@pytest.mark.processes
def test_an_answer_nobody_waits_for_is_paid_all_the_same() -> None:
    with MockModel(latency=0.2) as model:
        connection = http.client.HTTPConnection("127.0.0.1", model.port)
        connection.request("POST", "/v1/chat/completions", json.dumps(Item(1).request))
        while not model.stats().in_flight:
            pass
        connection.close()
        while model.stats().in_flight:
            pass
        assert (model.stats().answered, model.stats().unread) == (1, 1)


@pytest.mark.processes
def test_counting_anew_forgets_everything(model: MockModel) -> None:
    ask(model, 1)
    model.reset()
    assert model.stats().requests == 0
    assert model.stats().first_request_at is None


@pytest.mark.processes
def test_a_question_of_another_task_is_refused_and_not_counted(model: MockModel) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", model.port)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello?"}]})
    connection.request("POST", "/v1/chat/completions", body)
    response = connection.getresponse()
    assert response.status == 400
    assert b"no record of the benchmark task" in response.read()
    assert model.stats().requests == 0


@pytest.mark.processes
def test_every_kind_of_fault_looks_as_a_client_would_meet_it() -> None:
    with MockModel(latency=0.0, fault_rate=0.2) as model:
        met = {"429": 0, "500": 0, "disconnect": 0, "malformed": 0, "answered": 0}
        for number in range(60):
            status, headers, body = ask(model, number)
            if status == 429:
                assert int(headers["Retry-After"]) > 0
                met["429"] += 1
            elif status == 200 and is_json(body):
                met["answered"] += 1
            else:
                met[{500: "500", 0: "disconnect", 200: "malformed"}[status]] += 1
        stats = model.stats()
    assert {**stats.faults, "answered": stats.answered} == met
    assert set(stats.faults) == {str(fault) for fault in Fault}


@pytest.mark.processes
def test_the_faults_of_a_seed_are_the_same_again() -> None:
    def statuses(seed: int) -> list[int]:
        with MockModel(latency=0.0, fault_rate=0.1, fault_seed=seed) as model:
            return [ask(model, number % 10)[0] for number in range(40)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except json.JSONDecodeError:
        return False
    return True


# --- Measuring ---------------------------------------------------------------------------------


@pytest.mark.processes
def test_a_process_is_measured_with_its_memory_and_not_the_harness_s(tmp_path: Path) -> None:
    held = bytearray(60_000_000)
    small = run(
        [sys.executable, "-S", "-c", ""], folder=tmp_path, environment=bare_environment(tmp_path)
    )
    words = "import time; held = bytearray(80_000_000); time.sleep(0.3)"
    large = run(
        [sys.executable, "-S", "-c", words], folder=tmp_path, environment=bare_environment(tmp_path)
    )
    assert small.peak_mb < 30 < len(held) / 1e6
    assert 80 < large.peak_mb < 120
    assert 0.3 < large.seconds < 5
    assert large.cpu_seconds < large.seconds


@pytest.mark.processes
def test_a_process_that_fails_is_no_measurement(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such thing'); sys.exit(9)"]
    with pytest.raises(MeasurementError, match=r"exit code 9:\nno such thing"):
        run(command, folder=tmp_path, environment=bare_environment(tmp_path))


@pytest.mark.processes
def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "TIMEOUT_SECONDS", 0.5)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(MeasurementError, match="did not end within"):
        run(command, folder=tmp_path, environment=bare_environment(tmp_path))


def test_a_process_sees_no_setting_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert set(bare_environment(tmp_path)) == {"PATH", "HOME", "LANG"}


@pytest.mark.processes
def test_a_runner_that_finds_something_else_is_not_compared(
    model: MockModel, tmp_path: Path
) -> None:
    lazy = Runner(
        name="lazy",
        prepare=lambda url: ([sys.executable, "-c", ""], bare_environment(tmp_path)),
        outcome=lambda: Outcome(right=10, wrong=0),
        kept=None,
    )
    with pytest.raises(MeasurementError, match="lazy says"):
        sample(lazy, model, Plan(tmp_path, examples=10, many=10, repeats=1), 10)


# --- The repository and the peer ---------------------------------------------------------------


@pytest.fixture(scope="module")
def stamped(tmp_path_factory: pytest.TempPathFactory) -> BenchRepository:
    """Written, stamped and validated by the product, once; a test may change its threshold."""
    return BenchRepository(tmp_path_factory.mktemp("bench"), 12)


@pytest.mark.processes
def test_the_benchmark_s_repository_is_valid_and_asks_what_the_peers_ask(
    stamped: BenchRepository,
) -> None:
    from prompt_hub.repository.reader import PromptRepository
    from prompt_hub.repository.rendering import render

    made = PromptRepository(stamped.root)
    prompt = made.candidate(task.TASK)
    rendered = [render(prompt, example.input) for example in made.examples(task.TASK)]
    assert rendered == [item.messages for item in task.items(12)]
    assert made.production(task.TASK) is None
    assert made.metadata(task.TASK).gate.first_look >= 12


@pytest.mark.processes
def test_another_threshold_changes_the_verdict_s_inputs_and_no_request(
    stamped: BenchRepository,
) -> None:
    from prompt_hub.repository.reader import PromptRepository
    from prompt_hub.scoring.metadata import read_metadata

    repository = PromptRepository(stamped.root)
    before, prompt = read_metadata(repository, task.TASK), repository.candidate(task.TASK)
    stamped.lower_threshold()
    assert read_metadata(repository, task.TASK).sha256 != before.sha256
    assert repository.candidate(task.TASK) == prompt


def test_without_npm_the_benchmark_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(promptfoo, "NODE_MODULES", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MeasurementError, match="npm is not on the PATH"):
        promptfoo.install()


@pytest.mark.processes
def test_an_old_node_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "node-here" / "bin" / "node"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho v20.20.2\n")
    old.chmod(0o755)
    monkeypatch.setattr(promptfoo, "NODE_MODULES", tmp_path)
    monkeypatch.setattr(promptfoo, "_npm_ci", lambda: None)
    with pytest.raises(MeasurementError, match=r"needs Node 22.22 or newer, this is v20.20.2"):
        promptfoo.install()


def test_the_lock_pins_promptfoo_and_names_no_download_host() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/promptfoo"]["version"] == "0.123.1"
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]


# --- The command -------------------------------------------------------------------------------


KEPT = Ratio(name="c", value=1, limit=1, at_most=True)


def unmeasurable(plan: Plan) -> list[Ratio]:
    raise MeasurementError("there is no peer.")


def test_the_command_ends_with_1_when_a_promise_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, missed = (
        Ratio(name=name, value=value, limit=1, at_most=True) for name, value in (("k", 1), ("m", 2))
    )
    monkeypatch.setitem(SECTIONS, "startup", lambda plan: [kept])
    assert main(["--only", "startup"]) == 0
    monkeypatch.setitem(SECTIONS, "cached", lambda plan: [missed])
    assert main(["--only", "startup", "cached"]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_a_section_without_a_number_is_never_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SECTIONS, "speed", unmeasurable)
    monkeypatch.setitem(SECTIONS, "cached", lambda plan: [KEPT])
    assert main(["--only", "speed", "cached"]) == 2
    captured = capsys.readouterr()
    assert "speed: NOT MEASURED: there is no peer." in captured.err
    assert "## checks" in captured.out


# --- Checks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "limit", "at_most", "kept"),
    [
        (1.1, 1.1, True, True),
        (1.11, 1.1, True, False),
        (4.0, 4.0, False, True),
        (3.99, 4.0, False, False),
        (float("nan"), 1.0, True, False),
        (float("nan"), 1.0, False, False),
    ],
)
def test_a_promise_is_kept_up_to_its_limit(
    value: float, limit: float, at_most: bool, kept: bool
) -> None:
    ratio = Ratio(name="c", value=value, limit=limit, at_most=at_most)
    assert ratio.kept is kept
    assert ("MISSED" in ratio_table([ratio])) is not kept


@pytest.mark.parametrize(("found", "kept"), [(4, False), (5, True), (6, False)])
def test_a_count_that_must_be_exact_is_missed_on_either_side(found: int, kept: bool) -> None:
    ratio = exactly("examples", found, 5)
    assert (ratio.kept, ratio.measured, ratio.beside) == (kept, str(found), "5")


def test_a_table_is_markdown() -> None:
    assert table(("what", "s"), [("a", "1.00"), ("longer", "2")]).splitlines() == [
        "| what   |    s |",
        "| ------ | ---: |",
        "| a      | 1.00 |",
        "| longer |    2 |",
    ]


@pytest.mark.processes
def test_an_evaluation_that_cannot_be_killed_is_no_fault_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "benchmarks.eval.faults.evaluate_command", lambda n: [sys.executable, "-c", ""]
    )
    with pytest.raises(MeasurementError, match="there was nothing to kill"):
        fault_run(FaultPlan(examples=10, in_flight=2), tmp_path)
