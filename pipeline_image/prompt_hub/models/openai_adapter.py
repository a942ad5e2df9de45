"""The one model client: the openai SDK, for any OpenAI-compatible endpoint and for Bedrock."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import cast

import openai
from openai.types.chat import ChatCompletionMessageParam
from openai.types.shared_params import ResponseFormatJSONSchema

from prompt_hub.errors import PromptHubError
from prompt_hub.models.aliases import ResolvedModel
from prompt_hub.models.call import Completion, ModelUnavailable
from prompt_hub.prompts.models import JsonObject

MAX_RETRIES = 4
"""The SDK is the only layer that retries (429, 5xx, lost connections), honouring Retry-After."""


class OpenAIProvider:
    """Keeps one SDK client for each endpoint."""

    def __init__(self) -> None:
        self._clients: dict[ResolvedModel, openai.AsyncOpenAI] = {}

    async def complete(
        self,
        model: ResolvedModel,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int],
        schema: JsonObject,
        timeout: float,
    ) -> Completion:
        """Ask once, output constrained to `schema`; raises `ModelUnavailable`."""
        client = self._client(model)
        response_format: ResponseFormatJSONSchema = {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": dict(schema), "strict": True},
        }
        try:
            raw = await client.chat.completions.with_raw_response.create(
                model=model.model,
                messages=cast("list[ChatCompletionMessageParam]", messages),
                response_format=response_format,
                extra_body=dict(parameters),
                timeout=timeout,
            )
            completion = raw.parse()
        # A malformed body reaches us as the bare decoding error, not as an APIError.
        except (openai.APIError, json.JSONDecodeError) as error:
            raise ModelUnavailable(
                f"the model {model.identity} (alias {model.alias!r}) gave no answer:"
                f" {_reason(error)}.",
                hint=f"Check that {model.base_url or 'the provider'} answers, then run again.",
            ) from None
        if not completion.choices:
            raise ModelUnavailable(f"the model {model.identity} answered with no choice at all.")
        choice = completion.choices[0]
        usage = completion.usage
        return Completion(
            text=choice.message.content or "",
            answered_by=completion.model,
            tokens_in=usage.prompt_tokens if usage else 0,
            tokens_out=usage.completion_tokens if usage else 0,
            attempts=raw.retries_taken + 1,
            truncated=choice.finish_reason == "length",
        )

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _client(self, model: ResolvedModel) -> openai.AsyncOpenAI:
        if model not in self._clients:
            self._clients[model] = _connect(model)
        return self._clients[model]


def _connect(model: ResolvedModel) -> openai.AsyncOpenAI:
    if model.provider == "bedrock":
        from openai.providers import bedrock

        provider = bedrock(region=model.region, endpoint="runtime")
        return openai.AsyncOpenAI(provider=provider, max_retries=MAX_RETRIES)
    return openai.AsyncOpenAI(api_key=_key(model), base_url=model.base_url, max_retries=MAX_RETRIES)


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


def _reason(error: Exception) -> str:
    if isinstance(error, openai.APITimeoutError):
        return "it took too long"
    if isinstance(error, openai.APIConnectionError):
        return "no connection"
    if isinstance(error, openai.APIStatusError):
        return f"HTTP {error.status_code}"
    return "its answer was not readable"
