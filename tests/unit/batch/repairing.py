"""A version that calls every diode a resistor, what it answers, and how it is taken back."""

from __future__ import annotations

import json
import os
from pathlib import Path

from prompt_hub.batch.local_run import local_runs
from prompt_hub.batch.run_manifest import RunManifest, runs_of
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from tests.unit.batch.running import ROWS, Lines
from tests.unit.building import RepositoryFolder

BY_ADA = ("--person", "Ada Lovelace", "--reason", "diodes come out as resistors")
BAD_WORDS = "for a catalogue"
"""What the prompt of 1.1.0 says and that of 1.0.0 does not."""
REPAIR = ("repair", "part-class", "--version", "1.1.0")
RUINED = (ROWS[0], "too,short\n", *ROWS[1:])
"""A diode, a row that is none, a transistor and a resistor."""


def output() -> Path:
    return Path(os.environ[aws_names.ENV_ROOT]).parent / "out.jsonl"


def lines_of(path: Path) -> Lines:
    return [json.loads(text) for text in path.read_text("utf-8").splitlines()]


def take_back() -> None:
    assert main(["promote", "downgrade", "part-class", "--to", "1.0.0", *BY_ADA]) == ExitCode.OK


def local_manifests(healthy: RepositoryFolder, version: str) -> list[RunManifest]:
    return runs_of(local_runs(healthy.root), "part-class", version)
