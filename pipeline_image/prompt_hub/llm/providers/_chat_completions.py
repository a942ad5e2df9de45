"""The adapter to endpoints that speak OpenAI's chat completions.

The openai SDK forms the requests (see `_requests.py`) and does nothing else: no retries, which are
ours, and none of its typed building and reading of bodies, which costs more than all the rest of a
call.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import to_json

from prompt_hub.core.concurrency import run_off_loop
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers._chat_answer import ReportedError, read_completion
from prompt_hub.llm.providers._requests import Connect, Connections, Reply, SdkClient
from prompt_hub.llm.refusal import Refusal, read_refusal
from prompt_hub.llm.response import FILTERED, ModelResponse, Usage
from prompt_hub.llm.retry import (
    DENIED,
    TOO_LARGE,
    PermanentError,
    TransientError,
    call_error,
    parse_retry_after,
)
from prompt_hub.llm.secrets import SecretApiKey
from prompt_hub.llm.sent_schema import SentSchema, sent_schema
from prompt_hub.repository.schema import JsonObject

OK = 200
NEVER_TRIED_AGAIN = frozenset({"insufficient_quota", "billing_not_active"})
"""Errors that come as "too many requests", though only a person with a credit card can end them."""


class ChatCompletions:
    """Keeps one SDK client for each model, and the connections of all."""

    def __init__(self, connect: Connect, *, signed: bool = False) -> None:
        """Make an adapter.

        Args:
            connect: makes the SDK's client for a model.
            signed: the SDK signs every request with its body, so that it must form each.
        """
        self._connect = connect
        self._signed = signed
        self._clients: dict[ModelConfig, SdkClient] = {}
        self._connections = Connections()

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        """Ask once, output constrained to `schema`; raises `TransientError` or `PermanentError`."""
        sent = sent_schema(schema, model.schema_support)
        size = sum([len(message["content"]) for message in messages])
        content = await run_off_loop(size, encode, model.model, messages, sent, parameters)
        client = self._client(model)
        reply = await self._connections.send(client, await client.form(content), content)
        if not reply.good:
            refusal = self._refusal(client, reply)
            if refusal.filtered:
                return filtered_response(model)
            headers = reply.headers
            after = parse_retry_after(headers.get("retry-after"), headers.get("retry-after-ms"))
            raise await run_off_loop(size, self._error, client, messages, refusal, after)
        try:
            return await run_off_loop(len(reply.content), read_completion, reply.content)
        except ReportedError as error:
            if error.refusal.filtered:
                return filtered_response(model)
            failure = await run_off_loop(size, self._error, client, messages, error.refusal)
            failure.tokens = error.tokens
            raise failure from None

    async def close(self) -> None:
        """Close every client and every connection."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        await self._connections.close()

    def _client(self, model: ModelConfig) -> SdkClient:
        client = self._clients.get(model)
        if client is None:
            client = SdkClient(model, self._connect, signed=self._signed)
            self._clients[model] = client
        return client

    def _refusal(self, client: SdkClient, reply: Reply) -> Refusal:
        """Read why a call was refused; a key that was taken away is read anew."""
        if isinstance(client.key, SecretApiKey) and reply.status in DENIED:
            client.key.refused()
        return read_refusal(reply.status, reply.content)

    def _error(
        self,
        client: SdkClient,
        messages: list[dict[str, str]],
        refusal: Refusal,
        after: float | None = None,
    ) -> TransientError | PermanentError:
        keys = (client.key,) if isinstance(client.key, str) else client.key.known
        inside = refusal.status == OK
        status, reason = refusal.status, ""
        if inside:
            status, reason = refusal.own_status, f"an error inside HTTP {OK}"
        elif refusal.too_large:
            status, reason = TOO_LARGE, f"HTTP {status}"
        return call_error(
            status,
            reason=reason,
            detail=refusal.in_words((message["content"] for message in messages), keys),
            after=after,
            final=bool({refusal.type, refusal.code} & NEVER_TRIED_AGAIN),
        )


def filtered_response(model: ModelConfig) -> ModelResponse:
    """Return what a call is worth that the provider's content filter did not let through."""
    usage = Usage(input_tokens=0, output_tokens=0)
    return ModelResponse(text="", model=model.model, withheld=FILTERED, usage=usage)


def encode(
    model: str,
    messages: list[dict[str, str]],
    sent: SentSchema,
    parameters: Mapping[str, float | int | str],
) -> bytes:
    """Write the body of a request; the schema is as long as all the rest, and always the same."""
    asked = to_json({"model": model, "messages": messages})[:-1]
    rest = b"," + to_json(dict(parameters))[1:] if parameters else b"}"
    return b'%b,"response_format":%b%b' % (asked, sent.response_format, rest)
