"""Where stored responses stand in their file: a table of numbers that answers as a dict does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from prompt_hub.core.json_log import JsonLinesLog
from prompt_hub.evaluation.cache import KeyIndex, ResponseStore
from prompt_hub.llm.response import ModelResponse, Usage
from tests.unit.building import RepositoryFolder
from tests.unit.providers import ALIASES


@pytest.mark.parametrize("bits", [6, 40, 256])
def test_it_knows_what_a_dict_knows(bits: int) -> None:
    chance = random.Random(bits)
    index, known = KeyIndex(), dict[str, int]()
    for start in range(3000):
        key = f"{chance.getrandbits(bits):064x}"
        if chance.random() < 0.2 and known:
            gone = chance.choice([*known])
            del known[gone]
            index.remove(gone)
        index.put(key, start)
        known[key] = start
        absent = f"{chance.getrandbits(256):064x}"
        assert index.find(absent) == known.get(absent)
    assert len(index) == len(known)
    assert {key: index.find(key) for key in known} == known


def test_of_two_keys_that_end_alike_neither_has_the_others_answer(
    healthy: RepositoryFolder, tmp_path: Path
) -> None:
    prompt = healthy.repository.candidate("part-class")
    store = ResponseStore(tmp_path)
    file = store.cache_file(prompt, ALIASES.resolve(prompt.model.alias))
    one, other = "ab" * 32, "cd" + "ab" * 31
    for key, text in ((one, "one"), (other, "other")):
        file.put(
            key, ModelResponse(text=text, model="m", usage=Usage(input_tokens=1, output_tokens=1))
        )
    found = file.get(other)
    assert found is not None
    assert found.text == "other"
    assert file.get(one) is None
    store.close()


@pytest.mark.parametrize("length", [1, 1023, 1024, 1025, 5000])
def test_a_line_is_read_to_its_end(tmp_path: Path, length: int) -> None:
    log = JsonLinesLog(tmp_path / "log.jsonl")
    lines = [b"x" * (length - 1) + b"\n", b"y\n"]
    starts = [log.append(line)[0] for line in lines]
    assert [log.read_line(start) for start in starts] == lines
    log.close()
