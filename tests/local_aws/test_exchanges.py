"""What is read of the bytes that a load balancer forwards, and what is not."""

from __future__ import annotations

import pytest

from local_aws.exchanges import Exchanges

ASKED = b"POST /v1/tasks HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbody"
ANSWERED = b"HTTP/1.1 %d Said\r\nContent-Length: 2\r\n\r\nok"


def seen(*passing: tuple[str, bytes], size: int = 1 << 16) -> list[int]:
    """Status codes that are counted of what passes, in pieces of `size` bytes."""
    statuses: list[int] = []
    times: list[float] = []

    def answered(status: int, seconds: float) -> None:
        statuses.append(status)
        times.append(seconds)

    exchanges = Exchanges(answered)
    for side, data in passing:
        read = exchanges.from_client if side == "client" else exchanges.from_target
        for start in range(0, len(data), size):
            read(data[start : start + size])
    assert all(0 <= time < 60 for time in times)
    return statuses


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_each_answer_on_a_connection_is_counted_in_whatever_pieces(size: int) -> None:
    exchange = [("client", ASKED), ("target", ANSWERED % 200)]
    again = [("client", ASKED), ("target", ANSWERED % 429)]
    assert seen(*exchange, *again, size=size) == [200, 429]


def test_an_interim_answer_is_none() -> None:
    answers = b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWERED % 503
    assert seen(("client", ASKED), ("target", answers)) == [503]


def test_an_answer_that_ends_with_its_connection_is_counted() -> None:
    assert seen(("client", ASKED), ("target", b"HTTP/1.0 200 OK\r\n\r\nto the end")) == [200]


@pytest.mark.parametrize(
    "first", [b"\x16\x03\x01no HTTP", b"HEAD / HTTP/1.1\r\nHost: here\r\n\r\n"]
)
def test_what_cannot_be_told_is_no_more_counted(first: bytes) -> None:
    assert seen(("client", first), ("target", ANSWERED % 200), ("client", ASKED)) == []
