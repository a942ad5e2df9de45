"""S3's events on the bus as AWS documents them: the emulator's leave out an object's version."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.services import eventbridge, s3

from local_aws.settings import CloudSettings

_version: ContextVar[str | None] = ContextVar("version", default=None)


def install(settings: CloudSettings) -> None:
    """Let an event say which version of an object it is about."""
    s3._fire_s3_event = _remembering(s3._fire_s3_event)
    eventbridge._dispatch_event = _completing(eventbridge._dispatch_event)


def _remembering(fire: Callable[..., None]) -> Callable[..., None]:
    """Keep the version at hand on the thread that S3 gives each event."""

    def fire_event(*given: object, version_id: str | None = None, **named: object) -> None:
        token = _version.set(version_id)
        try:
            fire(*given, version_id=version_id, **named)
        finally:
            _version.reset(token)

    return fire_event


def _completing(dispatch: Callable[..., None]) -> Callable[..., None]:
    def dispatch_event(event: dict[str, Any], view: object | None = None) -> None:
        if event["Source"] == "aws.s3" and (version := _version.get()):
            detail = json.loads(event["Detail"])
            detail.pop("event-version", None)
            detail["object"]["version-id"] = version
            event = {**event, "Detail": json.dumps(detail)}
        dispatch(event, view)

    return dispatch_event
