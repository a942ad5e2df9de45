"""The one model client: the openai SDK, for any OpenAI-compatible endpoint and for Bedrock.

The client does authentication and signing, and nothing else: no retries, which are ours, and none
of its typed building and reading of bodies, which costs more than all the rest of a call.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from sys import intern

import httpx2
import openai

from prompt_hub.errors import PromptHubError
from prompt_hub.models.aliases import ResolvedModel
from prompt_hub.models.call import Completion
from prompt_hub.models.retries import GaveUp, TryAgain, asked_to_wait
from prompt_hub.prompts.models import JsonObject

AGAIN = frozenset({408, 409, 425, 429})
"""Refusals that the next attempt need not meet, as every status from 500 on."""
BUSY = frozenset({429, 503, 529})
MOST_CONNECTIONS = 1024
"""The limiter says how many calls are in flight; the pool must never be what holds them up."""


class OpenAIProvider:
    """Keeps one SDK client for each endpoint."""

    def __init__(self) -> None:
        self._clients: dict[ResolvedModel, openai.AsyncOpenAI] = {}

    async def complete(
        self,
        model: ResolvedModel,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> Completion:
        """Ask once, output constrained to `schema`; raises `TryAgain` or `GaveUp`."""
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
            raise _refused(error.response) from None
        except openai.APIConnectionError:
            # Every kind of it, "timeout" included: the SDK calls a lost connection one, and the
            # time that an attempt may take is not its business.
            raise TryAgain("no connection") from None
        except openai.OpenAIError as error:
            raise GaveUp(str(error).rstrip(".")) from None
        said = _read(response)
        return said if model.reasoning is None else replace(said, text=_answer_of(said.text))

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _client(self, model: ResolvedModel) -> openai.AsyncOpenAI:
        client = self._clients.get(model)
        if client is None:
            client = self._clients[model] = _connect(model)
        return client


def _read(response: httpx2.Response) -> Completion:
    """What a provider's answer says; raises `TryAgain` if it cannot be made out."""
    try:
        said = json.loads(response.content)
        choice = said["choices"][0]
        usage = said.get("usage") or {}
        text = choice["message"].get("content")
        if text is None:  # a refusal, or nothing to say
            text = ""
        return Completion(
            # Half a character can be escaped in JSON, but no file could hold it.
            text=text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
            answered_by=intern(str(said.get("model", ""))),
            tokens_in=int(usage.get("prompt_tokens") or 0),
            tokens_out=int(usage.get("completion_tokens") or 0),
            truncated=choice.get("finish_reason") == "length",
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise TryAgain("its answer was not readable") from None


def _answer_of(text: str) -> str:
    """An answer without the thinking that Bedrock's open models put before it.

    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html
    """
    thinking, end, answer = text.lstrip().partition("</reasoning>")
    return answer.lstrip() if end and thinking.startswith("<reasoning>") else text


def _refused(response: httpx2.Response) -> TryAgain | GaveUp:
    status, headers = response.status_code, response.headers
    reason = f"HTTP {status}"
    if status not in AGAIN and status < 500:
        return GaveUp(reason)
    after = asked_to_wait(headers.get("retry-after"), headers.get("retry-after-ms"))
    return TryAgain(reason, busy=status in BUSY, after=after)


def _connect(model: ResolvedModel) -> openai.AsyncOpenAI:
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
        api_key=_key(model),
        base_url=model.base_url,
        max_retries=0,
        timeout=None,
        http_client=transport,
    )


def _key(model: ResolvedModel) -> str:
    if model.secret is not None:
        import boto3

        stored = boto3.client("secretsmanager").get_secret_value(SecretId=model.secret)
        key = str(stored.get("SecretString", ""))
        if not key or key.upper().startswith("REPLACE"):
            raise PromptHubError(
                f"the secret {model.secret!r} still holds a placeholder.",
                hint="Put the provider's key into it with `aws secretsmanager put-secret-value`.",
            )
        return key
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
