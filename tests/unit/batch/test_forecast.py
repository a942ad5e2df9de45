"""What is foreseen is what a run comes to, also where records differ in length."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.batch import forecast
from prompt_hub.batch.forecast import CallModel, Forecast, Sample, require_budget
from prompt_hub.batch.run_manifest import Spent
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.large_details import LargeDetails
from prompt_hub.llm.config import ModelConfig, Price, Reasoning
from prompt_hub.llm.response import Usage
from prompt_hub.repository.rendering import Renderer
from prompt_hub.repository.schema import JsonObject, RecordsBudget
from tests.unit.batch.running import HEADER
from tests.unit.batch.servers import completion, serving
from tests.unit.building import RepositoryFolder, catalogue_answer

WORDS = ("Schottky", "diode", "30", "V", "200", "mA", "SOT-23", "film", "resistor", "0603", "X7R")
MOST = 32
ANSWERS: dict[str, Callable[[int], int]] = {
    "one length": lambda sent: 6,
    "longer for longer records": lambda sent: min(MOST, 6 + sent // 20),
}
"""Tokens of an answer by those of its question; the prompt's max_tokens is the most."""
PRICE = {"input": 0.07, "output": 0.3}


def tokens_of(messages: Sequence[JsonObject]) -> int:
    """What a tokeniser makes of messages: pieces of words and signs, and a frame around each."""
    pieces = (re.findall(r"\w{1,4}|[^\w\s]", str(each["content"])) for each in messages)
    return sum(len(found) + 5 for found in pieces)


def title(random_: random.Random, longest: int) -> str:
    """Some words: mostly few, now and then very many."""
    return " ".join(random_.choices(WORDS, k=min(longest, int(random_.paretovariate(0.8)) + 2)))


@pytest.fixture(params=ANSWERS)
def answers(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How long answers are."""
    return ANSWERS[request.param]


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch, answers: Callable[[int], int]) -> Iterator[None]:
    """A model that counts the tokens of what it is sent, and has a price."""

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        messages = cast(list[dict[str, str]], sent["messages"])
        text = json.dumps(catalogue_answer(messages))
        count = tokens_of(cast(list[JsonObject], messages))
        out = answers(count)
        usage = {"prompt_tokens": count, "completion_tokens": out, "total_tokens": count + out}
        return 200, {**completion(text), "usage": usage}

    with serving(respond) as url:
        alias = {
            "provider": "openai",
            "model": "small",
            "base_url": f"{url}/v1",
            "price_per_million": PRICE,
        }
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps({"catalogue-pinned": alias}))
        yield


def measure(
    folder: RepositoryFolder, random_: random.Random, answers: Callable[[int], int]
) -> None:
    """Let the champion's evaluation have forty examples, with what they took by `tokens_of`."""
    repository = folder.repository
    prompt = repository.production("part-class")
    assert prompt is not None
    render, examples, details = Renderer(prompt), "", ""
    for number in range(40):
        fields: JsonObject = {"part_number": f"P-{number}", "title": title(random_, 30)}
        line = {"id": f"e{number}", "input": fields, "expected": {"part_class": "diode"}}
        examples += json.dumps(line) + "\n"
        sent = tokens_of(cast(list[JsonObject], render.render(fields)))
        details += (
            json.dumps(
                {
                    "arm": "candidate",
                    "id": f"e{number}",
                    "score": 1.0,
                    "answer": "{}",
                    "tokens": [sent, answers(sent)],
                    "usd": None,
                    "seconds": 0.5,
                    "attempts": 1,
                }
            )
            + "\n"
        )
    folder.write("prompts/01-examples/part-class.jsonl", examples)
    folder.write("prompts/04-evals/part-class/1.1.0.jsonl", details)
    evaluated_on(folder, "openai:small")


def evaluated_on(folder: RepositoryFolder, model: str) -> None:
    """Let the champion's evaluation be one on `model`."""
    record = folder.root / "prompts/04-evals/part-class/1.1.0.json"
    said = json.loads(record.read_text())
    record.write_text(json.dumps({**said, "candidate": {**said["candidate"], "model": model}}))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("longest", [30, 2000])
def test_calls_tokens_and_dollars_are_foreseen_within_a_tenth(
    healthy: RepositoryFolder,
    priced: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: Callable[[int], int],
    seed: int,
    longest: int,
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    random_ = random.Random(seed)
    measure(healthy, random_, answers)
    rows = [f"P-{number},{title(random_, longest)},,\n" for number in range(150)]
    rows += [",,,\n", "too,short\n", ",x,,\n"]
    records, output = tmp_path / "parts.csv", tmp_path / "out.jsonl"
    records.write_text(HEADER + "".join(rows))
    command = ["run", "part-class", str(records), str(output), "--concurrency", "4"]
    assert main(command) == ExitCode.BLOCKED
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())
    forecast, spent = manifest["forecast"], manifest["spent"]
    assert forecast["calls"] == spent["calls"] == 150
    for what in ("input_tokens", "output_tokens", "usd"):
        assert forecast[what] == pytest.approx(spent[what], rel=0.1), what
    usage = [json.loads(line)["usage"] for line in output.read_bytes().splitlines()]
    assert spent["usd"] == pytest.approx(sum(each["usd"] for each in usage if each))
    assert forecast["seconds"] == pytest.approx(150 * 0.5 / 4, rel=0.01)


def test_answers_too_many_for_git_foresee_by_their_mean(
    healthy: RepositoryFolder,
) -> None:
    measure(healthy, random.Random(1), ANSWERS["one length"])
    evals = healthy.root / "prompts/04-evals/part-class"
    small, record = (evals / f"1.1.0.{kind}" for kind in ("jsonl", "json"))
    tokens = [json.loads(line)["tokens"] for line in small.read_text().splitlines()]
    arm = {
        "n": 40,
        "repeats": 1,
        "tokens_in": sum(sent for sent, _ in tokens),
        "tokens_out": sum(out for _, out in tokens),
        "seconds_p50": 0.5,
    }
    said = json.loads(record.read_text())
    record.write_text(json.dumps({**said, "candidate": {**said["candidate"], **arm}}))
    prompt = healthy.repository.production("part-class")
    assert prompt is not None

    def foreseen() -> Spent:
        forecast = Forecast(healthy.repository, prompt, None)
        assert forecast.measured is not None
        assert forecast.measured.calls == 40
        random_ = random.Random(2)
        for number in range(100):
            forecast.add({"part_number": f"P-{number}", "title": title(random_, 30)})
        return forecast.spent(concurrency=4)

    one_by_one = foreseen()
    sha256 = "0123456789abcdef" * 4
    uri = f"s3://results/{aws_names.details_key(sha256)}"
    schema = "prompt-hub/details@1"
    line = LargeDetails(schema_=schema, uri=uri, sha256=sha256, size=60_000_000, count=40).line()
    small.write_text(line)
    by_mean = foreseen()
    assert by_mean.input_tokens == pytest.approx(one_by_one.input_tokens, rel=0.05)
    assert by_mean.output_tokens == one_by_one.output_tokens
    assert by_mean.seconds == one_by_one.seconds
    # As in an image, which has the record and no answers.
    small.unlink()
    assert foreseen() == by_mean


def test_a_record_of_a_newer_release_costs_the_measure_and_no_file(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(forecast.logger, "warning", lambda text, why: told.append(text % why))
    measure(healthy, random.Random(1), ANSWERS["one length"])
    record = healthy.root / "prompts/04-evals/part-class/1.1.0.json"
    said = json.loads(record.read_text())
    record.write_text(json.dumps({**said, "schema": "prompt-hub/evaluation@99"}))
    prompt = healthy.repository.production("part-class")
    assert prompt is not None
    guess = Forecast(healthy.repository, prompt, None)
    guess.add({"part_number": "P-1", "title": "film resistor"})
    assert guess.measured is None
    assert guess.spent().input_tokens > 0
    (warning,) = told
    assert "04-evals/part-class/1.1.0.json" in warning
    assert warning.endswith("What the run costs is guessed from its text.")


def test_of_many_examples_some_say_how_long_requests_are(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(healthy, random.Random(1), ANSWERS["one length"])
    (healthy.root / "prompts/04-evals/part-class/1.1.0.jsonl").unlink()
    prompt = healthy.repository.production("part-class")
    assert prompt is not None
    rendered: list[object] = []

    class Noted(Renderer):
        def render(self, fields: Mapping[str, object]) -> list[dict[str, str]]:
            rendered.append(fields["part_number"])
            return super().render(fields)

    monkeypatch.setattr(forecast, "Renderer", Noted)
    monkeypatch.setattr(forecast, "MOST_CALLS", 5)
    Forecast(healthy.repository, prompt, None)
    wanted = [*range(10), *range(10, 20, 2), *range(20, 40, 4)]
    assert rendered == [f"P-{number}" for number in wanted]


def sample(characters: int, tokens: int, answer: int = 7) -> Sample:
    usage = Usage(input_tokens=tokens, output_tokens=answer)
    return Sample(characters=characters, usage=usage)


def test_examples_of_one_length_say_nothing_about_longer_records() -> None:
    alike = CallModel([sample(1000, 250 + number % 3) for number in range(50)], None)
    assert alike.input_tokens(1, 5000) == pytest.approx(5 * 251, rel=0.01)
    assert alike.output_tokens(5000) == 7


def test_a_line_through_the_examples_has_its_own_offset() -> None:
    model = CallModel([sample(length, 100 + length // 2) for length in range(10, 2000, 7)], None)
    assert model.input_tokens(10, 10 * 4000) == pytest.approx(10 * 2100, rel=0.01)
    assert model.output_tokens(4000) == 7


def test_answers_grow_with_records_as_they_did_in_the_evaluation() -> None:
    measured = [sample(length, length, 5 + length // 20) for length in range(10, 2000, 7)]
    assert CallModel(measured, None).output_tokens(8000) == pytest.approx(405, rel=0.01)
    assert CallModel(measured, 300).output_tokens(8000) == 300


def test_answers_whose_length_is_chance_do_not_grow() -> None:
    lengths = [random.Random(7).choices(range(300, 900), k=60), [5, 9, 6, 8] * 15]
    model = CallModel([sample(x, x, y) for x, y in zip(*lengths, strict=True)], None)
    assert model.output_tokens(2000) == pytest.approx(7, rel=0.25)


def test_a_version_that_was_never_measured_is_guessed() -> None:
    guess = CallModel([], 32)
    assert (guess.input_tokens(2, 800), guess.output_tokens(400)) == (200, 32)
    assert CallModel([], None).output_tokens(400) == 256


@pytest.mark.parametrize(("limit", "tokens"), [("max_tokens: 32, ", 4032), ("", 4256)])
def test_what_a_model_thinks_is_guessed_too(
    healthy: RepositoryFolder, limit: str, tokens: int
) -> None:
    healthy.edit("prompts/00-templates/part-class.yaml", "max_tokens: 32, ", limit)
    model = ModelConfig(
        alias="a", provider="openai", model="m", reasoning=Reasoning(effort="high", tokens=4000)
    )
    guess = Forecast(healthy.repository, healthy.repository.candidate("part-class"), model)
    guess.add({"part_number": "P-1", "title": "film resistor"})
    assert guess.spent().output_tokens == tokens


@pytest.mark.parametrize(
    "evaluated", ["openai:small", "openai:large", "openai:large+reasoning-low-1000"]
)
def test_an_evaluation_on_another_model_foresees_nothing(
    healthy: RepositoryFolder, evaluated: str
) -> None:
    measure(healthy, random.Random(1), ANSWERS["one length"])
    evaluated_on(healthy, evaluated)
    prompt = healthy.repository.production("part-class")
    assert prompt is not None
    thinks = Reasoning(effort="low", tokens=4000)
    model = ModelConfig(
        alias="a",
        provider="openai",
        model="large",
        reasoning=thinks,
        price_per_million=Price(input=1, output=8),
    )
    guess = Forecast(healthy.repository, prompt, model)
    guess.add({"part_number": "P-1", "title": "film resistor"})
    assert guess.measured is None
    assert guess.guessed_because == (
        f"part-class 1.1.0 was evaluated on {evaluated}, and is asked on"
        " openai:large+reasoning-low-4000: what that costs is guessed from the text."
    )
    expected = guess.spent()
    assert expected.output_tokens == MOST + 4000
    with pytest.raises(PromptHubError, match=r"would take about 0\.03"):
        require_budget(expected, RecordsBudget(usd=0.01), "parts.csv", "part-class.yaml")


def test_an_evaluation_on_the_model_that_thinks_says_how_much_it_does(
    healthy: RepositoryFolder,
) -> None:
    measure(healthy, random.Random(1), ANSWERS["one length"])
    thinks = Reasoning(effort="low", tokens=4000)
    model = ModelConfig(alias="a", provider="openai", model="small", reasoning=thinks)
    evaluated_on(healthy, model.identity)
    prompt = healthy.repository.production("part-class")
    assert prompt is not None
    known = Forecast(healthy.repository, prompt, model)
    known.add({"part_number": "P-1", "title": "film resistor"})
    assert (known.spent().output_tokens, known.guessed_because) == (6, "")


def test_a_large_amount_of_money_is_refused_in_full() -> None:
    dear = Spent(calls=9, input_tokens=0, output_tokens=0, usd=12345.678, seconds=None)
    with pytest.raises(PromptHubError) as error:
        require_budget(dear, RecordsBudget(usd=100.0), "parts.csv", "part-class.yaml")
    assert error.value.message == (
        "parts.csv would take about 12,345.68 US dollars, and records.budget allows 100."
    )


def test_calls_of_a_batch_do_not_say_how_long_a_call_takes() -> None:
    by_itself, in_batch = (
        Sample(characters=9, usage=Usage(input_tokens=3, output_tokens=1, seconds=seconds))
        for seconds in (2.0, None)
    )
    assert CallModel([in_batch, by_itself], None).seconds == 2.0
    assert CallModel([in_batch], None).seconds is None
