"""Amazon Bedrock's Converse API, signed by the role: Claude, Nova and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prompt_hub.llm.providers.base import Adapter, IamStatement, Provider
from prompt_hub.llm.providers.bedrock import invoke_model_statements
from prompt_hub.llm.schema_support import BEDROCK_CONVERSE, SchemaSupport
from prompt_hub.repository.schema import Parameter

if TYPE_CHECKING:
    from prompt_hub.llm.config import ModelConfig

_PARAMETERS: Mapping[Parameter, str] = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxTokens",
}


class BedrockConverseProvider(Provider):
    """No key: AWS credentials sign each request. `base_url` may name a VPC endpoint."""

    name = "bedrock-converse"
    telemetry_name = "aws.bedrock"
    required_keys = frozenset({"region"})
    optional_keys = frozenset({"base_url"})

    def schema_support(self, model: ModelConfig) -> SchemaSupport:
        """Say what becomes of an output schema."""
        return BEDROCK_CONVERSE

    def connect(self) -> Adapter:
        """Make an adapter."""
        from prompt_hub.llm.providers._converse import Converse

        return Converse()

    def iam_statements(self, model: ModelConfig) -> tuple[IamStatement, ...]:
        """Allow to call this one model."""
        return invoke_model_statements(model)

    def own_problem(self, model: ModelConfig) -> str:
        """Refuse an effort that Converse has no word for."""
        if model.reasoning is not None and model.reasoning.effort == "minimal":
            return f"a model of {self.name} knows the efforts low, medium and high, not minimal"
        return ""

    def request_parameters(
        self, model: ModelConfig, parameters: Mapping[Parameter, float | int]
    ) -> dict[str, float | int | str]:
        """Turn a prompt's parameters into those of Converse, which knows no seed."""
        asked: dict[str, float | int | str] = {
            _PARAMETERS[name]: value for name, value in parameters.items() if name in _PARAMETERS
        }
        if model.reasoning is not None:
            asked["effort"] = model.reasoning.effort
            if (limit := model.max_output_tokens(parameters.get("max_tokens"))) is not None:
                asked["maxTokens"] = limit
        return asked


PROVIDER = BedrockConverseProvider()
