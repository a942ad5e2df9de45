"""The engine on a bad day, small: the real command, real sockets, two real kill -9."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.eval.endpoint import Fault
from benchmarks.eval.faults import FaultPlan, fault_run

SMALL = FaultPlan(examples=200, in_flight=16, fault_rate=0.03, kill_at=(0.3, 0.7))


@pytest.mark.processes
def test_nothing_is_lost_and_nothing_paid_twice_on_a_bad_day(tmp_path: Path) -> None:
    report = fault_run(SMALL, tmp_path)
    assert set(report.faults) == {str(fault) for fault in Fault}
    assert not report.broken, "\n".join(report.broken)
