"""How the service is put together: what it serves alone, and times that fit its balancer's."""

from __future__ import annotations

from datetime import UTC, datetime

from prompt_hub.cli.serve import behind_balancer
from prompt_hub.core import aws_names
from prompt_hub.release.carried import CarriedHashes
from prompt_hub.release.ledger_poller import SNAPSHOT_AFTER_SECONDS, LedgerPoller
from prompt_hub.release.manifest import Quarantine, load
from prompt_hub.service.http import Receive, Scope, Send
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.heard import Heard


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that never answers."""


def test_the_balancer_leaves_a_connection_before_the_service_closes_it() -> None:
    config = behind_balancer(nothing, "127.0.0.1", 8080)
    assert (
        config.timeout_keep_alive > aws_names.BALANCER_IDLE_SECONDS > aws_names.LONGEST_CALL_SECONDS
    )


def test_the_longest_call_may_end_before_the_process_does() -> None:
    config = behind_balancer(nothing, "127.0.0.1", 8080)
    assert (
        config.timeout_graceful_shutdown == aws_names.DRAIN_SECONDS > aws_names.LONGEST_CALL_SECONDS
    )


def test_a_container_whose_ledger_is_away_serves_no_champion_that_did_harm(
    healthy: RepositoryFolder,
) -> None:
    image = load(healthy.root)
    champion = image.tasks["part-class"].version("1.1.0")
    assert champion is not None
    told = Quarantine(
        sha256=champion.sha256,
        by="rollback (dev)",
        reason="it scored 0.4",
        at=datetime(2026, 11, 27, tzinfo=UTC),
    )
    image = image.model_copy(update={"quarantined": {"part-class": {"1.1.0": told}}})
    ledger, times = FakeLedger(), iter([0.0, SNAPSHOT_AFTER_SECONDS])
    ledger.table.away = True
    poller = LedgerPoller.of_release(
        CarriedHashes.of(image), ledger, Heard(), clock=lambda: next(times, SNAPSHOT_AFTER_SECONDS)
    )
    poller.poll()
    served = {task: version.reference.version for task, version in poller.state.served.items()}
    assert served == {"brand": "1.0.0", "part-class": "1.0.0"}
