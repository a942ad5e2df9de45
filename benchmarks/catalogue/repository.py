"""A prompt repository over real catalogue data: one task, two versions, scores by field.

The data is other people's and stays where it is: JSON lines of `{"id", "input", "expected"}`, of
which `expected` has `category_norm`, `brand` and `attributes` (a shop's own words for a part).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.repository.documents import read_text
from prompt_hub.repository.json import parse_jsonl
from prompt_hub.repository.yaml_writer import as_yaml

TASK = "catalogue-part"
CLASSES = ("Resistor", "Capacitor", "Inductor", "Diode", "Transistor")
_VALUE = {"Resistor": "Resistance", "Capacitor": "Capacitance", "Inductor": "Inductance"}

THRESHOLDS = {"1.0.0": 0.2, "1.1.0": 0.4}
"""The first version is released to have something to compare with, though guessing beats it."""

Json = dict[str, object]


@dataclass(frozen=True)
class Part:
    """One catalogue row, with the fields that the task asks for."""

    identifier: str
    record: Json
    fields: Json


def parts(file: Path) -> list[Part]:
    """The rows of `CLASSES`, in the order of the file."""
    return [
        Part(str(row["id"]), _mapping(row["input"]), fields)
        for _, line in parse_jsonl(read_text(file, file.name), file.name)
        if (fields := _fields(_mapping((row := _mapping(line.data))["expected"]))) is not None
    ]


def _mapping(value: object) -> Json:
    if not isinstance(value, Mapping):
        raise TypeError(f"a JSON object was expected, not {value!r}")
    return dict(value)


def _fields(expected: Json) -> Json | None:
    part_class = str(expected["category_norm"])
    if part_class not in CLASSES:
        return None
    attributes = _mapping(expected["attributes"])
    return {
        "part_class": part_class,
        "brand": expected["brand"],
        "value": attributes.get(_VALUE.get(part_class, "")),
        "tolerance": attributes.get("Tolerance"),
    }


def chosen(rows: list[Part], per_class: int, shots_per_class: int) -> Iterator[Json]:
    """Example lines: of every class first the shots, then up to `per_class` to score."""
    for part_class in CLASSES:
        of_class = [row for row in rows if row.fields["part_class"] == part_class]
        for number, row in enumerate(of_class[: shots_per_class + per_class]):
            yield {
                "id": row.identifier,
                "input": row.record,
                "expected": row.fields,
                "split": "shot" if number < shots_per_class else "eval",
                "tags": [part_class.lower()],
            }


_NULLABLE = {"type": ["string", "null"]}
_MESSAGES = {
    "1.0.0": "Sort the part and copy its brand, value and tolerance.",
    "1.1.0": (
        "Fill the fields of a part catalogue. part_class: what the part is. brand: the"
        " manufacturer without anything in brackets. value: the resistance, capacitance or"
        " inductance exactly as written in the title, null for other parts. tolerance: as"
        " written, with its sign, null if the title has none."
    ),
}


def prompt(version: str, shots: int) -> Json:
    """A version of the task's prompt; 1.0.0 has no worked examples."""
    whole: Json = {
        "schema": "prompt-hub/prompt@1",
        "task": TASK,
        "version": version,
        "description": "Zero-shot" if version == "1.0.0" else f"{shots} worked examples, said how",
        "model": {
            "alias": "catalogue-pinned",
            "parameters": {"temperature": 0, "max_tokens": 96, "seed": 7},
        },
        "input": {
            "type": "object",
            "additionalProperties": False,
            "required": ["part_number", "title", "manufacturer"],
            "properties": {
                "part_number": {"type": "string", "maxLength": 120},
                "title": {"type": "string", "maxLength": 400},
                "manufacturer": {"type": "string", "maxLength": 120},
            },
        },
        "output": {
            "type": "object",
            "additionalProperties": False,
            "required": ["part_class", "brand", "value", "tolerance"],
            "properties": {
                "part_class": {"type": "string", "enum": list(CLASSES)},
                "brand": {"type": "string"},
                "value": _NULLABLE,
                "tolerance": _NULLABLE,
            },
        },
        "messages": [
            {"role": "system", "content": _MESSAGES[version]},
            {"role": "user", "content": "{{ part_number }} | {{ title }} | {{ manufacturer }}"},
        ],
    }
    if version != "1.0.0":
        whole["few_shot"] = {"count": shots}
    return whole


def metadata(version: str) -> Json:
    """Metadata of the task, still to be stamped."""
    unstamped = "0" * 64
    return {
        "schema": "prompt-hub/metadata@1",
        "task": TASK,
        "owner": "benchmarks",
        "description": "Class, brand, value and tolerance of a part from a shop's catalogue.",
        "version": version,
        "candidate": f"00-templates/{TASK}.yaml",
        "up_to_date": {"examples": unstamped, "input": unstamped, "output": unstamped},
        "threshold": THRESHOLDS[version],
        "scorers": [
            {
                "type": "json_fields",
                "fields": {"part_class": 1.0, "brand": 1.0, "value": 1.0, "tolerance": 1.0},
            }
        ],
        "gate": {"margin": 0.1, "confidence": 0.9},
    }


def write(root: Path, version: str, examples: list[Json], shots: int) -> None:
    """Write the human layers of `version` below `root`."""
    layers = root / "prompts"
    for name in ("00-templates", "01-examples", "03-metadata"):
        (layers / name).mkdir(parents=True, exist_ok=True)
    for layer, content in (
        ("00-templates", prompt(version, shots)),
        ("03-metadata", metadata(version)),
    ):
        text = as_yaml(content)
        (layers / layer / f"{TASK}.yaml").write_text(text, encoding="utf-8")
    lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in examples)
    (layers / "01-examples" / f"{TASK}.jsonl").write_text(lines, encoding="utf-8")
