"""Ports: nobody gets one that is taken, and what was started before gets its own again."""

from __future__ import annotations

import socket

from local_aws.ports import HOST, SERVERS, release, reserve


def test_a_port_is_given_once_until_it_is_released() -> None:
    few = range(SERVERS.start, SERVERS.start + 20)
    first, second = reserve(few), reserve(few)
    assert first != second
    assert {first, second} <= set(few)
    release(first)
    assert reserve(range(first, first + 1)) == first
    release(first)
    release(second)


def test_a_port_of_before_comes_back_unless_somebody_listens_there() -> None:
    before = reserve(SERVERS)
    assert reserve(SERVERS, before) == before
    with socket.create_server((HOST, before)):
        other = reserve(SERVERS, before)
    assert other != before
    for port in (before, other):
        release(port)
