"""One answer or record that cannot be used costs itself, and neither its run nor a later one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.ledger.items import Pointer, ReleaseRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.monitoring.monitor import ScoreMonitor
from prompt_hub.release.manifest import load
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import completion, serving
from tests.unit.building import RepositoryFolder, catalogue_answer

DEPTHS = [51, 260, 300, 960, 5_000]
TOO_DEEP = "values nested more than 50 deep"


def nested(depth: int) -> str:
    """Write an object whose values lie `depth` deep in all."""
    return '{"part_class": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


class Model:
    """Answers as a perfect model does, but for the texts that it was told to say about a part."""

    def __init__(self) -> None:
        self.says: dict[str, str] = {}
        self.only_about = ""
        self.asked = 0

    def respond(self, path: str, sent: JsonObject) -> tuple[int, object]:
        messages = cast(list[dict[str, str]], sent["messages"])
        self.asked += 1
        if self.only_about not in messages[-1]["content"]:
            return 401, {"error": {"message": "out of order"}}
        for part, text in self.says.items():
            if part in messages[-1]["content"]:
                return 200, completion(text)
        return 200, completion(json.dumps(catalogue_answer(messages)))


@pytest.fixture
def model(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """A real endpoint, and the environment in which commands find it and the repository."""
    endpoint = Model()
    with serving(endpoint.respond) as url:
        alias = {"provider": "openai", "model": "small", "base_url": f"{url}/v1"}
        aliases = {"catalogue-pinned": alias, "catalogue-latest": alias}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps(aliases))
        monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
        monkeypatch.chdir(healthy.root)
        yield endpoint


def evaluate(capsys: pytest.CaptureFixture[str]) -> tuple[int, JsonObject]:
    code = main(["evaluate", "part-class", "--json"])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    (record,) = json.loads(said.out)
    return code, record


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_answer_nested_too_deep_is_worth_nothing_and_ends_no_run(
    depth: int, model: Model, healthy: RepositoryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy.edit("prompts/00-templates/part-class.yaml", "max_tokens: 32", "max_tokens: 33")
    model.says["BAT54"] = nested(depth)
    first = evaluate(capsys)
    asked = model.asked
    second = evaluate(capsys)

    assert [code for code, _ in (first, second)] == [first[0]] * 2
    assert first[0] in {ExitCode.OK, ExitCode.BLOCKED}
    for _, record in (first, second):
        assert cast(JsonObject, record["candidate"])["n"] == 6
        assert cast(JsonObject, record["candidate"])["unmeasured"] == 0
    # The answer is kept like any other, and read again by the second run.
    assert model.asked == asked
    results = healthy.root / ".prompt-hub/results/evaluations/local/part-class.jsonl"
    assert TOO_DEEP in results.read_text(encoding="utf-8")


def run(folder: Path, *records: str, options: tuple[str, ...] = ()) -> tuple[int, list[JsonObject]]:
    source, output = folder / "records.jsonl", folder / "out.jsonl"
    source.write_text("\n".join(records) + "\n", encoding="utf-8")
    code = main(["run", "part-class", str(source), str(output), *options])
    if not output.exists():
        return code, []
    return code, [json.loads(line) for line in output.read_text("utf-8").splitlines()]


GOOD = '{"MPN": "2N7002", "Description": "N-channel MOSFET transistor 60 V 300 mA SOT-23"}'


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_record_nested_too_deep_fails_alone(model: Model, tmp_path: Path, depth: int) -> None:
    bad = '{"MPN": "x", "Description": ' + nested(depth - 1) + "}"
    code, (refused, answered) = run(tmp_path, bad, GOOD)
    assert code == ExitCode.BLOCKED
    assert refused["error"] == f"line 1: not JSON: {TOO_DEEP}"
    assert answered["output"] == {"part_class": "transistor"}
    assert model.asked == 1


def test_records_of_a_journal_that_cannot_be_read_are_told_and_asked_again(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # As deep as a record may be: its line wraps it once more, and is read again all the same.
    deep = '{"MPN": "x", "Description": ' + nested(49) + "}"
    late = json.dumps({"MPN": "BAT54", "Description": "Schottky diode 30 V 200 mA SOT-23"})
    # No example has an answer either: an outage, and nobody's fault.
    model.only_about = "2N7002"
    assert run(tmp_path, deep, GOOD, late) == (ExitCode.NOT_MEASURED, [])
    journal = tmp_path / "out.jsonl.part"
    title, *lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    damaged = [line[:40] + b"\n" if b"2N7002" in line else line for line in lines]
    journal.write_bytes(title + b"".join(damaged))

    capsys.readouterr()
    model.only_about, model.asked = "", 0
    code, found = run(tmp_path, deep, GOOD, late)
    said = capsys.readouterr().err
    assert f"{journal}: lines that cannot be read and are left out: 1;" in said
    assert "going on: 1 record finished before" in said
    assert (code, model.asked) == (ExitCode.BLOCKED, 2)
    assert [line["record"] for line in found] == [1, 2, 3]


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_answer_nested_too_deep_fails_its_record_alone(
    model: Model, tmp_path: Path, depth: int
) -> None:
    model.says["BAT54"] = nested(depth)
    bad = json.dumps({"MPN": "BAT54", "Description": "Schottky diode 30 V 200 mA SOT-23"})
    code, (refused, answered) = run(tmp_path, bad, GOOD)
    assert code == ExitCode.BLOCKED
    assert refused["error"] == f"line 1: the answer is not JSON ({TOO_DEEP})"
    assert answered["output"] == {"part_class": "transistor"}


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_score_watch_counts_an_answer_nested_too_deep_as_a_miss(
    model: Model, healthy: RepositoryFolder, depth: int
) -> None:
    model.says["BAT54"] = nested(depth)
    release = load(healthy.root)
    active = release.tasks["part-class"].version("1.1.0")
    assert active is not None
    pointer = Pointer(
        task="part-class",
        active=active.reference,
        previous=None,
        frozen=False,
        revision=1,
        changed_by="pipeline",
        reason="",
        at="2026",
        release=ReleaseRef(release="r", made_at="2026"),
    )

    async def measure() -> tuple[float, int]:
        async with ModelClient(ModelAliases.from_environment()) as client:
            monitor = ScoreMonitor(
                healthy.repository, release, client, "part-class", say=lambda _: None
            )
            found = await monitor.round(pointer)
            return found.active.score, found.active.arm.n

    score, examples = asyncio.run(measure())
    assert score == pytest.approx(5 / 6)
    assert examples == 6
