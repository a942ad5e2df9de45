"""A workshop: the small healthy repository as the one that commands work in."""

from __future__ import annotations

import pytest

from prompt_hub.core import aws_names
from tests.unit.authoring.workshop import Workshop
from tests.unit.building import RepositoryFolder


@pytest.fixture
def workshop(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """The small healthy repository, as the one that commands work in."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    return Workshop(healthy)
