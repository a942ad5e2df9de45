"""Values of variables: what people write, and what YAML, JSON and CSV make of it."""

from __future__ import annotations

from enum import StrEnum
from random import Random

from benchmarks.parity_promptfoo.configuration import Bare


class Sort(StrEnum):
    """What a variable holds in most tests."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    LIST = "list"
    OBJECT = "object"


TEXTS = (
    "10k resistor", "ROHM BU21023", "5% 0603 0.1 W", "1 µF & <b>5 Ω</b>", "it's \"quoted\"",
    "line one\nline two", " padded ", "tail\n", "50", "1.0", "true", "a,b,c", "{not a template}",
    "100% {x} }}", "Ünïcode ½ ²", '{"a": 1}', "[1, 2]", "- role: user", "C:\\temp\\new", "$100",
    "#hash", "a: b", "tab\there", "yes", "null", "2026-01-02", "1e3", "0x1F", "two  blanks",
    "the quick brown fox jumps over the lazy dog and runs", "ALL CAPS", "mixed Case words",
    "x" * 40, "don't stop-me now", "end.", "{# no comment #}", "{%", "&amp; &lt;", "0", "-",
    "straße", "ﬁne", "İstanbul", "a\u00a0b", "\u2028x", "file", "word",
)  # fmt: skip
PLAIN_TEXTS = ("10k resistor", "ROHM BU21023", "ceramic 100nF", "schottky diode", "BC547 npn")
BARE = (
    "0x1F", "0o17", "010", "1_000", "1e3", "1.0", "5.0", ".5", "+5", "-0", "-0.0", "1.50", "12:30",
    "yes", "no", "on", "True", "TRUE", "2026-01-02", "2026-01-02T03:04:05Z", "1e21", "1e-7",
    "123456789012345678901", "0.1", "0b11", "NULL", "~", "false", "1.", "1e+3", "9007199254740993",
    "1E5", "0.30000000000000004", "2026-1-2", "1.5e300", "007", "08", "1,5", "0.10", "1e5",
    "123456789.123456789", "-1.0e-10", "2026-01-02 03:04:05", "190:20:30", "+.5",
    "0xFFFFFFFFFFFFFF",
)  # fmt: skip
NUMBERS = (0, 1, 2, 5, -3, 5.5, 0.1, 10, 1000000, 2.0, 1e21, 1e-7, 100.0, 3.14159, 2.5, 0.5, -2.5)
LISTS: tuple[tuple[object, ...], ...] = (
    ("red", "green"), ("a",), (), ("x", "y", "z"), (1, 2, 3), (3, 1, 2), ("b", "A", "c"),
    ("a b", "c,d"), (1.0, 2.5), (True, False), ("dup", "dup"), ("10", "9", "8"),
)  # fmt: skip
OBJECTS: tuple[dict[str, object], ...] = (
    {"value": "10k", "unit": "ohm"}, {"value": 5, "unit": "V", "tags": ["a", "b"]},
    {"value": 1.0}, {"unit": "%", "value": "5", "more": {"deep": "yes"}}, {},
    {"value": None, "unit": "é"}, {"value": True, "tags": []}, {"value": "", "tags": ["one"]},
    {"b": 1, "a": 2, "value": "it's"}, {"value": "<&>", "items": [1, 2]},
)  # fmt: skip


def value(draw: Random, sort: Sort, *, odd: float, bare: bool) -> object:
    """Return a value of this sort; with the chance `odd` an unusual one, unquoted if `bare`."""
    unusual = draw.random() < odd
    if unusual and bare and sort in {Sort.TEXT, Sort.NUMBER} and draw.random() < 0.5:
        return Bare(draw.choice(BARE))
    match sort:
        case Sort.TEXT:
            return draw.choice(TEXTS if unusual else PLAIN_TEXTS)
        case Sort.NUMBER:
            return draw.choice(NUMBERS if unusual else NUMBERS[:5])
        case Sort.FLAG:
            return draw.choice((True, False))
        case Sort.LIST:
            return list(draw.choice(LISTS))
        case Sort.OBJECT:
            return dict(draw.choice(OBJECTS))
