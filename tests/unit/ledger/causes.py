"""Who changes a ledger, why and to what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prompt_hub.ledger.items import (
    ReleaseRef,
    VersionRef,
    timestamp,
)
from prompt_hub.ledger.transitions import Cause

START = datetime(2026, 11, 3, 9, tzinfo=UTC)
RELEASE = ReleaseRef(release="r-1", made_at=timestamp(START))


def reference(version: str) -> VersionRef:
    return VersionRef(version=version, sha256=f"sha-{version}")


def cause(minute: int = 0) -> Cause:
    return Cause(by="ann", reason="test", at=timestamp(START + timedelta(minutes=minute)))
