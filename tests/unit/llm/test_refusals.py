"""A provider's refusal: its words for the author, nothing of the input or of keys in them."""

from __future__ import annotations

import json

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.refusal import MAX_CHARACTERS, Refusal, read_refusal, redact, without_values
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.llm.calling import call_once
from tests.unit.llm.servers import Reply, scripted

UNSUPPORTED: Reply = (
    400,
    {},
    {
        "error": {
            "message": "Unsupported parameter: 'max_tokens' is not supported with this model."
            " Use 'max_completion_tokens' instead.",
            "type": "invalid_request_error",
            "code": "unsupported_parameter",
        }
    },
)
NO_MODEL: Reply = (
    404,
    {},
    {
        "error": {
            "message": "The model `nope` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "code": "model_not_found",
        }
    },
)
TOO_LONG: Reply = (
    400,
    {},
    {
        "error": {
            "message": "This model's maximum context length is 8192 tokens. However, your"
            " messages resulted in 9000 tokens.",
            "code": "context_length_exceeded",
        }
    },
)
NO_QUOTA: Reply = (
    429,
    {},
    {
        "error": {
            "message": "You exceeded your current quota, please check your plan and billing"
            " details.",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        }
    },
)
TOO_LARGE: Reply = (
    429,
    {},
    {
        "error": {
            "message": "Request too large for m on tokens per min (TPM): Limit 30000, Requested"
            " 36278. The input or output tokens must be reduced in order to run successfully.",
            "type": "tokens",
            "code": "rate_limit_exceeded",
        }
    },
)
REFUSALS: list[tuple[Reply, str]] = [
    (TOO_LARGE, "HTTP 429: Request too large for m on tokens per min (TPM): Limit 30000, "),
    (
        UNSUPPORTED,
        "gave no answer: HTTP 400: Unsupported parameter: 'max_tokens' is not supported with this"
        " model. Use 'max_completion_tokens' instead"
        " (invalid_request_error, unsupported_parameter)",
    ),
    (NO_MODEL, "HTTP 404: The model `nope` does not exist or you do not have access to it ("),
    (
        TOO_LONG,
        "HTTP 400: This model's maximum context length is 8192 tokens. However, your messages"
        " resulted in 9000 tokens (context_length_exceeded)",
    ),
    (
        NO_QUOTA,
        "HTTP 429: You exceeded your current quota, please check your plan and billing details"
        " (insufficient_quota)",
    ),
]


def environment(monkeypatch: pytest.MonkeyPatch, folder: RepositoryFolder, url: str) -> None:
    alias = {"provider": "openai", "model": "m", "base_url": f"{url}/v1"}
    aliases = {"catalogue-pinned": alias, "catalogue-latest": alias}
    monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps(aliases))
    monkeypatch.setenv(aws_names.ENV_ROOT, str(folder.root))
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    monkeypatch.delenv(aws_names.ENV_RESULTS_BUCKET, raising=False)


@pytest.mark.parametrize(("reply", "says"), REFUSALS)
def test_an_evaluation_tells_the_providers_reason_and_asks_no_more_than_once_each(
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reply: Reply,
    says: str,
) -> None:
    with scripted(reply) as server:
        environment(monkeypatch, healthy, server.url)
        code = main(["evaluate", "part-class", "--concurrency", "1"])
    assert code == ExitCode.NOT_MEASURED
    assert says in capsys.readouterr().out
    # Each prompt's model is given up after five calls, none of which was tried again.
    assert len(server.asked) <= 10


@pytest.mark.parametrize(("reply", "says"), REFUSALS)
def test_a_batch_run_tells_the_providers_reason(
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reply: Reply,
    says: str,
) -> None:
    records = healthy.root / "parts.csv"
    records.write_text("MPN,Description\nBAT54,Schottky diode\n", encoding="utf-8")
    with scripted(reply) as server:
        environment(monkeypatch, healthy, server.url)
        code = main(["run", "part-class", str(records), str(healthy.root / "out.jsonl")])
    assert code == ExitCode.NOT_MEASURED
    captured = capsys.readouterr()
    assert says in captured.out + captured.err
    assert len(server.asked) <= 2, "the record, and an example where that one is refused"


def test_what_the_service_may_tell_its_callers_holds_no_word_of_the_provider(
    healthy: RepositoryFolder,
) -> None:
    prompt: Prompt = healthy.repository.candidate("part-class")
    with scripted(UNSUPPORTED) as server, pytest.raises(ModelUnavailableError) as caught:
        call_once(prompt, {"provider": "openai", "model": "m", "base_url": f"{server.url}/v1"})
    assert caught.value.public_message == (
        "the model openai:m (alias 'catalogue-pinned') gave no answer: HTTP 400."
    )
    assert "The provider says why" in caught.value.hint


def test_the_key_in_use_is_taken_out_whatever_its_form(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "plain-words-as-a-key")
    denied: Reply = (401, {}, {"error": {"message": "Bad key plain-words-as-a-key: ask again"}})
    prompt = healthy.repository.candidate("part-class")
    with scripted(denied) as server, pytest.raises(ModelUnavailableError) as caught:
        call_once(
            prompt,
            {
                "provider": "openai",
                "model": "m",
                "base_url": f"{server.url}/v1",
                "api_key_env": "THE_KEY",
            },
        )
    assert server.asked[0].headers["authorization"] == "Bearer plain-words-as-a-key"
    assert "HTTP 401: Bad key …: ask again." in caught.value.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "No.", "type": "t", "code": "c"}}, "No (t, c)"),
        ({"error": {"message": "No.", "type": "same", "code": "same"}}, "No (same)"),
        ({"error": {"message": "No.", "code": 400}}, "No"),
        ({"error": {"type": "overloaded"}}, "overloaded"),
        ({"error": "out of order"}, "out of order"),
        ({"message": "The security token is expired"}, "The security token is expired"),
        ({"Message": "No such model"}, "No such model"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body"], "msg": "Field required"}]}, "Field required"),
        ([{"error": {"message": "Quota", "code": 400, "status": "X"}}], "Quota"),
        ("text", ""),
        ({}, ""),
        ([], ""),
        ({"error": None}, ""),
        ({"error": {"message": {"no": "text"}}}, ""),
        (b"upstream connect error", "upstream connect error"),
        (b"<html><h1>502</h1></html>", ""),
        (b"\xff\xfe", "��"),
        (b"", ""),
    ],
)
def test_every_form_of_refusal_is_read(body: object, words: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert read_refusal(400, raw).in_words(()) == words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Incorrect API key provided: sk-proj-abc***wxyz.", "Incorrect API key provided: …"),
        ("header Bearer abc.def-ghi refused", "header … refused"),
        ("id AKIAIOSFODNN7EXAMPLE is unknown", "id … is unknown"),
        ("key 0123456789abcdef0123456789abcdef is bad", "key … is bad"),
        ("arn:aws:sts::111122223333:assumed-role/x", "arn:aws:sts::…:assumed-role/x"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0 is unknown", None),
        ("foundation-model/openai.gpt-oss-120b-1:0 is unknown", None),
        ("maximum is 8192, you sent 123456789012 tokens", None),
        ("one\nline\x1b[31m and\tanother", "one line [31m and another"),
    ],
)
def test_keys_accounts_and_control_characters_are_taken_out(text: str, shown: str | None) -> None:
    assert redact(text, ()) == (text if shown is None else shown)


QUESTION = 'Part "BAT54":\nSchottky diode 30 V 200 mA in SOT-23, ordered by Jane Doe'


@pytest.mark.parametrize(
    "text",
    [
        "cannot read 'Schottky diode 30 V 200 mA in SOT-23, ordered by Jane Doe' here",
        f"cannot read '{QUESTION}' here",
        f"cannot read '{json.dumps(QUESTION)[1:-1]}' here",
    ],
)
def test_long_quotes_of_the_input_are_taken_out(text: str) -> None:
    assert redact(text, [QUESTION]) == "cannot read '…' here"


def test_short_words_that_stand_in_the_input_too_are_left() -> None:
    text = "the value 'SOT-23' is not allowed"
    assert redact(text, [QUESTION]) == text


def test_a_long_message_is_cut() -> None:
    words = Refusal(status=400, type="t" * 100, message="word " * 1000).in_words(())
    assert len(words) < MAX_CHARACTERS + 70
    assert "word… (" in words


def test_a_log_holds_no_value_of_a_record_however_short() -> None:
    fields = {"part": "BAT54", "price": 12.75, "tags": ["SOT-23", {"by": "Jane\nDoe"}], "n": 1}
    text = "BAT54 in SOT-23 by Jane Doe for 12.75: HTTP 401"
    assert without_values(text, fields) == "… in … by … for …: HTTP 401"
