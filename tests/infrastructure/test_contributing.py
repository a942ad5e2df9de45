"""The examples of CONTRIBUTING.md, followed step by step on a copy of the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.shipped

ROOT = Path(__file__).resolve().parents[2]
SECTION = re.compile(
    r"^### Add an? (?P<what>.+?): (?P<files>\d+) files?$.*?"
    r"^```diff\n(?P<diff>.*?)^```$.*?"
    r"^Then: `(?P<then>[^`]+)`$",
    re.MULTILINE | re.DOTALL,
)
TARGETS = {
    "stage": 1,
    "validation rule": 3,
    "report format": 3,
    "command": 3,
    "alarm on a metric of our own": 3,
    "scorer": 3,
    "model provider": 3,
}
"""How many files each kind of addition may touch, docs and tests counted."""


@dataclass(frozen=True)
class Example:
    """One worked example."""

    what: str
    files: int
    diff: str
    then: str


def examples() -> list[Example]:
    """Every worked example of the page."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [
        Example(found["what"], int(found["files"]), found["diff"], found["then"])
        for found in SECTION.finditer(text)
    ]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    copy = tmp_path / "tree"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


def run(tree: Path, *words: str, given: str | None = None) -> None:
    """Run a command in `tree`; fails with its output where it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The copy's own package, not the one that the environment was installed from.
    # What pytest-xdist tells its workers is about this run, not about the one that starts here.
    inherited = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    environment = {**inherited, "PATH": path, "PYTHONPATH": str(tree / "pipeline_image")}
    done = subprocess.run(
        words, cwd=tree, env=environment, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"


def test_every_kind_of_addition_has_an_example_within_its_target() -> None:
    found = {example.what: example.files for example in examples()}
    assert found.keys() == TARGETS.keys()
    assert {what: files for what, files in found.items() if files > TARGETS[what]} == {}


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.what)
def test_an_example_does_what_it_says(example: Example, tree: Path) -> None:
    assert example.diff.count("\ndiff --git ") + 1 == example.files
    run(tree, "git", "apply", "-", given=example.diff)
    touched = re.findall(r"^\+\+\+ b/(.+)$", example.diff, re.MULTILINE)
    python = [path for path in touched if path.endswith(".py")]
    if python:
        run(tree, "ruff", "check", "--no-cache", *python)
        run(tree, "ruff", "format", "--no-cache", "--check", *python)
    for command in example.then.split(" && "):
        run(tree, *command.split())
