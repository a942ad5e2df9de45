"""The books of responses: found again by everything that matters, whatever happened to the file."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.cache import ResponseCacheFile, ResponseStore, cache_context
from prompt_hub.llm import client
from prompt_hub.llm.config import ModelConfig
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.answers import TITLE, key, response
from tests.unit.providers import ALIASES

MESSAGES = [{"role": "user", "content": "Which class? µ"}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "part-class" / "book.jsonl"


def test_a_response_is_found_by_the_next_run_with_all_it_took(path: Path) -> None:
    first = ResponseCacheFile(path, TITLE)
    first.put(key(1), response())
    assert first.get(key(1)) == response()
    assert ResponseCacheFile(path, TITLE).get(key(1)) == response()
    assert ResponseCacheFile(path, TITLE).get(key(2)) is None


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


def test_damaged_lines_are_counted(path: Path) -> None:
    ResponseCacheFile(path, TITLE).put(key(1), response())
    with path.open("ab") as stream:
        stream.write(b'{"key": "no checksum"}\n[]\n\n')
    assert ResponseCacheFile(path, TITLE).corrupt_entries == 3


@pytest.mark.parametrize("rest", [b"[1]}", b'"text":"x","tokens":7}', b"[" * 100_000])
def test_a_whole_line_of_another_form_is_asked_for_again(path: Path, rest: bytes) -> None:
    """A stored response that cannot be read ends neither this run nor a later one."""
    ResponseCacheFile(path, TITLE).put(key(1), response())
    sealed = b'"key":"' + key(2).encode() + b'",' + rest
    with path.open("ab") as stream:
        stream.write(b'{"crc":"%08x",%s\n' % (crc32(sealed), sealed))
    for _ in range(2):
        cache_file = ResponseCacheFile(path, TITLE)
        assert cache_file.get(key(2)) is None
        assert key(2) not in cache_file
        assert cache_file.corrupt_entries == 1
        assert cache_file.get(key(1)) == response()
    cache_file.put(key(2), response())
    assert ResponseCacheFile(path, TITLE).get(key(2)) == response()


def test_a_writer_cuts_off_what_a_killed_one_left_half_written(path: Path) -> None:
    cache_file = ResponseCacheFile(path, TITLE)
    cache_file.put(key(1), response())
    with path.open("ab") as stream:  # another process, killed in the middle
        stream.write(b'{"key":"00')
    cache_file.put(key(2), response())
    again = ResponseCacheFile(path, TITLE)
    assert again.corrupt_entries == 0
    assert again.get(key(1)) == again.get(key(2)) == response()


def _write_many(path: Path, start: int) -> None:
    cache_file = ResponseCacheFile(path, TITLE)
    for number in range(start, start + 200):
        cache_file.put(key(number), response("x" * (number % 50)))


@pytest.mark.processes
def test_two_processes_at_once_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(path, entry * 1000)) for entry in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    cache_file = ResponseCacheFile(path, TITLE)
    assert cache_file.corrupt_entries == 0
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


def test_the_title_says_what_a_book_is_about(tmp_path: Path, prompt: Prompt) -> None:
    store = ResponseStore(tmp_path)
    cache_file = store.cache_file(prompt, MODEL)
    assert store.cache_file(prompt, MODEL) is cache_file
    title = json.loads(cache_file.path.read_bytes().splitlines()[0])
    assert title == {"schema": "prompt-hub/responses@1", **cache_context(prompt, MODEL)}
    store.close()
