"""`prompt-hub dev`: what a save asks again, what it shows, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from prompt_hub.authoring import dev_session
from prompt_hub.authoring.dev_session import (
    DevSession,
    Look,
    follow,
    in_words,
    saves_of,
    summary,
)
from prompt_hub.cli import dev as command
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.evaluation.cache import CACHE_DIR, ResponseStore
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.llm.response import ModelResponse
from prompt_hub.repository.schema import JsonObject
from tests.unit import judging
from tests.unit.building import COMMIT, MAKERS, RepositoryFolder, catalogue_answer
from tests.unit.providers import ALIASES, FunctionProvider

PROMPT = "prompts/00-templates/brand.yaml"
EXAMPLES = "prompts/01-examples/brand.jsonl"
QUESTION = "Which brand is {{ manufacturer }}?"


class Bench:
    """A session on the task `brand`, whose model calls Murata by another name until told."""

    def __init__(self, folder: RepositoryFolder) -> None:
        self.folder = folder
        self.knows_murata = False
        self.provider = FunctionProvider(self._answer)
        self.said: list[str] = []
        self.store = ResponseStore(folder.root / CACHE_DIR)
        self.session = self.on(self.provider)

    def on(self, provider: FunctionProvider) -> DevSession:
        return DevSession(
            self.folder.repository,
            "brand",
            ModelClient(ALIASES, provider),
            ALIASES,
            self.store,
            say=self.said.append,
        )

    def _answer(self, messages: list[dict[str, str]]) -> JsonObject:
        if "Murata" in messages[-1]["content"] and not self.knows_murata:
            return {"brand": "muRata Electronics"}
        return catalogue_answer(messages)

    async def look(self) -> Look:
        found = await self.session.look()
        assert found is not None
        return found


@pytest.fixture
def bench(healthy: RepositoryFolder) -> Bench:
    return Bench(healthy)


def looks_after(bench: Bench, *changes: Callable[[], None]) -> list[Look]:
    async def run() -> list[Look]:
        found = [await bench.look()]
        for change in changes:
            change()
            found.append(await bench.look())
        return found

    return asyncio.run(run())


def test_a_look_measures_every_example_and_a_save_of_nothing_shows_nothing(bench: Bench) -> None:
    async def run() -> tuple[Look, Look | None]:
        first = await bench.look()
        bench.folder.write(EXAMPLES, bench.folder.read(EXAMPLES))
        return first, await bench.session.look()

    first, second = asyncio.run(run())
    assert (first.asked, first.score) == (4, 0.75)
    assert [example.id for example in first.worst] == ["maker-1"]
    assert second is None


def test_only_the_example_that_was_edited_is_asked(bench: Bench) -> None:
    _, edited = looks_after(
        bench, lambda: bench.folder.edit(EXAMPLES, "KEMET Electronics", "KEMET Components")
    )
    assert edited.asked == 1
    assert "KEMET Components" in bench.provider.asked[-1][-1]["content"]
    assert any("up-to-date" in line for line in edited.later)


def test_what_changes_no_question_asks_nothing(bench: Bench) -> None:
    """Another expected value, another number: the score may move, the bill does not."""
    _, expected, renumbered = looks_after(
        bench,
        lambda: bench.folder.edit(EXAMPLES, '{"brand": "KEMET"}', '{"brand": "Kemet GmbH"}'),
        lambda: bench.folder.bump("brand", "1.0.0", "1.1.0"),
    )
    assert (expected.asked, expected.score) == (0, 0.5)
    assert (renumbered.asked, renumbered.score) == (0, 0.5)
    assert bench.provider.calls == 4


def test_a_wording_that_was_tried_before_is_asked_of_nobody_again(bench: Bench) -> None:
    """However many other wordings came between: only the contract of the input is another."""

    def take_back() -> None:
        bench.folder.edit(PROMPT, f"{QUESTION} Short, please.", QUESTION)
        bound_the_input(bench)

    _, reworded, taken_back = looks_after(
        bench,
        lambda: bench.folder.edit(PROMPT, QUESTION, f"{QUESTION} Short, please."),
        take_back,
    )
    assert (reworded.asked, taken_back.asked, taken_back.score) == (4, 0, 0.75)


def test_only_so_many_wordings_are_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev_session, "REMEMBERED", 1)

    def take_back() -> None:
        bench.folder.edit(PROMPT, f"{QUESTION} Short, please.", QUESTION)
        bound_the_input(bench)

    *_, taken_back = looks_after(
        bench,
        lambda: bench.folder.edit(PROMPT, QUESTION, f"{QUESTION} Short, please."),
        take_back,
    )
    assert taken_back.asked == 4


def bound_the_input(bench: Bench) -> None:
    """Change the prompt in what no question says."""
    bench.folder.edit(
        PROMPT, "{manufacturer: {type: string}}", "{manufacturer: {type: string, maxLength: 99}}"
    )


def test_evaluate_pays_for_nothing_that_dev_has_asked_or_taken_over(bench: Bench) -> None:
    bench.knows_murata = True
    looks_after(bench, lambda: bench.folder.bump("brand", "1.0.0", "1.1.0"))
    bench.store.close()
    evaluator = Evaluator(
        bench.folder.repository,
        bench.provider.caller(),
        FolderResults(bench.folder.root / "results"),
        execution="later",
        commit=COMMIT,
        store=ResponseStore(bench.folder.root / CACHE_DIR),
        say=lambda line: None,
    )
    record = asyncio.run(evaluator.evaluate("brand"))
    assert record.candidate is not None
    assert (record.version, record.candidate.cached) == ("1.1.0", len(MAKERS))
    assert bench.provider.calls == len(MAKERS)


def test_what_was_wrong_is_asked_first_and_told_at_once(bench: Bench) -> None:
    def reword() -> None:
        bench.knows_murata = True
        bench.folder.edit(PROMPT, QUESTION, f"{QUESTION} Short, please.")

    first, second = looks_after(bench, reword)
    assert second.asked == 4
    assert "Murata" in bench.provider.asked[4][-1]["content"]
    assert bench.said == ["of 1 example that lost something, 1 now right"]
    heading, won, *_ = in_words(second, first)
    assert heading.startswith("1.0.0  1.000 (+0.250)  threshold 0.700")
    assert won == "  won  1: maker-1"
    assert any("version-moves" in line for line in second.later)


def test_a_broken_save_says_where_and_the_next_one_is_measured(bench: Bench) -> None:
    _, broken, mended = looks_after(
        bench,
        lambda: bench.folder.edit(PROMPT, "{{ manufacturer }}", "{{ manufaturer }}"),
        lambda: bench.folder.edit(PROMPT, "{{ manufaturer }}", "{{ manufacturer }}"),
    )
    *lines, waits = in_words(broken, bench.session.last)
    assert all(line.startswith(f"{PROMPT}:") for line in lines)
    assert any(line.endswith("[undeclared-variable]") for line in lines)
    assert waits == "waiting for the next save"
    assert (mended.asked, mended.score) == (0, 0.75)


def test_a_task_that_cannot_be_read_at_all_ends_nothing(bench: Bench) -> None:
    text = bench.folder.read(PROMPT)
    _, unreadable, mended = looks_after(
        bench,
        lambda: bench.folder.write(PROMPT, "task: [brand\n"),
        lambda: bench.folder.write(PROMPT, text),
    )
    assert any("yaml-syntax" in line for line in unreadable.broken)
    assert mended.score == 0.75


def test_an_example_without_an_answer_is_asked_again_at_the_next_save(bench: Bench) -> None:
    silent = {"maker": True}

    def answer(messages: list[dict[str, str]]) -> JsonObject | None:
        gone = silent["maker"] and "KEMET" in messages[-1]["content"]
        return None if gone else catalogue_answer(messages)

    provider = FunctionProvider(answer)
    session = bench.on(provider)

    async def run() -> tuple[Look | None, Look | None]:
        first = await session.look()
        silent["maker"] = False
        return first, await session.look()

    first, second = asyncio.run(run())
    assert first is not None
    assert second is not None
    assert first.score is None
    assert any("not measured" in line for line in in_words(first, None))
    assert (second.score, second.asked) == (1.0, 1)


class StuckProvider(FunctionProvider):
    """Keeps the third question until the test lets it go, and one that is cancelled for ever."""

    def __init__(self) -> None:
        super().__init__(catalogue_answer)
        self.stuck = asyncio.Event()
        self.cancelled = 0

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        if self.calls == 2 and not self.cancelled:
            self.stuck.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        return await super().complete(model, messages, parameters, schema)


@pytest.mark.parametrize("is_another_prompt", [False, True])
def test_a_save_ends_a_look_that_is_still_asking_and_keeps_its_answers(
    bench: Bench, *, is_another_prompt: bool
) -> None:
    shown: list[Look] = []

    async def run() -> StuckProvider:
        provider = StuckProvider()
        seen = asyncio.Event()

        async def saves() -> AsyncIterator[None]:
            await provider.stuck.wait()
            if is_another_prompt:
                bound_the_input(bench)
            yield
            await seen.wait()

        def show(look: Look, before: Look | None) -> None:
            shown.append(look)
            seen.set()

        session = DevSession(
            bench.folder.repository,
            "brand",
            ModelClient(ALIASES, provider, concurrency=1),
            ALIASES,
            ResponseStore(bench.folder.root / CACHE_DIR),
        )
        await follow(session, saves(), show)
        return provider

    provider = asyncio.run(run())
    assert provider.cancelled == 1
    assert [look.score for look in shown] == [1.0]
    assert shown[0].asked == len(MAKERS) - 2


def test_every_way_to_save_is_noticed(tmp_path: Path) -> None:
    """Written in place, replaced as editors do it, added, removed."""
    file, other = tmp_path / "brand.yaml", tmp_path / "block.txt"
    file.write_text("a")

    def replace() -> None:
        (tmp_path / "swap~").write_text("c")
        (tmp_path / "swap~").replace(file)

    changes: list[Callable[[], object]] = [
        lambda: file.write_text("bb"),
        replace,
        lambda: other.write_text("block"),
        other.unlink,
    ]

    async def run() -> int:
        noticed = 0
        looked = asyncio.Event()

        def files() -> list[Path]:
            looked.set()
            return [path for path in (file, other) if path.exists()]

        saves = saves_of(files, every=0.001)
        for change in changes:
            looked.clear()
            waiting = asyncio.ensure_future(anext(saves))
            await looked.wait()
            change()
            await waiting
            noticed += 1
        return noticed

    assert asyncio.run(asyncio.wait_for(run(), 30)) == len(changes)


def test_the_command_watches_shows_and_ends_with_a_summary(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(healthy)
    files: list[Path] = []
    shown = asyncio.Event()

    def told(look: Look, before: Look | None) -> Iterator[str]:
        shown.set()
        return in_words(look, before)

    async def one_save(watched: Callable[[], Iterator[Path]]) -> AsyncIterator[None]:
        files.extend(watched())
        await shown.wait()
        shown.clear()
        bench.knows_murata = True
        healthy.edit(PROMPT, QUESTION, f"{QUESTION} Short, please.")
        yield
        await shown.wait()
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    monkeypatch.setenv(aws_names.ENV_MODELS, ALIASES.to_json())
    monkeypatch.setattr(command, "saves_of", one_save)
    monkeypatch.setattr(command, "in_words", told)
    monkeypatch.setattr(
        command, "ModelClient", lambda aliases, concurrency: bench.provider.caller()
    )
    assert main(["dev", "brand"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("1.0.0")] == [
        "1.0.0  0.750  threshold 0.700 · 4 examples, 4 asked",
        "1.0.0  1.000 (+0.250)  threshold 0.700 · 4 examples, 4 asked",
    ]
    assert lines[-1] == (
        "brand: 2 looks, 0.750 to 1.000, 8 calls. The gate's word, beside the champion:"
        " prompt-hub evaluate brand"
    )
    names = {path.relative_to(healthy.root).as_posix() for path in files}
    assert {PROMPT, EXAMPLES, "prompts/03-metadata/brand.yaml"} <= names
    assert "prompts/00-templates/catalogue-role.txt" in names


def test_a_folder_that_goes_while_it_is_read_ends_no_session(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanishing(folder: Path, pattern: str) -> Iterator[Path]:
        yield folder / "catalogue-role.txt"
        raise FileNotFoundError(pattern)

    monkeypatch.setattr(Path, "rglob", vanishing)
    names = [path.relative_to(bench.folder.root).as_posix() for path in bench.session.files()]
    templates, metadata = "prompts/00-templates", "prompts/03-metadata/brand.yaml"
    assert names == [f"{templates}/catalogue-role.txt", EXAMPLES, metadata, PROMPT]


PRICES: dict[str, object] = {"price_per_million": {"input": 1000, "output": 8000}}
UNPRICED = ", and that of models without a price"


@pytest.mark.parametrize(
    ("candidate", "judge", "cost"),
    [
        # Six answers and 3 votes on each, of 10 tokens in and 2 out.
        (PRICES, PRICES, ", $0.62"),
        (PRICES, {}, f", $0.16{UNPRICED}"),
        ({}, PRICES, f", $0.47{UNPRICED}"),
        ({}, {}, ""),
    ],
)
def test_a_look_costs_what_every_model_has_cost_that_it_asked(
    healthy: RepositoryFolder,
    candidate: dict[str, object],
    judge: dict[str, object],
    cost: str,
) -> None:
    judging.add_judge(healthy, prompt=judging.PROMPT.replace("-pinned", "-latest"))
    judging.use_judge(healthy)
    models = {
        "catalogue-pinned": {"provider": "openai", "model": "small", **candidate},
        "catalogue-latest": {"provider": "openai", "model": "latest", **judge},
    }
    aliases = ModelAliases.parse(json.dumps(models))
    client = ModelClient(aliases, judging.provider(judging.sensible))
    store = ResponseStore(healthy.root / CACHE_DIR)
    session = DevSession(healthy.repository, "part-class", client, aliases, store)
    look = asyncio.run(session.look())
    assert look is not None
    assert next(in_words(look, None)).endswith(f" · 6 examples, 24 asked{cost}")
    assert f", 24 calls{cost}. The gate's word" in summary("part-class", session.looks)


def test_a_summary_of_nothing_says_so() -> None:
    assert summary("brand", []) == "brand: nothing was measured"
