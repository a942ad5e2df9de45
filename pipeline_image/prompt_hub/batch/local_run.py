"""A run on one machine: its manifest beside the output, and where a repair finds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prompt_hub.batch.merge import make_forms
from prompt_hub.batch.objects import FolderObjects
from prompt_hub.batch.output_summary import describe, summarise
from prompt_hub.batch.run_manifest import RunFacts, RunManifest
from prompt_hub.core.files import atomic_write, explain_write_errors
from prompt_hub.repository.schema import Format

RECORDS_DIR = Path(".prompt-hub") / "records"
"""Where the runs of a checkout are listed, as those of a stage are in its bucket."""


def local_runs(root: Path) -> FolderObjects:
    """Return the list of the runs on this machine."""
    return FolderObjects(root / RECORDS_DIR)


def manifest_beside(output: Path) -> Path:
    """Return where the manifest of a run lies on a machine that has its output."""
    return output.with_name(f"{output.name}.manifest.json")


def finish_run(
    run: RunFacts, output: Path, formats: Sequence[Format], *, taken_up: bool
) -> RunManifest:
    """Make the other forms of an output, and the manifest beside it."""
    outputs = tuple(
        describe(path, str(path.resolve()), form) for form, path in make_forms(output, formats)
    )
    manifest = summarise(output).to_manifest(run, outputs, taken_up=taken_up)
    path = manifest_beside(output)
    with explain_write_errors(path), atomic_write(path) as stream:
        stream.write(manifest.to_json().encode())
    return manifest
