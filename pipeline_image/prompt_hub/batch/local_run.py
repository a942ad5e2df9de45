"""A run on one machine: its manifest beside the output, and where a repair finds it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prompt_hub.batch.layout import Layout
from prompt_hub.batch.merge import make_forms
from prompt_hub.batch.objects import FolderObjects
from prompt_hub.batch.output_summary import describe, summarise
from prompt_hub.batch.run_manifest import RunFile, RunManifest, Spent, write_manifest
from prompt_hub.core import aws_names
from prompt_hub.core.files import atomic_write, explain_write_errors
from prompt_hub.repository.schema import Records

RECORDS_DIR = Path(".prompt-hub") / "records"
"""Where the runs of a checkout are listed, as those of a stage are in its bucket."""


def local_runs(root: Path) -> FolderObjects:
    """Return the list of the runs on this machine."""
    return FolderObjects(root / RECORDS_DIR)


def manifest_beside(output: Path) -> Path:
    """Return where the manifest of a run lies on a machine that has its output."""
    return output.with_name(f"{output.name}.manifest.json")


@dataclass(frozen=True, kw_only=True)
class LocalRun:
    """What a run on this machine was, besides what its output says."""

    run: str
    task: str
    source: RunFile
    output: Path
    records: Records
    layout: Layout
    blank: int
    forecast: Spent | None
    started: datetime

    @property
    def manifest_path(self) -> Path:
        """Where the manifest lies, beside the output."""
        return manifest_beside(self.output)

    def finish(self) -> RunManifest:
        """Make the other forms of the output and the manifest beside it."""
        summary = summarise(self.output)
        outputs = tuple(
            describe(path, str(path.resolve()), form)
            for form, path in make_forms(self.output, self.records.formats)
        )
        with_ledger = os.environ.get(aws_names.ENV_LEDGER_TABLE)
        manifest = summary.to_manifest(
            run=self.run,
            task=self.task,
            stage=os.environ.get(aws_names.ENV_STAGE) if with_ledger else None,
            versions=self.records.versions,
            source=self.source,
            outputs=outputs,
            blank=self.blank,
            forecast=self.forecast,
            shards=1,
            read_as=self.layout.found,
            started=self.started,
        )
        text = manifest.model_dump_json(by_alias=True, indent=2) + "\n"
        path = self.manifest_path
        with explain_write_errors(path), atomic_write(path) as stream:
            stream.write(text.encode())
        return manifest

    def list_in(self, root: Path, manifest: RunManifest) -> None:
        """List the run in a checkout; raises `PromptHubError` where that cannot be written."""
        write_manifest(local_runs(root), manifest)
