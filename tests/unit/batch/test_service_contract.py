"""`run_pipeline.py --service` speaks with the real service, not only with what we think it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import serving
from tests.unit.service.serving import Running, running, service

__all__ = ["running", "service"]

RECORDS = "MPN,Description\nRC0603FR-0710KL,Thick film resistor 10 kΩ\n,no part number\n"


@pytest.fixture
def records(tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(built))
    monkeypatch.delenv(aws_names.ENV_MODELS, raising=False)
    path = tmp_path / "parts.csv"
    path.write_text(RECORDS, encoding="utf-8")
    return path


def run(records: Path, url: str) -> tuple[int, list[dict[str, object]]]:
    output = records.with_name("out.jsonl")
    code = main(["run", "part-class", str(records), str(output), "--service", url])
    if not output.exists():
        return code, []
    return code, [json.loads(line) for line in output.read_text("utf-8").splitlines()]


def test_the_active_version_of_the_service_answers(running: Running, records: Path) -> None:
    code, (good, bad) = run(records, running.url)
    assert code == ExitCode.BLOCKED
    assert good["output"] == {"part_class": "resistor"}
    assert (good["version"], good["release"], good["model"]) == (
        "1.1.0",
        "checkout",
        "openai:small",
    )
    assert bad["output"] is None
    assert str(bad["error"]).startswith("line 3: part_number is empty")


def test_an_answer_that_breaks_the_contract_is_an_error_of_its_record(
    running: Running, records: Path
) -> None:
    running.provider.says = '{"part_class": "banana"}'
    code, (first, _) = run(records, running.url)
    assert code == ExitCode.BLOCKED
    assert first["output"] is None
    assert "the model's answer breaks the output contract" in str(first["error"])


def test_a_model_that_gives_no_answer_leaves_the_output_unwritten(
    running: Running, records: Path
) -> None:
    running.provider.delay_seconds = 1.0
    code, lines = run(records, running.url)
    assert (code, lines) == (ExitCode.NOT_MEASURED, [])


TASKS: JsonObject = {
    "tasks": [{"task": "part-class", "version": "1.1.0", "sha256": "ab", "release": "r"}]
}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>no such page</html>"),
        (403, b'{"message": "Forbidden"}'),
        (410, {"error": {"code": "retired", "message": "part-class is retired"}}),
        (429, {"error": {"code": "slow_down", "message": "too many"}}),
        (500, {"error": {"code": "unexpected", "message": "see the log"}}),
    ],
)
def test_a_refusal_that_is_not_about_the_record_costs_no_record(
    records: Path, status: int, body: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda path, _: (200, TASKS) if path == "/v1/tasks" else (status, body)) as url:
        assert run(records, url) == (ExitCode.NOT_MEASURED, [])
    assert f"HTTP {status}" in capsys.readouterr().out
