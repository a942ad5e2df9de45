"""`prompt-hub diff`: two versions of a prompt, word by word and score by score."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator

from pydantic import JsonValue

from prompt_hub.cli.report import evaluations_from_environment
from prompt_hub.core.errors import ExitCode
from prompt_hub.core.foreign_text import one_line
from prompt_hub.reporting import words
from prompt_hub.reporting.answers import Change
from prompt_hub.reporting.diff import Measured, PromptComparison, compare
from prompt_hub.reporting.diff_words import difference_lines
from prompt_hub.repository.schema import JsonObject

LISTED = 10
"""Examples that are listed of those won, and of those lost; `--json` has them all."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task")
    names = "a version, 'candidate', 'champion', or 'previous' for the last try on this machine"
    parser.add_argument("before", metavar="A", help=names)
    parser.add_argument("after", metavar="B", help="the same")
    parser.add_argument("--json", action="store_true", help="for programs, with every example")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Show what differs; a difference is not a failure."""
    evaluations = evaluations_from_environment()
    found = compare(evaluations, arguments.task, arguments.before, arguments.after)
    if arguments.json:
        print(json.dumps(as_json(found), indent=2, ensure_ascii=False))
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print("\n".join(in_words(found, coloured=coloured)))
    return ExitCode.OK


def in_words(found: PromptComparison, *, coloured: bool) -> Iterator[str]:
    """Yield the comparison as lines for people."""
    before, after = found.prompts
    yield f"{found.task} {before.version} → {after.version}"
    if not found.differences:
        yield "\nThe prompts say the same."
    for difference in found.differences:
        yield ""
        yield from difference_lines(difference, coloured=coloured)
    yield ""
    yield from _scores(found)
    if found.examples:
        counts = [f"{len(found.of(kind)):,} {kind}" for kind in (Change.WON, Change.LOST)]
        yield f"\nexamples: {', '.join(counts)}, {len(found.of(Change.SAME)):,} the same"
        yield from _listed(found, Change.LOST)
        yield from _listed(found, Change.WON)


def _scores(found: PromptComparison) -> Iterator[str]:
    columns = [m for m in (found.before, found.after) if m is not None]
    if columns:
        scores = [m.arm.score for m in columns]
        rows = [
            ("", [m.arm.version for m in columns]),
            ("score", [words.score(m.arm.score, m.threshold, *scores) for m in columns]),
            ("threshold", [words.score(m.threshold, m.arm.score) for m in columns]),
            ("examples", [f"{m.arm.n:,}" for m in columns]),
            ("cost", [words.money(m.arm.usd_paid) for m in columns]),
        ]
        rows = [row for row in rows if {*row[1]} != {words.NONE}]
        width = max(len(cell) for _, cells in rows for cell in cells)
        for name, cells in rows:
            yield f"{name:<10}  {'  '.join(f'{cell:>{width}}' for cell in cells)}".rstrip()
        yield from (f"{m.arm.version}: {m.name}, {m.arm.model}" for m in columns)
    yield from found.notes


def _listed(found: PromptComparison, kind: Change) -> Iterator[str]:
    examples = found.of(kind)
    if kind is Change.WON:
        examples = examples[::-1]
    for example in examples[:LISTED]:
        name = one_line(example.id)
        before = words.score(example.before, example.after)
        after = words.score(example.after, example.before)
        yield f"  {kind:<4}  {before} → {after}  {name}"
        row = example.row
        heads = ("input", "expected", *(prompt.version for prompt in found.prompts))
        for head, text in zip(heads, (row.input, row.expected, *row.answers), strict=True):
            yield f"        {head:<9} {one_line(text, words.LONGEST_LINE)}"
    if len(examples) > LISTED:
        yield f"  {kind:<4}  … and {len(examples) - LISTED:,} more (--json has them all)"


def as_json(found: PromptComparison) -> JsonObject:
    """Return the comparison for programs."""
    before, after = found.prompts
    return {
        "task": found.task,
        "before": {"version": before.version, "sha256": before.sha256, **_measured(found.before)},
        "after": {"version": after.version, "sha256": after.sha256, **_measured(found.after)},
        "differences": [
            {
                "where": difference.where,
                "kind": difference.kind,
                "runs": [{"kind": run.kind, "text": run.text} for run in difference.runs],
            }
            for difference in found.differences
        ],
        "examples": [
            {
                "id": example.id,
                "before": example.before,
                "after": example.after,
                "change": example.change,
                "losses": [*example.losses],
                "input": example.row.input,
                "expected": example.row.expected,
                "answers": [*example.row.answers],
            }
            for example in found.examples
        ],
        "notes": [*found.notes],
    }


def _measured(measured: Measured | None) -> dict[str, JsonValue]:
    if measured is None:
        return {"evaluation": None}
    return {
        "evaluation": measured.name,
        "score": measured.arm.score,
        "threshold": measured.threshold,
        "examples": measured.arm.n,
        "usd": measured.arm.usd_paid,
        "model": measured.arm.model,
    }
