"""How Converse is asked: one client of boto3 for each model, its answers read.

The output schema is asked for as the one tool that the model must call: Claude and Nova of every
generation can be made to, while Bedrock's native structured outputs know only some newer models.
What the model fills in is the answer; one that writes text instead is read as text.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

from prompt_hub.core import aws_names
from prompt_hub.llm.providers._proxy import check_proxy
from prompt_hub.llm.refusal import Refusal
from prompt_hub.llm.response import (
    FILTERED,
    ModelResponse,
    Usage,
    Withheld,
    cut_off,
    no_content,
    repair_surrogates,
)
from prompt_hub.llm.retry import (
    PermanentError,
    Tokens,
    TransientError,
    call_error,
    parse_retry_after,
)
from prompt_hub.llm.sent_schema import sent_schema
from prompt_hub.repository.schema import JsonObject

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from botocore.loaders import Loader

    from prompt_hub.llm.config import ModelConfig

OUTPUT_TOOL = "output"
"""Name of the tool whose input is the answer."""
MAX_THREADS = 1024
"""boto3 blocks, so each call takes a thread; the limiter says how many calls are in flight."""
CONNECT_SECONDS = 5.0
TRUNCATED = frozenset({"max_tokens", "model_context_window_exceeded"})
"""Stop reasons of an answer that was cut off."""
STOPPED = frozenset({"content_filtered", "guardrail_intervened"})
"""Stop reasons of an answer that a filter has kept back, its own text in its place."""
MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Stop reasons of an answer that the model has written in a form that Bedrock cannot read."""
MODEL_ERROR = 424
"""Bedrock's status for a model that failed while it worked on a request: the next may succeed."""


class _Client(Protocol):
    """What is used of boto3's client; requests and answers are the API's JSON."""

    def converse(self, **request: object) -> Mapping[str, Any]: ...

    def close(self) -> None: ...


class Converse:
    """Keeps one client of boto3 for each model, and the threads in which they wait."""

    def __init__(self) -> None:
        import boto3  # noqa: F401  (imported with the adapter, not with the first call)

        self._clients: dict[ModelConfig, _Client] = {}
        self._connecting = Lock()
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="converse")

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        """Ask once, output asked for as a tool; raises `TransientError` or `PermanentError`."""
        request = _request(model, messages, parameters, schema)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._ask, model, request)

    async def close(self) -> None:
        """Close every client; a thread that still waits ends with its own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _ask(self, model: ModelConfig, request: Mapping[str, object]) -> ModelResponse:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectionError,
            HTTPClientError,
            IncompleteReadError,
            ProxyConnectionError,
            ResponseStreamingError,
        )
        from botocore.parsers import ResponseParserError

        from prompt_hub.llm.providers._no_connection import no_connection

        try:
            client = self._client(model)
        except BotoCoreError as error:
            raise PermanentError(f"boto3 cannot connect ({type(error).__name__})") from None
        try:
            return _read(model, client.converse(**request))
        except ClientError as error:
            raise _refused(error, _texts(request)) from None
        except (ResponseParserError, LookupError, TypeError, ValueError, AttributeError):
            # boto3's parser trips over JSON of another form.
            raise TransientError("its answer was not readable") from None
        except ProxyConnectionError as error:
            raise no_connection(error, why="to its proxy") from None
        except (
            ConnectionError,
            HTTPClientError,
            IncompleteReadError,
            ResponseStreamingError,
        ) as error:
            raise no_connection(error) from None
        except BotoCoreError as error:
            # Credentials that are missing, or a request that the API's own model forbids.
            raise PermanentError(f"boto3 cannot ask it ({type(error).__name__})") from None

    def _client(self, model: ModelConfig) -> _Client:
        with self._connecting:
            client = self._clients.get(model)
            if client is None:
                client = self._clients[model] = _connect(model)
            return client


def _connect(model: ModelConfig) -> _Client:
    import boto3
    from botocore.config import Config
    from botocore.session import get_session
    from botocore.utils import get_environ_proxies

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        # The call itself has less time; this ends the thread of one that was given up.
        read_timeout=aws_names.LONGEST_CALL_SECONDS,
        # One try: asking again is the retry layer's business.
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=MAX_THREADS,
        # Where a model answers is the alias's to say, and not AWS_ENDPOINT_URL's.
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # The stubs lack it.
    )
    session = get_session()
    descriptions = _descriptions_in(session.get_config_variable("data_path"))
    session.register_component("data_loader", descriptions)
    client = boto3.Session(botocore_session=session).client(
        "bedrock-runtime", region_name=model.region, endpoint_url=model.base_url, config=config
    )
    address = client.meta.endpoint_url
    check_proxy(get_environ_proxies(address).get(urlsplit(address).scheme, ""))
    return cast(_Client, client)


@cache
def _descriptions_in(data_path: str | None) -> Loader:
    """Return what knows botocore's descriptions of services, one for the process.

    A session has its own and reads them anew: 50 ms of CPU for each model, where a client is 10.
    """
    from botocore.loaders import create_loader

    return create_loader(data_path)


def _request(
    model: ModelConfig,
    messages: list[dict[str, str]],
    parameters: Mapping[str, float | int | str],
    schema: JsonObject,
) -> dict[str, object]:
    system: list[dict[str, str]] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        block = {"text": message["content"]}
        if message["role"] == "system":
            system.append(block)
        elif turns and turns[-1]["role"] == message["role"]:
            # Roles must take turns.
            turns[-1]["content"].append(block)
        else:
            turns.append({"role": message["role"], "content": [block]})
    form = sent_schema(schema, model.schema_support).schema
    tool = {"name": OUTPUT_TOOL, "description": "The answer.", "inputSchema": {"json": form}}
    inference = {name: value for name, value in parameters.items() if name != "effort"}
    request: dict[str, object] = {
        "modelId": model.model,
        "messages": turns,
        "inferenceConfig": inference,
        "toolConfig": {
            "tools": [{"toolSpec": tool}],
            "toolChoice": {"tool": {"name": OUTPUT_TOOL}},
        },
    }
    if system:
        request["system"] = system
    if "effort" in parameters:
        request["outputConfig"] = {"effort": parameters["effort"]}
    return request


def _texts(request: Mapping[str, object]) -> list[str]:
    """Every text that a request sends."""
    turns = cast(list[Mapping[str, list[dict[str, str]]]], request["messages"])
    system = cast(list[dict[str, str]], request.get("system", []))
    blocks = [*system, *(block for turn in turns for block in turn["content"])]
    return [block["text"] for block in blocks]


def _read(model: ModelConfig, answer: Mapping[str, Any]) -> ModelResponse:
    """Read an answer; raises `TransientError` if it cannot be made out or holds nothing."""
    try:
        content = answer["output"]["message"]["content"]
        stop = answer["stopReason"]
        usage = answer["usage"]
        filled_in = [block["toolUse"]["input"] for block in content if "toolUse" in block]
        if filled_in:
            text = json.dumps(filled_in[0], ensure_ascii=False)
        else:
            text = "".join(block["text"] for block in content if "text" in block)
        input_tokens, output_tokens = int(usage["inputTokens"]), int(usage["outputTokens"])
        return ModelResponse(
            text=repair_surrogates(text),
            # Converse does not say which model has answered.
            model=model.model,
            truncated=stop in TRUNCATED,
            withheld=_withheld(stop, text, content, (input_tokens, output_tokens)),
            usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens),
        )
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):
        raise TransientError("its answer was not readable") from None


def _withheld(
    stop: str, text: str, content: list[Mapping[str, Any]], tokens: Tokens
) -> Withheld | None:
    """Say why an answer holds none; raises `TransientError` where nothing was answered at all."""
    if stop in STOPPED:
        # The text is the guardrail's own, not the model's answer.
        return FILTERED
    if stop in MALFORMED:
        return Withheld(f"the model wrote what Bedrock cannot read (stopReason {stop})")
    if text.strip():
        return None
    if stop in TRUNCATED:
        # More room to think helps against the limit asked for, not against the model's own.
        thinking = stop == "max_tokens" and any("reasoningContent" in block for block in content)
        return Withheld(cut_off(tokens[1], thinking=True)) if thinking else None
    withheld = no_content(f"stopReason {stop}")
    if not tokens[1]:
        failure = TransientError(f"its answer was empty: {withheld.reason}")
        failure.tokens = tokens
        raise failure
    return withheld


def _refused(error: ClientError, request: list[str]) -> TransientError | PermanentError:
    reported = error.response["Error"]
    metadata = error.response["ResponseMetadata"]
    headers = metadata.get("HTTPHeaders", {})
    status = metadata["HTTPStatusCode"]
    code = reported.get("Code", "")
    refusal = Refusal(
        status=status,
        # What is no error of the API, such as a proxy's, has its status for a code.
        type="" if code == str(status) else code,
        message=reported.get("Message", ""),
    )
    detail = refusal.in_words(request)
    if status == MODEL_ERROR:
        return TransientError(f"HTTP {status}", detail=detail)
    after = parse_retry_after(headers.get("retry-after"))
    return call_error(status, detail=detail, after=after)
