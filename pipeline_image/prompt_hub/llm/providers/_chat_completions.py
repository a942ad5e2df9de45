"""The adapter to endpoints that speak OpenAI's chat completions, through the openai SDK.

The SDK does authentication and signing, and nothing else: no retries, which are ours, and none of
its typed building and reading of bodies, which costs more than all the rest of a call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import httpx2
import openai

from prompt_hub.core.concurrency import run_off_loop
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers._chat_answer import ReportedError, read_completion
from prompt_hub.llm.refusal import Refusal, read_refusal
from prompt_hub.llm.response import FILTERED, ModelResponse, Usage
from prompt_hub.llm.retry import (
    PermanentError,
    TransientError,
    call_error,
    parse_retry_after,
)
from prompt_hub.llm.secrets import SecretApiKey, api_key
from prompt_hub.llm.sent_schema import sent_schema
from prompt_hub.repository.schema import JsonObject

MAX_CONNECTIONS = 1024
"""The limiter says how many calls are in flight; the pool must never be what holds them up."""
DENIED = frozenset({401, 403})
"""What a provider says to a key that was rotated or taken away."""
OK = 200
NEVER_TRIED_AGAIN = frozenset({"insufficient_quota", "billing_not_active"})
"""Errors that come as "too many requests", though only a person with a credit card can end them."""

Connect = Callable[[ModelConfig, str | SecretApiKey, httpx2.AsyncClient], openai.AsyncOpenAI]
"""Makes the SDK's client for a model from its key and a transport."""


class ChatCompletions:
    """Keeps one SDK client for each model."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._clients: dict[ModelConfig, openai.AsyncOpenAI] = {}
        self._keys: dict[ModelConfig, str | SecretApiKey] = {}

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        """Ask once, output constrained to `schema`; raises `TransientError` or `PermanentError`."""
        sent = sent_schema(schema, model.schema_support)
        form = {"name": "output", "schema": sent.schema, "strict": sent.strict}
        body = {
            "model": model.model,
            "messages": messages,
            "response_format": {"type": "json_schema", "json_schema": form},
            **parameters,
        }
        try:
            size = sum(len(message["content"]) for message in messages)
            content = await run_off_loop(size, _encode, body)
            response = await self._client(model).post(
                "/chat/completions", cast_to=httpx2.Response, content=content
            )
        except openai.APIStatusError as error:
            refusal = self._refusal(model, error.response)
            if refusal.filtered:
                return _filtered(model)
            headers = error.response.headers
            after = parse_retry_after(headers.get("retry-after"), headers.get("retry-after-ms"))
            raise await run_off_loop(size, self._error, model, messages, refusal, after) from None
        except openai.APIConnectionError:
            # Every kind of it, "timeout" included: the SDK calls a lost connection one, and the
            # time that an attempt may take is not its business.
            raise TransientError("no connection") from None
        except openai.OpenAIError as error:
            raise PermanentError(str(error).rstrip(".")) from None
        try:
            return await run_off_loop(len(response.content), read_completion, response.content)
        except ReportedError as error:
            if error.refusal.filtered:
                return _filtered(model)
            raise await run_off_loop(size, self._error, model, messages, error.refusal) from None

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        self._keys.clear()

    def _client(self, model: ModelConfig) -> openai.AsyncOpenAI:
        client = self._clients.get(model)
        if client is None:
            limits = httpx2.Limits(
                max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
            )
            # Takes half of the CPU time of the default transport.
            transport = openai.DefaultAioHttpClient(limits=limits, timeout=None)
            key = self._keys[model] = api_key(model)
            client = self._clients[model] = self._connect(model, key, transport)
        return client

    def _refusal(self, model: ModelConfig, response: httpx2.Response) -> Refusal:
        """Read why a call was refused; a key that was taken away is read anew."""
        key = self._keys[model]
        if isinstance(key, SecretApiKey) and response.status_code in DENIED:
            key.refused()
        return read_refusal(response.status_code, response.content)

    def _error(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        refusal: Refusal,
        after: float | None = None,
    ) -> TransientError | PermanentError:
        key = self._keys[model]
        in_use = key if isinstance(key, str) else key.known
        inside = refusal.status == OK
        return call_error(
            refusal.own_status if inside else refusal.status,
            reason=f"an error inside HTTP {OK}" if inside else "",
            detail=refusal.in_words((message["content"] for message in messages), (in_use,)),
            after=after,
            final=bool({refusal.type, refusal.code} & NEVER_TRIED_AGAIN),
        )


def _filtered(model: ModelConfig) -> ModelResponse:
    """Return what a call is worth that the provider's content filter did not let through."""
    usage = Usage(input_tokens=0, output_tokens=0)
    return ModelResponse(text="", model=model.model, withheld=FILTERED, usage=usage)


def _encode(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8")
