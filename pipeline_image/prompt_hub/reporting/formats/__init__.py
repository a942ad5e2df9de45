"""The formats of an evaluation's report: one module each, named after its option.

`junit.py` is `--junit FILE`. A module has `HELP`, what `--help` says, and `render`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from prompt_hub.reporting.evaluation import EvaluationView


class Format(Protocol):
    """A module of this package."""

    HELP: str

    def render(self, view: EvaluationView) -> str:
        """Return the whole file for one evaluation."""


def report_formats() -> dict[str, Format]:
    """Return every format by the name of its option, in alphabetical order."""
    names = sorted(module.name for module in iter_modules(__path__))
    return {name: cast(Format, import_module(f"{__name__}.{name}")) for name in names}
