"""Values of electronic parts: `4k7` and `4.7 kΩ` are one quantity, `10 MΩ` and `10 mΩ` two.

The grammar is small and exact: every number is a fraction, a unit is one of a table, a prefix has
its SI case. What the grammar does not cover is no quantity, and never nearly one. docs/scorers.md
states its limits, decision 0920 why no library reads these texts.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from prompt_hub.scoring.text_forms import spelled
from prompt_hub.scoring.units import PREFIXES, DecimalMark, Unit, declared_unit, find_unit, lettered

LONGEST = 200
"""Characters of a text that may be a quantity; a longer one is a description."""
LONGEST_NUMBER = 40
"""Characters of a number; a longer one is no value of a part."""
LARGEST_NUMBER = 10**LONGEST_NUMBER
LARGEST_EXPONENT = 40
"""Powers of ten beyond this one are no value of a part, and cost memory."""


class NoQuantityError(ValueError):
    """A text is not a quantity, in words."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value, a range of values, or a deviation to both sides."""

    low: Fraction
    high: Fraction
    dimension: str
    """The unit without its prefix; empty where none is stated."""
    kind: Literal["value", "range", "deviation"] = "value"

    def near(self, other: Value, relative: Fraction) -> bool:
        """Whether this is `other`, or off by no more than a share of it."""
        if (self.dimension, self.kind) != (other.dimension, other.kind):
            return False
        pairs = ((self.low, other.low), (self.high, other.high))
        return all(abs(given - wanted) <= relative * abs(wanted) for given, wanted in pairs)


Part = Value | str
"""A value, or a word that stands beside values (`X7R`)."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a text says: a value, what is said beside it, and at which conditions it holds."""

    value: Value
    beside: tuple[Part, ...] = ()
    """Tolerance, ratings and words behind the value, in an order of their own."""
    conditions: tuple[Part, ...] = ()
    """What stands behind `@`, in an order of its own."""

    def near(self, other: Quantity, relative: Fraction) -> bool:
        """Whether the values are near one another, and the rest is the same."""
        rest = (self.beside, self.conditions) == (other.beside, other.conditions)
        return rest and self.value.near(other.value, relative)


@dataclass(frozen=True, slots=True)
class QuantityReader:
    """Reads texts and numbers as quantities of one field."""

    unit: str | None = None
    """Unit of the field, in which values without a unit are read."""
    decimal: DecimalMark | None = None
    """Decimal mark of the field; without one a comma is never taken for it."""

    def key(self, value: str | float) -> Hashable:
        """Equal for values that are the same quantity; the text itself for any other value."""
        try:
            return self.read(value)
        except NoQuantityError:
            return spelled(value) if isinstance(value, str) else value

    def read(self, value: str | float) -> Quantity:
        """Return what a text or number says; raises `NoQuantityError` for what is no quantity."""
        if isinstance(value, str):
            return _read(value, self.unit, self.decimal)
        if abs(value) > LARGEST_NUMBER:
            raise NoQuantityError("a number beyond any value of a part")
        return _read(repr(value), self.unit, None)


@lru_cache(maxsize=4096)
def _read(text: str, unit: str | None, decimal: DecimalMark | None) -> Quantity:
    if len(text) > LONGEST:
        raise NoQuantityError("too long for a value")
    clean = _KIND_OF_VOLTS.sub("", spelled(text.translate(_ODD)))
    return _Reading(clean, declared_unit(unit) if unit else None, decimal).quantity()


# --- Grammar -----------------------------------------------------------------------------------

_POINT = re.compile(r"\d{1,3}(?:(,)\d{3})+(\.\d+)?|\d{1,3}(?:( )\d{3})+(\.\d+)?|\d*\.\d+|\d+")
_COMMA = re.compile(r"\d{1,3}(?:(\.)\d{3})+(,\d+)?|\d{1,3}(?:( )\d{3})+(,\d+)?|\d*[,.]\d+|\d+")
_CODE = re.compile(r"(\d{0,4})([RrΩkKMGTmpnNuUμVF])(\d{1,4})(?![.,]?\d)")
"""A letter in the place of the decimal point, as IEC 60062 marks values."""
_LEADING = frozenset("RrkKMmpnuμ")
"""Letters that stand for `0.` in front of digits: `R047`, `p33`."""
_CODED = frozenset(("Ω", "F", "H"))
"""What a unit behind a code may be: `4k7Ω`; a letter such as the J of `4k7J` is a tolerance."""
_SIGN = re.compile(r"±|\+ ?/ ?-|\+-|[+−–-](?= ?\.?\d)")
_EXPONENT = re.compile(r"[eE]([+-]?\d{1,3})(?!\d)")
_POWER = re.compile(r"(?: ?[x×·*] ?10)(?:\^([+-]?\d{1,3})|([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))")
_TEN = re.compile(r"10(?:\^([+-]?\d{1,3})|([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))")
_FRACTION = re.compile(r"([1-9]\d?)/(\d{1,2})(?= ?[A-Za-z\"′'])")
_UNIT = re.compile(r" ?([A-Za-zΩμ°%‰\"′'²]+)(/[A-Za-zΩμ°%‰²]+)?")
_OHMS = re.compile(r" ([A-Za-zΩ]+)")
_RANGE = re.compile(r" ?(?:~|–|—|\.{2,3}|\bto\b|-(?= ?[+\d.])) ?")
_OPPOSITE = re.compile(r" ?[/,]? ?(?=[+−–-])")
_BETWEEN = re.compile(r"[ ,;/|]+|(?=±)|$")
_WORD = re.compile(r"[^ ,;/|@]+")
_VULGAR = {"¼": Fraction(1, 4), "½": Fraction(1, 2), "¾": Fraction(3, 4), "⅛": Fraction(1, 8)}
_RAISED = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")
_ODD = str.maketrans({"º": "°", "˚": "°", "(": " ", ")": " ", "∼": "~", "～": "~"})
_KIND_OF_VOLTS = re.compile(r"(?<=V) (?=(?:DC|AC|dc|ac|rms|RMS|pp)\b)")


@dataclass(frozen=True, slots=True)
class _Term:
    """A number with its sign and its unit as they are written."""

    number: Fraction
    sign: str
    unit: Unit | None

    def value(self, declared: Unit | None) -> Value:
        unit = self.unit or declared or Unit("")
        number = self.number * unit.factor
        # A share without a sign is a deviation to both sides: tolerances are written so.
        is_deviation = self.sign == "±" or (not self.sign and unit.is_ratio)
        return Value(number, number, unit.dimension, "deviation" if is_deviation else "value")


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads one text from left to right; positions are offsets in it."""

    text: str
    declared: Unit | None
    decimal: DecimalMark | None

    def quantity(self) -> Quantity:
        main, at, conditions = self.text.partition("@")
        if "@" in conditions or (at and not conditions.strip()):
            raise NoQuantityError("conditions that cannot be told apart")
        head = _Reading(main.strip(), self.declared, self.decimal)
        value, has_unit, position = head.value(0)
        if not has_unit and position < len(head.text):
            raise NoQuantityError(f"{head.text[position:]!r} behind a number without a unit")
        beside = head.parts(position)
        tail = _Reading(conditions.strip(), None, self.decimal)
        return Quantity(value, beside, tail.parts(0) if conditions.strip() else ())

    def value(self, start: int) -> tuple[Value, bool, int]:
        """Return the value or range at `start`, whether it has a unit of its own, and its end."""
        first, position = self.term(start)
        for separator, is_range in ((_OPPOSITE, False), (_RANGE, True)):
            between = separator.match(self.text, position)
            second = self.try_term(between.end()) if between else None
            if second is None:
                continue
            pair = _joined(first, second[0], self.declared, is_range=is_range)
            if pair is not None:
                return _range(*pair, self.declared), pair[0].unit is not None, second[1]
        return first.value(self.declared), first.unit is not None, position

    def parts(self, start: int) -> tuple[Part, ...]:
        """Return values and words from `start` to the end, in an order of their own."""
        found: list[Part] = []
        position = start
        while position < len(self.text):
            between = _BETWEEN.match(self.text, position)
            if between is None and position:
                raise NoQuantityError(f"{self.text[position:]!r} behind a value")
            position = between.end() if between else position
            if position == len(self.text):
                break
            part, position = self.part(position)
            found.append(part)
        return tuple(sorted(found, key=repr))

    def part(self, start: int) -> tuple[Part, int]:
        try:
            value, has_unit, end = _Reading(self.text, None, self.decimal).value(start)
        except NoQuantityError:
            has_unit, end = False, start
        if has_unit and _BETWEEN.match(self.text, end):
            return value, end
        word = _WORD.match(self.text, start)
        if word is None:
            raise NoQuantityError(f"{self.text[start:]!r} behind a value")
        return word.group(), word.end()

    def try_term(self, start: int) -> tuple[_Term, int] | None:
        try:
            return self.term(start)
        except NoQuantityError:
            return None

    def term(self, start: int) -> tuple[_Term, int]:
        """Return the signed number with its unit at `start`, and where it ends."""
        signed = _SIGN.match(self.text, start)
        sign = _plain_sign(signed.group()) if signed else ""
        position = signed.end() if signed else start
        position += self.text[position : position + 1] == " "
        code = _CODE.match(self.text, position)
        unit: Unit | None
        if code is not None and (code[1] or code[2] in _LEADING):
            number, unit, position = self.coded(code)
        else:
            number, position = self.number(position)
            unit, position = self.unit(position)
        return _Term(-number if sign == "-" else number, sign, unit), position

    def coded(self, code: re.Match[str]) -> tuple[Fraction, Unit, int]:
        """Return what a code such as `4k7` says; a unit may follow that repeats its own."""
        whole, letter, decimals = code.groups()
        unit = lettered("R" if letter == "Ω" else letter, self.declared)
        if unit is None:
            raise NoQuantityError(f"{letter!r} inside a number, which is no prefix there")
        named, position = self.unit(code.end())
        if named is not None:
            is_repeated = named == Unit(unit.dimension, takes_prefix=True)
            if named.dimension not in _CODED or not named.takes_prefix:
                raise NoQuantityError(f"{code.group()!r} with a letter behind it")
            if not is_repeated and (letter in "RrΩFV" or self.declared is not None):
                raise NoQuantityError(f"{code.group()!r} of another unit")
            unit = Unit(named.dimension, unit.factor)
        return Fraction(f"{whole or 0}.{decimals}"), unit, position

    def number(self, start: int) -> tuple[Fraction, int]:
        """Return the unsigned number at `start`, and where it ends."""
        if self.text[start : start + 1] in _VULGAR:
            return _VULGAR[self.text[start]], start + 1
        if ten := _TEN.match(self.text, start):
            return _power(ten), ten.end()
        share = _FRACTION.match(self.text, start)
        if share and int(share[1]) < int(share[2]) and self.unit(share.end())[0] is not None:
            return Fraction(int(share[1]), int(share[2])), share.end()
        comma = self.decimal == "comma"
        match = (_COMMA if comma else _POINT).match(self.text, start)
        if match is None or len(match.group()) > LONGEST_NUMBER:
            raise NoQuantityError("no number, or one of too many digits")
        number, position = Fraction(_digits(match, self.decimal)), match.end()
        if self.text[position : position + 1].isdecimal():
            raise NoQuantityError("digits that are grouped oddly")
        for exponent in (_EXPONENT, _POWER):
            if power := exponent.match(self.text, position):
                return number * _power(power), power.end()
        return number, position

    def unit(self, start: int) -> tuple[Unit | None, int]:
        """Return the unit at `start` and where it ends.

        None where there is no unit; a word that is none is left for what stands beside the value,
        unless it touches the number.
        """
        match = _UNIT.match(self.text, start)
        if match is None:
            return None, start
        above, below = match[1], match[2] or ""
        if split := self.prefix_and_ohms(match):
            return split
        for text, end in ((above + below, match.end()), (above, match.end(1))):
            if found := self.named(text):
                return found, end
        if match.group().startswith(" "):
            return None, start
        raise NoQuantityError(f"{match.group()!r}, which is no unit")

    def prefix_and_ohms(self, match: re.Match[str]) -> tuple[Unit, int] | None:
        """Return the unit of `10k ohms`: a prefix, and the unit behind a space."""
        ohms = _OHMS.match(self.text, match.end())
        if match[2] or ohms is None or match[1] not in PREFIXES:
            return None
        unit = find_unit(ohms[1])
        if unit is None or unit.dimension != "Ω" or unit.factor != 1:
            return None
        return Unit("Ω", PREFIXES[match[1]]), ohms.end()

    def named(self, text: str) -> Unit | None:
        """Return the unit of a value, by its name or by a letter that stands for one."""
        unit = find_unit(text, self.declared)
        if self.declared is None:
            return unit or lettered(text, None)
        if unit is not None and unit.dimension == self.declared.dimension:
            return unit
        return lettered(text, self.declared) or unit


def _joined(
    first: _Term, second: _Term, declared: Unit | None, *, is_range: bool
) -> tuple[_Term, _Term] | None:
    """Return two terms as one range, where they are one: a side without a unit takes the other's.

    Two terms side by side are one only as `+80 / -20 %`: with opposite signs.
    """
    if "±" in (first.sign, second.sign):
        return None
    if not is_range and {first.sign, second.sign} != {"+", "-"}:
        return None
    first_unit, second_unit = first.unit or second.unit, second.unit or first.unit
    if is_range and first_unit is None and declared is None:
        return None
    dimensions = {unit.dimension for unit in (first_unit, second_unit) if unit is not None}
    low = _Term(first.number, first.sign or "+", first_unit)
    high = _Term(second.number, second.sign or "+", second_unit)
    if len(dimensions) > 1:
        return None
    if not is_range and first.sign == "+":
        low, high = high, low
    return (low, high) if low.value(None).low <= high.value(None).low else None


def _range(low: _Term, high: _Term, declared: Unit | None) -> Value:
    start, end = low.value(declared), high.value(declared)
    if start.low == -end.low:
        return Value(end.low, end.low, end.dimension, "deviation")
    return Value(start.low, end.low, end.dimension, "range")


def _plain_sign(sign: str) -> str:
    if len(sign) > 1 or sign == "±":
        return "±"
    return "+" if sign == "+" else "-"


def _digits(match: re.Match[str], decimal: DecimalMark | None) -> str:
    """Return a number as Python writes it; raises `NoQuantityError` where it could be two.

    `1,000` is one in some countries and a thousand in others. Where the field declares no decimal
    mark it is read only if one reading is possible: `1,000.5`, `1,000,000`.
    """
    mark, text = ("," if decimal == "comma" else "."), match.group()
    group = match[1] or match[3]
    if group and text.startswith("0"):
        group = None
        if match[1] == "," or match[3] or text.count(".") > 1 or "," in text:
            raise NoQuantityError(f"{text!r}, which is grouped oddly")
        mark = "."
    if group == "," and decimal is None and text.count(",") == 1 and "." not in text:
        raise NoQuantityError(f"{text!r}, which is one number or a thousand times that")
    plain = text.replace(group, "") if group else text
    return plain.replace(mark, ".") if group or mark in plain else plain


def _power(match: re.Match[str]) -> Fraction:
    written = next(group for group in match.groups() if group)
    exponent = int(written.translate(_RAISED))
    if abs(exponent) > LARGEST_EXPONENT:
        raise NoQuantityError(f"a power of ten beyond {LARGEST_EXPONENT}")
    return Fraction(10) ** exponent
