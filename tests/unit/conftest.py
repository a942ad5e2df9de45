"""Fixtures that every unit test may use."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from prompt_hub.release.code_tests import is_code
from tests.unit.building import RepositoryFolder, build
from tests.unit.kept_folder import KeptFolder
from tests.unit.processes import STARTS, StaysInProcess, started

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 2 * 1024**3


def _in_memory() -> bool:
    """Whether this system keeps files in memory, lets them run, and has room for these tests'."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return False
    system = os.statvfs(MEMORY)
    return not system.f_flag & os.ST_NOEXEC and system.f_bavail * system.f_frsize > ENOUGH_BYTES


# Thousands of small repositories are written, synchronised and removed: that waits for a disk.
if _in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

ROOT = f"{Path(__file__).resolve().parents[2]}/"
_opened: list[str] = []
_is_code = cache(is_code)


def _note_what_a_test_does(event: str, arguments: tuple[object, ...]) -> None:
    # Python calls this for everything that it does: half a microsecond here is seconds of a run.
    if event != "open":
        if event in STARTS:
            started.append(event)
        return
    name = arguments[0]
    if isinstance(name, Path):
        name = str(name)
    if isinstance(name, str) and name.startswith(ROOT):
        name = name.removeprefix(ROOT)
        if not _is_code(name):
            _opened.append(name)


# Python asks a process for this, once: the first test that imports the SDK would have started it.
platform.platform()
sys.addaudithook(_note_what_a_test_does)


def pytest_configure(config: pytest.Config) -> None:
    """Hold every test of these tiers to what its mark says of processes."""
    tests = Path(__file__).resolve().parents[1]
    config.pluginmanager.register(StaysInProcess((tests / "unit", tests / "lambdas")))


@pytest.fixture(autouse=True)
def reads_code_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that opens what its outcome may not depend on: the pipeline remembers green runs.

    This repository's own prompts and pages are no code, so a test of them is `shipped`: decision
    1007.
    """
    _opened.clear()
    yield
    if request.node.get_closest_marker("shipped") is None:
        assert not _opened, f"mark this test as shipped: it reads {sorted(set(_opened))}"


@pytest.fixture
def no_long_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands ask an ailing model as often as always, a ten-thousandth of a second apart."""
    from prompt_hub.llm import client
    from prompt_hub.llm.retry import Retries

    monkeypatch.setattr(client, "Retries", partial(Retries, first=0.0001))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The healthy repository, built once; tests take their own copy by `healthy`."""
    return build(tmp_path_factory.mktemp("healthy")).root


@pytest.fixture(scope="session")
def kept(built: Path) -> KeptFolder:
    """The healthy repository as it was built, whatever a test has done to it."""
    return KeptFolder.read(built)


@pytest.fixture
def healthy(kept: KeptFolder, tmp_path: Path) -> RepositoryFolder:
    """A healthy prompt repository of two tasks, free to be changed."""
    return RepositoryFolder(kept.write(tmp_path / "repository"))
