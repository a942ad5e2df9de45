"""A workshop: the small healthy repository as the one that commands work in."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from tests.unit.authoring.bench import Bench
from tests.unit.authoring.workshop import Workshop
from tests.unit.building import RepositoryFolder


@pytest.fixture
def workshop(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """The small healthy repository, as the one that commands work in."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    return Workshop(healthy)


@pytest.fixture
def bench(workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    """A project folder and a repository."""
    return Bench(workshop, tmp_path / "project", capsys)
