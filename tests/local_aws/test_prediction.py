"""What is foreseen of a large file of uneven records is what they come to, on a model that counts.

The records are those of a spreadsheet that somebody kept by hand: mostly a few words, now and then
a whole data sheet. The task has evaluated sixty short ones.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import cast

import pytest

from local_aws.scripted_model import SCRIPTED, ScriptedModel
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.rendering import Renderer
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import serving
from tests.unit.building import RepositoryFolder, build

TASK = "part-class"
RECORDS = 10_000
WORDS = ("Schottky", "diode", "30", "V", "200", "mA", "SOT-23", "film", "resistor", "0603", "X7R")


def title(random: Random, longest: int) -> str:
    """Some words: mostly few, now and then very many."""
    return " ".join(random.choices(WORDS, k=min(longest, int(random.paretovariate(0.8)) + 2)))


def respond(path: str, sent: JsonObject) -> tuple[int, object]:
    return ScriptedModel().complete(sent, lambda: True)


def tokens_of(prompt_output: JsonObject, messages: list[dict[str, str]]) -> list[int]:
    """Return what the model counts of one call."""
    wished = {"type": "json_schema", "json_schema": {"schema": prompt_output}}
    _, answer = respond("", {"messages": cast(list[object], messages), "response_format": wished})
    usage = cast(dict[str, int], cast(JsonObject, answer)["usage"])
    return [usage["prompt_tokens"], usage["completion_tokens"]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RepositoryFolder]:
    """A repository whose released version was measured by the model that answers here."""
    made = build(tmp_path / "repository")
    prompt = made.repository.production(TASK)
    assert prompt is not None
    random, examples, details = Random(1), [], []
    for number in range(60):
        fields: JsonObject = {"part_number": f"P-{number}", "title": title(random, 30)}
        label = {"id": f"e{number}", "input": fields, "expected": {"part_class": "diode"}}
        examples.append(json.dumps(label))
        tokens = tokens_of(prompt.output, Renderer(prompt).render(fields))
        result = {"arm": "candidate", "id": f"e{number}", "score": 1.0, "answer": "{}"}
        of_call = {"tokens": tokens, "usd": None, "seconds": 0.5, "attempts": 1}
        details.append(json.dumps({**result, **of_call}))
    made.write(f"prompts/01-examples/{TASK}.jsonl", "\n".join(examples) + "\n")
    made.write(f"prompts/04-evals/{TASK}/{prompt.version}.jsonl", "\n".join(details) + "\n")
    record = made.root / f"prompts/04-evals/{TASK}/{prompt.version}.json"
    said = json.loads(record.read_text())
    said["candidate"]["model"] = f"openai:{SCRIPTED}"
    record.write_text(json.dumps(said))
    monkeypatch.setenv(aws_names.ENV_ROOT, str(made.root))
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    with serving(respond) as url:
        alias = {
            "provider": "openai",
            "model": SCRIPTED,
            "base_url": f"{url}/v1",
            "price_per_million": {"input": 0.07, "output": 0.3},
        }
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps({prompt.model.alias: alias}))
        yield made


@pytest.mark.usefixtures("folder")
def test_ten_thousand_uneven_records_cost_what_was_foreseen(tmp_path: Path) -> None:
    random, records = Random(2), tmp_path / "parts.csv"
    with records.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(["MPN", "Description", "Shop"])
        for number in range(RECORDS):
            sheet.writerow([f"P-{number}", title(random, 2000), ""])
            if number % 1000 == 0:
                sheet.writerows([["", "", "Shop A"], ["", "no number", ""]])
    output = tmp_path / "out.jsonl"
    assert main(["run", TASK, str(records), str(output)]) == ExitCode.BLOCKED
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())
    assert (manifest["records"], manifest["failed"], manifest["blank"]) == (10_010, 10, 10)
    forecast, spent = manifest["forecast"], manifest["spent"]
    found = {what: forecast[what] / spent[what] for what in ("input_tokens", "output_tokens")}
    found |= {what: forecast[what] / spent[what] for what in ("calls", "usd")}
    assert forecast["calls"] == spent["calls"] == RECORDS
    assert [what for what, ratio in found.items() if not 0.9 < ratio < 1.1] == []
    lengths = [len(line) for line in output.read_bytes().splitlines()]
    assert max(lengths) > 20 * sorted(lengths)[RECORDS // 2]
