"""Azure OpenAI: deployments of one resource, called with the resource's key.

https://learn.microsoft.com/azure/ai-services/openai/reference
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prompt_hub.llm.providers.base import Adapter, IamStatement, Provider, read_key_statements
from prompt_hub.llm.providers.openai import own_reasoning_parameters
from prompt_hub.llm.schema_support import AZURE_OPENAI, SchemaSupport
from prompt_hub.repository.schema import Parameter

if TYPE_CHECKING:
    import httpx2
    import openai

    from prompt_hub.llm.config import ModelConfig
    from prompt_hub.llm.secrets import SecretApiKey

DEFAULT_API_VERSION = "2024-10-21"
LEAST_REASONING = "2024-12-01-preview or later"
"""What Azure asks for where an older version asks a model that reasons (HTTP 400)."""
"""A version of the data plane that is generally available."""


class AzureOpenAIProvider(Provider):
    """`base_url` is the resource's endpoint, `model` the name of a deployment in it."""

    name = "azure-openai"
    telemetry_name = "azure.ai.openai"
    required_keys = frozenset({"base_url"})
    optional_keys = frozenset({"api_version", "secret", "secret_kms_key", "api_key_env"})

    def schema_support(self, model: ModelConfig) -> SchemaSupport:
        """Say what becomes of an output schema."""
        return AZURE_OPENAI

    def connect(self) -> Adapter:
        """Make an adapter."""
        from prompt_hub.llm.providers._chat_completions import ChatCompletions

        return ChatCompletions(_client)

    def iam_statements(self, model: ModelConfig) -> tuple[IamStatement, ...]:
        """Allow to read the key."""
        return read_key_statements(model)

    def own_problem(self, model: ModelConfig) -> str:
        """Refuse an alias without a key, which no endpoint of Azure answers without.

        Nor does the version that is usual here take a model that reasons.
        """
        if model.reasoning is not None and model.api_version is None:
            return f"a model of {self.name} that reasons needs an api_version, {LEAST_REASONING}"
        if model.secret is None and model.api_key_env is None:
            return f"a model of {self.name} needs a secret, or on your own machine an api_key_env"
        return ""

    def list_models_command(self, model: ModelConfig, key: str) -> str:
        """Say what lists the deployments of the resource, which its key alone cannot."""
        return (
            "az cognitiveservices account deployment list"
            " --name RESOURCE --resource-group RESOURCE-GROUP"
        )

    def request_parameters(
        self, model: ModelConfig, parameters: Mapping[Parameter, float | int]
    ) -> dict[str, float | int | str]:
        """Turn a prompt's parameters into those that the deployment takes."""
        asked = super().request_parameters(model, parameters)
        return asked if model.reasoning is None else own_reasoning_parameters(asked)


def _client(
    model: ModelConfig, key: str | SecretApiKey, transport: httpx2.AsyncClient
) -> openai.AsyncOpenAI:
    import openai

    assert model.base_url is not None
    return openai.AsyncAzureOpenAI(
        api_key=key,
        azure_endpoint=model.base_url.rstrip("/"),
        azure_deployment=model.model,
        api_version=model.api_version or DEFAULT_API_VERSION,
        max_retries=0,
        timeout=None,
        http_client=transport,
    )


PROVIDER = AzureOpenAIProvider()
