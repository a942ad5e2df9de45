"""The one service that the tests of a file share."""

import pytest

from prompt_hub.service import execution_log
from tests.unit.service.serving import running, service

__all__ = ["running", "service"]


@pytest.fixture(autouse=True)
def lines_with_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each call's line written before the next call is heard."""
    monkeypatch.setattr(execution_log, "AFTER_ANSWER_SECONDS", 0.0)
