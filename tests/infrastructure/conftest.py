"""Synthesises the app once for all tests that only look at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.infrastructure.synthesised import Assembly

# Both are read when aws_cdk is imported, which the test modules do after this file. The run with
# CDK's validation is in test_synth_cli.py.
os.environ["CDK_VALIDATION"] = "false"
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "synth: one validated synthesis through the command line")


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Assembly]:
    """Synthesise the app; takes what `synthesised.build` takes."""
    from tests.infrastructure.synthesised import Assembly, build

    def run(changes: Mapping[str, object] | None = None, **options: Any) -> Assembly:
        path = tmp_path_factory.mktemp("cdk.out")
        build(path, changes, **options).synth()
        return Assembly(path)

    return run


@pytest.fixture(scope="session")
def assembly(synthesise: Callable[..., Assembly]) -> Assembly:
    """The app as cdk.json describes it, with two tasks."""
    return synthesise()
