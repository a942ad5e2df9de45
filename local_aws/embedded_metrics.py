"""Metrics in log lines: CloudWatch's embedded metric format, which the emulator only stores.

As on AWS every line that reaches CloudWatch Logs is looked at, whoever sent it, and a line is taken
whole or not at all: one that the specification does not allow gives no metric, and says nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ministack.services import cloudwatch, cloudwatch_logs

from local_aws.settings import CloudSettings

MOST_DIMENSIONS = 30
MOST_METRICS = 100
logger = logging.getLogger(__name__)


class Datum(NamedTuple):
    """One value of one metric."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    seconds: float
    unit: str
    values: list[float]


def install(_settings: CloudSettings) -> None:
    """Let the emulator look at each line that it is given."""
    cloudwatch_logs._append_log_events = _looking(cloudwatch_logs._append_log_events)


def _looking(append: Callable[..., None]) -> Callable[..., None]:
    def append_and_look(stream: object, events: list[dict[str, object]]) -> None:
        append(stream, events)
        found = [datum for event in events for datum in metrics_in(str(event["message"]))]
        for datum in found:
            cloudwatch._store_datum(
                datum.namespace,
                datum.name,
                datum.dimensions,
                datum.seconds,
                datum.unit,
                None,
                datum.values,
                None,
                None,
            )
        if found:
            cloudwatch._evaluate_all_alarms()

    return append_and_look


def metrics_in(message: str) -> list[Datum]:
    """Return the metrics in a line; empty for other lines, and for those that break the format."""
    if "_aws" not in message:
        return []
    try:
        line = json.loads(message, parse_constant=_no_json)
        return list(_data(line))
    except (KeyError, TypeError, ValueError):
        logger.debug("no metrics in a line of %d characters", len(message))
        return []


def _no_json(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def _data(line: dict[str, object]) -> Iterator[Datum]:
    metadata = line["_aws"]
    if not isinstance(metadata, dict):
        raise TypeError
    seconds = metadata["Timestamp"] / 1000
    for directive in metadata["CloudWatchMetrics"]:
        metrics = directive["Metrics"]
        if len(metrics) > MOST_METRICS:
            raise ValueError
        for names in directive["Dimensions"]:
            dimensions = {str(name): _dimension(line[name]) for name in names}
            if len(dimensions) > MOST_DIMENSIONS:
                raise ValueError
            for metric in metrics:
                yield Datum(
                    directive["Namespace"],
                    metric["Name"],
                    dimensions,
                    seconds,
                    metric.get("Unit", "None"),
                    _values(line[metric["Name"]]),
                )


def _dimension(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _values(value: object) -> list[float]:
    found: list[float] = []
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError
        found.append(float(number))
    return found
