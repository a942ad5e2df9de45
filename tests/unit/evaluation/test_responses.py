"""The books of responses: found again by everything that matters, whatever happened to the file."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.cache import ResponseCacheFile, ResponseStore, cache_context
from prompt_hub.llm import client
from prompt_hub.llm.client import Response
from prompt_hub.llm.config import ModelConfig
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.providers import ALIASES

TITLE = {"task": "part-class", "model": "m"}
MESSAGES = [{"role": "user", "content": "Which class? µ"}]


def response(text: str = '{"part_class": "diode"}', tokens_in: int = 41) -> Response:
    return Response(
        text=text,
        truncated=False,
        answered_by="m-1",
        tokens_in=tokens_in,
        tokens_out=6,
        usd=0.0001,
        seconds=0.25,
        attempts=2,
    )


def key(number: int) -> str:
    return f"{number:064x}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "part-class" / "book.jsonl"


def test_a_response_is_found_by_the_next_run_with_all_it_took(path: Path) -> None:
    first = ResponseCacheFile(path, TITLE)
    first.put(key(1), response())
    assert first.get(key(1)) == response()
    assert ResponseCacheFile(path, TITLE).get(key(1)) == response()
    assert ResponseCacheFile(path, TITLE).get(key(2)) is None


@given(text=st.text(), truncated=st.booleans(), usd=st.none() | st.floats(0, 10))
@settings(max_examples=50)
def test_any_answer_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, text: str, truncated: bool, usd: float | None
) -> None:
    path = tmp_path_factory.mktemp("any") / "book.jsonl"
    message = Response(
        text=text,
        truncated=truncated,
        answered_by="m",
        tokens_in=1,
        tokens_out=2,
        usd=usd,
        seconds=0.5,
        attempts=1,
    )
    cache_file = ResponseCacheFile(path, TITLE)
    cache_file.put(key(1), message)
    assert cache_file.get(key(1)) == message
    assert ResponseCacheFile(path, TITLE).get(key(1)) == message


def test_a_small_answer_takes_little_room(path: Path) -> None:
    cache_file = ResponseCacheFile(path, TITLE)
    for number in range(100):
        cache_file.put(key(number), response())
    assert path.stat().st_size / 100 < 300


def test_a_fresh_book_knows_only_its_own_run_and_leaves_the_rest_for_others(path: Path) -> None:
    ResponseCacheFile(path, TITLE).put(key(1), response("old"))
    fresh = ResponseCacheFile(path, TITLE, fresh=True)
    assert fresh.get(key(1)) is None
    fresh.put(key(1), response("new"))
    fresh.put(key(2), response("another"))
    found = fresh.get(key(1))
    assert found is not None
    assert found.text == "new"
    later = ResponseCacheFile(path, TITLE).get(key(1))
    assert later is not None
    assert later.text == "new"


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
    assert recovered.damaged == 0
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
    damaged = ResponseCacheFile(path, TITLE)
    assert (damaged.get(key(2)) is None) == (bytes(middle) != lines[3])
    for number in (0, 1, 3, 4):
        assert damaged.get(key(number)) == response()
    damaged.put(key(2), response())
    assert ResponseCacheFile(path, TITLE).get(key(2)) == response()


def test_damaged_lines_are_counted(path: Path) -> None:
    ResponseCacheFile(path, TITLE).put(key(1), response())
    with path.open("ab") as stream:
        stream.write(b'{"key": "no checksum"}\n[]\n\n')
    assert ResponseCacheFile(path, TITLE).damaged == 3


def test_a_writer_cuts_off_what_a_killed_one_left_half_written(path: Path) -> None:
    cache_file = ResponseCacheFile(path, TITLE)
    cache_file.put(key(1), response())
    with path.open("ab") as stream:  # another process, killed in the middle
        stream.write(b'{"key":"00')
    cache_file.put(key(2), response())
    again = ResponseCacheFile(path, TITLE)
    assert again.damaged == 0
    assert again.get(key(1)) == again.get(key(2)) == response()


def _write_many(path: Path, start: int) -> None:
    cache_file = ResponseCacheFile(path, TITLE)
    for number in range(start, start + 200):
        cache_file.put(key(number), response("x" * (number % 50)))


def test_two_processes_at_once_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(path, entry * 1000)) for entry in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    cache_file = ResponseCacheFile(path, TITLE)
    assert cache_file.damaged == 0
    assert all(
        key(item * 1000 + number) in cache_file for item in range(3) for number in range(200)
    )


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "part-class").write_text("a file in the way")
    with pytest.raises(PromptHubError, match="cannot be written"):
        ResponseCacheFile(tmp_path / "part-class" / "book.jsonl", TITLE)


# --- the key -----------------------------------------------------------------------------------


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


MODEL = ALIASES.resolve("catalogue-pinned")


def whole_key(
    tmp_path: Path,
    prompt: Prompt,
    model: ModelConfig,
    messages: list[dict[str, str]] = MESSAGES,
    repeat: int = 0,
) -> tuple[str, str]:
    """The book and the key in it: where an answer is looked for."""
    store = ResponseStore(tmp_path)
    cache_file = store.cache_file(prompt, model)
    found = cache_file.path.name, cache_file.key(messages, repeat)
    store.close()
    return found


Change = Callable[[Prompt, ModelConfig], tuple[Prompt, ModelConfig]]


def of_model(**update: object) -> Change:
    return lambda prompt, model: (prompt, model.model_copy(update=update))


def of_prompt(**update: object) -> Change:
    return lambda prompt, model: (prompt.model_copy(update=update), model)


CHANGES: dict[str, Change] = {
    "model": of_model(model="another"),
    "provider": of_model(provider="bedrock", region="eu-west-1"),
    "endpoint": of_model(base_url="http://elsewhere/v1"),
    "region": of_model(region="us-east-1"),
    "output schema": of_prompt(output={"type": "object"}),
    "parameters": lambda prompt, model: (
        prompt.model_copy(update={"model": prompt.model.model_copy(update={"parameters": {}})}),
        model,
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_can_change_the_answer_changes_the_key(
    tmp_path: Path, prompt: Prompt, change: Change
) -> None:
    before = whole_key(tmp_path, prompt, MODEL)
    after = whole_key(tmp_path, *change(prompt, MODEL))
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_way_of_asking_changes_the_key(
    tmp_path: Path, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = whole_key(tmp_path, prompt, MODEL)
    monkeypatch.setattr("prompt_hub.evaluation.cache.ADAPTER_VERSION", client.ADAPTER_VERSION + "x")
    assert whole_key(tmp_path, prompt, MODEL) != before


def test_what_a_call_costs_or_how_it_is_paid_does_not_change_the_key(
    tmp_path: Path, prompt: Prompt
) -> None:
    before = whole_key(tmp_path, prompt, MODEL)
    changed = MODEL.model_copy(update={"api_key_env": "KEY", "concurrency": 3})
    assert whole_key(tmp_path, prompt, changed) == before


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


def test_the_title_says_what_a_book_is_about(tmp_path: Path, prompt: Prompt) -> None:
    store = ResponseStore(tmp_path)
    cache_file = store.cache_file(prompt, MODEL)
    assert store.cache_file(prompt, MODEL) is cache_file
    title = json.loads(cache_file.path.read_bytes().splitlines()[0])
    assert title == {"schema": "prompt-hub/responses@1", **cache_context(prompt, MODEL)}
    store.close()
