"""Breaks of released versions, of the registry and of evaluation records."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.building import COMMIT, RepositoryFolder
from tests.unit.validation.breaking import (
    ARCHIVED,
    CANDIDATE,
    PRODUCTION,
    REGISTRY,
    Case,
    Fine,
    append,
    delete,
    edit,
    first,
    released_as,
    write,
)


def _forget_the_archived(folder: RepositoryFolder) -> None:
    """Drop a version's entry and its file, as somebody does who resolves a conflict in haste."""
    text = folder.read(REGISTRY)
    start = text.index("      1.0.0:\n        state: superseded")
    folder.write(REGISTRY, text[:start] + text[text.index("      1.1.0:\n", start) :])
    folder.path(ARCHIVED).unlink()


def _log_without_an_entry(status: str) -> Callable[[RepositoryFolder], None]:
    def change(folder: RepositoryFolder) -> None:
        record = folder.read("prompts/04-evals/brand/1.0.0.json")
        for old, new in (
            ('"version": "1.0.0"', '"version": "0.9.0"'),
            ('"status": "PASS"', f'"status": "{status}"'),
        ):
            assert old in record
            record = record.replace(old, new)
        folder.write("prompts/04-evals/brand/0.9.0.json", record)

    return change


CASES = [
    Case(
        "released-task",
        lambda folder: folder.write("prompts/99-archive/brand/1.0.0.yaml", folder.read(ARCHIVED)),
        "prompts/99-archive/brand/1.0.0.yaml",
        "found 'part-class'; expected 'brand'",
        also=frozenset({"registry-archive", "registry-lock", "version-moves"}),
    ),
    Case(
        "archive-name",
        lambda folder: folder.write(
            "prompts/99-archive/part-class/0.9.0.yaml", folder.read(ARCHIVED)
        ),
        "prompts/99-archive/part-class/0.9.0.yaml",
        "found 1.0.0; expected 0.9.0",
    ),
    Case(
        "version-moves",
        released_as("1.1.0"),
        CANDIDATE,
        "1.1.0, which is released with other content; expected a higher version",
        at=(3, 10),
    ),
    Case(
        "version-order",
        released_as("0.5.0"),
        CANDIDATE,
        "found 0.5.0; expected 1.1.0, which is released, or a higher version",
    ),
    Case(
        "registry-released",
        delete(PRODUCTION),
        REGISTRY,
        "tasks.part-class.released: found 1.1.0, but prompts/02-production has no part-class.yaml",
    ),
    Case(
        "registry-released",
        delete(REGISTRY),
        REGISTRY,
        "tasks.brand.released: found nothing; expected 1.0.0",
        also=frozenset({"registry-archive", "registry-record"}),
    ),
    Case(
        "registry-task",
        lambda folder: folder.write(
            REGISTRY, folder.read(REGISTRY).replace("threshold: 0.7\n", "threshold: 0.6\n", 1)
        ),
        REGISTRY,
        "tasks.brand.threshold: found 0.6; expected 0.7, as of version 1.0.0",
    ),
    Case(
        "registry-lock",
        edit(ARCHIVED, "evaluation: 04-evals/part-class/1.0.0.json", "evaluation: 04-evals/x.json"),
        ARCHIVED,
        "lock.evaluation: found '04-evals/x.json'; expected '04-evals/part-class/1.0.0.json'",
    ),
    Case(
        "evaluation-name",
        edit("prompts/04-evals/brand/1.0.0.json", '"task": "brand"', '"task": "colour"'),
        "prompts/04-evals/brand/1.0.0.json",
        "task: found 'colour'; expected 'brand', as the file is called",
        also=frozenset({"registry-evidence"}),
    ),
    Case(
        "registry-state",
        edit(REGISTRY, "state: superseded", "state: released"),
        REGISTRY,
        "tasks.part-class.versions.1.0.0.state: found released",
    ),
    Case(
        "registry-files",
        delete(ARCHIVED),
        REGISTRY,
        "superseded, but no file of version 1.0.0",
    ),
    Case(
        "registry-files",
        delete("prompts/04-evals/part-class/1.0.0.json"),
        REGISTRY,
        "'04-evals/part-class/1.0.0.json', which prompts/ does not have",
    ),
    Case(
        "registry-files",
        lambda folder: (folder.path(ARCHIVED).unlink(), folder.path(ARCHIVED).mkdir()),
        REGISTRY,
        "superseded, but no file of version 1.0.0",
    ),
    Case(
        "evaluation-record",
        lambda folder: folder.write(
            "prompts/04-evals/brand/0.9.0.json",
            folder.read("prompts/04-evals/brand/1.0.0.json")
            .replace('"version": "1.0.0"', '"version": "0.9.0"')
            .replace('"threshold": 0.7', '"treshold": 0.7'),
        ),
        "prompts/04-evals/brand/0.9.0.json",
        "the key 'treshold' (did you mean 'threshold'?)",
        also=frozenset({"registry-record"}),
    ),
    Case(
        "registry-evidence",
        edit("prompts/04-evals/brand/1.0.0.json", '"tokens_in": ', '"tokens_in": 1'),
        REGISTRY,
        "another hash than that of prompts/04-evals/brand/1.0.0.json and its details",
    ),
    Case(
        "registry-evidence",
        append("prompts/04-evals/brand/1.0.0.jsonl", "{}\n"),
        REGISTRY,
        "evaluation_sha256",
    ),
    Case(
        "registry-evaluation",
        edit(
            REGISTRY,
            "        score: 1.0\n        threshold: 0.7\n        model:\n"
            "          alias: catalogue-latest",
            "        score: 0.9\n        threshold: 0.7\n"
            "        model:\n          alias: catalogue-latest",
        ),
        REGISTRY,
        "tasks.brand.versions.1.0.0.score: found 0.9; expected 1.0, as prompts/04-evals",
    ),
    Case(
        "registry-verdict",
        first(REGISTRY, "status: PASS\n      version: 1.0.0", "status: PASS\n      version: 0.1.0"),
        REGISTRY,
        "tasks.brand.verdict.version: found 0.1.0, of which 04-evals has no record",
    ),
    Case(
        "registry-lock",
        edit(ARCHIVED, f"commit: {COMMIT}", f"commit: {'b' * 40}"),
        ARCHIVED,
        "lock.commit: found",
    ),
    Case(
        "registry-archive",
        edit(
            REGISTRY,
            "      1.0.0:\n        state: superseded",
            "      0.9.0:\n        state: blocked",
        ),
        ARCHIVED,
        "1.0.0, which the registry does not know",
        also=frozenset({"registry-record"}),
    ),
    Case(
        "registry-record",
        _forget_the_archived,
        "prompts/04-evals/part-class/1.0.0.json",
        "verdict.status: found PASS of 1.0.0, which the registry does not know",
    ),
    Case(
        "registry-record",
        _log_without_an_entry("BLOCK"),
        "prompts/04-evals/brand/0.9.0.json",
        "found BLOCK of 0.9.0, which the registry does not know",
    ),
]

FINE = [
    Fine("released-task"),
    Fine("archive-name"),
    Fine("version-moves", edit(CANDIDATE, "description: Which", "description: Tells which")),
    Fine("version-order", lambda folder: folder.bump("part-class", "1.2.0", "1.10.0")),
    Fine("registry-released"),
    Fine("registry-task"),
    Fine("registry-lock"),
    Fine("registry-state"),
    Fine("registry-files"),
    Fine("registry-archive"),
    Fine("registry-record", _log_without_an_entry("INCONCLUSIVE")),
    Fine("registry-verdict"),
    Fine("registry-evidence"),
    Fine("registry-evaluation"),
    Fine("evaluation-name", write("prompts/04-evals/brand/notes.json", '{"by": "a person"}\n')),
    Fine("evaluation-record", _log_without_an_entry("INCONCLUSIVE")),
]
"""What comes close to a rule, and breaks none."""
