"""When two JSON values are the same, or nearly so."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Annotated, Literal, Self, assert_never

from pydantic import BaseModel, Field, JsonValue, model_validator

from prompt_hub.core.exact import stated
from prompt_hub.core.hidden_characters import HIDDEN
from prompt_hub.core.unicode_forms import compatible
from prompt_hub.repository.schema import Number, Strict
from prompt_hub.scoring.part_number import part_number
from prompt_hub.scoring.text_forms import Case, normalise, spelled
from prompt_hub.scoring.units import DecimalMark, UnitName

Compare = Callable[[JsonValue, JsonValue], float]
"""How alike what was given and what was wanted are, from 0 to 1, where 1 is the same."""

Leaf = str | int | float
Canonical = Callable[[Leaf], Hashable]
"""The form of a text or number under which all that counts as the same is equal."""

SHOWN = 80
"""Characters of a value that a loss shows."""

_OF_OTHER_WIDTH = ("<wide>", "<narrow>")
"""Tags of characters that differ from others by their width: people see it."""

Way = Literal["text", "exact", "number", "quantity", "part_number"]

_OPTIONS: Mapping[str, tuple[Way, ...]] = {
    "similarity": ("text",),
    "tolerance": ("number",),
    "relative_tolerance": ("number", "quantity"),
    "case": ("text", "part_number"),
    "unit": ("quantity",),
    "decimal": ("quantity",),
    "strip_packaging": ("part_number",),
}
"""Which ways to compare an option belongs to."""


def _is_default(value: object) -> bool:
    return value in (None, False, "fold")


Unstated = Field(exclude_if=_is_default)
"""An option that came later: one that is as usual is left out, so that older hashes hold."""


class Comparison(Strict):
    """How two values of a field are compared."""

    compare: Way = "text"
    """How two values are compared: as texts, numbers, quantities, part numbers, or exactly.

    `text`: texts by their normalised form, graded by edit similarity where `similarity` states the
    least that still counts; other values by equality. `exact`: equality. `number`: numbers that
    differ by no more than `tolerance` or `relative_tolerance` times the expected one. `quantity`:
    values of electronic parts, however they are spelled. `part_number`: part numbers, with all
    punctuation.
    """
    similarity: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Least edit similarity (0 to 1) of a text that still earns it."""
    tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """How far a number may be off."""
    relative_tolerance: Annotated[Number, Field(ge=0)] = 0.0
    """How far a number or a quantity may be off, as a share of the expected one."""
    case: Annotated[Case, Unstated] = "fold"
    """Whether upper and lower case are the same in texts and part numbers."""
    unit: Annotated[UnitName | None, Unstated] = None
    """Unit of the field: quantities without a unit are read in it."""
    decimal: Annotated[DecimalMark | None, Unstated] = None
    """Decimal mark of the field's quantities; without one a comma is never taken for it."""
    strip_packaging: Annotated[bool, Unstated] = False
    """Whether suffixes that say how a part is packed are left out of part numbers."""

    @classmethod
    def from_settings(cls, way: Way, settings: BaseModel) -> Comparison:
        """Return the comparison that a scorer's settings state, no more than they do state."""
        names = settings.model_fields_set & set(cls.model_fields)
        return cls.model_validate(
            {name: getattr(settings, name) for name in names} | {"compare": way}
        )

    @property
    def canonical(self) -> Canonical:
        """The form of a value in which it is compared."""
        match self.compare:
            case "text":
                return folded if self.case == "fold" else kept
            case "quantity":
                from prompt_hub.scoring.quantity import QuantityReader

                return QuantityReader(self.unit, self.decimal).key
            case "part_number":
                return partial(_part_number, case=self.case, strip_packaging=self.strip_packaging)
            case "exact" | "number":
                return plain
            case _:
                assert_never(self.compare)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        for option, ways in _OPTIONS.items():
            is_set = getattr(self, option) != type(self).model_fields[option].default
            if is_set and self.compare not in ways:
                name = "a tolerance" if option.endswith("tolerance") else option
                here = f"not with {self.compare}"
                raise ValueError(f"{name} with compare: {' or '.join(ways)} only, {here}")
        return self


# --- Forms -------------------------------------------------------------------------------------


def plain(value: Leaf) -> Hashable:
    """Return the value itself."""
    return value


def folded(value: Leaf) -> Hashable:
    """Return a text without differences that do not matter, its case among them."""
    return normalise(value) if isinstance(value, str) else value


def kept(value: Leaf) -> Hashable:
    """Return a text without differences that do not matter, in its own case."""
    return spelled(value) if isinstance(value, str) else value


def _part_number(value: Leaf, *, case: Case, strip_packaging: bool) -> Hashable:
    if not isinstance(value, str):
        return value
    return part_number(value, case, strip_packaging=strip_packaging)


def identity(value: JsonValue, canonical: Canonical = plain) -> Hashable:
    """Equal for values that are the same in JSON, their texts and numbers in a canonical form.

    An object's property that is null counts as left out, `1` and `1.0` are one number, and `true`
    is none.
    """
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, list):
        return (list, tuple(identity(item, canonical) for item in value))
    if isinstance(value, dict):
        items = ((k, identity(v, canonical)) for k, v in value.items() if v is not None)
        return (dict, frozenset(items))
    return None if value is None else canonical(value)


# --- Comparing ---------------------------------------------------------------------------------


def comparing(how: Comparison) -> Compare:
    """Return the comparison that `how` describes."""
    match how.compare:
        case "number":
            return _numbers(how.tolerance, how.relative_tolerance)
        case "quantity" if how.relative_tolerance:
            return _quantities(how)
        case "text" | "exact" | "quantity" | "part_number":
            return _values(how)
        case _:
            assert_never(how.compare)


def _values(how: Comparison) -> Compare:
    canonical, least = how.canonical, how.similarity

    def same(given: JsonValue, wanted: JsonValue) -> float:
        # The very same text is so in any form; `1` and `True` are equal, too, and not the same.
        if type(given) is str and given == wanted:
            return 1.0
        if identity(given, canonical) == identity(wanted, canonical):
            return 1.0
        if least is None or not isinstance(given, str) or not isinstance(wanted, str):
            return 0.0
        from prompt_hub.scoring.similarity import similarity

        alike = similarity(str(canonical(given)), str(canonical(wanted)))
        return alike if alike >= least else 0.0

    return same


def by_equality(how: Comparison) -> bool:
    """Whether `how` asks for equality only: no value is nearly another."""
    match how.compare:
        case "number":
            return not how.tolerance and not how.relative_tolerance
        case "quantity":
            return not how.relative_tolerance
        case "text" | "exact" | "part_number":
            return how.similarity is None
        case _:
            assert_never(how.compare)


def _quantities(how: Comparison) -> Compare:
    from prompt_hub.scoring.quantity import Quantity, QuantityReader

    reader, relative = QuantityReader(how.unit, how.decimal), stated(how.relative_tolerance)

    def near(given: JsonValue, wanted: JsonValue) -> float:
        got, right = identity(given, reader.key), identity(wanted, reader.key)
        if isinstance(got, Quantity) and isinstance(right, Quantity):
            return float(got.near(right, relative))
        return float(got == right)

    return near


def lost(how: Comparison, text: str) -> str | None:
    """Return what a comparison should keep of a text; None where all that it loses is meant.

    Whoever states `case` or `strip_packaging` means it, and quantities are there to be spelled in
    many ways.
    """
    if how.compare == "text":
        return text.casefold() if "case" in how.model_fields_set else text
    if how.compare == "part_number":
        case = how.case if "case" in how.model_fields_set else "keep"
        return part_number(text, case, strip_packaging=how.strip_packaging)
    return None


def unread(how: Comparison, value: JsonValue) -> str:
    """Return why a text is no quantity where quantities are compared; empty where it is one."""
    if how.compare != "quantity" or not isinstance(value, str):
        return ""
    from prompt_hub.scoring.quantity import NoQuantityError, QuantityReader

    try:
        QuantityReader(how.unit, how.decimal).read(value)
    except NoQuantityError as error:
        return str(error)
    return ""


def without_unit(how: Comparison, value: Leaf) -> bool:
    """Whether a value is a quantity without a unit, in a field that declares none."""
    if how.compare != "quantity" or unread(how, value):
        return False
    if not isinstance(value, str):
        return how.unit is None
    from prompt_hub.scoring.quantity import QuantityReader

    return not QuantityReader(how.unit, how.decimal).read(value).value.dimension


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
    expected, got = shown_apart(wanted, given)
    return f"expected {expected}{tolerance}, got {got}"


def shown_apart(first: JsonValue, second: JsonValue) -> tuple[str, str]:
    """Return two values as `shown`, but by escapes where these would look alike."""
    one, other = shown(first), shown(second)
    if _visible(one) != _visible(other):
        return one, other
    one, other = repr(first), repr(second)
    pairs = enumerate(zip(one, other, strict=False))
    alike = next((index for index, (text, against) in pairs if text != against), 0)
    return _escaped(_cut(one, alike)), _escaped(_cut(other, alike))


def _visible(text: str) -> str:
    return compatible(HIDDEN.sub("", text))


def _escaped(text: str) -> str:
    """Return a text with escapes for the characters that do not show what they are."""
    return "".join(
        ascii(character)[1:-1] if _looks_like_another(character) else character
        for character in text
    )


def _looks_like_another(character: str) -> bool:
    """Whether a character is hidden, goes with the one before, or looks like another one."""
    if HIDDEN.match(character) or unicodedata.combining(character):
        return True
    if unicodedata.decomposition(character).startswith(_OF_OTHER_WIDTH):
        return False
    return compatible(character) != character


def _cut(text: str, around: int = 0) -> str:
    """At most `SHOWN` characters of a text, with the one at `around` among them."""
    start = max(0, around - SHOWN // 2) if len(text) > SHOWN else 0
    before, after = "…" if start else "", "…" if len(text) > start + SHOWN else ""
    return before + text[start : start + SHOWN - len(before) - len(after)] + after
