"""What a run over records was: of what, by which versions, with what result and at what cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from prompt_hub.batch.objects import Objects
from prompt_hub.core import aws_names
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.schema import Format, Moment, Sha256, Strict, TaskName, Version

MANIFEST = "manifest.json"
"""Name among a run's objects; beside a local output it is `OUTPUT.manifest.json`."""

Whole = Annotated[int, Field(ge=0)]


class RunFile(Strict):
    """A file as it was read or written."""

    uri: str
    """`s3://BUCKET/KEY`, or an absolute path."""
    sha256: Sha256
    bytes: Whole


class RunOutput(RunFile):
    """One form of the output; all forms have the same records in the same order."""

    format: Format


class VersionCount(Strict):
    """How many records a version has answered, lines with an error counted."""

    version: Version
    sha256: Sha256
    release: str | None
    """The release whose image answered; None on a person's machine."""
    model: str | None
    """Provider and model, as in verdicts."""
    records: Whole


class Spent(Strict):
    """What calls of a model came to, or are expected to come to."""

    calls: Whole
    input_tokens: Whole
    output_tokens: Whole
    usd: Annotated[float, Field(ge=0)] | None
    """US dollars; None where the alias has no price."""
    seconds: Annotated[float, Field(ge=0)] | None
    """Seconds on the clock; None where nobody can say: a batch API, a run that was taken up."""


class RepairOf(Strict):
    """Which run was made again, and why."""

    run: str
    version: Version
    """The version whose records were made again."""
    reason: str


class RunFacts(Strict):
    """What is known of a run before its first call, and stands in its plan and its manifest."""

    run: Annotated[str, Field(min_length=1)]
    task: TaskName
    stage: str | None
    """The stage whose active version answers; None on a person's machine without a ledger."""
    versions: Literal["pin", "follow"]
    """Whether the version at the start answers all, or each record the one then active."""
    source: RunFile
    blank: Whole
    """Rows without a value in any column that is read; they have no line."""
    forecast: Spent | None
    """What is expected; None where a service answers with a version that is not here."""
    shards: Annotated[int, Field(ge=1)]
    read_as: tuple[str, ...]
    """What was found out about the file's form and is declared nowhere, in words."""
    started: Moment


class _Manifest(Strict):
    schema_: Annotated[Literal["prompt-hub/run-manifest@1"], Field(alias="schema")]


# A file begins with what it is: the fields of the last base are written first.
class RunManifest(RunFacts, _Manifest):
    """What a run was, written once, when all of its output is there."""

    outputs: tuple[RunOutput, ...]
    records: Whole
    """Records with a line in the output."""
    answered: Whole
    failed: Whole
    """Lines with an error."""
    errors: dict[str, Whole]
    """The commonest errors without what is particular to a record, and how many lines say them."""
    answered_by: tuple[VersionCount, ...]
    spent: Spent
    """What the run has paid for, calls of killed processes included that were kept."""
    ended: Moment
    repair_of: RepairOf | None = None

    @property
    def json_lines(self) -> RunOutput:
        """The form of the output that every run has."""
        return next(each for each in self.outputs if each.format == "jsonl")


def write_manifest(objects: Objects, manifest: RunManifest) -> None:
    """Store a manifest among its run's objects, and where each of its versions finds it."""
    text = manifest.to_json().encode()
    for version in {count.version for count in manifest.answered_by}:
        objects.write(aws_names.version_run_key(manifest.task, version, manifest.run), text)
    # Last: where it is, everything else is, too.
    objects.write(aws_names.run_key(manifest.task, manifest.run, MANIFEST), text)


def read_manifest(objects: Objects, task: str, run: str) -> RunManifest | None:
    """Return the manifest of a run, None if it has none; raises `InvalidDocumentsError`."""
    return _parse(objects, aws_names.run_key(task, run, MANIFEST))


def runs_of(objects: Objects, task: str, version: str) -> list[RunManifest]:
    """Return the manifests of all runs that `version` has answered records of, oldest first."""
    keys = objects.keys(aws_names.version_runs_prefix(task, version))
    found = (_parse(objects, key) for key in keys)
    return sorted((each for each in found if each is not None), key=lambda each: each.started)


def _parse(objects: Objects, key: str) -> RunManifest | None:
    raw = objects.read(key)
    if raw is None:
        return None
    hint = f"Another program has written into {objects.address}; the run itself can be made again."
    return parse_model(raw.decode(), key, RunManifest, hint=hint)
