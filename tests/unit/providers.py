"""A provider that answers from a function: a stand-in for a model where none is needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import ModelResponse, Usage
from prompt_hub.repository.schema import JsonObject

ALIASES = ModelAliases(
    {
        alias: ModelConfig(alias=alias, provider="openai", model=model)
        for alias, model in (
            ("catalogue-pinned", "small-model-2026-01"),
            ("catalogue-latest", "latest"),
        )
    }
)

Backend = Callable[[list[dict[str, str]]], JsonObject | str | None]


class FunctionProvider:
    """Answers with what `answer` makes of the messages; None means that no answer came."""

    def __init__(self, answer: Backend) -> None:
        self._answer = answer
        self.asked: list[list[dict[str, str]]] = []

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.asked)

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        """Answer at once."""
        self.asked.append(messages)
        await asyncio.sleep(0)
        answer = self._answer(messages)
        if answer is None:
            raise ModelUnavailableError(
                f"the model {model.identity} gave no answer: no connection."
            )
        return ModelResponse(
            text=answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False),
            model=model.model,
            usage=Usage(input_tokens=10, output_tokens=2),
        )

    async def close(self) -> None:
        """There is nothing to close."""

    def caller(self) -> ModelClient:
        """The real caller on this provider."""
        return ModelClient(ALIASES, self)
