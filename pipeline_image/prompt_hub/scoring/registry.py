"""Every type of scorers: found by its file, told apart by `type`, prepared and put to work.

A file in `scoring/scorers` is a scorer type. All of them are imported with this package, and one
that declares nothing, or what nothing here handles, is an error at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import assert_never, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring import scorers as _package
from prompt_hub.scoring.base import (
    NO_OUTPUT,
    PureScorer,
    PureSettings,
    ScorerResult,
    ScorerSettings,
    ScorerType,
)
from prompt_hub.scoring.scorers.injection import InjectionSettings
from prompt_hub.scoring.scorers.judge import JudgeSettings

Scorer = PureSettings | JudgeSettings | InjectionSettings
"""Settings of one scorer, by who puts it to work; whoever tells them apart handles each."""


def collect_types(package: ModuleType) -> Mapping[str, ScorerType]:
    """Import every module of `package` and return the scorer types there, in their order.

    Raises:
        TypeError: a module declares no type or several, one that is not called like the module,
            or one whose settings are abstract or no kind of `Scorer`.
    """
    found: list[ScorerType] = []
    for item in iter_modules(package.__path__, f"{package.__name__}."):
        module = item.name
        declared = _declared_in(import_module(module))
        if len(declared) != 1:
            raise TypeError(f"{module}: expected one scorer type, found {len(declared)}.")
        kind, settings = declared[0], declared[0].settings
        if kind.name != module.rpartition(".")[2]:
            raise TypeError(f"{module}: expected a scorer type of that name, found {kind.name!r}.")
        if not issubclass(settings, get_args(Scorer)):
            known = ", ".join(each.__name__ for each in get_args(Scorer))
            raise TypeError(f"{module}: {settings.__name__} is none of {known}; nothing scores it.")
        if isabstract(settings):
            missing = ", ".join(sorted(settings.__abstractmethods__))
            raise TypeError(f"{module}: {settings.__name__} lacks {missing}.")
        found.append(kind)
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.place)}


def _declared_in(module: ModuleType) -> list[ScorerType]:
    """Return the types that `module` itself declares, not those that it imports."""
    return [
        value.declared
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ScorerSettings)
        and value.__module__ == module.__name__
        and "declared" in vars(value)
    ]


SCORER_TYPES = collect_types(_package)
"""Scorer types by the `type` that metadata name."""


class OneOfTheTypes:
    """Tells pydantic that a scorer's settings are a model of the registry, chosen by `type`."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Make the schema of the tagged union."""
        choices = {
            name: handler.generate_schema(kind.settings) for name, kind in SCORER_TYPES.items()
        }
        return core_schema.tagged_union_schema(choices, discriminator="type")


@dataclass(frozen=True)
class SortedScorers:
    """A task's scorers by who puts them to work, each kind in the task's order."""

    pure: tuple[PureSettings, ...]
    judges: tuple[JudgeSettings, ...]
    injections: tuple[InjectionSettings, ...]


def sort_scorers(scorers: Sequence[Scorer]) -> SortedScorers:
    """Sort a task's scorers by kind; none is left over."""
    pure: list[PureSettings] = []
    judges: list[JudgeSettings] = []
    injections: list[InjectionSettings] = []
    for scorer in scorers:
        match scorer:
            case PureSettings():
                pure.append(scorer)
            case JudgeSettings():
                judges.append(scorer)
            case InjectionSettings():
                injections.append(scorer)
            case _:
                assert_never(scorer)
    return SortedScorers(tuple(pure), tuple(judges), tuple(injections))


def build_scorers(
    scorers: Sequence[Scorer], schema: JsonObject, root: Path | None = None
) -> tuple[PureScorer, ...]:
    """Prepare the scorers that need no model, in order.

    Args:
        scorers: the task's scorers.
        schema: the output schema of the prompt whose answers are scored.
        root: where Python entry points may lie beside the installed packages; the folder of the
            prompt repository by default.

    Raises:
        PromptHubError: a pattern, a schema or an entry point cannot be used.
    """
    return tuple(scorer.build(schema, root) for scorer in sort_scorers(scorers).pure)


def score_answer(
    scorers: Sequence[PureScorer],
    output: JsonObject | None,
    example: Example,
    problem: str | None = None,
) -> tuple[ScorerResult, ...]:
    """Return what every scorer says about one answer.

    Args:
        scorers: as `build_scorers` made them.
        output: the answer's object, None where it is not usable.
        example: what was asked, and what people expect.
        problem: why the output is not usable, for the words of the loss.
    """
    try:
        parts = tuple(scorer.part(output, example) for scorer in scorers)
    except RecursionError:
        return score_answer(scorers, None, example, "values nested without end")
    return parts if output is not None else tuple(unusable(part, problem) for part in parts)


def unusable(part: ScorerResult, problem: str | None) -> ScorerResult:
    """Return a part about an answer that is not usable, with the reason in its words."""
    return replace(part, loss=f"{NO_OUTPUT}: {problem}") if problem else part
