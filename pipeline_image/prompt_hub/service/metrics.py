"""What the ledger poller has to say: log lines, and metrics that people can alarm on."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Self

from prompt_hub.core import aws_names
from prompt_hub.core.embedded_metrics import MEMBER, directive, metadata
from prompt_hub.ledger.items import VersionRef
from prompt_hub.service.execution_log import log_line

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef


QUIET_SECONDS = 30.0
"""After a metric that could not be published none is tried for so long: pointers go first."""


@cache
def _moved() -> list[dict[str, object]]:
    namespace = aws_names.calls_namespace()
    return directive(namespace, ("stage", "task"), (aws_names.VERSION_MOVED, "Count"))


class LogsAndMetrics:
    """Writes log lines and publishes counts; a metric that cannot be published is only logged.

    It speaks from the thread that follows the ledger, which must not wait for CloudWatch.
    """

    def __init__(
        self,
        client: CloudWatchClient,
        stage: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._stage = stage
        self._clock = clock
        self._quiet_until = clock()

    @classmethod
    def connect(cls, stage: str) -> Self:
        """Report to CloudWatch, with little patience."""
        import boto3
        from botocore.config import Config

        config = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
        return cls(boto3.client("cloudwatch", config=config), stage)

    def snapshot_served(self, reason: str) -> None:
        """Count that the image's own pointers are served."""
        log_line("snapshot_served", reason=reason)
        self._count(aws_names.SNAPSHOT_SERVED)

    def pointer_refused(self, task: str, wanted: VersionRef, kept: str) -> None:
        """Count that a pointer is refused."""
        log_line(
            "pointer_refused", task=task, wanted=wanted.version, sha256=wanted.sha256, kept=kept
        )
        self._count(aws_names.POINTER_REFUSED)

    def moved(self, task: str, left: str | None, reached: str, revision: int) -> None:
        """Log that another version answers from now on."""
        log_line(
            "pointer_moved",
            stage=self._stage,
            task=task,
            left=left,
            reached=reached,
            revision=revision,
            # What a start reads first is no change.
            **({aws_names.VERSION_MOVED: 1, MEMBER: metadata(_moved())} if left else {}),
        )

    def ledger_lost(self, reason: str) -> None:
        """Log that the ledger stopped answering."""
        log_line("ledger_lost", reason=reason)

    def ledger_unreachable(self, reason: str) -> None:
        """Count that the ledger cannot be followed."""
        log_line("ledger_unreachable", reason=reason)
        self._count(aws_names.LEDGER_UNREACHABLE)

    def ledger_found(self, revision: int) -> None:
        """Log that the ledger answers."""
        log_line("ledger_found", revision=revision)

    def _count(self, alarm: aws_names.ServiceAlarm) -> None:
        if self._clock() < self._quiet_until:
            return
        stage: DimensionTypeDef = {"Name": aws_names.DIMENSION_STAGE, "Value": self._stage}
        try:
            self._client.put_metric_data(
                Namespace=aws_names.service_namespace(),
                MetricData=[
                    {"MetricName": alarm.metric, "Dimensions": [stage], "Value": 1, "Unit": "Count"}
                ],
            )
        except Exception as error:
            # Serving goes on without its metrics.
            self._quiet_until = self._clock() + QUIET_SECONDS
            log_line("metric_not_published", metric=alarm.metric, reason=type(error).__name__)
