"""`python -m benchmarks.quantities`: real values and tolerances, as texts and as quantities.

What is expected is an attribute of a catalogue part. Answers are the same value in words of others
(the part's title, the code in its maker's part number) and in spellings that people use, written by
the few lines of arithmetic below and not by the product; and wrong ones: the prefix in the other
case, a power of ten, another unit. Each is scored by `text` and by `quantity`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from pathlib import Path

from prompt_hub.scoring.comparison import Comparison, comparing, unread

ROOT = Path(__file__).resolve().parents[2]
VALUES = {"Resistance": "Ω", "Capacitance": "F", "Inductance": "H", "Frequency": "Hz"}
TOLERANCES = ("Tolerance", "Resistance Tolerance", "Frequency Tolerance")
POWERS = {"p": -12, "n": -9, "µ": -6, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
OTHER_UNIT = {"Ω": "V", "F": "H", "H": "F", "Hz": "s"}
CODES = (
    re.compile(r"CRCW\d{4}(\d+[RKM]\d*|0R)F"),
    re.compile(r"RC\d{4}FR-07(\d+[RKM]\d*)L"),
)
"""Values as Vishay and Yageo write them in part numbers of resistors."""
_PLAIN = re.compile(r"(±?)([\d.]+)\s*([pnµumkMG]?)(Ω|F|H|Hz|%|ppm)\s*")

TEXT = comparing(Comparison())
QUANTITY = Comparison(compare="quantity")


@dataclass(frozen=True)
class Answer:
    """An answer to one attribute of one part, and whether it is right."""

    kind: str
    given: str
    wanted: str
    is_right: bool
    part: str

    @property
    def by_text(self) -> bool:
        """Whether `text` calls it right."""
        return TEXT(self.given, self.wanted) == 1.0

    @property
    def by_quantity(self) -> bool:
        """Whether `quantity` calls it right."""
        return comparing(QUANTITY)(self.given, self.wanted) == 1.0


def main() -> int:
    """Print the tables; ends with 1 where `quantity` is wrong about an answer that it can read."""
    parser = argparse.ArgumentParser(prog="benchmarks.quantities", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--show", type=int, default=0, help="answers of each kind to print")
    arguments = parser.parse_args()
    files = [arguments.data / name for name in ("jlcpcb_parts.jsonl", "octopart_cpl.jsonl")]
    if missing := [str(file) for file in files if not file.is_file()]:
        print(f"{missing[0]} is not there: name its folder with --data.", file=sys.stderr)
        return 2
    rows = [
        json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()
    ]
    answers = [answer for row in rows for answer in answers_to(row)]
    _print_table(answers)
    _print_pairs(rows)
    _print_unread(rows)
    for kind in dict.fromkeys(answer.kind for answer in answers):
        of_kind = [answer for answer in answers if answer.kind == kind]
        for answer in of_kind[:: max(1, len(of_kind) // arguments.show)] if arguments.show else ():
            print(f"{kind}: {answer} text={answer.by_text} quantity={answer.by_quantity}")
    return int(any(answer.by_quantity != answer.is_right for answer in answers))


def answers_to(row: Mapping[str, Mapping[str, object]]) -> Iterator[Answer]:
    """Yield right and wrong answers to the value and the tolerance of a part."""
    attributes = row["expected"]["attributes"]
    assert isinstance(attributes, Mapping)
    title, number = str(row["input"]["title"]), str(row["input"]["part_number"])
    for name, unit in VALUES.items():
        wanted = str(attributes.get(name, ""))
        match = _PLAIN.fullmatch(wanted)
        if match is None or match[4] != unit:
            continue
        for kind, given in (*_named(title, unit, wanted), *_coded(number, unit)):
            yield Answer(f"value, {kind}", given, wanted, True, number)
        for kind, given, is_right in _respelled(match):
            yield Answer(f"value, {kind}", given, wanted, is_right, number)
    for name in TOLERANCES:
        wanted = str(attributes.get(name, ""))
        match = _PLAIN.fullmatch(wanted)
        if match is None or not match[1]:
            continue
        for given in re.findall(r"±\s?[\d.]+\s?(?:%|ppm|pF|nH)(?!/)", title)[:1]:
            yield Answer("tolerance, in the title", given, wanted, True, number)
        for kind, given, is_right in _deviations(match):
            yield Answer(f"tolerance, {kind}", given, wanted, is_right, number)


def _named(title: str, unit: str, wanted: str) -> Iterator[tuple[str, str]]:
    """Yield the first value of that unit in the title, if its digits are those that are wanted."""
    word = "(?:Ω|ohms)" if unit == "Ω" else unit
    found = re.search(rf"[\d.]+\s?[pnµumkM]?\s?{word}(?![a-z])", title)
    digits = re.compile(r"[\d.]+")
    if found and digits.findall(found[0]) == digits.findall(wanted):
        yield "in the title", found[0]


def _coded(number: str, unit: str) -> Iterator[tuple[str, str]]:
    for code in CODES if unit == "Ω" else ():
        if found := code.match(number):
            yield "in the part number", found[1]


def _respelled(match: re.Match[str]) -> Iterator[tuple[str, str, bool]]:
    _, digits, prefix, unit = match.groups()
    value = Decimal(digits) * Decimal(10) ** POWERS[prefix]
    name = "ohm" if unit == "Ω" else unit
    yield "in the unit itself", f"{value.normalize():f} {name}", True
    other = {"k": "", "M": "k", "µ": "n", "u": "n", "n": "p", "m": "µ", "": "k"}.get(prefix)
    if other is not None:
        moved = value / Decimal(10) ** POWERS[other]
        yield "with another prefix", f"{moved.normalize():f} {other}{unit}", True
    letter = prefix or {"Ω": "R"}.get(unit, "")
    if letter and unit in ("Ω", "F"):
        whole, _, decimals = digits.partition(".")
        yield "as IEC 60062's code", f"{whole}{letter}{decimals}", True
    if prefix in ("m", "M"):
        yield "the prefix in the other case", f"{digits}{prefix.swapcase()}{unit}", False
    elif prefix == "":
        yield "the prefix in the other case", f"{digits}M{unit}", False
    yield "ten times as much", f"{(value * 10).normalize():f} {name}", False
    yield "in another unit", f"{digits}{prefix}{OTHER_UNIT[unit]}", False


def _deviations(match: re.Match[str]) -> Iterator[tuple[str, str, bool]]:
    _, digits, prefix, unit = match.groups()
    if unit in ("%", "ppm"):
        yield "without its sign", f"{digits} {unit}", True
    yield "with a sign in ASCII", f"+/-{digits}{prefix}{unit}", True
    yield "as a range", f"-{digits}{prefix}{unit}~+{digits}{prefix}{unit}", True
    yield "to one side", f"+{digits}{prefix}{unit}", False
    yield "ten times as much", f"±{Decimal(digits) * 10}{prefix}{unit}", False
    yield "in another unit", f"±{digits}{prefix}{'ppm' if unit == '%' else '%'}", False


# --- Tables ------------------------------------------------------------------------------------


def _print_table(answers: Sequence[Answer]) -> None:
    print("| answer | n | called right by `text` | by `quantity` |\n|---|---:|---:|---:|")
    for is_right in (True, False):
        kinds = dict.fromkeys(item.kind for item in answers if item.is_right == is_right)
        for kind in sorted(kinds, reverse=True):
            here = [item for item in answers if (item.kind, item.is_right) == (kind, is_right)]
            text, quantity = sum(i.by_text for i in here), sum(i.by_quantity for i in here)
            what = "right" if is_right else "wrong"
            print(f"| {what}: {kind} | {len(here)} | {text} | {quantity} |")
        here = [item for item in answers if item.is_right == is_right]
        text, quantity = sum(i.by_text for i in here), sum(i.by_quantity for i in here)
        name = "right" if is_right else "wrong"
        print(f"| **all {name} answers** | **{len(here)}** | **{text}** | **{quantity}** |")


def _by_attribute(rows: Sequence[Mapping[str, Mapping[str, object]]]) -> Mapping[str, list[str]]:
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        attributes = row["expected"]["attributes"]
        assert isinstance(attributes, Mapping)
        for name, value in attributes.items():
            found[name][str(value)] = None
    return {name: list(values) for name, values in found.items()}


def _print_pairs(rows: Sequence[Mapping[str, Mapping[str, object]]]) -> None:
    """Print every pair of texts of one attribute that the two comparisons judge differently."""
    print("\npairs of texts of one attribute on which they differ:")
    for name, values in _by_attribute(rows).items():
        for one, other in combinations(values, 2):
            text, quantity = (how(one, other) == 1.0 for how in (TEXT, comparing(QUANTITY)))
            if text != quantity:
                says = "the same" if quantity else "two"
                print(f"  {name}: {one!r}, {other!r}: quantity says {says}")


def _print_unread(rows: Sequence[Mapping[str, Mapping[str, object]]]) -> None:
    names = (*VALUES, *TOLERANCES)
    texts = [text for name in names for text in _by_attribute(rows).get(name, [])]
    missed = [text for text in texts if unread(QUANTITY, text)]
    print(f"\nof {len(texts)} texts of values and tolerances {len(missed)} are not read: {missed}")
    everything = [text for values in _by_attribute(rows).values() for text in values]
    numbers = [text for text in everything if re.match(r"[±+-]?[\d.]", text)]
    missed = [text for text in numbers if unread(QUANTITY, text)]
    print(
        f"of {len(numbers)} texts of any attribute that begin with a number {len(missed)} are not"
    )
    print("  " + "; ".join(missed))


if __name__ == "__main__":
    sys.exit(main())
