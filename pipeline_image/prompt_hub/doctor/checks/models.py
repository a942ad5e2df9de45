"""Whether each model alias answers: one small call each, of which any answer will do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prompt_hub.core.errors import PromptHubError
from prompt_hub.doctor.base import Check, Finding, NotCheckedError, start
from prompt_hub.doctor.readers import Readers
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.llm.retry import CallError
from prompt_hub.repository.schema import JsonObject

SECONDS = 60.0
_MESSAGES = [{"role": "user", "content": 'Answer with the JSON object {"ok": true}.'}]
_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


def _examine(readers: Readers) -> Iterator[Finding]:
    if readers.there is not None:
        raise NotCheckedError(
            "models are asked with this process's own credentials, and the stage has others;"
            f" `prompt-hub watch --due --stage {readers.stage} --now --wait` asks them in the stage"
        )
    models = list(readers.models)
    for model, reason in zip(models, asyncio.run(_refusals(models)), strict=True):
        if reason:
            yield Finding(
                f"The model alias {model.alias} ({model.identity}) gave no answer: {reason}.",
                _mend(model),
                _command(model),
            )


async def _refusals(models: list[ModelConfig]) -> list[str]:
    return await asyncio.gather(*map(_refusal, models))


async def _refusal(model: ModelConfig) -> str:
    """Ask once; returns why there was no answer, empty if there was one."""
    adapter = provider_of(model.provider).connect()
    try:
        parameters = model.request_parameters({"max_tokens": 64})
        async with asyncio.timeout(SECONDS):
            await adapter.complete(model, _MESSAGES, parameters, _SCHEMA)
    except CallError as error:
        return error.in_words().rstrip(".")
    except PromptHubError as error:
        return error.message.rstrip(".")
    except TimeoutError:
        return f"nothing within {SECONDS:g} s"
    finally:
        await adapter.close()
    return ""


def _mend(model: ModelConfig) -> str:
    statements = provider_of(model.provider).iam_statements(model)
    # A profile and the model behind it take the same action.
    actions = dict.fromkeys(action for item in statements for action in item.actions)
    allowed = f" Whoever asks needs {' and '.join(actions)}." if actions else ""
    return f"Have {model.model} made available to this account, or correct the alias.{allowed}"


def _command(model: ModelConfig) -> str:
    if model.base_url:
        return f"curl --silent --show-error {model.base_url}/models"
    statements = provider_of(model.provider).iam_statements(model)
    if any("inference-profile/" in name for item in statements for name in item.resources):
        return (
            "aws bedrock get-inference-profile"
            f" --inference-profile-identifier {model.model} --region {model.region}"
        )
    if ":provisioned-model/" in model.model:
        return (
            "aws bedrock get-provisioned-model-throughput"
            f" --provisioned-model-id {model.model} --region {model.region}"
        )
    if model.region:
        return (
            "aws bedrock get-foundation-model-availability"
            f" --model-id {model.model} --region {model.region}"
        )
    return f"aws secretsmanager describe-secret --secret-id {model.secret or 'SECRET'}"


CHECK = Check("models", _examine, start)
