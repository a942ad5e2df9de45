"""`dedup` in queries of logs, which the emulator passes over without a word.

As on CloudWatch the first of each value stays, in the order of `sort`; without one, the newest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch_logs

from local_aws.settings import CloudSettings

_DEDUP = re.compile(r"dedup\s+(.+)", re.I)
Record = dict[str, Any]


def install(_settings: CloudSettings) -> None:
    """Let queries drop what they said already."""
    cloudwatch_logs._apply_insights_sort = _distinct(cloudwatch_logs._apply_insights_sort)


def _distinct(sort: Callable[[list[Record], str], list[Record]]) -> Callable[..., list[Record]]:
    def sort_and_drop(records: list[Record], query: str) -> list[Record]:
        stages = cloudwatch_logs._split_insights_pipes(query)
        fields = next((m[1].split(",") for stage in stages if (m := _DEDUP.match(stage))), None)
        if fields is None:
            return sort(records, query)
        sorts = any(stage.lower().startswith("sort") for stage in stages)
        kept: dict[tuple[object, ...], Record] = {}
        for record in sort(records, query if sorts else f"{query} | sort @timestamp desc"):
            public = cloudwatch_logs._public_log_record(record)
            kept.setdefault(tuple(public.get(field.strip()) for field in fields), record)
        return list(kept.values())

    return sort_and_drop
