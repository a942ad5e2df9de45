"""A repository of many tasks and versions, and one evaluation of many examples.

Everything is this repository's own task, written once by the product's writers and then repeated
under other names: 10,000 evaluations would take a day, and their files would say the same.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from benchmarks.results import ROOT
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.store import logged_record
from prompt_hub.promotion.registry_writer import prompt_text, registry_text
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import RegisteredTask, Registry, VersionState
from prompt_hub.repository.schema import Message, Prompt

TASKS, VERSIONS, EXAMPLES = 500, 20, 20_000
LARGE = "catalogue-large"
"""The task that was evaluated on `EXAMPLES` examples."""
NEWEST = f"1.{VERSIONS - 1}.0"
SOURCE, SOURCE_VERSION = "part-class", "1.0.0"
_TASK, _VERSION, _SHA256 = "task-name", "7.7.7", "f" * 64
"""What stands in a text that is written once, and is replaced in each copy."""


def task_names() -> list[str]:
    """Return the names of all tasks."""
    return [f"catalogue-{number:03}" for number in range(TASKS - 1)] + [LARGE]


def make_tree(root: Path) -> None:
    """Write the repository below `root`."""
    source = PromptRepository(ROOT)
    released, record = source.production(SOURCE), logged_record(source, SOURCE, SOURCE_VERSION)
    assert released is not None
    assert released.lock is not None
    assert record is not None
    lock = released.lock.model_copy(update={"sha256": _SHA256})
    text = prompt_text(_named(released, _TASK, _VERSION).model_copy(update={"lock": lock}))
    judged = record.model_copy(update={"task": _TASK, "version": _VERSION}).to_json()
    metadata = (ROOT / f"prompts/03-metadata/{SOURCE}.yaml").read_text("utf-8")
    few = (ROOT / f"prompts/01-examples/{SOURCE}.jsonl").read_text("utf-8")
    names = task_names()
    for layer in ("00-templates", "01-examples", "02-production", "03-metadata"):
        (root / "prompts" / layer).mkdir(parents=True)
    hashes: dict[str, list[str]] = {}
    for task in names:
        archive, evals = (root / "prompts" / layer / task for layer in ("99-archive", "04-evals"))
        archive.mkdir(parents=True)
        evals.mkdir(parents=True)
        described = metadata.replace(SOURCE, task).replace(SOURCE_VERSION, NEWEST)
        (root / f"prompts/03-metadata/{task}.yaml").write_text(described, "utf-8")
        (root / f"prompts/01-examples/{task}.jsonl").write_text(few, "utf-8")
        hashes[task] = []
        for number in range(VERSIONS):
            version = f"1.{number}.0"
            digest = _named(released, task, version).sha256
            hashes[task].append(digest)
            copy = _renamed(text, task, version).replace(_SHA256, digest)
            last = number == VERSIONS - 1
            place = f"02-production/{task}" if last else f"99-archive/{task}/{version}"
            (root / f"prompts/{place}.yaml").write_text(copy, "utf-8")
            if last:
                (root / f"prompts/00-templates/{task}.yaml").write_text(copy, "utf-8")
            (evals / f"{version}.json").write_text(_renamed(judged, task, version), "utf-8")
    (root / "prompt_registry.yaml").write_text(_registry(source.registry(), hashes), "utf-8")
    _many_examples(root, record)


def touch_registry(root: Path) -> None:
    """Change the registry as a promotion would: its bytes are other ones."""
    with (root / "prompt_registry.yaml").open("a", encoding="utf-8") as file:
        file.write("# once more\n")


def _named(prompt: Prompt, task: str, version: str) -> Prompt:
    """Return a prompt under another name, whose text says which version it is."""
    first, *others = prompt.messages
    told = f"{first.content.rstrip()}\nThis is {version} of {task}.\n"
    return prompt.model_copy(
        update={
            "task": task,
            "version": version,
            "description": f"{prompt.description} As {version} says it.",
            "messages": (Message(role=first.role, content=told), *others),
            "lock": None,
        }
    )


def _renamed(text: str, task: str, version: str) -> str:
    return text.replace(_TASK, task).replace(_VERSION, version)


def _registry(registry: Registry, hashes: dict[str, list[str]]) -> str:
    """Return the registry of all tasks: one task written by the product, under every name."""
    entry = registry.tasks[SOURCE]
    known = entry.versions[SOURCE_VERSION]
    versions = {}
    for number in range(VERSIONS):
        version = f"1.{number}.0"
        released = version == NEWEST
        versions[version] = known.model_copy(
            update={
                "state": VersionState.RELEASED if released else VersionState.SUPERSEDED,
                "sha256": f"{number:064}".replace("0", "e", 1),
                "evaluation": f"04-evals/{_TASK}/{version}.json",
                "at": known.at + timedelta(days=number),
            }
        )
    newest = versions[NEWEST]
    assert entry.verdict is not None
    task = RegisteredTask.model_validate(
        {
            **entry.model_dump(by_alias=True),
            "released": NEWEST,
            "sha256": newest.sha256,
            "verdict": {**entry.verdict.model_dump(), "version": NEWEST},
            "versions": {name: version.model_dump() for name, version in versions.items()},
        }
    )
    text = registry_text(Registry(schema_=registry.schema_, tasks={_TASK: task}))
    head, _, body = text.partition(f"  {_TASK}:\n")
    parts = [head]
    for name, digests in sorted(hashes.items()):
        copy = body.replace(_TASK, name)
        for number, digest in enumerate(digests):
            copy = copy.replace(versions[f"1.{number}.0"].sha256, digest)
        parts.append(f"  {name}:\n{copy}")
    return "".join(parts)


def _many_examples(root: Path, record: EvaluationRecord) -> None:
    """Let the newest version of `LARGE` have been evaluated on many examples, as copies."""
    source = ROOT / f"prompts/01-examples/{SOURCE}.jsonl"
    scored = [
        line
        for line in source.read_text("utf-8").splitlines()
        if json.loads(line).get("split", "eval") == "eval"
    ]
    answers = ROOT / f"prompts/04-evals/{SOURCE}/{SOURCE_VERSION}.jsonl"
    by_example: dict[str, list[str]] = {}
    for line in answers.read_text("utf-8").splitlines():
        by_example.setdefault(json.loads(line)["id"], []).append(line)
    examples, details = [], []
    for number in range(EXAMPLES):
        line = scored[number % len(scored)]
        name = json.loads(line)["id"]
        own = f'"{name}-{number}"'
        examples.append(line.replace(f'"{name}"', own, 1))
        details += [answer.replace(f'"{name}"', own, 1) for answer in by_example[name]]
    target = root / f"prompts/01-examples/{LARGE}.jsonl"
    target.write_text("\n".join(examples) + "\n", "utf-8")
    evals = root / f"prompts/04-evals/{LARGE}"
    (evals / f"{NEWEST}.jsonl").write_text("\n".join(details) + "\n", "utf-8")
    hashed = PromptRepository(root).examples_sha256(LARGE)
    large = record.model_copy(update={"task": LARGE, "version": NEWEST, "examples_sha256": hashed})
    (evals / f"{NEWEST}.json").write_text(large.to_json(), "utf-8")
