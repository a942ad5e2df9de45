"""The task that every runner evaluates: catalogue records, and what the mock model says of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

TASK = "bench-part"
MODEL = "mock-1"
IN_FLIGHT = 64
LATENCY_SECONDS = 0.05

PARAMETERS: dict[str, float | int] = {"temperature": 0, "max_tokens": 64, "seed": 7}
USD_PER_MILLION = (0.15, 0.6)
"""Price of the mock model's tokens, in and out."""

CLASSES = ("capacitor", "resistor", "inductor", "diode", "transistor", "connector")
PACKAGES = ("0402", "0603", "0805", "1206", "SOT-23", "SOIC-8", "DO-214")
MAKERS = ("Murata", "TDK", "Yageo", "KEMET", "Vishay", "Nexperia", "onsemi", "Panasonic", "Bourns")

INPUT_SCHEMA: dict[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title", "manufacturer"],
    "properties": {
        "title": {"type": "string", "maxLength": 200},
        "manufacturer": {"type": "string", "maxLength": 120},
    },
}
OUTPUT_SCHEMA: dict[str, object] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["part_class", "package", "part_number"],
    "properties": {
        "part_class": {"type": "string", "enum": list(CLASSES)},
        "package": {"type": "string", "enum": list(PACKAGES)},
        "part_number": {"type": "string"},
    },
}
RESPONSE_FORMAT: dict[str, object] = {
    "type": "json_schema",
    "json_schema": {"name": "output", "schema": OUTPUT_SCHEMA, "strict": True},
}
SYSTEM = "You read records of an electronics catalogue. Name the part's class, package, number."
USER = "Title: {{ title }}\nManufacturer: {{ manufacturer }}"
"""A template that Jinja2 and Nunjucks render to the same text."""

_TITLE = re.compile(r"Title: (?P<part_class>\w+) (?P<package>\S+), part (?P<number>\d+)")


@dataclass(frozen=True)
class Item:
    """One catalogue record, made from its number."""

    number: int

    @property
    def id(self) -> str:
        """The example's id."""
        return f"part-{self.number:06d}"

    @property
    def fields(self) -> dict[str, str]:
        """What the prompt is given."""
        expected = self.expected
        name = f"{expected['part_class'].title()} {expected['package']}"
        title = f"{name}, part {expected['part_number']}"
        return {"title": title, "manufacturer": MAKERS[self.number % len(MAKERS)]}

    @property
    def expected(self) -> dict[str, str]:
        """The label."""
        return _labels(self.number)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The rendered prompt."""
        user = USER
        for name, value in self.fields.items():
            user = user.replace(f"{{{{ {name} }}}}", value)
        return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]

    @property
    def request(self) -> dict[str, object]:
        """The body of the request that asks for this item."""
        return {
            "model": MODEL,
            "messages": self.messages,
            "response_format": RESPONSE_FORMAT,
            **PARAMETERS,
        }


@dataclass(frozen=True)
class Outcome:
    """What a runner says of the examples: whole numbers, so that every runner's can be compared."""

    right: int
    wrong: int
    missing: int = 0


def items(count: int) -> Iterator[Item]:
    """The first `count` records."""
    return map(Item, range(count))


def right_outcome(count: int) -> Outcome:
    """What every runner must find: the mock model is wrong about each record ending in 7."""
    wrong = sum(_misread(number) for number in range(count))
    return Outcome(right=count - wrong, wrong=wrong)


def answer_text(messages: Sequence[Mapping[str, str]]) -> str:
    """What the mock model says, read from the last message; raises `ValueError` for another task.

    A tenth of the records is misread, wrong in every field: a runner that does not score shows.
    """
    found = _TITLE.match(messages[-1]["content"])
    if found is None:
        raise ValueError("the last message is no record of the benchmark task")
    number = int(found["number"])
    message = {
        "part_class": found["part_class"].lower(),
        "package": found["package"],
        "part_number": found["number"],
    }
    return json.dumps(_labels(number + 1) if _misread(number) else message, separators=(",", ":"))


def usage(messages: Sequence[Mapping[str, str]], text: str) -> tuple[int, int]:
    """Tokens in and out, a quarter of the characters."""
    return sum(len(message["content"]) for message in messages) // 4, len(text) // 4


def _labels(number: int) -> dict[str, str]:
    # The next number differs in everything. No two labels are equal, as where values are extracted:
    # whatever compares every label with every other then shows.
    return {
        "part_class": CLASSES[number % len(CLASSES)],
        "package": PACKAGES[number % len(PACKAGES)],
        "part_number": f"{number:06d}",
    }


def _misread(number: int) -> bool:
    return number % 10 == 7
