"""Ports: nobody gets one that is taken, and what was started before gets its own again."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from local_aws.ports import HOST, SERVERS, release, reserve
from local_aws.stack import LocalStack


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


@pytest.mark.parametrize("left", ["", '{"cloud": 19'], ids=["a full disk", "cut off"])
def test_ports_that_were_not_written_to_their_end_are_chosen_anew(
    tmp_path: Path, left: str
) -> None:
    (tmp_path / "cdk.json").write_text('{"context": {"prompt-hub": {"region": "us-east-1"}}}')
    (tmp_path / "ports.json").write_text(left, encoding="utf-8")
    chosen = LocalStack(tmp_path, tmp_path).ports
    assert set(chosen) == {"cloud", "model", "console"}
    written = (tmp_path / "ports.json").stat()
    for port in chosen.values():
        release(port)
    assert LocalStack(tmp_path, tmp_path).ports == chosen
    assert (tmp_path / "ports.json").stat().st_mtime_ns == written.st_mtime_ns
    for port in chosen.values():
        release(port)
