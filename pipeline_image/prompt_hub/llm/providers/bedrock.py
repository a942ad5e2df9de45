"""Amazon Bedrock's OpenAI-compatible endpoint, signed by the role: OpenAI's open models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.batches import BatchAdapter, BatchLimits, BatchSupport, batch_support
from prompt_hub.llm.providers.base import Adapter, IamStatement, Provider
from prompt_hub.llm.schema_support import BEDROCK, SchemaSupport

if TYPE_CHECKING:
    import httpx2
    import openai

    from prompt_hub.llm.config import ModelConfig
    from prompt_hub.llm.secrets import SecretApiKey

_INVOKE = ("bedrock:InvokeModel",)
_GEOGRAPHIES = frozenset({"us", "us-gov", "eu", "apac", "jp", "au", "ca", "global"})
"""First parts of the names of cross-region inference profiles."""


BATCH_LIMITS = BatchLimits(most_requests=50_000, most_bytes=1_000_000_000, least_requests=100)
"""Bedrock's documented defaults as of November 2026. Quotas of an account stand in Service Quotas
under "Records per batch inference job" and "Minimum number of records"; an alias states them.
"""
BATCH_PRICE_FACTOR = 0.5
"""Amazon Bedrock pricing, batch, as of November 2026: half of on-demand."""


class BedrockProvider(Provider):
    """No key: the caller's AWS credentials sign each request."""

    name = "bedrock"
    telemetry_name = "aws.bedrock"
    required_keys = frozenset({"region"})
    optional_keys = frozenset({"batch_folder", "batch_role"})
    address_variable = "AWS_BEDROCK_BASE_URL"

    def schema_support(self, model: ModelConfig) -> SchemaSupport:
        """Say what becomes of an output schema."""
        return BEDROCK

    def connect(self) -> Adapter:
        """Make an adapter."""
        from prompt_hub.llm.providers._chat_completions import ChatCompletions

        return ChatCompletions(_client, signed=True)

    def batches(self, model: ModelConfig) -> BatchSupport | None:
        """Take batches as OpenAI does, but for the files, which lie in S3."""
        for key in ("batch_folder", "batch_role"):
            if getattr(model, key) is None:
                raise PromptHubError(
                    f"the model alias {model.alias!r} needs a {key} for batches.",
                    hint="docs/model-calls.md#batches says what it is.",
                )
        return batch_support(model, _batches, BATCH_LIMITS, BATCH_PRICE_FACTOR)

    def iam_statements(self, model: ModelConfig) -> tuple[IamStatement, ...]:
        """Allow to call this one model."""
        return invoke_model_statements(model)


def invoke_model_statements(model: ModelConfig) -> tuple[IamStatement, ...]:
    """Allow to call a model of Bedrock, in each region that its inference profile reaches."""
    if model.model.startswith("arn:"):
        return _by_arn(model.model)
    geography, _, base = model.model.partition(".")
    if geography not in _GEOGRAPHIES:
        own = f"arn:{{partition}}:bedrock:{model.region}::foundation-model/{model.model}"
        return (IamStatement(actions=_INVOKE, resources=(own,)),)
    return (
        IamStatement(
            actions=_INVOKE,
            resources=(
                f"arn:{{partition}}:bedrock:{model.region}:{{account}}"
                f":inference-profile/{model.model}",
                f"arn:{{partition}}:bedrock:*::foundation-model/{base}",
            ),
            wildcard="A cross-region inference profile calls its one model in many regions.",
        ),
    )


def _by_arn(arn: str) -> tuple[IamStatement, ...]:
    """Allow to call what is named by its ARN: a profile of one's own, or throughput bought."""
    own = IamStatement(actions=_INVOKE, resources=(arn,))
    if "inference-profile/" not in arn:
        return (own,)
    # Bedrock asks for the model behind it too, which a profile of one's own does not name.
    behind = IamStatement(
        actions=_INVOKE,
        resources=("arn:{partition}:bedrock:*::foundation-model/*",),
        conditions=(("ArnEquals", "bedrock:InferenceProfileArn", arn),),
        wildcard="Which model a profile calls, and where, its ARN does not say.",
    )
    return (own, behind)


def _batches() -> BatchAdapter:
    from prompt_hub.llm.providers._openai_batches import OpenAIBatches
    from prompt_hub.llm.providers._s3_batch_files import S3Files

    return OpenAIBatches(_client, S3Files())


def _client(
    model: ModelConfig, key: str | SecretApiKey, transport: httpx2.AsyncClient
) -> openai.AsyncOpenAI:
    import openai
    from openai.providers import bedrock

    return openai.AsyncOpenAI(
        provider=bedrock(region=model.region, endpoint="runtime"),
        max_retries=0,
        timeout=None,
        http_client=transport,
    )


PROVIDER = BedrockProvider()
