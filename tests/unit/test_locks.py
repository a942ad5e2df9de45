"""Lock files hold what the requirements ask for, every file by its hash, and name no index."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = (
    "pipeline_image/requirements",
    "requirements",
    "requirements-dev",
    "requirements-install",
    "requirements-aws-cli",
)
UV_INSTALL = (sys.executable, "-m", "uv", "pip", "install")
OWN = "-e ."
"""Our own package is installed from the tree and has no hash."""


@dataclass(frozen=True)
class Locked:
    """One entry of a lock file; `asked_by` are the requirements files that name it."""

    requirement: Requirement
    hashes: tuple[str, ...]
    asked_by: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


def asked(file: Path) -> dict[str, dict[str, Requirement]]:
    """What `file` and all that it includes ask for: file, name, requirement."""
    found: dict[str, dict[str, Requirement]] = {file.relative_to(ROOT).as_posix(): {}}
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#") or line == OWN:
            continue
        if line.startswith("-r "):
            found |= asked(file.parent / line.removeprefix("-r "))
        else:
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            found[file.relative_to(ROOT).as_posix()][name] = requirement
    return found


def locked(name: str) -> list[Locked]:
    text = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^(\S.*?) \\\n((?:    .*\n?)+)", text, re.MULTILINE)
    starts = [line for line in text.splitlines() if line and line[0] not in "# "]
    assert len(entries) == len(starts) > 0, "every entry has lines of hashes below it"
    return [
        Locked(
            Requirement(head),
            tuple(re.findall(r"^    --hash=(\S+)", below, re.MULTILINE)),
            frozenset(re.findall(r"-r (\S+)", below)),
        )
        for head, below in entries
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_is_asked_for_and_nothing_that_no_longer_is(name: str) -> None:
    found = locked(name)
    for file, requirements in asked(ROOT / f"{name}.txt").items():
        for package, requirement in requirements.items():
            versions = {
                str(entry.requirement.specifier) for entry in found if entry.name == package
            }
            assert versions == {str(requirement.specifier)}, f"{package}: run `make lock`"
        assert {item.name for item in found if file in item.asked_by} == set(requirements)


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_is_one_version_with_its_hashes(name: str) -> None:
    for item in locked(name):
        (pin,) = item.requirement.specifier
        assert pin.operator == "=="
        assert "*" not in pin.version
        assert item.requirement.url is None
        assert item.hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in item.hashes)


def test_a_package_has_one_version_in_all_locks() -> None:
    everything = {
        (item.name, str(item.requirement.specifier)): item.hashes
        for item in locked("requirements-dev")
    }
    # AWS's command line has an environment of its own.
    for name in set(LOCKS) - {"requirements-aws-cli"}:
        for entry in locked(name):
            assert everything[entry.name, str(entry.requirement.specifier)] == entry.hashes


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index_and_no_machine(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    assert not re.search(r"(^|\s)(/|~|\.\.)", text)


def test_what_installs_has_its_version_in_one_place() -> None:
    files = [*ROOT.glob("requirements*.txt"), ROOT / "pipeline_image/requirements.txt"]
    pins = [file.name for file in files if re.search(r"^(uv|setuptools)\b", file.read_text(), re.M)]
    assert pins == ["requirements-install.txt"]


def test_the_base_image_stands_in_one_place_that_dependabot_reads() -> None:
    text = (ROOT / "pipeline_image/Dockerfile").read_text(encoding="utf-8")
    origins = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    (base,) = (origin for origin in origins if not origin.startswith("$"))
    assert text.count(base) == 1
    assert re.search(rf"^FROM {re.escape(base)} AS base$", text, re.MULTILINE)
    assert re.search(r"^ARG BASE_IMAGE=base$", text, re.MULTILINE)


@pytest.mark.processes
def test_what_the_image_installs_is_compiled(tmp_path: Path) -> None:
    text = (ROOT / "pipeline_image/Dockerfile").read_text(encoding="utf-8")
    build = text.partition(" AS build\n")[2].partition("\nFROM ")[0].replace("\\\n", " ")
    (variables,) = re.findall(r"^ENV (.+)$", build, re.MULTILINE)
    wheel, info = tmp_path / "one-1-py3-none-any.whl", "one-1.dist-info"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("one.py", "")
        files.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: one\nVersion: 1\n")
        files.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        files.writestr(f"{info}/RECORD", "")
    subprocess.run(
        [*UV_INSTALL, "--python", sys.executable, "--no-index", "--target", "there", wheel],
        cwd=tmp_path,
        env={"PATH": os.defpath, **dict(word.split("=", 1) for word in variables.split())},
        capture_output=True,
        check=True,
    )
    # The container cannot write: without this each start compiles all that it imports.
    assert [path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")] == ["one"]
