"""`make bench` runs all that the targets of single benchmarks run, on a fresh machine, too."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import BENCHMARKS
from tests.unit.make_plans import plan_of

pytestmark = [pytest.mark.processes, pytest.mark.shipped]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_make_bench_brings_what_a_benchmark_by_itself_brings(name: str) -> None:
    *prepared, _ = plan_of(f"bench-{name}")
    assert set(prepared) <= set(plan_of("bench"))
