"""A large set is put aside while it is evaluated: what comes of it is what a small one's is."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydantic import JsonValue

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.hashing import order_of, order_sha256, sha256_of
from prompt_hub.core.spool import LineSpool
from prompt_hub.evaluation import spooled_results
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.replay import replay
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.store import evaluation_by, logged_evaluation
from prompt_hub.repository import examples as example_files
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.examples import read_examples
from prompt_hub.repository.many_examples import ManyExamples, facts_of, pick
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject
from prompt_hub.scoring import tally
from tests.unit.building import COMMIT, RepositoryFolder
from tests.unit.judging import add_judge, use_judge
from tests.unit.providers import Backend, FunctionProvider

TASK = "part-class"
EXAMPLES = f"prompts/01-examples/{TASK}.jsonl"
METADATA = f"prompts/03-metadata/{TASK}.yaml"
CLASSES = ("resistor", "capacitor", "diode")


def add_examples(folder: RepositoryFolder, count: int) -> None:
    """Add examples of every kind: weights, tags, escapes, characters of any width, blank lines."""
    chance = random.Random(11)
    lines = [folder.read(EXAMPLES).rstrip("\n")]
    for number in range(count):
        example: JsonObject = {
            "id": f"more-{number}-é" if number % 5 else f"more-{number}",
            "input": {"part_number": f"P{number}", "title": f"Part 1µF: 😀 {number}"},
            "expected": {"part_class": chance.choice(CLASSES)},
        }
        if number % 3 == 0:
            tags: list[JsonValue] = ["a", "b"]
            example |= {"weight": chance.choice((0.5, 2, 3.25)), "tags": tags[: number % 2 + 1]}
        lines.append(json.dumps(example, ensure_ascii=number % 4 == 0))
        lines += [""] * (number % 7 == 0)
    folder.write(EXAMPLES, "\n".join(lines) + "\n" * (count % 2))
    folder.stamp(TASK)


def guessing(messages: list[dict[str, str]]) -> JsonObject | str:
    """Answer by the question: a class, which is right at times, or no JSON."""
    question = messages[-1]["content"]
    if question.startswith("JUDGE"):
        return {"grade": 1 + len(question) % 5}
    drawn = sum(question.encode())
    return "no JSON" if drawn % 11 == 0 else {"part_class": CLASSES[drawn % 3]}


def silent_at_times(messages: list[dict[str, str]]) -> JsonObject | str | None:
    """Give no answer to some questions, and then to all."""
    return None if sum(messages[-1]["content"].encode()) % 9 == 0 else guessing(messages)


def unsure(folder: RepositoryFolder) -> None:
    """Ask a model that may answer otherwise the next time."""
    folder.edit(f"prompts/00-templates/{TASK}.yaml", "temperature: 0", "temperature: 0.5")
    folder.edit(METADATA, "gate: {", "gate: {repeats: 2, ")


def judged(folder: RepositoryFolder) -> None:
    """Have a judge grade, too."""
    add_judge(folder)
    use_judge(folder)


def as_they_are(folder: RepositoryFolder) -> None:
    """Change nothing."""


def outcome(folder: RepositoryFolder, answer: Backend, into: Path) -> tuple[str, str, list[str]]:
    """Evaluate, and return record and details without times, and what was said."""
    results, said = FolderResults(into), list[str]()
    store = ResponseStore(into / "responses")
    evaluator = Evaluator(
        folder.repository,
        FunctionProvider(answer).caller(),
        results,
        execution="e",
        commit=COMMIT,
        store=store,
        say=said.append,
    )
    asyncio.run(evaluator.evaluate(TASK))
    store.close()
    kept = evaluation_by(results, "e", TASK)
    assert kept is not None
    assert replay(folder.repository, kept).details == kept.details_text
    times = re.compile(r'("(?:seconds\w*|\w+_at)": ?)("[^"]*"|[\d.]+)')
    return times.sub(r"\1", kept.text), times.sub(r"\1", kept.details_text), said


@pytest.mark.parametrize("answer", [guessing, silent_at_times])
@pytest.mark.parametrize("change", [as_they_are, unsure, judged])
def test_record_and_details_are_the_same_bytes_however_many_examples_are_kept(
    healthy: RepositoryFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[RepositoryFolder], None],
    answer: Backend,
) -> None:
    change(healthy)
    add_examples(healthy, 61)
    healthy.edit(METADATA, "gate: {", "gate: {first_look: 16, ")
    assert isinstance(healthy.repository.examples(TASK), tuple)
    small = outcome(healthy, answer, tmp_path / "small")
    monkeypatch.setattr(example_files, "FEW", 0)
    assert isinstance(healthy.repository.examples(TASK), ManyExamples)
    assert outcome(healthy, answer, tmp_path / "large") == small


@pytest.mark.shipped
@pytest.mark.parametrize("task", ["brand", "part-class"])
def test_a_stored_record_is_made_again_byte_for_byte_where_little_is_kept(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = PromptRepository(Path(__file__).parents[3])
    released = repository.registry().tasks[task].released
    assert released is not None
    stored = logged_evaluation(repository, task, released)
    assert stored is not None
    small = replay(repository, stored).record.to_json()
    monkeypatch.setattr(example_files, "FEW", 0)
    monkeypatch.setattr(tally, "MANY", 0)
    assert isinstance(repository.examples(task), ManyExamples)
    large = replay(repository, stored)
    assert (large.record.to_json(), large.details) == (small, stored.details_text)
    # The gate of then rounded its sums.
    assert small == stored.text or stored.record.gate_version == "1"


def test_examples_of_a_large_set_are_read_as_those_of_a_small_one(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_examples(healthy, 40)
    small = healthy.repository.examples(TASK)
    monkeypatch.setattr(example_files, "FEW", 5)
    large = healthy.repository.examples(TASK)
    assert not isinstance(large, tuple)
    assert (*large,) == small
    assert (*large[3:20:2],) == small[3:20:2]
    assert large[-1] == small[-1]
    assert [*facts_of(large)] == facts_of(small)
    assert (*pick(large, [7, 0, 7]),) == pick(small, [7, 0, 7]) == (small[7], small[0], small[7])


def test_a_large_set_takes_little_memory() -> None:
    raw = b"".join(
        json.dumps(
            {
                "id": f"part-{number:06}",
                "input": {"title": f"Resistor {number} Ohm, 1 %", "manufacturer": "Yageo"},
                "expected": {"part_class": "resistor", "part_number": f"RC{number}"},
            }
        ).encode()
        + b"\n"
        for number in range(12_000)
    )
    tracemalloc.start()
    try:
        examples = read_examples(BytesIO(raw), "examples.jsonl").examples
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A name, a weight, and where the line stands; as objects they took 1,300 bytes each.
    assert held / len(examples) < 120


def test_a_set_is_what_it_was_when_it_was_read(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_files, "FEW", 0)
    before = healthy.repository.examples(TASK)
    first = before[0]
    with healthy.path(EXAMPLES).open("r+") as file:  # in place, as some editors do
        file.truncate(0)
    assert before[0] == first


def test_what_is_wrong_with_a_large_set_is_told_in_the_order_of_lines(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_examples(healthy, 10)
    raw = healthy.path(EXAMPLES).read_bytes() + b'\n{"id": "x"}\nnot json\n{"id": 1}\n'
    said = []
    for few in (0, 4096):
        monkeypatch.setattr(example_files, "FEW", few)
        with pytest.raises(InvalidDocumentsError) as caught:
            read_examples(BytesIO(raw), "examples.jsonl")
        said.append(caught.value.problems)
    assert said[0] == said[1]
    assert [problem.line for problem in said[0]] == sorted(problem.line for problem in said[0])
    assert len({problem.line for problem in said[0]}) == 3


@pytest.mark.parametrize(
    "values",
    [
        [],
        [["b", {"a": 1}]],
        [{"b": 1, "a": 'x"\\\n'}, {"a": "é😀"}],
        [{"a": 1}, {"b": {"d": 1, "c": 2}}],
    ],
)
def test_the_hash_of_an_order_is_taken_piece_by_piece(values: list[object]) -> None:
    whole = order_of(values)
    assert order_sha256(lambda: values) == (None if whole is None else sha256_of(whole))


def test_lines_are_put_aside_and_read_again_in_any_order() -> None:
    spool = LineSpool()
    starts = [spool.add(f"{number}\n".encode()) for number in range(3000)]
    assert spool.line(starts[2999]) == b"2999\n"
    starts.append(spool.add(b"one more\n"))
    assert spool.line(starts[0]) == b"0\n"
    assert spool.line(starts[3000]) == b"one more\n"
    assert spool.line(starts[1500]) == b"1500\n"


def test_where_no_file_can_be_made_lines_stay_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    spool = LineSpool()
    start = spool.add(b"a\n")
    assert (spool.line(start), list(tmp_path.iterdir())) == (b"a\n", [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_after_a_full_disk_nothing_is_said_but_the_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = list[object]()
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    spool = LineSpool()
    spool._file = Path("/dev/full").open("r+b")  # noqa: SIM115 closed by the spool
    start = spool.add(b"it waits in a buffer\n")
    with pytest.raises(PromptHubError, match="cannot be written: No space left on device"):
        spool.line(start)
    del spool
    gc.collect()
    assert said == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_ends_an_evaluation_in_a_sentence(
    healthy: RepositoryFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_examples(healthy, 40)
    monkeypatch.setattr(example_files, "FEW", 0)
    outcome(healthy, guessing, tmp_path / "r")
    results = FolderResults(tmp_path / "r")
    before = evaluation_by(results, "e", TASK)

    class FullSpool(LineSpool):
        def __init__(self) -> None:
            super().__init__()
            self._file = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115

    monkeypatch.setattr(spooled_results, "LineSpool", FullSpool)
    with pytest.raises(PromptHubError, match="cannot be written: No space left on device"):
        asyncio.run(
            Evaluator(
                healthy.repository,
                FunctionProvider(guessing).caller(),
                results,
                execution="e",
                commit=COMMIT,
                fresh=True,
            ).evaluate(TASK)
        )
    assert evaluation_by(results, "e", TASK) == before
    assert results.get(aws_names.evaluation_key("e", TASK)) == (before and before.text)
