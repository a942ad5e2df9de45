"""When two JSON values are the same, or nearly so."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Annotated, Literal, Self, assert_never

from pydantic import Field, JsonValue, model_validator

from prompt_hub.core.exact import stated
from prompt_hub.repository.schema import Number, Strict

Compare = Callable[[JsonValue, JsonValue], float]
"""How alike what was given and what was wanted are, from 0 to 1, where 1 is the same."""

SHOWN = 80
"""Characters of a value that a loss shows."""


class Comparison(Strict):
    """How two values of a field are compared."""

    compare: Literal["text", "exact", "number"] = "text"
    """How two values are compared: as texts, exactly, or as numbers.

    `text`: texts by their normalised form, graded by edit similarity where `similarity` states the
    least that still counts; other values by equality. `exact`: equality. `number`: numbers that
    differ by no more than `tolerance` or `relative_tolerance` times the expected one.
    """
    similarity: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Least edit similarity (0 to 1) of a text that still earns it."""
    tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """How far a number may be off."""
    relative_tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """How far a number may be off, as a share of the expected one."""

    @property
    def folded(self) -> bool:
        """Whether texts are compared by their normalised form."""
        return self.compare == "text"

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.similarity is not None and self.compare != "text":
            raise ValueError(f"similarity with compare: text only, not with {self.compare}")
        if self.compare != "number" and (self.tolerance or self.relative_tolerance):
            raise ValueError(f"a tolerance with compare: number only, not with {self.compare}")
        return self


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """Text without differences that do not matter: Unicode form, case, runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def identity(value: JsonValue, *, folded: bool) -> Hashable:
    """Equal for values that are the same in JSON; `folded` texts are compared normalised.

    An object's property that is null counts as left out, `1` and `1.0` are one number, and `true`
    is none.
    """
    if isinstance(value, str):
        return normalise(value) if folded else value
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, list):
        return (list, tuple(identity(item, folded=folded) for item in value))
    if isinstance(value, dict):
        items = ((k, identity(v, folded=folded)) for k, v in value.items() if v is not None)
        return (dict, frozenset(items))
    return value


def comparing(how: Comparison) -> Compare:
    """Return the comparison that `how` describes."""
    match how.compare:
        case "number":
            return _numbers(how.tolerance, how.relative_tolerance)
        case "text" | "exact":
            return _values(how)
        case _:
            assert_never(how.compare)


def _values(how: Comparison) -> Compare:
    folded, least = how.folded, how.similarity

    def same(given: JsonValue, wanted: JsonValue) -> float:
        if identity(given, folded=folded) == identity(wanted, folded=folded):
            return 1.0
        if least is None or not isinstance(given, str) or not isinstance(wanted, str):
            return 0.0
        from prompt_hub.scoring.similarity import similarity

        alike = similarity(normalise(given), normalise(wanted))
        return alike if alike >= least else 0.0

    return same


def by_equality(how: Comparison) -> bool:
    """Whether `how` asks for equality only: no value is nearly another."""
    match how.compare:
        case "number":
            return not how.tolerance and not how.relative_tolerance
        case "text" | "exact":
            return how.similarity is None
        case _:
            assert_never(how.compare)


def _numbers(absolute: float, relative: float) -> Compare:
    def near(given: JsonValue, wanted: JsonValue) -> float:
        if isinstance(given, bool) or isinstance(wanted, bool):
            return 0.0
        if not isinstance(given, int | float) or not isinstance(wanted, int | float):
            return 0.0
        if given == wanted:
            return 1.0
        try:
            found, right = stated(given), stated(wanted)
        except (OverflowError, ValueError):  # what no float holds is near no other number
            return 0.0
        return float(abs(found - right) <= max(stated(absolute), stated(relative) * abs(right)))

    return near


def shown(value: JsonValue) -> str:
    """Return a value as people read it in a loss: short, and nothing where there is none."""
    if value is None:
        return "nothing"
    if isinstance(value, str) and value and value == value.strip():
        return _cut(value)
    if isinstance(value, list):
        return _cut(", ".join(shown(item) for item in value) or "an empty list")
    return _cut(repr(value))


def difference(wanted: JsonValue, given: JsonValue, tolerance: str = "") -> str:
    """Return what was expected and what came, told so that they do not look alike."""
    expected, got = shown(wanted), shown(given)
    if expected == got:
        expected, got = repr(wanted), repr(given)
        pairs = enumerate(zip(expected, got, strict=False))
        alike = next((index for index, (text, other) in pairs if text != other), 0)
        expected, got = _cut(expected, alike), _cut(got, alike)
    return f"expected {expected}{tolerance}, got {got}"


def _cut(text: str, around: int = 0) -> str:
    """At most `SHOWN` characters of a text, with the one at `around` among them."""
    start = max(0, around - SHOWN // 2) if len(text) > SHOWN else 0
    before, after = "…" if start else "", "…" if len(text) > start + SHOWN else ""
    return before + text[start : start + SHOWN - len(before) - len(after)] + after
