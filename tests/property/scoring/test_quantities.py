"""A quantity in any spelling is that quantity, and in no spelling another one."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from prompt_hub.core.unicode_forms import compatible
from prompt_hub.scoring.comparison import Comparison, comparing
from prompt_hub.scoring.quantity import NoQuantityError, Quantity, QuantityReader
from prompt_hub.scoring.text_forms import normalise

PREFIXES = {
    **{"p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "": 0},
    **{"k": 3, "K": 3, "M": 6, "G": 9},
}
UNITS = {
    "Ω": ("Ω", "\u2126", "R", "ohm", "ohms", "Ohm", "OHM"),
    "F": ("F",),
    "H": ("H",),
    "V": ("V", "v"),
    "A": ("A",),
    "Hz": ("Hz", "HZ", "hz"),
    "W": ("W",),
}
CODES = {"Ω": {"R": 0, "k": 3, "K": 3, "M": 6, "G": 9}, "F": {"p": -12, "n": -9, "u": -6, "µ": -6}}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Amount:
    """So many times ten to a power, of a unit."""

    digits: int
    power: int
    unit: str

    @property
    def value(self) -> Fraction:
        return self.digits * Fraction(10) ** self.power


amounts = st.builds(
    Amount,
    digits=st.integers(1, 9999),
    power=st.integers(-14, 8),
    unit=st.sampled_from(sorted(UNITS)),
)


def decimal(amount: Amount, power: int, mark: str) -> str:
    """The amount in digits, counted in ten to `power`, with no more zeros than it needs."""
    shift = amount.power - power
    if shift >= 0:
        return str(amount.digits) + "0" * shift
    text = str(amount.digits).rjust(-shift + 1, "0")
    return f"{text[:shift]}{mark}{text[shift:]}"


@st.composite
def spellings(draw: st.DrawFn, amount: Amount, mark: str = ".") -> str:
    """Any spelling that docs/scorers.md allows for a value with a unit."""
    unit = draw(st.sampled_from(UNITS[amount.unit]))
    space = draw(st.sampled_from(["", " ", "\u00a0", "\u2009"]))
    kind = draw(st.sampled_from(["prefix", "exponent", "power", "code"]))
    if kind == "code" and amount.unit in CODES:
        letter = draw(st.sampled_from(sorted(CODES[amount.unit])))
        text = decimal(amount, CODES[amount.unit][letter], ".")
        whole, _, decimals = text.partition(".")
        if len(whole) <= 4 and len(decimals) <= 4:
            is_small = whole == "0" and decimals and draw(st.booleans())
            tail = draw(st.sampled_from(["", "0"])) if len(decimals) < 4 else ""
            return f"{'' if is_small else whole}{letter}{decimals}{tail if decimals else ''}"
    if kind == "exponent":
        return f"{amount.digits}{draw(st.sampled_from('eE'))}{amount.power}{space}{unit}"
    if kind == "power":
        times = draw(st.sampled_from([" × ", "x", "·", " * "]))
        raised = draw(st.sampled_from([f"^{amount.power}", str(amount.power).translate(RAISED)]))
        return f"{amount.digits}{times}10{raised}{space}{unit}"
    prefix = draw(st.sampled_from(sorted(PREFIXES)))
    number = decimal(amount, PREFIXES[prefix], mark)
    assume(len(number) <= 30)
    sign = draw(st.sampled_from(["", "+"]))
    return f"{sign}{number}{space}{prefix}{unit}"


def same(one: str, other: str, **options: object) -> bool:
    how = Comparison.model_validate({"compare": "quantity", **options})
    return comparing(how)(one, other) == 1.0


@given(st.data(), amounts)
def test_every_spelling_is_read_as_what_it_says(data: st.DataObject, amount: Amount) -> None:
    text = data.draw(spellings(amount))
    found = QuantityReader().read(text)
    assert (found.value.low, found.value.dimension) == (amount.value, amount.unit)
    assert (found.beside, found.conditions) == ((), ())
    assert same(text, data.draw(spellings(amount)))


@given(st.data(), amounts)
def test_a_comma_is_read_where_it_is_declared(data: st.DataObject, amount: Amount) -> None:
    with_comma = data.draw(spellings(amount, ","))
    assume("," in with_comma and len(with_comma.partition(",")[2].rstrip(" ")) != 3)
    assert QuantityReader(decimal="comma").read(with_comma).value.low == amount.value


@given(st.data(), amounts, amounts)
def test_two_amounts_are_never_one(data: st.DataObject, one: Amount, other: Amount) -> None:
    assume((one.value, one.unit) != (other.value, other.unit))
    assert not same(data.draw(spellings(one)), data.draw(spellings(other)))


@given(st.data(), amounts, st.floats(0.001, 0.5), st.integers(-600, 600))
def test_a_tolerance_is_the_share_that_is_stated(
    data: st.DataObject, amount: Amount, share: float, off: int
) -> None:
    other = Amount(amount.digits * 1000 + amount.digits * off, amount.power - 3, amount.unit)
    near = abs(Fraction(off, 1000)) <= Fraction(repr(share))
    given_, wanted = data.draw(spellings(other)), data.draw(spellings(amount))
    assert same(given_, wanted, relative_tolerance=share) == near


@given(st.data(), amounts, st.lists(st.sampled_from(["±5%", "50 V", "X7R", "1 W"]), unique=True))
def test_what_stands_beside_a_value_counts_in_any_order(
    data: st.DataObject, amount: Amount, beside: list[str]
) -> None:
    shuffled = data.draw(st.permutations(beside))
    between = data.draw(st.sampled_from([" ", ", ", "/"]))
    text = between.join([data.draw(spellings(amount)), *beside])
    assert same(text, " ".join([data.draw(spellings(amount)), *shuffled]))
    assert not beside or not same(text, data.draw(spellings(amount)))


part_texts = st.text("0123456789.,kKMmunpRFVΩµ±%~@/- +eEx³°C\u00a0", max_size=16)


@given(part_texts | st.text(max_size=40), st.sampled_from([None, "point", "comma"]))
def test_whatever_the_text_it_is_a_quantity_or_none_and_the_same_as_itself(
    text: str, mark: str | None
) -> None:
    for unit in (None, "Ω", "%", "µF"):
        how = Comparison.model_validate({"compare": "quantity", "unit": unit, "decimal": mark})
        assert comparing(how)(text, text) == 1.0
        try:
            found = QuantityReader(how.unit, how.decimal).read(text)
        except NoQuantityError:
            continue
        assert isinstance(found, Quantity)


@given(st.text())
def test_texts_are_folded_as_ever_but_for_characters_that_are_other_numbers(text: str) -> None:
    kept = [item for item in text if compatible(item) != unicodedata.normalize("NFKC", item)]
    for character in kept:
        assert unicodedata.decomposition(character).startswith("<")
    if not kept:
        folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
        assert normalise(text) == folded
