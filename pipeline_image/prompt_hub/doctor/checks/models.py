"""Whether each model alias answers: one small call each, of which any answer will do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prompt_hub.core.errors import PromptHubError
from prompt_hub.doctor.base import Check, Finding, NotCheckedError, start
from prompt_hub.doctor.readers import Readers
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.llm.retry import CallError, PermanentError, TransientError
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
    for model, error in zip(models, asyncio.run(_refusals(models)), strict=True):
        if error is not None:
            words = error.in_words() if isinstance(error, CallError) else error.message
            yield Finding(
                f"The model alias {model.alias} ({model.identity}) gave no answer:"
                f" {words.rstrip('.')}.",
                _mend(model, error),
                _command(model, error),
            )


async def _refusals(models: list[ModelConfig]) -> list[CallError | PromptHubError | None]:
    return await asyncio.gather(*map(_refusal, models))


async def _refusal(model: ModelConfig) -> CallError | PromptHubError | None:
    """Ask once; returns why there was no answer, None if there was one."""
    adapter = provider_of(model.provider).connect()
    try:
        parameters = model.request_parameters({"max_tokens": 64})
        async with asyncio.timeout(SECONDS):
            await adapter.complete(model, _MESSAGES, parameters, _SCHEMA)
    except (CallError, PromptHubError) as error:
        return error
    except TimeoutError:
        return TransientError(f"nothing within {SECONDS:g} s")
    finally:
        await adapter.close()
    return None


def _mend(model: ModelConfig, error: CallError | PromptHubError) -> str:
    if isinstance(error, CallError) and error.busy:
        return (
            "The provider is busy, or a quota there is used up: ask again in a minute. Where that"
            " stays so, raise the limit there."
        )
    if isinstance(error, TransientError):
        return (
            "Ask again in a minute: this may pass. Where it stays so, see whether the provider is"
            " well, and correct the alias if its address is wrong."
        )
    if _refuses_key(error) and (place := _place_of_key(model)):
        return (
            f"The endpoint refuses the key in {place}, or {model.model} to it: put the right key"
            f" there, or have {model.model} made available to it."
        )
    if _refuses_key(error) and not model.region:
        return "The endpoint wants a key: name its secret in the alias."
    statements = provider_of(model.provider).iam_statements(model)
    # A profile and the model behind it take the same action.
    actions = dict.fromkeys(action for item in statements for action in item.actions)
    allowed = f" Whoever asks needs {' and '.join(actions)}." if actions else ""
    wanted = f"Have {model.model} made available to this account, or correct the alias."
    if isinstance(error, PromptHubError) and error.hint:
        # Nobody was asked: the key is missing.
        wanted = error.hint
    return f"{wanted}{allowed}"


def _refuses_key(error: CallError | PromptHubError) -> bool:
    return isinstance(error, PermanentError) and error.of_key


def _place_of_key(model: ModelConfig) -> str:
    """Name where the key of a model is; empty for one without a key."""
    return f"the secret {model.secret!r}" if model.secret else model.api_key_env or ""


def _command(model: ModelConfig, error: CallError | PromptHubError) -> str:
    if _place_of_key(model) and (_refuses_key(error) or isinstance(error, PromptHubError)):
        return _key_command(model, error)
    key = f"${model.api_key_env}" if model.api_key_env else ""
    if model.secret:
        key = (
            f"$(aws secretsmanager get-secret-value --secret-id {model.secret}"
            " --query SecretString --output text)"
        )
    if command := provider_of(model.provider).list_models_command(model, key):
        return command
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


def _key_command(model: ModelConfig, error: CallError | PromptHubError) -> str:
    """Say what puts a key where it is read from, or shows why it cannot be read."""
    if model.secret is None:
        return f"export {model.api_key_env}=KEY"
    if isinstance(error, PromptHubError):
        return f"aws secretsmanager describe-secret --secret-id {model.secret}"
    return (
        f"aws secretsmanager put-secret-value --secret-id {model.secret}"
        " --secret-string file://KEY-FILE"
    )


CHECK = Check("models", _examine, start)
