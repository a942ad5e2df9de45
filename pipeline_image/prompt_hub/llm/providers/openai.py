"""OpenAI, and every endpoint that speaks its chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prompt_hub.llm.batches import BatchAdapter, BatchLimits, BatchSupport, batch_support
from prompt_hub.llm.providers.base import Adapter, IamStatement, Provider, read_key_statements
from prompt_hub.llm.refusal import redact
from prompt_hub.llm.schema_support import OPENAI, OPENAI_COMPATIBLE, SchemaSupport
from prompt_hub.repository.schema import Parameter

if TYPE_CHECKING:
    import httpx2
    import openai

    from prompt_hub.llm.config import ModelConfig
    from prompt_hub.llm.secrets import SecretApiKey


BASE_URL = "https://api.openai.com/v1"
"""Named to the SDK, which would otherwise ask wherever OPENAI_BASE_URL says."""
BATCH_LIMITS = BatchLimits(most_requests=50_000, most_bytes=200_000_000)
"""Of openai 3.54.0, `BatchCreateParams.input_file_id`: 50,000 requests and 200 MB."""
BATCH_PRICE_FACTOR = 0.5
"""Half of the synchronous price: OpenAI's help center, Batch API FAQ, as of November 2026."""


class OpenAIProvider(Provider):
    """A key in a header; the address is OpenAI's own unless the alias names another."""

    name = "openai"
    telemetry_name = "openai"
    optional_keys = frozenset({"base_url", "secret", "secret_kms_key", "api_key_env"})

    def schema_support(self, model: ModelConfig) -> SchemaSupport:
        """Say what becomes of an output schema."""
        return OPENAI if model.base_url is None else OPENAI_COMPATIBLE

    def connect(self) -> Adapter:
        """Make an adapter."""
        from prompt_hub.llm.providers._chat_completions import ChatCompletions

        return ChatCompletions(_client)

    def batches(self, model: ModelConfig) -> BatchSupport | None:
        """Take batches; another endpoint than OpenAI's own must say what they cost."""
        factor = BATCH_PRICE_FACTOR if model.base_url is None else None
        return batch_support(model, _batches, BATCH_LIMITS, factor)

    def iam_statements(self, model: ModelConfig) -> tuple[IamStatement, ...]:
        """Allow to read the key."""
        return read_key_statements(model)

    def list_models_command(self, model: ModelConfig, key: str) -> str:
        """Say what lists the models that its endpoint has."""
        address = redact((model.base_url or BASE_URL).rstrip("/"), ())
        header = f' -H "Authorization: Bearer {key}"' if key else ""
        return f"curl --silent --show-error{header} {address}/models"

    def request_parameters(
        self, model: ModelConfig, parameters: Mapping[Parameter, float | int]
    ) -> dict[str, float | int | str]:
        """Turn a prompt's parameters into those that the model takes.

        OpenAI's own models that reason refuse temperature and top_p, and call the limit by another
        name.
        """
        asked = super().request_parameters(model, parameters)
        if model.reasoning is None or model.base_url is not None:
            return asked
        return own_reasoning_parameters(asked)


def own_reasoning_parameters(
    asked: Mapping[str, float | int | str],
) -> dict[str, float | int | str]:
    """Write parameters as OpenAI's own models that reason take them, wherever they are hosted."""
    written = {name: asked[name] for name in ("seed", "reasoning_effort") if name in asked}
    if "max_tokens" in asked:
        written["max_completion_tokens"] = asked["max_tokens"]
    return written


def _batches() -> BatchAdapter:
    from prompt_hub.llm.providers._openai_batches import ApiFiles, OpenAIBatches

    return OpenAIBatches(_client, ApiFiles())


def _client(
    model: ModelConfig, key: str | SecretApiKey, transport: httpx2.AsyncClient
) -> openai.AsyncOpenAI:
    import openai

    return openai.AsyncOpenAI(
        api_key=key,
        base_url=model.base_url or BASE_URL,
        max_retries=0,
        timeout=None,
        http_client=transport,
    )


PROVIDER = OpenAIProvider()
