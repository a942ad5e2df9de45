"""What stands around an answer: thinking in any tag, white space, a fence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.llm.answer_text import without_thinking
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig, Reasoning
from prompt_hub.llm.response import Answer, ModelResponse, Usage, output_in
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.llm.calling import FIELDS
from tests.unit.providers import FunctionProvider

TEXT = '{"part_class": "diode"}'


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


@pytest.mark.parametrize(
    "thinking",
    [
        "<think>\nIt is a diode.\n</think>\n\n",
        "<think>\n\n</think>\n\n",
        "\ufeff <think>a</think>\u00a0\ufeff",
        "<thinking>a</thinking>",
        "<reasoning>a</reasoning>",
        "<seed:think>a</seed:think>",
        "<Thought>a</thought>",
        "[THINK]a[/THINK]",
        "◁think▷a◁/think▷",
        "It is a diode.</think>",
        "</think>",
        'Is it {"part_class": "resistor"}? No.</think>',
        "Write <b>bold</b>, or not.</think>",
        "<think>Is <think> a tag? </think> It is. </think>",
        "<think>a</think><think>b</think>",
        '<think>{"part_class": "resistor"}</think>',
    ],
)
@pytest.mark.parametrize("answer", [TEXT, '{"html": "<b>x</b></i>"}', f"```json\n{TEXT}\n```"])
def test_what_follows_the_thinking_is_the_answer(thinking: str, answer: str) -> None:
    assert without_thinking(thinking + answer) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        TEXT,
        f" {TEXT} ",
        '{"html": "</b>", "more": "<think>x</think>"}',
        "```\n</b>{}\n```",
        "<think>never ends",
        "<think>nothing follows</think>",
        "nothing follows</think>",
        "a <think>b</think>",
        "a <b>c</b> d",
        "[1, 2]",
    ],
)
def test_what_is_no_thinking_before_an_answer_stays(text: str) -> None:
    assert without_thinking(text) == text


def test_long_texts_take_no_long_time() -> None:
    assert without_thinking("</a>" * 20_000 + TEXT) == TEXT
    assert without_thinking("<a>" * 50_000) == "<a>" * 50_000


def test_stored_thinking_of_an_earlier_version_is_taken_off(prompt: Prompt, tmp_path: Path) -> None:
    model = ModelConfig(
        alias="catalogue-pinned", provider="openai", model="m", reasoning=Reasoning(effort="low")
    )
    caller = ModelClient(ModelAliases({model.alias: model}), FunctionProvider(lambda _: None))
    store = ResponseStore(tmp_path)
    cache_file = store.cache_file(prompt, model)
    usage = Usage(input_tokens=1, output_tokens=1)
    stored = ModelResponse(text=f"<think>a</think>{TEXT}", model="m", usage=usage)
    cache_file.put(cache_file.key(caller.request(prompt, FIELDS).messages, 0), stored)
    answer = asyncio.run(BudgetedClient(caller, store=store).ask(prompt, FIELDS))
    assert answer.output == {"part_class": "diode"}
    store.close()


@pytest.mark.parametrize(
    "around", ["\ufeff{}", "\u00a0{}", "\ufeff\u00a0\n{}\n\ufeff", "\u2003{}\u3000", "\r\n{}\x85"]
)
def test_white_space_of_every_kind_around_an_object_is_none_of_it(
    prompt: Prompt, around: str
) -> None:
    assert output_in(around.format(TEXT), prompt) == ({"part_class": "diode"}, None)
    allowed = prompt.model_copy(update={"output_fence": "allowed"})
    fenced = f"```json\n{around.format(TEXT)}\n```"
    assert output_in(around.format(fenced), allowed) == ({"part_class": "diode"}, None)


ALOUD = (
    "the answer is not JSON (the model reasons aloud before it; `reasoning` in its alias takes that"
    " off)"
)
ALONE = "the answer is not JSON (it is the model's thinking, with no answer behind it)"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # Qwen3; then Qwen3-Thinking and DeepSeek-R1, whose template writes the opening tag.
        (f"<think>\nA diode, I think.\n</think>\n\n{TEXT}", ALOUD),
        (f"A diode, I think.\n</think>\n\n{TEXT}", ALOUD),
        (f"<think>\n\n</think>\n\n```json\n{TEXT}\n```", ALOUD),
        (f"[THINK]a[/THINK]{TEXT}", ALOUD),
        (f"◁think▷a◁/think▷{TEXT}", ALOUD),
        ("<think>\nA diode, I think.\n</think>\n", ALONE),
        ("<think>\nA diode, I", ALONE),
        ("A diode, I think.\n</think>", ALONE),
        ("<b>diode</b>", "the answer is not JSON (Expecting value at column 1)"),
        ("I <think> so", "the answer is not JSON (Expecting value at column 1)"),
        (
            '{"part_class": "di',
            "the answer is not JSON (Unterminated string starting at column 16)",
        ),
    ],
)
def test_thinking_aloud_is_named_and_what_takes_it_off(
    prompt: Prompt, text: str, problem: str
) -> None:
    assert output_in(text, prompt) == (None, problem)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            "<think>\nA diode",
            ", in the model's thinking: reasoning.tokens of its alias make room for that",
        ),
        ('{"part_class": "di', ""),
        ('{"part_class": "<think>', ""),
        ('{"part_class": "the tag </think>', ""),
        ('<think>a</think>{"part_class": "di', ""),
    ],
)
def test_thinking_that_was_cut_off_says_what_makes_room(
    prompt: Prompt, text: str, where: str
) -> None:
    usage = Usage(input_tokens=1, output_tokens=32)
    answer = Answer.of(ModelResponse(text=text, model="m", truncated=True, usage=usage), prompt)
    assert answer.problem == f"the answer was cut off after 32 tokens{where}"


FENCED = [
    f"```json\n{TEXT}\n```",
    f"```\n{TEXT}\n```",
    f"```JSON\r\n{TEXT}\r\n```\n",
    f"```{TEXT}```",
]


@pytest.mark.parametrize("text", FENCED)
def test_a_fence_is_taken_off_where_the_contract_allows_one(prompt: Prompt, text: str) -> None:
    assert prompt.output_fence == "refused"
    assert output_in(text, prompt) == (
        None,
        "the answer is not JSON (it stands in a Markdown fence; output_fence: allowed takes that"
        " off)",
    )
    allowed = prompt.model_copy(update={"output_fence": "allowed"})
    assert output_in(text, allowed) == ({"part_class": "diode"}, None)


@pytest.mark.parametrize(
    "text",
    [
        f"Here:\n```json\n{TEXT}\n```",
        f"```json\n{TEXT}\n```\nDone.",
        f"```json\n{TEXT}",
        "``````",
        "```",
    ],
)
def test_a_fence_around_a_part_of_the_answer_stays(prompt: Prompt, text: str) -> None:
    allowed = prompt.model_copy(update={"output_fence": "allowed"})
    output, problem = output_in(text, allowed)
    assert output is None
    assert problem is not None


def test_an_empty_answer_says_so(prompt: Prompt) -> None:
    assert output_in(" \ufeff", prompt) == (None, "the answer is not JSON (it is empty)")


def test_the_choice_of_a_fence_is_part_of_a_prompts_hash(prompt: Prompt) -> None:
    assert "output_fence" not in prompt.to_file()
    allowed = prompt.model_copy(update={"output_fence": "allowed"})
    assert allowed.to_file()["output_fence"] == "allowed"
    assert allowed.sha256 != prompt.sha256
