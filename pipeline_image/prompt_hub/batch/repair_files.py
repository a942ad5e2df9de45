"""Where the output of a run is, and where the corrected one goes: beside it, never over it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from prompt_hub.batch.objects import FolderObjects, Objects
from prompt_hub.batch.run_manifest import MANIFEST, RunManifest, RunOutput
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import explain_write_errors
from prompt_hub.core.hashing import file_sha256
from prompt_hub.repository.schema import Format

OUTPUT = "output.jsonl"
CHANGES = "changes.jsonl"
COMPANIONS = (CHANGES, "changes.html", "changes.md", "changes.json", "output.csv", MANIFEST)
"""What a repair may leave besides its output: every change, a page of them, two summaries, …"""
_REPAIRED = re.compile(r"-repaired-[0-9.]+(-\d+)?$")


@dataclass(frozen=True)
class OldOutput:
    """The output of a run as a file of this machine."""

    run: RunManifest
    path: Path
    output: RunOutput
    stored: bool
    """Whether it is an object of the store; otherwise it is a file that somebody named."""


def old_output(objects: Objects, run: RunManifest, folder: Path) -> OldOutput:
    """Find the output of `run`; what has to be fetched goes into `folder`.

    Raises:
        PromptHubError: it is not there any more, or not what the run has written.
    """
    output = run.json_lines
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / "old.jsonl"
    stored = objects.fetch(aws_names.run_key(run.task, run.run, OUTPUT), path)
    if not stored:
        path = Path(output.uri)
    if not path.is_file():
        raise PromptHubError(
            f"the output {output.uri} of run {run.run} is not there any more.",
            hint="Put it back, or repair the other runs, each by --run.",
            exit_code=ExitCode.BLOCKED,
        )
    if file_sha256(path) != output.sha256:
        raise PromptHubError(
            f"the output {output.uri} is not what run {run.run} has written: it was changed since.",
            hint="Put the one back that the manifest names, or repair the other runs, by --run.",
            exit_code=ExitCode.BLOCKED,
        )
    return OldOutput(run, path, output, stored)


@dataclass(frozen=True)
class Place:
    """Where the files of a repair are put."""

    objects: Objects
    key: Callable[[str], str]
    """Key of each file by its name: `output.jsonl`, one of `COMPANIONS`, `manifest.json`."""

    def name(self, name: str) -> str:
        """Return how a file is called there, without its folder."""
        return self.key(name).rpartition("/")[2]

    def uri(self, name: str) -> str:
        """Return the address of a file, for people and manifests."""
        return f"{self.objects.address}/{self.key(name)}"

    def write(self, name: str, text: str) -> None:
        """Store a file."""
        self.objects.write(self.key(name), text.encode("utf-8"))

    def put(self, form: Format, path: Path) -> str:
        """Store a form of the output, JSON lines excepted, which are there; return its address."""
        name = f"output.{form}"
        if name != OUTPUT:
            self.objects.put(self.key(name), path)
        return self.uri(name)


def claim(old: OldOutput, objects: Objects, repair: str, by: str, output: Path) -> Place:
    """Put the corrected output where nothing else is, and say where the rest goes.

    An object goes into the folder of the run `repair`, a file beside the old one, under its name
    with the version `by` that has answered. The very same output that is there already was put
    there by this repair, which was killed then, unless the manifest of another one is with it.
    """
    if old.stored:
        place = Place(objects, lambda name: aws_names.run_key(old.run.task, repair, name))
        # S3 calls what it has just stored there already, if its first answer was lost on the way.
        if place.objects.create(place.key(OUTPUT), output) or _is_ours(place, output):
            return place
        raise PromptHubError(
            f"{place.uri(OUTPUT)} is there already, and is another output.",
            hint="Somebody else has repaired this run: look at that one.",
            exit_code=ExitCode.BLOCKED,
        )
    for place in _free_names(old.path, by):
        if _is_ours(place, output) and not _is_of_another(place, repair):
            return place
        there = any(place.objects.read(place.key(name)) is not None for name in COMPANIONS)
        if not there and place.objects.create(place.key(OUTPUT), output):
            return place
    raise AssertionError("there is always another number")


def _free_names(old: Path, by: str) -> Iterator[Place]:
    folder = FolderObjects(old.parent)
    stem = f"{_REPAIRED.sub('', old.stem)}-repaired-{by}"
    for number in count(1):
        yield Place(folder, _beside(stem if number == 1 else f"{stem}-{number}", old.suffix))


def _beside(stem: str, suffix: str) -> Callable[[str], str]:
    names = {
        OUTPUT: f"{stem}{suffix}",
        "output.csv": f"{stem}{suffix}.csv",
        MANIFEST: f"{stem}{suffix}.{MANIFEST}",
    }
    return lambda name: names.get(name, f"{stem}.{name}")


def _is_of_another(place: Place, repair: str) -> bool:
    """Whether a manifest says that another repair than this has put its output there."""
    manifest = place.objects.read(place.key(MANIFEST))
    return manifest is not None and repair.encode() not in manifest


def _is_ours(place: Place, output: Path) -> bool:
    there = output.with_name("there.jsonl")
    found = place.objects.fetch(place.key(OUTPUT), there)
    ours = found and file_sha256(there) == file_sha256(output)
    there.unlink(missing_ok=True)
    return ours
