"""A prompt repository of many tasks and examples: real part families, invented values."""

from __future__ import annotations

import json
import random
from pathlib import Path

from prompt_hub.core.hashing import sha256_of
from prompt_hub.repository.examples import examples_sha256, parse_examples
from prompt_hub.repository.schema import JsonObject

FAMILIES = {
    "resistor": ("Thick film resistor {} kΩ ±1% 0603", "RC0603FR-07{}KL"),
    "capacitor": ("MLCC X7R {} nF 50 V 0805", "GRM21BR71H{}KA01L"),
    "diode": ("Schottky diode {} V 1 A SMA", "SS1{}-E3/61T"),
    "transistor": ("N-channel MOSFET {} V SOT-23", "SI23{}DS-T1-GE3"),
}
MAKERS = ("YAGEO", "Murata", "VISHAY DALE", "Würth Elektronik", "Nexperia B.V.")
INPUT: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["part_number", "title"],
    "properties": {
        "part_number": {"type": "string", "minLength": 1},
        "title": {"type": "string"},
        "manufacturer": {"type": "string"},
    },
}
OUTPUT: JsonObject = {
    "type": "object",
    "additionalProperties": False,
    "required": ["part_class"],
    "properties": {"part_class": {"type": "string", "enum": list(FAMILIES)}},
}
TEMPLATE = """\
schema: prompt-hub/prompt@1
task: {task}
version: 1.0.0
description: Which class of electronic part a catalogue record describes.
model: {{alias: catalogue-pinned, parameters: {{temperature: 0, max_tokens: 32}}}}
input: {input}
output: {output}
few_shot: {{count: 4}}
messages:
  - role: system
    content: You classify electronic parts for catalogue {task}. Answer with JSON.
  - role: user
    content: |
      Part number: {{{{ part_number }}}}
      Title: {{{{ title }}}}
      {{% if manufacturer is defined %}}Manufacturer: {{{{ manufacturer }}}}{{% endif %}}
"""
METADATA = """\
schema: prompt-hub/metadata@1
task: {task}
owner: catalogue-team
description: Part classes of the electronics catalogue.
version: 1.0.0
candidate: 00-templates/{task}.yaml
up_to_date:
  examples: {examples}
  input: {input}
  output: {output}
threshold: 0.7
scorers:
  - {{type: json_fields, fields: {{part_class: 1.0}}}}
gate: {{budget: {{calls: 10000}}}}
"""


def make_repository(root: Path, tasks: int, examples: int) -> int:
    """Write a healthy repository of `tasks` tasks with `examples` lines each.

    Returns:
        The bytes of all example files.
    """
    for layer in ("00-templates", "01-examples", "03-metadata"):
        (root / "prompts" / layer).mkdir(parents=True, exist_ok=True)
    written = 0
    for number in range(tasks):
        task = f"catalogue-{number:04}"
        text = _examples(random.Random(number), examples)
        written += len(text.encode())
        read, _ = parse_examples(text, "examples.jsonl")
        hashes = {
            "examples": examples_sha256(example for _, example in read),
            "input": sha256_of(INPUT),
            "output": sha256_of(OUTPUT),
        }
        schemas = {"input": json.dumps(INPUT), "output": json.dumps(OUTPUT)}
        files = {
            f"00-templates/{task}.yaml": TEMPLATE.format(task=task, **schemas),
            f"01-examples/{task}.jsonl": text,
            f"03-metadata/{task}.yaml": METADATA.format(task=task, **hashes),
        }
        for name, content in files.items():
            (root / "prompts" / name).write_text(content, encoding="utf-8")
    return written


def _examples(chance: random.Random, examples: int) -> str:
    lines = []
    for number in range(examples):
        part_class = chance.choice(list(FAMILIES))
        title, part_number = FAMILIES[part_class]
        value = chance.randint(1, 999_999)
        fields = {"part_number": part_number.format(value), "title": title.format(value)}
        if chance.random() < 0.7:
            fields["manufacturer"] = chance.choice(MAKERS)
        line: JsonObject = {
            "id": f"ex-{number:05}",
            "input": {**fields},
            "expected": {"part_class": part_class},
        }
        if number < 8:
            line["split"] = "shot"
        else:
            line["tags"] = [part_class]
        lines.append(json.dumps(line, ensure_ascii=False))
    return "\n".join(lines) + "\n"
