"""A test of `make unit` stays in its process, and the mark of one that does not is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.processes import STALE

ROOT = Path(__file__).resolve().parents[2]

CONFTEST = """\
import subprocess, sys
from pathlib import Path

import pytest
from tests.unit.processes import STARTS, StaysInProcess, started

sys.addaudithook(lambda event, _: started.append(event) if event in STARTS else None)


def pytest_configure(config):
    config.addinivalue_line("markers", "processes: starts one")
    config.pluginmanager.register(StaysInProcess([Path(__file__).parent / "held"]))


@pytest.fixture(scope="session")
def made_once():
    subprocess.run(["true"], check=True)
"""
SAMPLES = """\
import os, subprocess
import pytest


def test_stays(): pass
def test_starts(): subprocess.run(["true"], check=True)
def test_forks():
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
def test_uses_what_was_started_once(made_once): pass
def test_uses_it_too(made_once): pass
@pytest.mark.processes
def test_marked_and_starts(): subprocess.run(["true"], check=True)
@pytest.mark.processes
def test_marked_and_uses(made_once): pass
@pytest.mark.processes
def test_marked_and_stays(): pass
@pytest.mark.processes
def test_marked_and_skipped(): pytest.skip("no git here")
def test_starts_none_after_one_that_did(): pass
"""


@pytest.mark.processes
def test_who_starts_a_process_is_marked_and_who_is_marked_starts_one(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    for folder in ("held", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test_samples.py").write_text(SAMPLES, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--import-mode=importlib", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict(re.findall(r"^_+ (test_\w+) _+\n(.*)$", done.stdout, re.MULTILINE))
    assert {name: reason.split(" (")[0] for name, reason in found.items()} == {
        "test_starts": "it starts a process",
        "test_forks": "it starts a process",
        "test_uses_what_was_started_once": "it starts a process",
        "test_uses_it_too": "it starts a process",
        "test_marked_and_stays": STALE,
    }
    assert "FAILED other/" not in done.stdout
    assert "5 failed, 13 passed, 2 skipped" in done.stdout
