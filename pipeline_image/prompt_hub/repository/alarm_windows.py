"""Which score watches make alarms that CloudWatch takes: one rule for validation and for Synth."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.core.wording import count
from prompt_hub.repository.schema import ScoreWatch

_HOUR = 60
_DAY = 24 * _HOUR


def alarm_problems(watch: ScoreWatch) -> Iterator[tuple[str, str, str]]:
    """Say what makes no alarm that can fire: the setting, what it is, what is expected.

    CloudWatch looks back seven days where a period is an hour or more, else one day (`Period` in
    the documentation of PutMetricAlarm, November 2026).
    """
    hourly = watch.every_minutes >= _HOUR
    most = (7 * _DAY if hourly else _DAY) // watch.every_minutes
    if watch.evaluation_periods > most:
        window = "seven days" if hourly else "one day where samples come within the hour"
        every = count(watch.every_minutes, "minute")
        yield (
            "evaluation_periods",
            f"{watch.evaluation_periods} with a sample every {every}",
            f"at most {most}: CloudWatch looks back {window}",
        )
    if watch.datapoints_to_alarm > watch.evaluation_periods:
        yield (
            "datapoints_to_alarm",
            str(watch.datapoints_to_alarm),
            f"at most evaluation_periods, {watch.evaluation_periods}",
        )
