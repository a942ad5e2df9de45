"""How the service listens: its times fit those of the balancer in front of it."""

from __future__ import annotations

from prompt_hub.cli.serve import behind_balancer
from prompt_hub.core import aws_names
from prompt_hub.service.http import Receive, Scope, Send


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
