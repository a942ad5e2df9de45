"""How the service is put together: what it serves alone, and times that fit its balancer's."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime

import pytest

from prompt_hub.cli import serve
from prompt_hub.cli.serve import behind_balancer
from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.config import ModelConfig
from prompt_hub.release.carried import CarriedHashes
from prompt_hub.release.ledger_poller import SNAPSHOT_AFTER_SECONDS, LedgerPoller
from prompt_hub.release.manifest import Quarantine, load
from prompt_hub.service import workers
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
    poller = LedgerPoller(
        CarriedHashes.of(image), ledger, Heard(), clock=lambda: next(times, SNAPSHOT_AFTER_SECONDS)
    )
    poller.poll()
    served = {task: version.reference.version for task, version in poller.state.served.items()}
    assert served == {"brand": "1.0.0", "part-class": "1.0.0"}


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.configure(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--poll-seconds", "nan"),
        ("--poll-seconds", "inf"),
        ("--poll-seconds", "1e300"),
        ("--poll-seconds", "0"),
        ("--workers", "-1"),
        ("--max-calls", "0"),
    ],
)
def test_a_number_that_means_nothing_is_refused_with_its_option(words: tuple[str, str]) -> None:
    with pytest.raises(PromptHubError, match=f"^{words[0]} must be "):
        serve.run(arguments(*words))


@pytest.mark.skipif(sys.platform != "linux", reason="workers share what Linux has")
def test_where_workers_can_share_nothing_one_serves_unless_more_are_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    monkeypatch.setattr(workers, "cores", lambda: 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    models = [ModelConfig.model_validate({"alias": "a", "provider": "openai", "model": "m"})]
    # As where /dev/shm cannot be written: the file of a semaphore may have no byte.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        found = [serve.shared_memory(number, models) for number in (0, 1)]
        with pytest.raises(PromptHubError, match="cannot share their limits") as refused:
            serve.shared_memory(2, models)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found == [None, None]
    assert refused.value.hint is not None
    assert "--workers 1" in refused.value.hint
    said = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert said == ["one_worker", "one_worker"]
    # One worker has a supervisor beside it, so that following the ledger holds up no call.
    for asked, number in ((0, 2), (1, 1)):
        memory = serve.shared_memory(asked, models)
        assert memory is not None
        assert memory.workers == number


@pytest.mark.skipif(sys.platform != "linux", reason="workers share what Linux has")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_workers_take_no_part_of_another_services_calls(host: str) -> None:
    ours = workers.listeners(host, 0, 2)
    try:
        (port,) = {listener.getsockname()[1] for listener in ours}
        with pytest.raises(PromptHubError, match="cannot be listened on"):
            workers.listeners(host, port, 2)
    finally:
        for listener in ours:
            listener.close()
    for listener in workers.listeners(host, port, 2):
        listener.close()
