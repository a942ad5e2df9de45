"""HTTP 200 without an answer: an outage is tried again, a refusal says what it is."""

from __future__ import annotations

import asyncio
import json

import pytest

from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.budget import BudgetReachedError
from prompt_hub.evaluation.budgeted_client import BudgetedClient
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import Answer
from prompt_hub.repository.schema import Budget, Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.llm.calling import AT_ONCE, FIELDS, call_once
from tests.unit.llm.servers import Reply, Scripted, scripted

TEXT = '{"part_class": "diode"}'
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
SPENT = {"prompt_tokens": 40, "completion_tokens": 6}


def reply(
    content: object = TEXT,
    finish: str | None = "stop",
    *,
    usage: object = None,
    choice: dict[str, object] | None = None,
    top: dict[str, object] | None = None,
    **message: object,
) -> Reply:
    first = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, **message},
        **(choice or {}),
    }
    counted = {} if usage is None else {"usage": usage}
    return 200, {}, {"id": "x", "choices": [first], **counted, **(top or {})}


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


def ask(server: Scripted, prompt: Prompt, **settings: object) -> Answer:
    alias = {"provider": "openai", "model": "m", "base_url": f"{server.url}/v1", **settings}
    return call_once(prompt, alias)


BAD_GATEWAY = {"code": 502, "message": "upstream connect error"}
OUTAGES: dict[str, tuple[Reply, str]] = {
    "finish error": (
        reply("", "error", usage=SPENT),
        r"its answer was broken off \(finish_reason error\)",
    ),
    "finish error, half an answer": (
        reply('{"part_cl', "error", usage={"prompt_tokens": None, "completion_tokens": None}),
        "broken off",
    ),
    "finish error, a whole answer": (reply(TEXT, "error", usage=SPENT), "broken off"),
    "finish ERROR": (reply("", "ERROR"), "broken off"),
    "finish abort": (reply("{", "abort", usage=SPENT), r"broken off \(finish_reason abort\)"),
    "no resources": (reply("{", "insufficient_system_resource", usage=SPENT), "broken off"),
    "a choice with an error": (
        reply("", "stop", usage=SPENT, choice={"error": BAD_GATEWAY}),
        r"an error inside HTTP 200, 6 times: upstream connect error \(502\)",
    ),
    "a choice with an error and an answer": (
        reply(usage=SPENT, choice={"error": "upstream"}),
        "an error inside HTTP 200, 6 times: upstream",
    ),
    "an error beside the choices": (
        reply(usage=SPENT, top={"error": BAD_GATEWAY}),
        "an error inside HTTP 200, 6 times: upstream connect error",
    ),
    "an error without choices": (
        (200, {}, {"error": {"code": 529, "message": "Overloaded"}}),
        "an error inside HTTP 200, 12 times: Overloaded",
    ),
    "words that are under no key of their own": (
        (200, {}, {"message": "Rate limit exceeded: Overloaded", "code": 429}),
        r"an error inside HTTP 200, 12 times: Rate limit exceeded: Overloaded \(429\)",
    ),
    "words of a gateway": (
        (200, {}, {"detail": "Not found"}),
        "an error inside HTTP 200, 6 times: Not found",
    ),
    "empty, no tokens": (
        reply("", usage=ZERO),
        r"its answer was empty: no content \(finish_reason stop\)",
    ),
    "white space, no tokens": (reply(" \n", usage=ZERO), "its answer was empty"),
    "null, no tokens": (reply(None, usage=ZERO), "its answer was empty"),
    "no content at all, no tokens": (
        (200, {}, {"choices": [{"message": {}, "finish_reason": "stop"}], "usage": ZERO}),
        "its answer was empty",
    ),
    "tool calls without one, no tokens": (reply(None, "tool_calls", usage=ZERO), "was empty"),
    "empty, nothing counted": (reply(""), "its answer was empty"),
    "null, nothing said": (reply(None, None), r"no content \(finish_reason missing\)"),
    "more tokens than there are numbers": (
        reply(usage={"prompt_tokens": float("inf"), "completion_tokens": 6}),
        "its answer was not readable",
    ),
    "empty parts, no tokens": (reply([], usage=ZERO), "its answer was empty"),
}


@pytest.mark.parametrize(("outage", "says"), OUTAGES.values(), ids=OUTAGES)
def test_an_outage_inside_http_200_is_tried_again_and_never_an_answer(
    prompt: Prompt, outage: Reply, says: str
) -> None:
    with scripted(outage, outage, reply()) as server:
        assert ask(server, prompt).response.usage.attempts == 3
    with scripted(outage) as server:
        with pytest.raises(ModelUnavailableError, match=says) as caught:
            ask(server, prompt)
        busy = "Overloaded" in says
        assert len(server.asked) == (AT_ONCE.attempts_if_busy if busy else AT_ONCE.attempts)
    assert caught.value.exit_code is ExitCode.NOT_MEASURED


PRICED = {"price_per_million": {"input": 1.0, "output": 2.0}}
SPENT_USD = (40 * 1.0 + 6 * 2.0) / 1e6
PAID: dict[str, Reply] = {
    "broken off": reply("{", "abort", usage=SPENT),
    "an error beside it": reply(usage=SPENT, top={"error": BAD_GATEWAY}),
    "an error in its choice": reply(usage=SPENT, choice={"error": BAD_GATEWAY}),
}


@pytest.mark.parametrize("outage", PAID.values(), ids=PAID)
def test_what_a_failed_attempt_took_is_paid_for(prompt: Prompt, outage: Reply) -> None:
    with scripted(outage, (502, {}, {}), outage, reply(usage=SPENT)) as server:
        usage = ask(server, prompt, **PRICED).response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.attempts) == (120, 18, 4)
    assert usage.usd == pytest.approx(3 * SPENT_USD)


def test_a_cut_off_answer_is_as_long_as_it_is_whatever_attempts_before_it_took(
    prompt: Prompt,
) -> None:
    with scripted(PAID["broken off"], reply("{", "length", usage=SPENT)) as server:
        answer = ask(server, prompt)
    assert answer.problem == "the answer was cut off after 6 tokens"
    assert answer.response.usage.output_tokens == 12


@pytest.mark.parametrize("last", [PAID["broken off"], (400, {}, {})], ids=["given up", "refused"])
def test_a_call_that_has_failed_is_paid_for_out_of_the_budget(prompt: Prompt, last: Reply) -> None:
    with scripted(*[PAID["broken off"]] * 5, last) as server:
        alias = {"provider": "openai", "model": "m", "base_url": f"{server.url}/v1", **PRICED}
        aliases = ModelAliases.parse(json.dumps({"catalogue-pinned": alias}))

        async def twice() -> BudgetedClient:
            async with ModelClient(aliases, retries=AT_ONCE) as client:
                # Enough for one call, set aside at its most, and not for five that were paid.
                asked = BudgetedClient(client, budget=Budget(usd=0.0005))
                with pytest.raises(ModelUnavailableError):
                    await asked.ask(prompt, FIELDS)
                with pytest.raises(BudgetReachedError):
                    await asked.ask(prompt, FIELDS)
                return asked

        tracker = asyncio.run(twice()).tracker
        times = len(server.asked) - (last[0] == 400)
    assert len(server.asked) == 6
    assert (tracker.calls, tracker.tokens) == (1, times * 46)
    assert tracker.usd == pytest.approx(times * SPENT_USD)


@pytest.mark.parametrize("code", [400, 402, "insufficient_quota"])
def test_an_error_inside_http_200_that_stays_is_not_tried_again(
    prompt: Prompt, code: int | str
) -> None:
    with scripted((200, {}, {"error": {"code": code, "message": "no"}})) as server:
        with pytest.raises(ModelUnavailableError, match=f"inside HTTP 200: no.*{code}"):
            ask(server, prompt)
        assert len(server.asked) == 1


CUT_OFF_THINKING = (
    "the answer was cut off after 6 tokens, in the model's thinking:"
    " reasoning.tokens of its alias make room for that"
)
PROBLEMS: dict[str, tuple[Reply, str]] = {
    "refusal": (
        reply(None, refusal="I can't help with that."),
        "the model refused: I can't help with that.",
    ),
    "refusal beside no tokens": (
        reply("", usage=ZERO, refusal="No."),
        "the model refused: No.",
    ),
    "refusal as a part": (
        reply([{"type": "refusal", "refusal": "No."}], usage=SPENT),
        "the model refused: No.",
    ),
    "refusal as a finish reason": (reply("Not me.", "refusal"), "the model refused: Not me."),
    "long refusal": (reply(None, refusal="no " * 100), f"the model refused: {'no ' * 66}n…"),
    "filter": (reply("", "content_filter"), "stopped by the provider's content filter"),
    "filter, half an answer": (
        reply('{"part_cl', "content_filter", usage=SPENT),
        "stopped by the provider's content filter",
    ),
    "filter, a reason of its own": (
        reply(None, "content_filter: PROHIBITED_CONTENT", usage=ZERO),
        "stopped by the provider's content filter",
    ),
    "filter, as an error": (
        (400, {}, {"error": {"code": "content_filter", "message": "The prompt is filtered."}}),
        "stopped by the provider's content filter",
    ),
    "filter, as an error inside HTTP 200": (
        (200, {}, {"error": {"code": "content_filter", "message": "The prompt is filtered."}}),
        "stopped by the provider's content filter",
    ),
    "tool calls": (
        reply(None, "tool_calls", tool_calls=[{"id": "1", "type": "function"}]),
        "no content (finish_reason tool_calls)",
    ),
    "function call": (
        reply(None, "function_call", function_call={"name": "f", "arguments": "{}"}),
        "no content (finish_reason function_call)",
    ),
    "null": (reply(None), "no content (finish_reason stop)"),
    "null that took tokens": (reply(None, usage=SPENT), "no content (finish_reason stop)"),
    "empty that took tokens": (reply("", usage=SPENT), "no content (finish_reason stop)"),
    "thinking alone": (
        reply([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}], usage=SPENT),
        "no content (finish_reason stop, thinking alone)",
    ),
    "thinking alone, DeepSeek": (
        reply(None, reasoning_content="A diode?", usage=SPENT),
        "no content (finish_reason stop, thinking alone)",
    ),
    "thinking alone, vLLM": (
        reply("", reasoning="A diode?", usage=SPENT),
        "no content (finish_reason stop, thinking alone)",
    ),
    "cut off": (reply('{"part_cl', "length", usage=SPENT), "the answer was cut off after 6 tokens"),
    "cut off, Mistral": (
        reply('{"part_cl', "model_length", usage=SPENT),
        "the answer was cut off after 6 tokens",
    ),
    "cut off before it wrote": (
        reply(None, "length", usage=SPENT),
        "the answer was cut off after 6 tokens",
    ),
    "cut off after white space": (
        reply(" \n", "length", usage=SPENT),
        "the answer was cut off after 6 tokens",
    ),
    "cut off while it thought, DeepSeek": (
        reply(None, "length", reasoning_content="A diode?", usage=SPENT),
        CUT_OFF_THINKING,
    ),
    "cut off while it thought, vLLM": (
        reply("", "length", reasoning="A diode?", usage=SPENT),
        CUT_OFF_THINKING,
    ),
    "cut off while it thought, Mistral": (
        reply(
            [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}],
            "length",
            usage=SPENT,
        ),
        CUT_OFF_THINKING,
    ),
    "cut off after it thought": (
        reply('{"part_cl', "length", reasoning="A diode?", usage=SPENT),
        "the answer was cut off after 6 tokens",
    ),
}


@pytest.mark.parametrize(("said", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_an_answer_that_holds_none_says_why_and_is_not_asked_for_again(
    prompt: Prompt, said: Reply, problem: str
) -> None:
    with scripted(said) as server:
        answer = ask(server, prompt)
        assert len(server.asked) == 1
    assert answer.problem == problem
    assert answer.output is None


@pytest.mark.parametrize(
    "parts",
    [
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "A diode?"}]},
            {"type": "text", "text": TEXT},
        ],
        [{"type": "text", "text": TEXT[:9]}, {"type": "text", "text": TEXT[9:]}],
        [{"type": "output_text", "text": TEXT}, {"type": "reference", "reference_ids": [1]}],
        [TEXT],
    ],
)
def test_the_text_among_the_parts_of_a_message_is_the_answer(
    prompt: Prompt, parts: list[object]
) -> None:
    with scripted(reply(parts, usage=SPENT)) as server:
        assert ask(server, prompt).output == {"part_class": "diode"}


@pytest.mark.parametrize(
    "parts", [[7], [{"type": "text"}], [{"type": "text", "text": 7}], {"type": "text"}, 7, True]
)
def test_a_message_of_another_form_is_not_readable(prompt: Prompt, parts: object) -> None:
    with (
        scripted(reply(parts, usage=SPENT)) as server,
        pytest.raises(ModelUnavailableError, match="its answer was not readable"),
    ):
        ask(server, prompt)


@pytest.mark.parametrize(
    "beside",
    [
        {"reasoning_content": "A resistor?"},
        {"reasoning": "A resistor?", "reasoning_details": [{"type": "reasoning.text"}]},
        {"reasoning_content": None},
    ],
)
def test_thinking_beside_an_answer_is_none_of_it(prompt: Prompt, beside: dict[str, object]) -> None:
    with scripted(reply(**beside)) as server:
        answer = ask(server, prompt)
    assert answer.problem is None
    assert answer.output == {"part_class": "diode"}
