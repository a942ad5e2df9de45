"""One call of a prompt: render, ask, parse, check. The same for evaluation and for service (D7)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pydantic import JsonValue

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.models.aliases import ModelAliases, ResolvedModel
from prompt_hub.prompts.contracts import worst_misfit
from prompt_hub.prompts.documents import strict_json
from prompt_hub.prompts.models import JsonObject, Prompt
from prompt_hub.prompts.render import render


class ModelUnavailable(PromptHubError):
    """The model gave no answer at all: nothing was measured, and nothing may be concluded."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.NOT_MEASURED)


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a provider sent back."""

    text: str
    answered_by: str
    tokens_in: int
    tokens_out: int
    attempts: int
    truncated: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, checked against the prompt's output contract.

    `output` is the parsed object, `valid` whether it fits the output schema and `problem` why
    not. `answered_by` is the model that the provider says it used; `seconds` is wall time.
    `cached` says that an earlier run has paid for it: tokens, cost and time are those of then.
    """

    text: str
    output: JsonObject | None
    valid: bool
    problem: str | None
    answered_by: str
    tokens_in: int
    tokens_out: int
    usd: float | None
    seconds: float
    attempts: int
    cached: bool = False


class Provider(Protocol):
    """An adapter to a kind of model endpoint."""

    async def complete(
        self,
        model: ResolvedModel,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int],
        schema: JsonObject,
        timeout: float,
    ) -> Completion:
        """Ask once; raises `ModelUnavailable` when no answer came."""

    async def close(self) -> None:
        """Give back connections."""


class ModelCaller:
    """Calls prompts on the models of one environment; an async context manager."""

    def __init__(self, aliases: ModelAliases, provider: Provider | None = None) -> None:
        self._aliases = aliases
        self._provider = provider

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back the connections."""
        if self._provider is not None:
            await self._provider.close()

    def resolve(self, prompt: Prompt) -> ResolvedModel:
        """The model that `prompt` would be answered by here."""
        return self._aliases.resolve(prompt.model.alias)

    async def call(
        self, prompt: Prompt, fields: Mapping[str, JsonValue], *, timeout: float = 60.0
    ) -> Answer:
        """Answer one record.

        Args:
            prompt: the whole prompt (building blocks and shots inlined).
            fields: values of the input's properties.
            timeout: seconds that one attempt may take.

        Raises:
            RenderError: a template cannot be rendered with these fields.
            ModelUnavailable: the model gave no answer at all.
        """
        model = self.resolve(prompt)
        messages = render(prompt, fields)
        if self._provider is None:
            from prompt_hub.models.openai_adapter import OpenAIProvider

            self._provider = OpenAIProvider()
        started = time.perf_counter()
        parameters = {str(name): value for name, value in prompt.model.parameters.items()}
        completion = await self._provider.complete(
            model, messages, parameters, prompt.output, timeout
        )
        seconds = time.perf_counter() - started
        output, problem = check(completion, prompt.output)
        return Answer(
            text=completion.text,
            output=output,
            valid=problem is None,
            problem=problem,
            answered_by=completion.answered_by,
            tokens_in=completion.tokens_in,
            tokens_out=completion.tokens_out,
            usd=model.cost(completion.tokens_in, completion.tokens_out),
            seconds=seconds,
            attempts=completion.attempts,
        )


def check(completion: Completion, schema: JsonObject) -> tuple[JsonObject | None, str | None]:
    """The parsed output, and what is wrong with it (None when it keeps the contract)."""
    if completion.truncated:
        return None, f"the answer was cut off after {completion.tokens_out} tokens"
    try:
        value = strict_json(completion.text)
    except json.JSONDecodeError as error:
        return None, f"the answer is not JSON ({error.msg} at column {error.colno})"
    except ValueError as error:
        return None, f"the answer is not JSON ({error})"
    if not isinstance(value, dict):
        return None, "the answer is not a JSON object"
    return value, schema_problem(value, schema)


def schema_problem(value: JsonValue, schema: JsonObject) -> str | None:
    """In words, the first way in which `value` breaks `schema`; None when it fits."""
    misfit = worst_misfit(value, schema)
    if misfit is None:
        return None
    where = ".".join(map(str, misfit.location))
    return f"{where}: {misfit.message}" if where else misfit.message
