"""Finds the checks: every module of `checks` has one as `CHECK`."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from prompt_hub.doctor import checks
from prompt_hub.doctor.base import Check


@cache
def all_checks() -> tuple[Check, ...]:
    """Find every check, in alphabetical order of their names."""
    found: dict[str, Check] = {}
    for module in pkgutil.iter_modules(checks.__path__, f"{checks.__name__}."):
        check = getattr(import_module(module.name), "CHECK", None)
        if not isinstance(check, Check):
            raise TypeError(f"{module.name} has no CHECK")
        if check.name in found:
            raise ValueError(f"two checks are called {check.name!r}")
        found[check.name] = check
    return tuple(found[name] for name in sorted(found))
