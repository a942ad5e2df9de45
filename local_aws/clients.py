"""Clients of the local AWS for what runs inside it on threads of its own.

Never to be used on the event loop, so not in a CloudFormation handler either: the request would
wait for the loop that waits for it. The process's environment names the endpoint.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client

_made: dict[str, Any] = {}
_lock = threading.Lock()


def client(service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
    """Return the one client of `service`.

    Clients may be shared between threads, making them may not.
    """
    with _lock:
        if service not in _made:
            _made[service] = boto3.client(service)  # type: ignore[call-overload]
        return _made[service]


def s3() -> S3Client:
    """S3."""
    made: S3Client = client("s3")
    return made


def logs() -> CloudWatchLogsClient:
    """CloudWatch Logs."""
    made: CloudWatchLogsClient = client("logs")
    return made


def cloudformation() -> CloudFormationClient:
    """CloudFormation."""
    made: CloudFormationClient = client("cloudformation")
    return made
