"""Clients of the local AWS for what runs inside it on threads of its own.

Never to be used on the event loop, so not in a CloudFormation handler either: the request would
wait for the loop that waits for it. The process's environment names the endpoint.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client

_made: dict[tuple[str, str], Any] = {}
_lock = threading.Lock()


def client(service: str, role: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - made at run time
    """Return the one client of `service`, or that of a role, given its variables.

    Clients may be shared between threads, making them may not.
    """
    # A sixth of a second, which a local AWS without builds never waits for.
    import boto3

    keys = {name.lower(): value for name, value in (role or {}).items()}
    of = (service, keys.get("aws_access_key_id", ""))
    with _lock:
        if of not in _made:
            _made[of] = boto3.client(service, **keys)  # type: ignore[call-overload]
        return _made[of]


def s3() -> S3Client:
    """S3."""
    made: S3Client = client("s3")
    return made


def logs() -> CloudWatchLogsClient:
    """CloudWatch Logs."""
    made: CloudWatchLogsClient = client("logs")
    return made


def cloudformation(role: Mapping[str, str]) -> CloudFormationClient:
    """CloudFormation, as a role."""
    made: CloudFormationClient = client("cloudformation", role)
    return made
