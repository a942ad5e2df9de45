"""A released tree of small tasks with two versions each, made by the product itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.promotion import transitions
from prompt_hub.release.manifest import Release, build_manifest
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.transaction import apply
from prompt_hub.validation.stamp import stamp

ALIAS = "drill-model"
OLD, NEW = "1.0.0", "1.1.0"
LABELS = ("a", "b", "c", "d")
EXAMPLES = 16
COMMIT = "c0ffee" + "0" * 34

_TEMPLATE = """\
schema: prompt-hub/prompt@1
task: {task}
version: {version}
description: Which label a word has, for a drill.
model: {{alias: drill-model, parameters: {{temperature: 0, max_tokens: 16}}}}
input:
  type: object
  additionalProperties: false
  required: [word]
  properties: {{word: {{type: string}}}}
output:
  type: object
  additionalProperties: false
  required: [label]
  properties: {{label: {{type: string, enum: [a, b, c, d]}}}}
messages:
  - {{role: system, content: "{task} {version}: answer with JSON."}}
  - {{role: user, content: "{{{{ word }}}}"}}
"""
_METADATA = """\
schema: prompt-hub/metadata@1
task: {task}
owner: drill
description: A task that is there to go bad.
version: {version}
candidate: 00-templates/{task}.yaml
threshold: 0.8
scorers: [{{type: text, field: label}}]
gate: {{margin: 0.6, confidence: 0.9}}
score_watch: {{every_minutes: 15}}
"""


def words() -> Mapping[str, str]:
    """The right label of each word."""
    return {f"word-{number}": LABELS[number % len(LABELS)] for number in range(EXAMPLES)}


def build(root: Path, tasks: tuple[str, ...], models: str) -> Release:
    """Release both versions of every task below `root`; the manifest lies there as in an image."""
    repository = PromptRepository(root)
    prompts = root / "prompts"
    for layer in ("00-templates", "01-examples", "03-metadata"):
        (prompts / layer).mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"id": word, "input": {"word": word}, "expected": {"label": label}})
        for word, label in words().items()
    ]
    for task in tasks:
        examples = prompts / "01-examples" / f"{task}.jsonl"
        examples.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for version in (OLD, NEW):
        for task in tasks:
            for layer, text in (("00-templates", _TEMPLATE), ("03-metadata", _METADATA)):
                path = prompts / layer / f"{task}.yaml"
                path.write_text(text.format(task=task, version=version), encoding="utf-8")
            stamp(repository, task)
        asyncio.run(_promote(repository, tasks, models))
    release = build_manifest(repository, release="drill", commit=COMMIT, made_at=datetime.now(UTC))
    (root / aws_names.RELEASE_FILE).write_text(release.to_json(), encoding="utf-8")
    return release


async def _promote(repository: PromptRepository, tasks: tuple[str, ...], models: str) -> None:
    results = FolderResults(repository.root / RESULTS_DIR)
    async with ModelClient(ModelAliases.parse(models)) as client:
        evaluator = Evaluator(
            repository,
            client,
            results,
            execution="drill",
            commit=COMMIT,
            say=lambda line: None,
        )
        for task in tasks:
            record = await evaluator.evaluate(task)
            details = results.get(aws_names.evaluation_details_key("drill", task)) or ""
            moved = transitions.promote(repository, record, details, datetime.now(UTC))
            apply(repository.root, moved)
