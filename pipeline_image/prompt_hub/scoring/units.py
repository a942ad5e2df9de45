"""Units of electronic parts, how people spell them, and what a letter without a unit means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator

from prompt_hub.scoring.text_forms import spelled

RATIO = "ratio"
"""Dimension of per cent and of parts per million."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what it measures, and how many of the unit without a prefix it is."""

    dimension: str
    factor: Fraction = Fraction(1)
    takes_prefix: bool = False

    @property
    def is_ratio(self) -> bool:
        """Whether values of it are shares, such as tolerances and their drift are."""
        return self.dimension == RATIO or self.dimension.startswith(f"{RATIO}/")


PREFIXES: Mapping[str, Fraction] = {
    **{"f": Fraction(1, 10**15), "p": Fraction(1, 10**12)},
    **{"n": Fraction(1, 10**9), "N": Fraction(1, 10**9)},
    **{"μ": Fraction(1, 10**6), "u": Fraction(1, 10**6), "U": Fraction(1, 10**6)},
    **{"m": Fraction(1, 1000), "k": Fraction(1000), "K": Fraction(1000)},
    **{"M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12)},
}
"""SI's prefixes with their case, `u` for µ, and the capitals that are no other prefix: K, N, U."""

_PREFIX_WORDS: Mapping[str, Fraction] = {
    **{"pico": PREFIXES["p"], "nano": PREFIXES["n"], "micro": PREFIXES["μ"]},
    **{"milli": PREFIXES["m"], "kilo": PREFIXES["k"], "kil": PREFIXES["k"]},
    **{"mega": PREFIXES["M"], "meg": PREFIXES["M"], "giga": PREFIXES["G"]},
}

_PREFIXED: Mapping[str, str] = {
    **{"Ω": "R", "F": "", "H": "", "V": "v", "A": "a", "W": "w", "Hz": "hz HZ", "S": "", "C": ""},
    **{"VDC": "Vdc", "VAC": "Vac", "Vrms": "VRMS", "Vpp": "", "VA": "", "Ah": "", "Wh": ""},
    **{"m": "", "s": "", "g": "", "N": "", "Pa": "", "bar": "", "J": "", "T": "", "lm": ""},
    **{"cd": "", "lx": "", "bps": "bit/s bits/s b/s", "Bd": "baud", "SPS": "Sps sps S/s"},
}
"""Units that take prefixes, each with its other spellings."""

_PREFIXED_ONLY: Mapping[str, str] = {"F": "f", "H": "h"}
"""Spellings that are a unit behind a prefix only: `uf`, `nh`."""

_BYTES = ("B", "bit")
"""Units whose K is 1000 to some and 1024 to others: they have a `k`, and no `K`."""

_WORDS: Mapping[str, str] = {
    **{"ohm": "Ω", "ohms": "Ω", "farad": "F", "farads": "F", "henry": "H", "henries": "H"},
    **{"volt": "V", "volts": "V", "amp": "A", "amps": "A", "ampere": "A", "amperes": "A"},
    **{"watt": "W", "watts": "W", "hertz": "Hz", "meter": "m", "meters": "m", "metre": "m"},
    **{"metres": "m", "sec": "s", "second": "s", "seconds": "s"},
}
"""Units in words, whose own case does not matter."""

_OTHERS: Mapping[str, Unit] = {
    **{"%": Unit(RATIO, Fraction(1, 100)), "percent": Unit(RATIO, Fraction(1, 100))},
    **{"‰": Unit(RATIO, Fraction(1, 1000)), "ppm": Unit(RATIO, Fraction(1, 10**6))},
    **{"ppb": Unit(RATIO, Fraction(1, 10**9))},
    **{"°C": Unit("°C"), "degC": Unit("°C"), "°F": Unit("°F")},
    **{"°": Unit("°"), "deg": Unit("°"), "degrees": Unit("°")},
    **dict.fromkeys(("in", "inch", "inches", '"', "''", "′′"), Unit("m", Fraction(254, 10**4))),
    **{"mil": Unit("m", Fraction(254, 10**7)), "cm": Unit("m", Fraction(1, 100))},
    **{"hPa": Unit("Pa", Fraction(100)), "min": Unit("s", Fraction(60))},
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), Unit("s", Fraction(3600))),
    **{name: Unit(name) for name in ("dB", "dBm", "dBi", "dBc", "dBA", "rpm", "mm²")},
    "mm2": Unit("mm²"),
    **dict.fromkeys(("byte", "bytes", "Byte", "Bytes"), Unit("B")),
    **dict.fromkeys(("bits", "Bit", "Bits"), Unit("bit")),
    **{"KiB": Unit("B", Fraction(2**10)), "MiB": Unit("B", Fraction(2**20))},
}

_IMPLIED: Mapping[str, str] = {
    **dict.fromkeys("Rr", "Ω"),
    **dict.fromkeys("kKMGT", "Ω"),
    **dict.fromkeys("pnNμuUm", "F"),
    **{"F": "F", "V": "V"},
}
"""What IEC 60062's letters mark where no unit is stated: resistances, or capacitances.

`3V3` is no code of that standard, and written everywhere.
"""


def _spellings() -> Iterator[tuple[str, Unit]]:
    for symbol, others in _PREFIXED.items():
        for name in (symbol, *others.split()):
            yield name, Unit(symbol, takes_prefix=True)
            for prefix, factor in PREFIXES.items():
                yield prefix + name, Unit(symbol, factor)
    for symbol, name in _PREFIXED_ONLY.items():
        for prefix, factor in PREFIXES.items():
            yield prefix + name, Unit(symbol, factor)
    for symbol in _BYTES:
        yield symbol, Unit(symbol, takes_prefix=True)
        for prefix in "kMGT":
            yield prefix + symbol, Unit(symbol, PREFIXES[prefix])
    for prefix in ("mK", "μK", "uK"):
        yield prefix, Unit("K", PREFIXES[prefix[0]])
    yield "°K", Unit("K")


def _table() -> Mapping[str, Unit]:
    table: dict[str, Unit] = {}
    # A unit of its own comes before a prefixed one of the same spelling: `min` is no milli-inch.
    for name, unit in (*_OTHERS.items(), *((n, u) for n, u in _spellings() if u.factor == 1)):
        table.setdefault(name, unit)
    for name, unit in _spellings():
        table.setdefault(name, unit)
    return table


_UNITS = _table()


@lru_cache(maxsize=1024)
def find_unit(text: str, declared: Unit | None = None) -> Unit | None:
    """Return the unit that is spelled so, in a field whose unit is `declared`; None for none."""
    if declared is not None and (text, declared.dimension) in _BY_DECLARATION:
        return Unit(declared.dimension)
    above, slash, below = text.partition("/")
    if text in _UNITS or not slash:
        return _UNITS.get(text) or _in_words(text)
    numerator = find_unit(above)
    denominator = Unit("K") if below in ("°C", "C", "K") else find_unit(below)
    if numerator is None or denominator is None:
        return None
    dimension = f"{numerator.dimension}/{denominator.dimension}"
    return Unit(dimension, numerator.factor / denominator.factor)


_BY_DECLARATION = {("K", "K"), ("C", "°C"), ("m", "m")}
"""Letters that mean a unit only where the field's unit says so; `m` is one without that, too."""


def _in_words(text: str) -> Unit | None:
    word = text.casefold()
    if word in _WORDS:
        return Unit(_WORDS[word], takes_prefix=True)
    if word[1:] in _WORDS and text[0] in PREFIXES:
        return Unit(_WORDS[word[1:]], PREFIXES[text[0]])
    for prefix, factor in _PREFIX_WORDS.items():
        if word.startswith(prefix) and word.removeprefix(prefix) in _WORDS:
            return Unit(_WORDS[word.removeprefix(prefix)], factor)
    return None


def declared_unit(text: str) -> Unit:
    """Return the unit that a field declares; raises `ValueError` for an unknown one."""
    name = spelled(text)
    unit = Unit("K") if name == "K" else find_unit(name)
    if unit is None:
        raise ValueError(f"a unit such as Ω, kΩ, µF, V, % or °C, not {text!r}")
    return unit


def _known(text: str) -> str:
    declared_unit(text)
    return text


DecimalMark = Literal["point", "comma"]
UnitName = Annotated[str, AfterValidator(_known)]
"""The name of a unit that is known here."""


def lettered(letter: str, declared: Unit | None) -> Unit | None:
    """Return the unit of a value that has a letter instead of a unit, as in `4k7`, `10k`, `47R`.

    A prefix belongs to the unit that the field declares, if that one takes prefixes, and to the
    one that IEC 60062 implies otherwise. A lone N is a prefix only where a field's unit says that
    it is not newton.
    """
    if letter.casefold() == "meg":
        letter = "M"
    if letter not in _IMPLIED:
        return None
    if letter == "N" and (declared is None or declared.dimension == "N"):
        return None
    factor = PREFIXES.get(letter)
    if factor is None:
        return Unit(_IMPLIED[letter])
    if declared is None:
        return Unit(_IMPLIED[letter], factor)
    base = _UNITS.get(declared.dimension)
    return Unit(base.dimension, factor) if base is not None and base.takes_prefix else None
