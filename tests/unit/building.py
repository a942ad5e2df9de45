"""A small healthy prompt repository, made by the product itself: evaluated, promoted, archived."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.promotion import transitions
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.transaction import apply
from prompt_hub.validation.check import check
from prompt_hub.validation.stamp import stamp
from prompt_hub.validation.tree import Finding
from tests.unit.providers import ALIASES, Backend, FunctionProvider

COMMIT = "c0ffee" + "0" * 34
MADE_AT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)

PART_CLASS = """\
schema: prompt-hub/prompt@1
task: part-class
version: 1.0.0
description: Which class of electronic part a catalogue record describes.
model:
  alias: catalogue-pinned
  parameters: {temperature: 0, max_tokens: 32, seed: 7}
input:
  type: object
  additionalProperties: false
  required: [part_number, title]
  properties:
    part_number: {type: string, minLength: 1}
    title: {type: string}
    manufacturer: {type: string}
output:
  type: object
  additionalProperties: false
  required: [part_class]
  properties:
    part_class: {type: string, enum: [capacitor, resistor, diode, transistor]}
few_shot: {count: 2}
messages:
  - role: system
    content: |
      {% include 'catalogue-role.txt' %}
      Answer with JSON such as {"part_class": "resistor"}.
  - role: user
    content: |
      Part number: {{ part_number }}
      Title: {{ title }}
      {% if manufacturer is defined %}Manufacturer: {{ manufacturer }}{% endif %}
"""

PART_CLASS_METADATA = """\
# What the catalogue team has decided about part classes.
schema: prompt-hub/metadata@1
task: part-class
owner: catalogue-team
description: Part classes of the electronics catalogue.
version: 1.0.0  # moves with the candidate
candidate: 00-templates/part-class.yaml
threshold: 0.7
scorers:
  - {type: json_fields, fields: {part_class: 1.0}}  # one field, all the weight
gate: {margin: 0.5, confidence: 0.9}
score_watch: {every_minutes: 15, datapoints_to_alarm: 1, evaluation_periods: 1}
records:
  columns:
    part_number: [MPN, Part No]
    title: [Description]
    manufacturer: [Brand]
"""

BRAND = """\
schema: prompt-hub/prompt@1
task: brand
version: 1.0.0
description: The brand behind a manufacturer's legal name.
model: {alias: catalogue-latest, parameters: {temperature: 0, max_tokens: 16}}
input:
  type: object
  additionalProperties: false
  required: [manufacturer]
  properties: {manufacturer: {type: string}}
output:
  type: object
  additionalProperties: false
  required: [brand]
  properties: {brand: {type: string}}
messages:
  - {role: user, content: "Which brand is {{ manufacturer }}? Answer with JSON."}
"""

BRAND_METADATA = """\
schema: prompt-hub/metadata@1
task: brand
owner: catalogue-team
description: Brands of the electronics catalogue.
version: 1.0.0
candidate: 00-templates/brand.yaml
threshold: 0.7
scorers: [{type: text, field: brand}]
gate: {margin: 0.6}  # four examples show no less
records: {columns: {manufacturer: [Maker]}}
"""

PARTS = [
    ("C1206C104K5RAC", "Ceramic capacitor 0.1 µF 50 V X7R 1206", "KEMET", "capacitor"),
    ("RC0603FR-0710KL", "Thick film resistor 10 kΩ 1 % 0603", "Yageo", "resistor"),
    ("1N4148W-7-F", "Switching diode 100 V 300 mA SOD-123", "Diodes Incorporated", "diode"),
    ("2N7002", "N-channel MOSFET transistor 60 V 300 mA SOT-23", "onsemi", "transistor"),
    ("GRM188R71C104KA01D", "Multilayer ceramic capacitor 16 V 0603", "Murata", "capacitor"),
    ("ERJ-3EKF1001V", "Resistor 1 kΩ 0.1 W 0603", "Panasonic", "resistor"),
    ("BAT54", "Schottky diode 30 V 200 mA SOT-23", "Nexperia", "diode"),
    ("BC847B", "NPN transistor 45 V 100 mA SOT-23", "Nexperia", "transistor"),
]
MAKERS = [
    ("Yageo Corporation", "Yageo"),
    ("Murata Manufacturing Co., Ltd.", "Murata"),
    ("KEMET Electronics Corporation", "KEMET"),
    ("Panasonic Industry Co., Ltd.", "Panasonic"),
]


def catalogue_answer(messages: list[dict[str, str]]) -> JsonObject:
    """What a perfect model says to the last message."""
    question = messages[-1]["content"]
    for maker, brand in MAKERS:
        if maker in question:
            return {"brand": brand}
    for _, title, _, part_class in PARTS:
        if title in question:
            return {"part_class": part_class}
    return {"part_class": "resistor"} if "Title:" in question else {"brand": "unknown"}


@dataclass(frozen=True)
class RepositoryFolder:
    """A prompt repository on disk, with what tests do to it."""

    root: Path

    @property
    def repository(self) -> PromptRepository:
        """The repository as the product reads it."""
        return PromptRepository(self.root)

    def path(self, name: str) -> Path:
        """A file below the root."""
        return self.root / name

    def read(self, name: str) -> str:
        """A file's text, line ends as they are."""
        return self.path(name).read_bytes().decode("utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a file, line ends as they are."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(text.encode("utf-8"))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace the one place where a file says `old`."""
        text = self.read(name)
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    def rename_field(self, old: str, new: str) -> None:
        """Give an input field of `part-class` another name: in prompt, metadata and examples."""
        for layer in ("00-templates/part-class.yaml", "03-metadata/part-class.yaml"):
            text = self.read(f"prompts/{layer}")
            text = re.sub(rf"{old}(?=[:\]]| }}}})", new, text)
            self.write(f"prompts/{layer}", text)
        examples = "prompts/01-examples/part-class.jsonl"
        self.write(examples, self.read(examples).replace(f'"{old}":', f'"{new}":'))

    def stamp(self, task: str) -> None:
        """What an author does after a change."""
        stamp(self.repository, task)

    def bump(self, task: str, before: str, after: str) -> None:
        """Move the version in candidate and metadata."""
        for layer in ("00-templates", "03-metadata"):
            self.edit(f"prompts/{layer}/{task}.yaml", f"version: {before}", f"version: {after}")

    def promote(
        self,
        task: str,
        answer: Backend = catalogue_answer,
        models: ModelAliases = ALIASES,
        execution: str = "test",
        commit: str = COMMIT,
    ) -> None:
        """Evaluate the candidate on a model that is always right, or says else, and promote it."""
        results = FolderResults(self.root / ".prompt-hub" / "results")
        evaluator = Evaluator(
            self.repository,
            ModelClient(models, FunctionProvider(answer)),
            results,
            execution=execution,
            commit=commit,
            say=lambda line: None,
        )
        record = asyncio.run(evaluator.evaluate(task))
        assert record.verdict.promotes, record.verdict
        details = results.get(aws_names.evaluation_details_key(execution, task)) or ""
        apply(self.root, transitions.promote(self.repository, record, details, MADE_AT))

    def findings(self, task: str | None = None) -> list[Finding]:
        """What validation says."""
        return check(self.repository, task)[1]

    def errors(self) -> list[Finding]:
        """What validation refuses, warnings left out."""
        return [finding for finding in self.findings() if finding.problem.severity == "error"]

    def rules_broken(self, task: str | None = None) -> list[str]:
        """Ids of the rules that find something, sorted, each once."""
        return sorted({finding.rule for finding in self.findings(task)})


def _jsonl(lines: list[JsonObject]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def build(root: Path, models: ModelAliases = ALIASES) -> RepositoryFolder:
    """Two tasks: `part-class` with champion, archive and a newer candidate; `brand` at rest."""
    folder = RepositoryFolder(root)
    folder.write("prompts/00-templates/catalogue-role.txt", "You classify electronic parts.\n")
    folder.write("prompts/00-templates/part-class.yaml", PART_CLASS)
    folder.write("prompts/00-templates/brand.yaml", BRAND)
    folder.write("prompts/03-metadata/part-class.yaml", PART_CLASS_METADATA)
    folder.write("prompts/03-metadata/brand.yaml", BRAND_METADATA)
    parts: list[JsonObject] = [
        {
            "id": number,
            "input": {"part_number": number, "title": title, "manufacturer": maker},
            "expected": {"part_class": part_class},
            "split": "shot" if index < 2 else "eval",
        }
        for index, (number, title, maker, part_class) in enumerate(PARTS)
    ]
    makers: list[JsonObject] = [
        {"id": f"maker-{index}", "input": {"manufacturer": maker}, "expected": {"brand": brand}}
        for index, (maker, brand) in enumerate(MAKERS)
    ]
    folder.write("prompts/01-examples/part-class.jsonl", _jsonl(parts))
    folder.write("prompts/01-examples/brand.jsonl", _jsonl(makers))
    for task in ("brand", "part-class"):
        folder.stamp(task)
        folder.promote(task, models=models)
    role = "prompts/00-templates/catalogue-role.txt"
    folder.write(role, "You classify electronic parts for a catalogue.\n")
    folder.bump("part-class", "1.0.0", "1.1.0")
    folder.promote("part-class", models=models)
    folder.write(role, "You sort electronic parts into classes for a catalogue.\n")
    folder.bump("part-class", "1.1.0", "1.2.0")
    return folder
