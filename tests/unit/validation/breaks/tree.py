"""Breaks of which files lie where."""

from __future__ import annotations

from tests.unit.validation.breaking import (
    Case,
    Fine,
    append,
    begun_anew,
    lost,
    write,
)

CASES = [
    Case(
        "evidence-kept",
        lost("prompts/04-evals/brand/0.3.0.jsonl"),
        "prompts/04-evals/brand/0.3.0.jsonl",
        "found no file, though git has had it; expected what promotion wrote there",
    ),
    Case(
        "secret",
        append("prompts/00-templates/catalogue-role.txt", f"AK{'IA'}ABCDEFGHIJKLMNOP\n"),
        "prompts/00-templates/catalogue-role.txt",
        "an AWS access key id",
        at=(2, 1),
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/03-metadata/colour.yml", "task: colour\n"),
        "prompts/03-metadata/colour.yml",
        "found the ending '.yml' (did you mean '.yaml'?); expected .yaml",
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/99-archive/0.1.0.yaml", "a: 1\n"),
        "prompts/99-archive/0.1.0.yaml",
        "prompts/99-archive/TASK/VERSION.yaml",
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/03-metdata/colour.yaml", "task: colour\n"),
        "prompts/03-metdata/colour.yaml",
        "'03-metdata', which is no layer of prompts/ (did you mean '03-metadata'?)",
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/01-examples/Part Class.jsonl", ""),
        "prompts/01-examples/Part Class.jsonl",
        "the task name 'Part Class'",
        also=frozenset({"live", "example-eval"}),
    ),
    Case(
        "file-name",
        write("prompts/01-examples/colour.yaml", "just: an idea\n"),
        "prompts/01-examples/colour.yaml",
        "a prompt beside the examples that no metadata names",
    ),
    Case(
        "file-name",
        write("prompt_registry.yml", "tasks: {}\n"),
        "prompt_registry.yml",
        "a second registry; expected prompt_registry.yaml alone",
    ),
    Case(
        "secret",
        write("prompts/.env", f"OPENAI_API_KEY={'sk-'}{'a1B2' * 12}\n"),
        "prompts/.env",
        "what looks like an API key",
    ),
]

FINE = [
    # A task that is gone altogether, and a review, which is its reader's own.
    Fine("evidence-kept", lost("prompts/04-evals/gone/0.3.0.json")),
    Fine("evidence-kept", lost("prompts/04-evals/brand/reviews/0.3.0.json")),
    # Another task by the name of one that was removed.
    Fine(
        "evidence-kept",
        begun_anew("prompts/04-evals/brand/0.3.0.jsonl", "prompts/03-metadata/brand.yaml"),
    ),
    Fine("secret", write("prompts/00-templates/note.txt", "RC0603FR-0710KL sk-1 password: none\n")),
    Fine("file-name", write("prompts/README.md", "The layers.\n")),
]
"""What comes close to a rule, and breaks none."""
