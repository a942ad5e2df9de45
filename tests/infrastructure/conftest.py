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
    from tests.infrastructure.synthesised import Assembly

    if "PYTEST_XDIST_WORKER" not in os.environ:
        return _synthesised(tmp_path_factory.mktemp("cdk.out"))
    # The first worker that needs it makes it, in the folder that all of a run share.
    path = tmp_path_factory.getbasetemp().parent / "cdk.out"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = path.with_suffix(".whole")
        if not whole.exists():
            _synthesised(path)
            whole.touch()
        return Assembly(path)


@pytest.fixture(scope="session")
def records(synthesise: Synthesise) -> Assembly:
    """The app whose stage answers files of records."""
    from tests.infrastructure.records_app import stages

    return synthesise(stages())


@pytest.fixture(scope="session")
def records_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """A stage here and one elsewhere, both with records, as `app.py` writes them under cdk-nag."""
    from tests.infrastructure.records_app import with_a_stage_elsewhere
    from tests.infrastructure.synthesised import checked_app

    return checked_app(with_a_stage_elsewhere(), tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """What `make pages` synthesises, whatever a user has made of cdk.json and prompts/."""
    from docs import example_app
    from tests.infrastructure.synthesised import Assembly

    path = tmp_path_factory.mktemp("example")
    example_app.synthesise(path)
    return Assembly(path)


@pytest.fixture(scope="session")
def resources(example: Assembly) -> list[Resource]:
    """Every resource of the example, as the pages read it."""
    return read_resources(example.path)


def _synthesised(
    path: Path, changes: Mapping[str, object] | None = None, **options: Any
) -> Assembly:
    from tests.infrastructure.synthesised import Assembly, build

    build(path, changes, **options).synth()
    return Assembly(path)
