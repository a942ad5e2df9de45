"""Log lines that CloudWatch reads metrics out of: its embedded metric format.

Standard library only: the rollback Lambda carries this module, too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

MEMBER = "_aws"
"""The member of a line that says which of the others are metrics."""


def directive(
    namespace: str, dimensions: Sequence[str], *metrics: tuple[str, str]
) -> list[dict[str, object]]:
    """Return which members of a line are metrics, each by name and unit, and which tell them apart.

    In its line a metric must be a number and a dimension a text, or CloudWatch takes none of it.
    """
    return [
        {
            "Namespace": namespace,
            "Dimensions": [dimensions],
            "Metrics": [{"Name": name, "Unit": unit} for name, unit in metrics],
        }
    ]


def metadata(directives: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return what `MEMBER` is in a line that is written now."""
    return {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directives}
