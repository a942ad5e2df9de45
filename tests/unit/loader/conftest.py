"""The ledger that the tests of the loader follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.loader.loading import reference


@pytest.fixture
def ledger(built: Path) -> FakeLedger:
    ledger = FakeLedger()
    ledger.move(reference(built, "1.1.0"))
    return ledger
