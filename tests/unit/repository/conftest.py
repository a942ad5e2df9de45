"""Fixtures of tests that read and write a repository."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from prompt_hub.core import aws_names
from tests.unit.building import RepositoryFolder
from tests.unit.llm.batch_server import BatchServer, batch_server


@pytest.fixture
def s3(healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    """Objects on loopback; the commands are about the healthy repository."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with batch_server() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv(aws_names.ENV_MODELS, server.models())
        yield server
