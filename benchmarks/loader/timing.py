"""Seconds of one call, many times: shared by all sides, and free of any of their packages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence

WARM_UP = 2_000
CALLS = 50_000

Record = Mapping[str, str]


def measure(call: Callable[[Record], object], records: Sequence[Record]) -> str:
    """Call once for each record, again and again; return percentiles as a line of JSON."""
    for number in range(WARM_UP):
        call(records[number % len(records)])
    clock, taken = time.perf_counter_ns, []
    before = time.process_time_ns()
    for number in range(CALLS):
        record = records[number % len(records)]
        start = clock()
        call(record)
        taken.append(clock() - start)
    cpu = time.process_time_ns() - before
    taken.sort()
    return json.dumps(
        {
            "p50": taken[CALLS // 2] / 1000,
            "p99": taken[CALLS * 99 // 100] / 1000,
            "cpu": cpu / CALLS / 1000,
        }
    )
