"""What a proxy must be that the environment names for a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prompt_hub.core.errors import PromptHubError


class ProxyRefusedError(PromptHubError):
    """The proxy for a model is of a kind that cannot be used."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"the proxy that the environment names for a model is {kind}, which is not supported.",
            hint="Name an HTTP proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or the model's host"
            " in NO_PROXY.",
        )


def check_proxy(address: str) -> None:
    """Raise `ProxyRefusedError` unless it is an HTTP proxy, which one without a scheme is."""
    scheme, separator, _ = address.lower().partition("://")
    if separator and scheme not in {"http", "https"}:
        raise ProxyRefusedError("a SOCKS proxy" if scheme.startswith("socks") else "no HTTP proxy")


@contextmanager
def proxies_understood() -> Iterator[None]:
    """Say what httpx2 raises for a proxy whose scheme it has never heard of."""
    try:
        yield
    except ValueError:
        raise ProxyRefusedError("no HTTP proxy") from None
