"""One call of a prompt: render, ask, parse, check. The same for evaluation and for service."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from prompt_hub.core.bounded import Bounded
from prompt_hub.core.imports import gc_paused
from prompt_hub.llm.answer_text import without_thinking
from prompt_hub.llm.batches import BatchAdapter, BatchSupport
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.providers.base import Adapter
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.llm.rate_limit import Limiter
from prompt_hub.llm.refusal import redact
from prompt_hub.llm.response import Answer, ModelResponse, Usage
from prompt_hub.llm.retry import CallStats, PermanentError, Retries
from prompt_hub.repository.rendering import Renderer
from prompt_hub.repository.schema import Prompt

ADAPTER_VERSION = "2"
"""Moves whenever the same request is put to a provider, or its answer is read, in another way."""
RENDERERS = 1024
"""Prompts that are held ready to be rendered: as many as a service holds parsed."""
CHARACTERS_A_TOKEN = 4.0
"""What a token of a prompt is worth before a model has said so itself."""


@dataclass(kw_only=True, slots=True)
class Request:
    """A prompt rendered for one record: what is put to the model."""

    prompt: Prompt
    model: ModelConfig
    messages: list[dict[str, str]]
    parameters: Mapping[str, float | int | str]
    """The sampling parameters that the prompt was judged with, as its model takes them."""

    @property
    def characters(self) -> int:
        """Length of all messages."""
        return sum([len(message["content"]) for message in self.messages])


_Known = tuple[Prompt, Renderer, ModelConfig, Mapping[str, float | int | str]]
"""What is the same for every record of a prompt; the prompt is kept so that it stays its own."""


class ModelClient:
    """Calls prompts on the models of one environment; an async context manager.

    Every call goes through the one retry layer and through the limiter of its model. `stats`
    counts what went over the wire.
    """

    def __init__(
        self,
        aliases: ModelAliases,
        adapter: Adapter | None = None,
        *,
        concurrency: int | None = None,
        retries: Retries | None = None,
    ) -> None:
        """Make a client.

        Args:
            aliases: the models of this environment.
            adapter: answers for all of them; by default each model's provider is asked.
            concurrency: calls in flight to one model, whatever its settings say.
            retries: how patient to be.
        """
        self.stats = CallStats()
        self._aliases = aliases
        self._adapter = adapter
        self._adapters: dict[str, Adapter] = {}
        self._batches: dict[str, BatchAdapter] = {}
        self._concurrency = concurrency
        self._retries = retries or Retries()
        self._limiters: dict[ModelConfig, Limiter] = {}
        self._share = 1.0
        # By the identity of the prompt, which is kept so that it stays its own.
        self._renderers: Bounded[int, _Known] = Bounded(RENDERERS)

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
        for adapter in (*self._adapters.values(), *filter(None, (self._adapter,))):
            await adapter.close()
        for batches in self._batches.values():
            await batches.close()

    def connect(self) -> None:
        """Import the SDK of every configured provider now, so that the first call does not wait."""
        for model in self._aliases:
            self._connected(model)

    def keep_to(self, share: float) -> None:
        """Keep to this part of every model's limits from now on: others are using the rest."""
        self._share = share
        for limiter in self._limiters.values():
            limiter.keep_to(share)

    def resolve(self, prompt: Prompt) -> ModelConfig:
        """Return the model that `prompt` would be answered by here."""
        return self._aliases.resolve(prompt.model.alias)

    def concurrency(self, prompt: Prompt) -> int:
        """How many calls of `prompt` may be in flight."""
        return self._concurrency or self.resolve(prompt).concurrency

    def request(self, prompt: Prompt, fields: Mapping[str, JsonValue]) -> Request:
        """Render `prompt` for one record; raises `RenderError`."""
        known = self._renderers.get(id(prompt))
        if known is None:
            model = self.resolve(prompt)
            parameters: Mapping[str, float | int | str] = model.request_parameters(
                prompt.model.parameters
            )
            known = (prompt, Renderer(prompt), model, parameters)
            self._renderers.put(id(prompt), known)
        _, renderer, model, parameters = known
        return Request(
            prompt=prompt, model=model, messages=renderer.render(fields), parameters=parameters
        )

    async def send(
        self,
        request: Request,
        *,
        timeout: float | None = 60.0,
        until: float | None = None,
        queued: AbstractContextManager[object] | None = None,
    ) -> ModelResponse:
        """Put a request to its model.

        Args:
            request: the rendered prompt.
            timeout: seconds that one attempt may take; None where the caller ends it in time.
            until: monotonic time after which no attempt is begun.
            queued: entered while the request waits to be sent for the first time, and may end it.

        Raises:
            ModelUnavailableError: the model gave no answer at all.
        """
        model, prompt = request.model, request.prompt
        adapter = self._connected(model)
        limiter = self._limiter(request)
        expected = int(request.characters / CHARACTERS_A_TOKEN)
        try:
            attempt = await self._retries.run(
                lambda: adapter.complete(
                    model, request.messages, request.parameters, prompt.output
                ),
                limiter=limiter,
                tokens=expected,
                timeout=timeout,
                stats=self.stats,
                until=until,
                queued=queued,
            )
        except PermanentError as error:
            raise _unavailable(model, error) from None
        response = answer_alone(attempt.result, model)
        usage = response.usage
        limiter.correct(usage.tokens - expected)
        if attempt.failure is not None and any(attempt.failure.tokens):
            response.name_cut_off()
            sent, received = attempt.failure.tokens
            usage.input_tokens += sent
            usage.output_tokens += received
        # Completed and not copied: the adapter has made it for this call.
        usage.usd = model.cost(usage.input_tokens, usage.output_tokens)
        usage.seconds, usage.attempts = round(attempt.seconds, 4), attempt.attempts
        return response

    def batches(self, model: ModelConfig, support: BatchSupport) -> BatchAdapter:
        """Return the way to a model's batches, as its provider says that it takes them."""
        adapter = self._batches.get(model.provider)
        if adapter is None:
            with gc_paused():
                adapter = self._batches[model.provider] = support.connect()
        return adapter

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
            ModelUnavailableError: the model gave no answer at all.
        """
        response = await self.send(self.request(prompt, fields), timeout=timeout)
        return Answer.of(response, prompt)

    def _connected(self, model: ModelConfig) -> Adapter:
        if self._adapter is not None:
            return self._adapter
        adapter = self._adapters.get(model.provider)
        if adapter is None:
            with gc_paused():
                adapter = self._adapters[model.provider] = provider_of(model.provider).connect()
        return adapter

    def _limiter(self, request: Request) -> Limiter:
        model = request.model
        limiter = self._limiters.get(model)
        if limiter is None:
            limiter = self._limiters[model] = Limiter(
                self.concurrency(request.prompt),
                requests_per_minute=model.requests_per_minute,
                tokens_per_minute=model.tokens_per_minute,
            )
            limiter.keep_to(self._share)
        return limiter


def answer_alone(response: ModelResponse, model: ModelConfig) -> ModelResponse:
    """Take the thinking off a response, where its model is one that reasons."""
    if model.reasoning is None:
        return response
    return replace(response, text=without_thinking(response.text))


def at_price_of(response: ModelResponse, model: ModelConfig) -> ModelResponse:
    """Price an answer as the settings do now: of a stored one, a wrong price may be mended since.

    One that came in a batch costs its part.
    """
    usage = response.usage
    usd = model.cost(usage.input_tokens, usage.output_tokens)
    if usd is not None and usage.batch is not None:
        usd *= usage.batch
    return response if usd == usage.usd else replace(response, usage=replace(usage, usd=usd))


def answer_of_batch(response: ModelResponse, model: ModelConfig, factor: float) -> ModelResponse:
    """Complete an answer of a batch by what it cost; how long it took is unknown."""
    usage = Usage(
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        seconds=None,
        batch=factor,
    )
    return at_price_of(replace(answer_alone(response, model), usage=usage), model)


def _unavailable(model: ModelConfig, error: PermanentError) -> ModelUnavailableError:
    outage = f"the model {model.identity} (alias {model.alias!r}) gave no answer: "
    where = redact(model.base_url, ()) if model.base_url else "the provider"
    hint = f"Check that {where} answers, then run again."
    if error.detail:
        hint = "The provider says why: mend that, then run again."
    usage = None
    if any(error.tokens):
        sent, received = error.tokens
        usage = Usage(
            input_tokens=sent, output_tokens=received, usd=model.cost(sent, received), seconds=None
        )
    return ModelUnavailableError(
        f"{outage}{error.in_words()}.",
        hint=hint,
        public_message=f"{outage}{error.reason}.",
        of_request=error.of_request,
        usage=usage,
    )
