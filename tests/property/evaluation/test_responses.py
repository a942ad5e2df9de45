"""The books of responses: found again by everything that matters, whatever happened to the file."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_hub.evaluation.cache import ResponseCacheFile
from prompt_hub.llm.response import ModelResponse, Usage
from tests.unit.evaluation.answers import TITLE, key, response


@given(text=st.text(), truncated=st.booleans(), usd=st.none() | st.floats(0, 10))
@settings(max_examples=50)
def test_any_answer_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, text: str, truncated: bool, usd: float | None
) -> None:
    path = tmp_path_factory.mktemp("any") / "book.jsonl"
    message = ModelResponse(
        text=text,
        truncated=truncated,
        model="m",
        usage=Usage(input_tokens=1, output_tokens=2, usd=usd, seconds=0.5, attempts=1),
    )
    cache_file = ResponseCacheFile(path, TITLE)
    cache_file.put(key(1), message)
    assert cache_file.get(key(1)) == message
    assert ResponseCacheFile(path, TITLE).get(key(1)) == message


@given(data=st.data())
@settings(max_examples=60)
def test_a_file_cut_anywhere_gives_a_prefix_and_takes_the_rest_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "book.jsonl"
    cache_file = ResponseCacheFile(path, TITLE)
    for number in range(6):
        cache_file.put(key(number), response(f"µ{number}\n"))
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    recovered = ResponseCacheFile(path, TITLE)
    assert recovered.corrupt_entries == 0
    kept = [key(number) in recovered for number in range(6)]
    assert kept == sorted(kept, reverse=True)
    for number in range(6):
        if not kept[number]:
            recovered.put(key(number), response(f"µ{number}\n"))
    assert path.read_bytes() == whole


@given(where=st.floats(0, 1), noise=st.binary(min_size=1, max_size=30))
@settings(max_examples=60)
def test_a_damaged_line_costs_itself_only(
    tmp_path_factory: pytest.TempPathFactory, where: float, noise: bytes
) -> None:
    path = tmp_path_factory.mktemp("damage") / "book.jsonl"
    cache_file = ResponseCacheFile(path, TITLE)
    for number in range(5):
        cache_file.put(key(number), response())
    lines = path.read_bytes().splitlines(keepends=True)
    middle = bytearray(lines[3])
    at = int(where * (len(middle) - 2))
    middle[at : at + 1] = noise
    path.write_bytes(b"".join([*lines[:3], bytes(middle), *lines[4:]]))
    damaged_file = ResponseCacheFile(path, TITLE)
    assert (damaged_file.get(key(2)) is None) == (bytes(middle) != lines[3])
    for number in (0, 1, 3, 4):
        assert damaged_file.get(key(number)) == response()
    damaged_file.put(key(2), response())
    assert ResponseCacheFile(path, TITLE).get(key(2)) == response()


Messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": st.text()}),
    max_size=3,
)


@given(
    one=st.tuples(Messages, st.integers(0, 3)),
    other=st.tuples(Messages, st.integers(0, 3)),
)
@settings(max_examples=200)
def test_keys_are_equal_exactly_for_equal_questions(
    tmp_path_factory: pytest.TempPathFactory,
    one: tuple[list[dict[str, str]], int],
    other: tuple[list[dict[str, str]], int],
) -> None:
    cache_file = ResponseCacheFile(tmp_path_factory.mktemp("keys") / "book.jsonl", TITLE)
    assert (cache_file.key(*one) == cache_file.key(*other)) == (one == other)
    cache_file.close()
