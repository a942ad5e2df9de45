"""Finds the providers: every public module of this package that has a `PROVIDER`.

A module whose name begins with `_` is what providers share; it may import an SDK as it is loaded.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from prompt_hub.llm import providers
from prompt_hub.llm.providers.base import Provider

SCRIPTED = "scripted"
"""The provider behind the drill's own alias, and behind no other."""


@cache
def all_providers() -> Mapping[str, Provider]:
    """Find every provider, by its name in alphabetical order."""
    found: dict[str, Provider] = {}
    for module in pkgutil.iter_modules(providers.__path__, f"{providers.__name__}."):
        if module.name.rpartition(".")[2].startswith("_"):
            continue
        provider = getattr(import_module(module.name), "PROVIDER", None)
        if not isinstance(provider, Provider):
            continue
        if provider.name in found:
            raise ValueError(f"two providers are called {provider.name!r}")
        found[provider.name] = provider
    return dict(sorted(found.items()))


def provider_of(name: str) -> Provider:
    """Look a provider up by name, the drill's own too; raises `KeyError` for an unknown one."""
    if name == SCRIPTED:
        provider = import_module(f"{providers.__name__}._scripted").PROVIDER
        assert isinstance(provider, Provider)
        return provider
    return all_providers()[name]


def with_region(entry: Mapping[str, object], region: object) -> dict[str, object]:
    """Give a model alias its owner's region where its provider needs one and it names none."""
    provider = all_providers().get(str(entry.get("provider")))
    if provider is None or "region" not in provider.required_keys:
        return dict(entry)
    return {"region": region, **entry}
