"""Coverage counts the product, and makes what counts nothing twice as slow."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/unit/benchmarks/" in item.nodeid:
            item.add_marker(pytest.mark.no_cover)
