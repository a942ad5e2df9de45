"""The outputs of all shards become one, in the order of the records, with a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from prompt_hub.batch.objects import Objects
from prompt_hub.batch.output_summary import OutputSummary, describe
from prompt_hub.batch.run_manifest import RunManifest, RunOutput, write_manifest
from prompt_hub.batch.run_plan import RunPlan, Shard, read_shards, shard_key
from prompt_hub.batch.table_output import table_beside, write_csv
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import explain_write_errors
from prompt_hub.core.wording import count
from prompt_hub.repository.schema import Format

OUT = "out"
"""Folder of a run with what is final of each shard."""
TAKEN_UP = "taken-up"
"""Folder of a run with an empty object for each shard that waited for another process."""


def merge(objects: Objects, plan: RunPlan, folder: Path) -> RunManifest:
    """Make the output of a run from those of its shards, and store the manifest last.

    Args:
        objects: where the run is.
        plan: what the run is.
        folder: for the output on its way; it holds all of it.

    Raises:
        PromptHubError: a shard is not answered yet, or has other records than it was given.
    """
    merged = folder / "output.jsonl"
    summary = OutputSummary(f"{objects.address}/{aws_names.run_key(plan.task, plan.run, OUT)}")
    with explain_write_errors(merged), merged.open("wb") as output:
        for shard in read_shards(objects, plan):
            _append(objects, plan, shard, summary, output, folder)
    outputs = tuple(
        _stored(objects, plan, form, path) for form, path in make_forms(merged, plan.formats)
    )
    taken_up = any(objects.keys(aws_names.run_key(plan.task, plan.run, f"{TAKEN_UP}/")))
    manifest = summary.to_manifest(plan, outputs, taken_up=taken_up)
    write_manifest(objects, manifest)
    return manifest


def make_forms(merged: Path, formats: Sequence[Format]) -> Iterator[tuple[Format, Path]]:
    """Yield the forms of an output that are asked for, JSON lines first, which always are there."""
    yield "jsonl", merged
    if "csv" in formats:
        path = table_beside(merged)
        write_csv(merged, path)
        yield "csv", path


def _append(
    objects: Objects,
    plan: RunPlan,
    shard: Shard,
    summary: OutputSummary,
    output: BinaryIO,
    folder: Path,
) -> None:
    before, path = summary.records, folder / "out.jsonl"
    key = shard_key(plan.task, plan.run, OUT, shard.shard)
    if not objects.fetch(key, path):
        raise PromptHubError(
            f"shard {shard.shard} of {plan.shards} is not answered yet.",
            hint=f"Answer it: prompt-hub records answer --task {plan.task} --run {plan.run}"
            f" --shard {shard.shard}.",
            exit_code=ExitCode.NOT_MEASURED,
        )
    with path.open("rb") as lines:
        for line in lines:
            summary.take(line)
            output.write(line)
    if summary.records - before != shard.records:
        written = count(summary.records - before, "record")
        raise PromptHubError(
            f"{objects.address}/{key} has {written}, and was given {shard.records}.",
            hint="Another program has written it: drop the file once more.",
            exit_code=ExitCode.BLOCKED,
        )


def _stored(objects: Objects, plan: RunPlan, form: Format, path: Path) -> RunOutput:
    key = aws_names.run_key(plan.task, plan.run, f"output.{form}")
    objects.put(key, path)
    return describe(path, f"{objects.address}/{key}", form)
