"""A released tree with the evaluation benchmark's task in two versions, made by the product."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import yaml

from benchmarks.eval import task
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.promotion import transitions
from prompt_hub.release.manifest import CarriedTask, Release, build_manifest
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.transaction import apply
from prompt_hub.validation.stamp import stamp

ALIAS = "bench-model"
OLD, NEW = "1.0.0", "1.1.0"
EXAMPLES = 40
COMMIT = "c0ffee" + "0" * 34


def models(base_url: str) -> str:
    """The models of the environment, as the service reads them."""
    price_in, price_out = task.USD_PER_MILLION
    model = {
        "provider": "openai",
        "model": task.MODEL,
        "base_url": base_url,
        "concurrency": 1024,
        "price_per_million": {"input": price_in, "output": price_out},
    }
    return json.dumps({ALIAS: model})


def build(root: Path, base_url: str) -> Release:
    """Release both versions of the task below `root`; the manifest lies there as in an image."""
    repository = PromptRepository(root)
    for layer in ("00-templates", "01-examples", "03-metadata"):
        (root / "prompts" / layer).mkdir(parents=True)
    lines = (
        json.dumps({"id": item.id, "input": item.fields, "expected": item.expected})
        for item in task.items(EXAMPLES)
    )
    examples = root / "prompts/01-examples" / f"{task.TASK}.jsonl"
    examples.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for version in (OLD, NEW):
        _write(root / "prompts", version)
        stamp(repository, task.TASK)
        asyncio.run(_promote(repository, base_url))
    made = build_manifest(repository, release="bench", commit=COMMIT, made_at=datetime.now(UTC))
    release = made.model_copy(
        update={"tasks": {n: _known_before(t) for n, t in made.tasks.items()}}
    )
    (root / aws_names.RELEASE_FILE).write_text(release.to_json(), encoding="utf-8")
    return release


def _known_before(carried: CarriedTask) -> CarriedTask:
    """Leave out what the tree before refuses to read; no answer of a service depends on it."""
    versions = (version.model_copy(update={"answered_by": ()}) for version in carried.versions)
    return carried.model_copy(update={"versions": tuple(versions)})


def _write(prompts: Path, version: str) -> None:
    template = {
        "schema": "prompt-hub/prompt@1",
        "task": task.TASK,
        "version": version,
        "description": "Class and package of a part, for the benchmark.",
        "model": {"alias": ALIAS, "parameters": task.PARAMETERS},
        "input": task.INPUT_SCHEMA,
        "output": task.OUTPUT_SCHEMA,
        "messages": [
            {"role": "system", "content": task.SYSTEM},
            {"role": "user", "content": task.USER},
        ],
    }
    metadata = {
        "schema": "prompt-hub/metadata@1",
        "task": task.TASK,
        "owner": "benchmarks",
        "description": "The benchmark's one task.",
        "version": version,
        "candidate": f"00-templates/{task.TASK}.yaml",
        "threshold": 0.6,
        "scorers": [{"type": "text", "field": "part_class"}],
        "gate": {"margin": 0.6, "confidence": 0.9},
    }
    for layer, value in (("00-templates", template), ("03-metadata", metadata)):
        text = yaml.safe_dump(value, sort_keys=False)
        (prompts / layer / f"{task.TASK}.yaml").write_text(text, encoding="utf-8")


async def _promote(repository: PromptRepository, base_url: str) -> None:
    results = FolderResults(repository.root / RESULTS_DIR)
    async with ModelClient(ModelAliases.parse(models(base_url))) as client:
        evaluator = Evaluator(
            repository,
            client,
            results,
            execution="bench",
            commit=COMMIT,
            say=lambda line: None,
        )
        record = await evaluator.evaluate(task.TASK)
    details = results.get(aws_names.evaluation_details_key("bench", task.TASK)) or ""
    apply(
        repository.root,
        transitions.promote(repository, record, details, datetime.now(UTC)),
    )
