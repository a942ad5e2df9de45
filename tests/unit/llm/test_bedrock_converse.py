"""Bedrock's Converse API: boto3 against a server that keeps the documented contract.

The contract is botocore's own model of the service: what is asked is checked against the input
shape, and what the server answers against the output shape, before boto3 parses it for real.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import cast
from urllib.parse import unquote

import botocore.session
import pytest
from botocore.loaders import JSONFileLoader
from botocore.validate import ParamValidator

from prompt_hub.core.errors import ExitCode
from prompt_hub.llm.config import ModelConfig, Reasoning
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.llm.response import Answer
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.llm.calling import AT_ONCE, call_once
from tests.unit.llm.servers import Reply, Scripted, scripted

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
CONVERSE = (
    botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse")
)


def answered(
    *content: dict[str, object], stop: str = "tool_use", tokens: tuple[int, int] = (1000, 50)
) -> Reply:
    """A documented answer."""
    body = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": {
            "inputTokens": tokens[0],
            "outputTokens": tokens[1],
            "totalTokens": sum(tokens),
        },
        "metrics": {"latencyMs": 320},
    }
    problems = ParamValidator().validate(body, CONVERSE.output_shape)
    assert not problems.has_errors(), problems.generate_report()
    stops = CONVERSE.output_shape.members["stopReason"].enum
    assert stop in stops, f"the API knows no stop reason {stop}: {stops}"
    return 200, {}, body


def filled_in(**fields: object) -> dict[str, object]:
    return {"toolUse": {"toolUseId": "tooluse_1", "name": "output", "input": fields}}


def refused(kind: str, message: str) -> Reply:
    """A documented error of the API, with its own status."""
    shapes = {shape.name: shape for shape in CONVERSE.error_shapes}
    status = shapes[kind].metadata["error"]["httpStatusCode"]
    return status, {"x-amzn-ErrorType": kind}, {"message": message}


GOOD = answered(filled_in(part_class="diode"))


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    with scripted(GOOD) as script:
        yield script


def call(server: Scripted, prompt: Prompt, *replies: Reply, **settings: object) -> Answer:
    server.replies[:] = replies or [GOOD]
    setting = {
        "provider": "bedrock-converse",
        "model": MODEL,
        "region": "eu-west-1",
        "base_url": server.url,
        "price_per_million": {"input": 1.0, "output": 5.0},
        **settings,
    }
    return call_once(prompt, setting)


def test_the_schema_is_a_tool_and_what_is_filled_in_is_the_answer(
    server: Scripted, prompt: Prompt
) -> None:
    answer = call(server, prompt)
    assert answer.valid
    assert answer.output == {"part_class": "diode"}
    usage = answer.response.usage
    assert (usage.input_tokens, usage.output_tokens) == (1000, 50)
    assert usage.usd == pytest.approx(0.00125)
    assert answer.response.model == MODEL
    (asked,) = server.asked
    assert unquote(asked.path) == f"/model/{MODEL}/converse"
    problems = ParamValidator().validate({"modelId": MODEL, **asked.body}, CONVERSE.input_shape)
    assert not problems.has_errors(), problems.generate_report()
    (tool,) = asked.body["toolConfig"]["tools"]  # type: ignore[index]
    assert tool["toolSpec"]["inputSchema"] == {"json": prompt.output}
    assert json.dumps(tool["toolSpec"]["inputSchema"]["json"]) == json.dumps(prompt.output)
    assert asked.body["toolConfig"]["toolChoice"] == {"tool": {"name": "output"}}  # type: ignore[index]
    assert asked.body["inferenceConfig"] == {
        "temperature": 0,
        "maxTokens": prompt.model.parameters["max_tokens"],
    }


def test_system_messages_go_apart_and_roles_take_turns(server: Scripted, prompt: Prompt) -> None:
    call(server, prompt)
    (asked,) = server.asked
    turns = cast(list[dict[str, object]], asked.body["messages"])
    assert "system" in {message.role for message in prompt.messages}
    assert len(cast(list[object], asked.body["system"])) >= 1
    roles = [turn["role"] for turn in turns]
    assert roles[0] == "user"
    assert all(first != second for first, second in pairwise(roles))
    assert "BAT54" in json.dumps(turns[-1])


def test_a_call_is_signed_by_the_role(server: Scripted, prompt: Prompt) -> None:
    call(server, prompt)
    (asked,) = server.asked
    signed = asked.headers["authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/bedrock/aws4_request" in signed
    assert asked.headers["x-amz-security-token"] == "token"


def test_text_instead_of_the_tool_is_read_as_text(server: Scripted, prompt: Prompt) -> None:
    text = answered({"text": '{"part_class": '}, {"text": '"diode"}'}, stop="end_turn")
    assert call(server, prompt, text).output == {"part_class": "diode"}


def test_a_model_that_reasons_has_room_to_and_its_thinking_is_no_answer(
    server: Scripted, prompt: Prompt
) -> None:
    thinking = {"reasoningContent": {"reasoningText": {"text": "A Schottky diode."}}}
    reply = answered(thinking, filled_in(part_class="diode"))
    answer = call(server, prompt, reply, reasoning={"effort": "low", "tokens": 1024})
    assert answer.output == {"part_class": "diode"}
    (asked,) = server.asked
    most = prompt.model.parameters["max_tokens"] + 1024
    assert asked.body["inferenceConfig"]["maxTokens"] == most  # type: ignore[index]
    assert asked.body["outputConfig"] == {"effort": "low"}
    problems = ParamValidator().validate({"modelId": MODEL, **asked.body}, CONVERSE.input_shape)
    assert not problems.has_errors(), problems.generate_report()


@pytest.mark.parametrize("stop", ["max_tokens", "model_context_window_exceeded"])
def test_an_answer_that_was_cut_off_says_so(server: Scripted, prompt: Prompt, stop: str) -> None:
    answer = call(server, prompt, answered({"text": '{"part_cl'}, stop=stop))
    assert not answer.valid
    assert answer.problem == "the answer was cut off after 50 tokens"


def test_a_model_that_was_cut_off_in_its_thinking_is_told_to_need_more_room_for_it(
    server: Scripted, prompt: Prompt
) -> None:
    thinking = {"reasoningContent": {"reasoningText": {"text": "A Schottky"}}}
    answer = call(server, prompt, answered(thinking, stop="max_tokens"))
    assert answer.problem == (
        "the answer was cut off after 50 tokens, in the model's thinking:"
        " reasoning.tokens of its alias make room for that"
    )
    answer = call(server, prompt, answered(thinking, stop="model_context_window_exceeded"))
    assert answer.problem == "the answer was cut off after 50 tokens"


FILTER = "stopped by the provider's content filter"
STOPPED: list[tuple[str, Reply, str]] = [
    ("guardrail", answered({"text": "Sorry."}, stop="guardrail_intervened", tokens=(9, 0)), FILTER),
    (
        "guardrail after it",
        answered(filled_in(part_class="diode"), stop="guardrail_intervened"),
        FILTER,
    ),
    ("filter", answered(stop="content_filtered", tokens=(100, 0)), FILTER),
    (
        "malformed",
        answered(stop="malformed_model_output", tokens=(100, 0)),
        "(stopReason malformed_model_output)",
    ),
    (
        "malformed tool",
        answered({"text": "{"}, stop="malformed_tool_use"),
        "(stopReason malformed_tool_use)",
    ),
    ("no tool", answered(stop="tool_use"), "no content (stopReason tool_use)"),
    (
        "thinking alone",
        answered({"reasoningContent": {"reasoningText": {"text": "hm"}}}, stop="end_turn"),
        "no content (stopReason end_turn)",
    ),
    (
        "white space",
        answered({"text": " "}, stop="stop_sequence"),
        "no content (stopReason stop_sequence)",
    ),
]


@pytest.mark.parametrize(("_", "reply", "problem"), STOPPED, ids=[name for name, _, _ in STOPPED])
def test_an_answer_that_was_stopped_says_by_what_and_is_no_outage(
    server: Scripted, prompt: Prompt, _: str, reply: Reply, problem: str
) -> None:
    answer = call(server, prompt, reply)
    assert answer.output is None
    assert answer.problem is not None
    assert answer.problem.endswith(problem)
    assert len(server.asked) == 1


TROUBLE: dict[str, Reply] = {
    "throttled": refused("ThrottlingException", "Too many requests"),
    "not ready": refused("ModelNotReadyException", "The model is not ready"),
    "timed out": refused("ModelTimeoutException", "The model took too long"),
    "model failed": refused("ModelErrorException", "The model failed"),
    "broken": refused("InternalServerException", "Internal"),
    "unavailable": refused("ServiceUnavailableException", "Busy"),
    "hangs up": (0, {}, b""),
    "body is not JSON": (200, {}, b"{this is not JSON"),
    "body is cut off": (200, {"Content-Length": "5000"}, b'{"output": {"mess'),
    "another kind of JSON": (200, {}, [1, 2]),
    "no output": (200, {}, {}),
    "empty": answered(stop="end_turn", tokens=(100, 0)),
    "empty text": answered({"text": ""}, stop="stop_sequence", tokens=(100, 0)),
    "empty use of the tool": answered(stop="tool_use", tokens=(100, 0)),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_a_call_that_fails_is_made_again_by_our_layer_alone(
    server: Scripted, prompt: Prompt, trouble: Reply
) -> None:
    answer = call(server, prompt, trouble, trouble, GOOD)
    assert answer.output == {"part_class": "diode"}
    assert answer.response.usage.attempts == 3
    assert len(server.asked) == 3


def test_a_call_that_never_succeeds_is_an_outage(server: Scripted, prompt: Prompt) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        call(server, prompt, TROUBLE["throttled"])
    assert caught.value.exit_code is ExitCode.NOT_MEASURED
    assert "HTTP 429, 12 times: Too many requests (ThrottlingException)" in caught.value.message
    assert "Too many" not in caught.value.public_message
    assert len(server.asked) == AT_ONCE.attempts_if_busy


@pytest.mark.parametrize(
    ("kind", "message", "says"),
    [
        (
            "AccessDeniedException",
            "User: arn:aws:sts::111122223333:assumed-role/x/y may not call this model",
            "HTTP 403: User: arn:aws:sts::…:assumed-role/x/y may not call this model"
            " (AccessDeniedException)",
        ),
        (
            "ValidationException",
            "This model doesn't support the toolConfig.toolChoice.tool field. Remove it.",
            "HTTP 400: This model doesn't support the toolConfig.toolChoice.tool field. Remove it"
            " (ValidationException)",
        ),
        ("ResourceNotFoundException", "No such model", "HTTP 404: No such model (Resource"),
    ],
)
def test_a_refusal_is_told_in_bedrocks_own_words(
    server: Scripted, prompt: Prompt, kind: str, message: str, says: str
) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        call(server, prompt, refused(kind, message))
    assert says in caught.value.message
    assert len(server.asked) == 1


def test_nobody_listening_is_an_outage(server: Scripted, prompt: Prompt) -> None:
    with pytest.raises(ModelUnavailableError, match=r"no connection \(refused\), 6 times"):
        call(server, prompt, base_url="http://127.0.0.1:9")


def test_another_model_reads_nothing_of_boto3_again(
    server: Scripted, prompt: Prompt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    call(server, prompt)
    read: list[str] = []
    really = JSONFileLoader.load_file

    def noted(self: JSONFileLoader, path: str) -> object:
        read.append(path)
        return really(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", noted)
    assert call(server, prompt, model="amazon.nova-lite-v1:0", region="eu-north-1").valid
    assert not [path for path in read if "bedrock-runtime" in path or "endpoints" in path]
    # Who keeps descriptions elsewhere is not given those of before.
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    assert call(server, prompt).valid
    assert [path for path in read if "bedrock-runtime" in path]


def test_missing_credentials_are_named(
    server: Scripted, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(ModelUnavailableError, match="NoCredentialsError"):
        call(server, prompt)
    assert server.asked == []


def test_the_role_may_call_this_model_and_nothing_else() -> None:
    model = ModelConfig(
        alias="a", provider="bedrock-converse", model="amazon.nova-lite-v1:0", region="eu-west-1"
    )
    (statement,) = provider_of("bedrock-converse").iam_statements(model)
    assert statement.actions == ("bedrock:InvokeModel",)
    assert statement.resources == (
        "arn:{partition}:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0",
    )


@pytest.mark.parametrize(
    ("resource", "behind"),
    [
        ("application-inference-profile/abc123", True),
        ("inference-profile/eu.amazon.nova-lite-v1:0", True),
        ("provisioned-model/abc123", False),
    ],
)
def test_the_role_may_call_what_an_arn_names_and_a_model_through_it_alone(
    resource: str, behind: bool
) -> None:
    arn = f"arn:aws:bedrock:eu-west-1:111122223333:{resource}"
    model = ModelConfig(alias="a", provider="bedrock-converse", model=arn, region="eu-west-1")
    own, *others = provider_of("bedrock-converse").iam_statements(model)
    assert (own.resources, own.conditions, own.wildcard) == ((arn,), (), "")
    assert len(others) == behind
    for other in others:
        assert other.resources == ("arn:{partition}:bedrock:*::foundation-model/*",)
        assert other.conditions == (("ArnEquals", "bedrock:InferenceProfileArn", arn),)
        assert other.wildcard


def test_an_effort_that_converse_has_no_word_for_is_refused() -> None:
    with pytest.raises(ValueError, match="knows the efforts low, medium and high, not minimal"):
        ModelConfig(
            alias="a",
            provider="bedrock-converse",
            model=MODEL,
            region="eu-west-1",
            reasoning=Reasoning(effort="minimal"),
        )
