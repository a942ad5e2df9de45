"""The one model client: the openai SDK, for any OpenAI-compatible endpoint and for Bedrock.

The client does authentication and signing, and nothing else: no retries, which are ours, and none
of its typed building and reading of bodies, which costs more than all the rest of a call.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from sys import intern

import httpx2
import openai

from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.client import Completion, ModelUnavailableError
from prompt_hub.llm.config import ResolvedModel
from prompt_hub.llm.retry import PermanentError, TransientError, parse_retry_after
from prompt_hub.repository.schema import JsonObject

RETRYABLE = frozenset({408, 409, 425, 429})
"""Refusals that the next attempt need not meet, as every status from 500 on."""
THROTTLED = frozenset({429, 503, 529})
MOST_CONNECTIONS = 1024
"""The limiter says how many calls are in flight; the pool must never be what holds them up."""
DENIED = frozenset({401, 403})
"""What a provider says to a key that was rotated or taken away."""
SAME_KEY_SECONDS = 60.0
"""So long a key counts as the present one: a storm of refusals reads no secret over and over."""


class SecretApiKey:
    """A provider's key in Secrets Manager: read at the first call, and anew after a refusal.

    However many calls wait for it, it is read once, and off the event loop.
    """

    def __init__(
        self,
        secret: str,
        read: Callable[[str], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = secret
        self._read = read or _read_secret
        self._clock = clock
        self._key: str | None = None
        self._read_at = clock()
        self._reading: asyncio.Task[str] | None = None

    async def __call__(self) -> str:
        """Return the key; raises `PromptHubError` if there is none, or it cannot be read."""
        if self._key is not None:
            return self._key
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_now())
            # With nobody left to wait for it, its failure is nobody's.
            self._reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        # A call that loses its patience must not end the reading for the others.
        return await asyncio.shield(self._reading)

    def refused(self) -> None:
        """Take note that the provider refused the key; the next call reads it anew."""
        if self._clock() - self._read_at >= SAME_KEY_SECONDS:
            self._key = None

    async def _read_now(self) -> str:
        try:
            self._key = await asyncio.to_thread(self._read, self._secret)
            self._read_at = self._clock()
            return self._key
        finally:
            self._reading = None


class OpenAIProvider:
    """Keeps one SDK client for each endpoint."""

    def __init__(self) -> None:
        self._clients: dict[ResolvedModel, openai.AsyncOpenAI] = {}
        self._keys: dict[ResolvedModel, SecretApiKey] = {}

    async def complete(
        self,
        model: ResolvedModel,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> Completion:
        """Ask once, output constrained to `schema`; raises `TransientError` or `PermanentError`."""
        form = {"name": "output", "schema": schema, "strict": True}
        body = {
            "model": model.model,
            "messages": messages,
            "response_format": {"type": "json_schema", "json_schema": form},
            **parameters,
        }
        try:
            response = await self._client(model).post(
                "/chat/completions",
                cast_to=httpx2.Response,
                content=json.dumps(body, ensure_ascii=False).encode("utf-8"),
            )
        except openai.APIStatusError as error:
            if error.status_code in DENIED and model in self._keys:
                self._keys[model].refused()
            raise _refused(error.response) from None
        except openai.APIConnectionError:
            # Every kind of it, "timeout" included: the SDK calls a lost connection one, and the
            # time that an attempt may take is not its business.
            raise TransientError("no connection") from None
        except openai.OpenAIError as error:
            raise PermanentError(str(error).rstrip(".")) from None
        completion = _read(response)
        return (
            completion
            if model.reasoning is None
            else replace(completion, text=_answer_of(completion.text))
        )

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        self._keys.clear()

    def _client(self, model: ResolvedModel) -> openai.AsyncOpenAI:
        client = self._clients.get(model)
        if client is None:
            client = self._clients[model] = self._connect(model)
        return client

    def _connect(self, model: ResolvedModel) -> openai.AsyncOpenAI:
        limits = httpx2.Limits(
            max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS
        )
        # Takes half of the CPU time of the default transport.
        transport = openai.DefaultAioHttpClient(limits=limits, timeout=None)
        if model.provider == "bedrock":
            from openai.providers import bedrock

            return openai.AsyncOpenAI(
                provider=bedrock(region=model.region, endpoint="runtime"),
                max_retries=0,
                timeout=None,
                http_client=transport,
            )
        return openai.AsyncOpenAI(
            api_key=self._key(model),
            base_url=model.base_url,
            max_retries=0,
            timeout=None,
            http_client=transport,
        )

    def _key(self, model: ResolvedModel) -> str | SecretApiKey:
        if model.secret is None:
            return _named_key(model)
        return self._keys.setdefault(model, SecretApiKey(model.secret))


def _read(response: httpx2.Response) -> Completion:
    """Return what a provider's answer says; raises `TransientError` if it cannot be made out."""
    try:
        message = json.loads(response.content)
        choice = message["choices"][0]
        usage = message.get("usage") or {}
        text = choice["message"].get("content")
        if text is None:  # a refusal, or nothing to say
            text = ""
        return Completion(
            # Half a character can be escaped in JSON, but no file could hold it.
            text=text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
            answered_by=intern(str(message.get("model", ""))),
            tokens_in=int(usage.get("prompt_tokens") or 0),
            tokens_out=int(usage.get("completion_tokens") or 0),
            truncated=choice.get("finish_reason") == "length",
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise TransientError("its answer was not readable") from None


def _answer_of(text: str) -> str:
    """Return an answer without the thinking that Bedrock's open models put before it.

    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html
    """
    thinking, end, answer = text.lstrip().partition("</reasoning>")
    return answer.lstrip() if end and thinking.startswith("<reasoning>") else text


def _refused(response: httpx2.Response) -> TransientError | PermanentError:
    status, headers = response.status_code, response.headers
    reason = f"HTTP {status}"
    if status not in RETRYABLE and status < 500:
        return PermanentError(reason)
    after = parse_retry_after(headers.get("retry-after"), headers.get("retry-after-ms"))
    return TransientError(reason, busy=status in THROTTLED, after=after)


def _read_secret(secret: str) -> str:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    # A call waits for it, and with it a person.
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    try:
        # A session of its own: the common one may not be used by two threads at once.
        client = boto3.Session().client("secretsmanager", config=config)
        stored = client.get_secret_value(SecretId=secret)
    except (BotoCoreError, ClientError) as error:
        # Not its own words, which name the account and the role: callers of the service read this.
        reason = type(error).__name__
        if isinstance(error, ClientError):
            reason = error.response["Error"]["Code"]
        raise ModelUnavailableError(
            f"the provider's key cannot be read from the secret {secret!r}: {reason}.",
            hint="Check that the secret exists and that this role may read it.",
        ) from None
    key = str(stored.get("SecretString", ""))
    if not key or key.upper().startswith("REPLACE"):
        raise PromptHubError(
            f"the secret {secret!r} still holds a placeholder.",
            hint="Put the provider's key into it with `aws secretsmanager put-secret-value`.",
        )
    return key


def _named_key(model: ResolvedModel) -> str:
    if model.api_key_env is not None:
        key = os.environ.get(model.api_key_env, "")
        if not key:
            raise PromptHubError(
                f"the model alias {model.alias!r} needs a key, but {model.api_key_env} is empty.",
                hint=f"Set {model.api_key_env}.",
            )
        return key
    # An endpoint without a key of its own (a local model) still gets the header the SDK insists on.
    return "none"
