"""A prompt repository with one task of as many examples as wanted, judged by the product."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from benchmarks.earlier_tree import EarlierTree
from benchmarks.eval import task
from benchmarks.eval.measuring import ROOT, MeasurementError, bare_environment
from benchmarks.eval.task import Item, Outcome
from prompt_hub.core import aws_names
from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.evaluation.large_details import large_details_in
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import LOCAL_EXECUTION, RESULTS_DIR, FolderResults
from prompt_hub.evaluation.store import Evaluation, evaluation_by
from prompt_hub.repository.documents import MAX_GROWING_BYTES
from prompt_hub.repository.example_sets import SETS_DIR, ExampleSet

PRODUCT = ROOT / "pipeline_image"
_ALIAS = "bench-model"
_VALIDATE = PRODUCT / "validate_prompt.py"
_NO_HASH = "0" * 64
"""What stands in the metadata until the product's own stamp replaces it."""


class BenchRepository:
    """A prompt repository below `folder` with one task.

    It has no champion, so that a run measures one arm, until `release` and `propose` were called.
    """

    def __init__(self, folder: Path, examples: int) -> None:
        self.root = folder / "repository"
        self.examples = examples
        self._home = folder / "home"
        self._set: tuple[Path, ExampleSet] | None = None
        """Examples that are too many for git, and what names them."""
        self._write("1.0.0", task.SYSTEM)

    def environment(self, base_url: str) -> dict[str, str]:
        """Where the product finds this repository and the mock model."""
        price_in, price_out = task.USD_PER_MILLION
        model = {
            "provider": "openai",
            "model": task.MODEL,
            "base_url": base_url,
            "price_per_million": {"input": price_in, "output": price_out},
        }
        settings = {
            aws_names.ENV_ROOT: str(self.root),
            aws_names.ENV_MODELS: json.dumps({_ALIAS: model}),
        }
        return bare_environment(self._home, settings)

    @property
    def kept(self) -> Path:
        """Where the product keeps all that a run writes."""
        return self.root / RESULTS_DIR.parts[0]

    def forget(self) -> None:
        """As if nothing had ever been evaluated."""
        shutil.rmtree(self.kept, ignore_errors=True)
        if self._set is not None:
            content, reference = self._set
            place = self.root / SETS_DIR / f"{reference.sha256}.jsonl"
            place.parent.mkdir(parents=True)
            place.hardlink_to(content)

    def lower_threshold(self) -> None:
        """An author's edit that changes the verdict's inputs, and no request."""
        path = self.root / "prompts/03-metadata" / f"{task.TASK}.yaml"
        text = path.read_text(encoding="utf-8")
        found = re.search(r"^threshold: (.*)$", text, re.MULTILINE)
        assert found is not None
        lower = f"threshold: {float(found[1]) - 0.01:.2f}"
        path.write_text(text.replace(found[0], lower), encoding="utf-8")
        self._product(_VALIDATE)

    def propose(self, examples: int) -> None:
        """Write another candidate, and as many examples for it and the champion."""
        self.examples = examples
        self._write("1.1.0", f"{task.SYSTEM} Say nothing else.")

    def release(self, environment: Mapping[str, str]) -> None:
        """Release the candidate, which the last run has evaluated."""
        self._product("-m", "prompt_hub.cli", "promote", "promote", task.TASK, more=environment)

    def write_records(self, count: int) -> Path:
        """Write as many records as a table, and return where."""
        path = self.root.parent / f"{count}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["Description", "Maker"])
            for item in task.items(count):
                table.writerow([item.fields["title"], item.fields["manufacturer"]])
        return path

    def record(self) -> EvaluationRecord | None:
        """The record of the last run, None if it wrote none."""
        found = self._evaluation()
        return found.record if found else None

    def details(self) -> Sequence[ExampleResult]:
        """The details of the last run, one a call."""
        found = self._evaluation()
        return found.details["candidate"] if found else ()

    def outcome(self) -> Outcome:
        """What the last run says of its examples, from its details, line by line."""
        results = FolderResults(self.root / RESULTS_DIR)
        scores: dict[str, float | None] = {}
        text = results.get(aws_names.evaluation_details_key(LOCAL_EXECUTION, task.TASK)) or ""
        large = large_details_in(text, task.TASK)
        name = large.uri if large else aws_names.evaluation_details_key(LOCAL_EXECUTION, task.TASK)
        with (self.root / RESULTS_DIR / name).open("rb") as lines:
            for line in map(json.loads, lines):
                scores[line["id"]] = line["score"]
        wanted = [scores.get(item.id) for item in task.items(self.examples)]
        return Outcome(right=wanted.count(1.0), wrong=wanted.count(0.0), missing=wanted.count(None))

    def _evaluation(self) -> Evaluation | None:
        return evaluation_by(FolderResults(self.root / RESULTS_DIR), LOCAL_EXECUTION, task.TASK)

    def _product(self, *command: str | Path, more: Mapping[str, str] | None = None) -> None:
        settings = {aws_names.ENV_ROOT: str(self.root), "PYTHONPATH": str(PRODUCT), **(more or {})}
        done = subprocess.run(
            [sys.executable, *command],
            env=bare_environment(self._home, settings),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            message = (done.stderr or done.stdout).strip()
            words = " ".join(Path(str(word)).name for word in command)
            raise MeasurementError(f"{words} failed in the benchmark's repository:\n{message}")

    def _write(self, version: str, system: str) -> None:
        prompts = self.root / "prompts"
        for layer in ("00-templates", "01-examples", "03-metadata"):
            (prompts / layer).mkdir(parents=True, exist_ok=True)
        _dump(
            prompts / "00-templates" / f"{task.TASK}.yaml",
            {
                "schema": "prompt-hub/prompt@1",
                "task": task.TASK,
                "version": version,
                "description": "Class and package of a part, for the benchmark.",
                "model": {"alias": _ALIAS, "parameters": task.PARAMETERS},
                "input": task.INPUT_SCHEMA,
                "output": task.OUTPUT_SCHEMA,
                "messages": [
                    {"role": "system", "content": system},
                    {"role": "user", "content": task.USER},
                ],
            },
        )
        _dump(
            prompts / "03-metadata" / f"{task.TASK}.yaml",
            {
                "schema": "prompt-hub/metadata@1",
                "task": task.TASK,
                "owner": "benchmarks",
                "description": "The benchmark's one task.",
                "version": version,
                "candidate": f"00-templates/{task.TASK}.yaml",
                "up_to_date": {"examples": _NO_HASH, "input": _NO_HASH, "output": _NO_HASH},
                "threshold": 0.85,
                "scorers": [
                    {"type": "json_fields", "fields": dict.fromkeys(Item(0).expected, 1.0)}
                ],
                # One look at all examples: a benchmark that stops early measures nothing.
                "gate": {
                    "first_look": max(8, self.examples),
                    "budget": {
                        "calls": 10 * self.examples,
                        "tokens": 10_000 * self.examples,
                        "usd": 100.0,
                        "seconds": 3600.0,
                    },
                },
                "records": {
                    "columns": {"title": ["Description"], "manufacturer": ["Maker"]},
                },
            },
        )
        lines = (
            json.dumps({"id": item.id, "input": item.fields, "expected": item.expected})
            for item in task.items(self.examples)
        )
        examples = prompts / "01-examples" / f"{task.TASK}.jsonl"
        with examples.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        if examples.stat().st_size > MAX_GROWING_BYTES:
            self._set = self._moved(examples)
            self.forget()
        self._product(_VALIDATE, "--stamp", task.TASK)
        self._product(_VALIDATE)

    def _moved(self, examples: Path) -> tuple[Path, ExampleSet]:
        """Let a set that is too large for git be one that was fetched before."""
        content = examples.rename(self.root.parent / examples.name)
        with content.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        reference = ExampleSet(
            schema_="prompt-hub/examples@1",
            uri=f"s3://bench/{aws_names.examples_key(sha256)}",
            sha256=sha256,
            size=content.stat().st_size,
            count=self.examples,
        )
        examples.write_text(reference.line(), encoding="utf-8")
        return content, reference


def evaluate_command(
    in_flight: int = task.IN_FLIGHT, earlier: EarlierTree | None = None
) -> list[str]:
    """The command that is measured: of this tree, or of an earlier one."""
    python = earlier.python if earlier else sys.executable
    tree = earlier.path if earlier else ROOT
    door = tree / PRODUCT.relative_to(ROOT) / "eval_runner.py"
    return [str(python), str(door), task.TASK, "--concurrency", str(in_flight)]


def run_command(records: Path, output: Path) -> list[str]:
    """The command that turns a table of records into lines."""
    words = ["run", task.TASK, str(records), str(output), "--concurrency", str(task.IN_FLIGHT)]
    return [sys.executable, "-m", "prompt_hub.cli", *words]


def run_outcome(output: Path) -> Outcome:
    """What a run over records says of them, from its output."""
    right = wrong = 0
    with output.open(encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            fits = line["output"] == Item(line["record"] - 1).expected
            right, wrong = right + fits, wrong + (not fits)
    return Outcome(right=right, wrong=wrong)


def _dump(path: Path, value: object) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
