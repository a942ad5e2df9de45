"""The model of the rollback drill: it answers what the prompt tells it to, and needs no endpoint.

Not found by the registry: no alias of a user's may name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prompt_hub.llm.providers.base import Adapter, Provider
from prompt_hub.llm.response import ModelResponse, Usage
from prompt_hub.repository.schema import JsonObject

if TYPE_CHECKING:
    from prompt_hub.llm.config import ModelConfig


class Scripted:
    """Answers with the last message, word for word."""

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        """Answer at once."""
        return ModelResponse(
            text=messages[-1]["content"],
            model=model.model,
            usage=Usage(input_tokens=0, output_tokens=0),
        )

    async def close(self) -> None:
        """Give back nothing: there is no connection."""


class ScriptedProvider(Provider):
    """A script instead of a model."""

    name = "scripted"
    telemetry_name = "prompt-hub.scripted"

    def connect(self) -> Adapter:
        """Make an adapter."""
        return Scripted()


PROVIDER = ScriptedProvider()
