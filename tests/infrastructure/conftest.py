"""Synthesises the app once for all tests that only look at it, however many workers there are."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from docs.synthesised import read_resources

if TYPE_CHECKING:
    from docs.synthesised import Resource
    from tests.infrastructure.synthesised import Assembly

# Both are read when aws_cdk is imported, which the test modules do after this file. The run with
# CDK's validation is in test_synth_cli.py.
os.environ["CDK_VALIDATION"] = "false"
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")


Synthesise = Callable[..., "Assembly"]


@pytest.fixture(autouse=True)
def installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back the name that a synthesis leaves behind for the names of its process."""
    monkeypatch.setenv("PROMPT_HUB_INSTALLATION", "prompt-hub")


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Synthesise the app; takes what `synthesised.build` takes."""

    def run(changes: Mapping[str, object] | None = None, **options: Any) -> Assembly:
        return _synthesised(tmp_path_factory.mktemp("cdk.out"), changes, **options)

    return run


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The app as cdk.json describes it, with two tasks."""
    return _shared(tmp_path_factory, "cdk.out", _synthesised)


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The app whose stage answers files of records."""
    from tests.infrastructure.records_app import stages

    return _shared(tmp_path_factory, "records", lambda path: _synthesised(path, stages()))


@pytest.fixture(scope="session")
def records_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """A stage here and one elsewhere, both with records, as `app.py` writes them under cdk-nag."""
    from tests.infrastructure.records_app import with_a_stage_elsewhere
    from tests.infrastructure.synthesised import checked_app

    return _shared(
        tmp_path_factory, "elsewhere", lambda path: checked_app(with_a_stage_elsewhere(), path)
    )


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """What `make pages` synthesises, whatever a user has made of cdk.json and prompts/."""
    from docs import example_app

    return _shared(tmp_path_factory, "example", example_app.synthesise)


@pytest.fixture(scope="session")
def resources(example: Assembly) -> list[Resource]:
    """Every resource of the example, as the pages read it."""
    return read_resources(example.path)


def _shared(
    tmp_path_factory: pytest.TempPathFactory, name: str, synthesise: Callable[[Path], object]
) -> Assembly:
    """Let the first worker that needs it make it, in the folder that all of a run share."""
    from tests.infrastructure.synthesised import Assembly

    if "PYTEST_XDIST_WORKER" not in os.environ:
        path = tmp_path_factory.mktemp(name)
        synthesise(path)
        return Assembly(path)
    path = tmp_path_factory.getbasetemp().parent / name
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = path.with_suffix(".whole")
        if not whole.exists():
            synthesise(path)
            whole.touch()
        return Assembly(path)


def _synthesised(
    path: Path, changes: Mapping[str, object] | None = None, **options: Any
) -> Assembly:
    from tests.infrastructure.synthesised import Assembly, build

    build(path, changes, **options).synth()
    return Assembly(path)
