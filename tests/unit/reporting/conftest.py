"""Evaluations built once; tests only read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from tests.unit.reporting.evaluations import Builder, Built, Spec, build, written


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Build an evaluation, or give the one that was built for the same specification."""
    kept: dict[Spec, Built] = {}

    def get(**options: object) -> Built:
        spec = Spec(**options)  # type: ignore[arg-type]
        if spec not in kept:
            kept[spec] = build(tmp_path_factory.mktemp("evaluated"), spec)
        return kept[spec]

    return get


@pytest.fixture
def copied(tmp_path: Path) -> Built:
    """A small evaluation of the test's own, free to be changed."""
    return written(tmp_path / "repository", Spec(examples=12))


@pytest.fixture
def here(copied: Built, monkeypatch: pytest.MonkeyPatch) -> Built:
    """An evaluated repository, as the command finds it."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(copied.root))
    for name in (aws_names.ENV_EXECUTION, aws_names.ENV_RESULTS_BUCKET):
        monkeypatch.delenv(name, raising=False)
    return copied
