"""Batches: many questions handed in together, answered within a day and for less.

What a provider can do is a `BatchSupport` (see `Provider.batches`); what it is asked goes through a
`BatchAdapter`. Who waits for what, and what is asked again, is `evaluation.prefetch`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Literal, Protocol

from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.schema import JsonObject

if TYPE_CHECKING:
    from prompt_hub.llm.config import ModelConfig
    from prompt_hub.llm.response import ModelResponse

Phase = Literal["waiting", "ended", "failed", "unknown"]
"""`waiting`: answers may still come; `ended`: no more will; `failed`: it never ran; `unknown`: its
provider says a word that is not known here."""


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """What a provider documents about the size of a batch; an alias may say otherwise."""

    most_requests: int
    most_bytes: int
    least_requests: int = 1


@dataclass(frozen=True, kw_only=True)
class BatchState:
    """A batch as its provider describes it."""

    id: str
    status: str
    """The provider's own word."""
    phase: Phase
    answered: int = 0
    failed: int = 0
    total: int = 0
    """Requests in all; 0 while the provider has not counted them."""
    reason: str = ""
    """Why it failed, in the provider's words, made fit to be shown."""
    queue_full: bool = False
    """Whether it failed because too much is waiting at the provider already."""
    files: tuple[str, ...] = ()
    """Where its answers and errors lie."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchAnswer:
    """What a batch says about one request; without a response it says why there is none."""

    custom_id: str
    response: ModelResponse | None
    problem: str = ""


class BatchAdapter(Protocol):
    """A connection to the batches of one provider.

    All of it raises `TransientError` or `PermanentError` when the provider does not do as asked.
    """

    def line(
        self,
        model: ModelConfig,
        custom_id: str,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> bytes:
        """Write a request, as it would be asked by itself, as one line of a batch's input."""

    async def upload(self, model: ModelConfig, lines: IO[bytes], tag: str) -> str:
        """Put the input where the provider reads it, and return what it is called there."""

    async def create(self, model: ModelConfig, uploaded: str, tag: str) -> BatchState:
        """Start a batch: from here on it costs. A `TransientError` may have started one."""

    async def find(self, model: ModelConfig, tag: str, since: float) -> BatchState | None:
        """Find the batch that was started with `tag` after a Unix time; None if there is none."""

    async def state(self, model: ModelConfig, batch: str) -> BatchState | None:
        """Ask how far a batch is; None where the provider does not know it."""

    def answers(self, model: ModelConfig, state: BatchState) -> AsyncIterator[BatchAnswer]:
        """Read what an ended batch has brought, in whatever order it stands there."""

    async def close(self) -> None:
        """Give back connections."""


@dataclass(frozen=True, kw_only=True)
class BatchSupport:
    """How a provider takes batches for one model."""

    connect: Callable[[], BatchAdapter]
    """Makes an adapter; imports the SDK, opens no connection yet."""
    limits: BatchLimits
    """What the model's settings say, else what the provider documents."""
    price_factor: float
    """Price of a request in a batch, as a part of the price of a call by itself."""


def batch_support(
    model: ModelConfig,
    connect: Callable[[], BatchAdapter],
    documented: BatchLimits,
    price_factor: float | None,
) -> BatchSupport:
    """Return what a provider documents, as far as the settings of `model` do not say otherwise.

    Raises:
        PromptHubError: neither settings nor provider say what answers of a batch cost.
    """
    factor = model.batch_price_factor or price_factor
    if factor is None:
        raise PromptHubError(
            f"the model alias {model.alias!r} does not say what answers of a batch cost, and its"
            " endpoint is not the provider's own.",
            hint="Set batch_price_factor: 0.5 for half the price, 1 for all of it.",
        )
    limits = replace(
        documented,
        most_requests=model.batch_requests or documented.most_requests,
        most_bytes=model.batch_bytes or documented.most_bytes,
    )
    return BatchSupport(connect=connect, limits=limits, price_factor=factor)
