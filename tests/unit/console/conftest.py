"""The console of a stage, and a browser's side of it without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from prompt_hub.console.app import create_app
from prompt_hub.console.pages import Console
from tests.unit.console.stages import PORT, TOKEN, Browse, FakeStage, lived_stage


@pytest.fixture
def lived(tmp_path: Path) -> Console:
    return lived_stage(tmp_path)


@pytest.fixture
def clock(lived: Console) -> list[float]:
    """The one element is the time that the console of `lived` has, in seconds."""
    clock = [0.0]
    lived._asker._clock = lambda: clock[0]
    return clock


@pytest.fixture
def stranger() -> Browse:
    """Open the console without a token."""

    def open_(console: Console) -> TestClient:
        app = create_app(console, token=TOKEN, port=PORT)
        return TestClient(app, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)

    return open_


@pytest.fixture
def browse(stranger: Browse) -> Browse:
    """Open the console as whoever was given its address."""

    def open_(console: Console) -> TestClient:
        client = stranger(console)
        assert client.get(f"/?token={TOKEN}").status_code == 303
        return client

    return open_


@pytest.fixture
def fake(lived: Console) -> FakeStage:
    """The stage of `lived`."""
    assert isinstance(lived.stage, FakeStage)
    return lived.stage
