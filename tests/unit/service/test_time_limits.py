"""A connection whose request does not arrive in time is ended, and the log stays ours."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send

from prompt_hub.cli.serve import behind_balancer, log_as_service
from prompt_hub.ledger.items import VersionRef
from prompt_hub.release.manifest import load
from prompt_hub.repository.schema import JsonObject
from prompt_hub.service import time_limits
from prompt_hub.service.http import LastResort
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.providers import FunctionProvider
from tests.unit.service.serving import RUN, unstarted

SECONDS = 0.6
HEAD = f"POST {RUN} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
RECORD = json.dumps({"fields": {"part_number": "R1", "title": "resistor"}}).encode()


@pytest.fixture(scope="module")
def port(built: Path) -> Iterator[int]:
    """The service as in a stage, but for its patience; its model has a bug."""

    def fail(_: object) -> JsonObject:
        raise RuntimeError("hunter2: nobody foresaw this")

    carried = load(built).tasks["part-class"].version("1.1.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(VersionRef(version="1.1.0", sha256=carried.sha256), "part-class")
    client = FunctionProvider(fail).caller()
    app = unstarted(built, ledger, client=client, body_seconds=SECONDS).application
    with pytest.MonkeyPatch.context() as patch, socket.socket() as listener:
        patch.setattr(time_limits, "SILENT_SECONDS", 2 * SECONDS)
        patch.setattr(time_limits, "HEAD_SECONDS", SECONDS)
        patch.setattr(time_limits, "BODY_SECONDS", 2 * SECONDS)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(behind_balancer(app, "127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        # Its line about the start belongs to no test.
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def answer(connection: socket.socket) -> bytes:
    """One whole answer."""
    said, whole = b"", None
    while whole is None or len(said) < whole:
        piece = connection.recv(65_536)
        assert piece, f"hung up after {said!r}"
        said += piece
        if head := re.match(rb"(?s).*?content-length: (\d+).*?\r\n\r\n", said):
            whole = head.end() + int(head[1])
    return said


def drip(connection: socket.socket, data: bytes, every: float = SECONDS / 8) -> tuple[bytes, float]:
    """Send a byte now and then until the service hangs up; what it said, and after how long."""
    connection.settimeout(every)
    began, said = time.monotonic(), b""
    while time.monotonic() - began < 30:
        try:
            received = connection.recv(65_536)
            if not received:
                return said, time.monotonic() - began
            said += received
        except TimeoutError:
            pass
        except ConnectionError:
            return said, time.monotonic() - began
        try:
            connection.sendall(data[:1])
            data = data[1:] or data
        except ConnectionError:
            pass
    raise AssertionError("the service never hung up")


SLOW = {
    "nothing": (b"", b"", b""),
    "an empty line": (b"\r\n", b"", b""),
    "empty lines": (b"", b"\r\n" * 1000, b""),
    "a head": (b"", b"GET /" + b"x" * 1000, b"408 Request Timeout"),
    "headers": (b"GET / HTTP/1.1\r\n", b"X-A: " + b"x" * 1000, b"408 Request Timeout"),
    "a second head": (GET, b"GET /" + b"x" * 1000, b"408 Request Timeout"),
    "a body": (HEAD, b"x" * 1000, b'"code":"too_slow"'),
    "no body": (HEAD, b"", b'"code":"too_slow"'),
    "a body that nobody reads": (
        HEAD.replace(b"run", b"nowhere"),
        b"x" * 1000,
        b'"code":"no_such_path"',
    ),
    "chunks": (
        HEAD.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked"),
        b"1\r\nx\r\n" * 1000,
        b'"code":"too_slow"',
    ),
}
"""What slow callers send at once and then byte by byte, and what they hear."""


@pytest.fixture(scope="module")
def hung_up_on(port: int) -> Mapping[str, tuple[bytes, float]]:
    """What each slow caller heard, and after how long: all at once, for each takes a second."""

    def call(name: str) -> tuple[bytes, float]:
        before, dripped, _ = SLOW[name]
        with closing(socket.create_connection(("127.0.0.1", port))) as connection:
            connection.sendall(before)
            return drip(connection, dripped)

    with ThreadPoolExecutor(len(SLOW)) as callers:
        return dict(zip(SLOW, callers.map(call, SLOW), strict=True))


@pytest.mark.parametrize("caller", SLOW)
def test_who_is_slow_is_hung_up_on(
    hung_up_on: Mapping[str, tuple[bytes, float]], caller: str
) -> None:
    said, seconds = hung_up_on[caller]
    says = SLOW[caller][2]
    assert says in said
    assert bool(said) == bool(says)
    assert seconds >= SECONDS * 0.8


def test_who_is_not_slow_keeps_the_connection(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.settimeout(10)
        for _ in range(3):
            for piece in (GET[:10], GET[10:]):
                connection.sendall(piece)
                time.sleep(SECONDS / 8)
            assert answer(connection).startswith(b"HTTP/1.1 200 OK")
        time.sleep(SECONDS * 3)
        connection.sendall(GET)
        assert answer(connection).startswith(b"HTTP/1.1 200 OK")


def test_an_empty_line_keeps_no_connection_for_ever_after_an_answer(
    port: int,
) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.settimeout(10)
        connection.sendall(GET)
        assert answer(connection).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(b"\r\n")
        assert connection.recv(65_536) == b""


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
"""As Java's own client offers HTTP/2 with a request."""


@pytest.mark.parametrize("pause", [0.0, SECONDS / 8])
@pytest.mark.parametrize("chunked", [False, True])
def test_who_offers_another_protocol_is_answered_without(
    port: int, pause: float, chunked: bool
) -> None:
    body = b'{"fields": {"nope": 1}}'
    head = HEAD.replace(b": 100", b": %d" % len(body))
    if chunked:
        head = HEAD.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = head.removesuffix(b"\r\n") + UPGRADE + b"\r\n"
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.settimeout(10)
        for _ in range(2):
            for piece in (head[:30], head[30:-20], head[-20:], body[:5], body[5:]):
                connection.sendall(piece)
                time.sleep(pause)
            said = b""
            while not said.endswith(b'"}'):
                received = connection.recv(65_536)
                assert received, said
                said += received
            assert said.startswith(b"HTTP/1.1 422 ")
            assert said.count(b"HTTP/1.1") == 1
        connection.sendall(GET.removesuffix(b"\r\n") + UPGRADE + b"\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 200 OK")


SHORT = SECONDS / 2


async def slow_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer after more time than a head or a body may take."""
    if scope["type"] == "lifespan":
        return
    await asyncio.sleep(3 * SHORT)
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def answers(sent: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What is said to bytes that came before the service looked, and to more after an answer."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(time_limits, name, SHORT)
    with socket.socket() as listener, socket.socket() as connection:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        connection.connect(listener.getsockname())
        connection.settimeout(20)
        connection.sendall(sent)
        server = uvicorn.Server(behind_balancer(slow_app, "127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            said = connection.recv(65_536)
            connection.sendall(then)
            while received := connection.recv(65_536):
                said += received
        finally:
            server.should_exit = True
            thread.join(20)
    return said


@pytest.mark.parametrize("cut", [10, -50], ids=["a head", "a body"])
def test_a_request_behind_another_costs_that_one_no_answer(
    cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = HEAD.replace(b"Host: x", b"Host: x\r\nConnection: close") + b"x" * 100
    said = answers(GET + second[:cut], second[cut:], monkeypatch)
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert b"408" not in said


def test_the_body_before_a_head_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = HEAD.replace(b": 100", b": 100000") + b"x" * 100_000
    last = GET.removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
    said = answers(first + last[:10], last[10:], monkeypatch)
    assert said.count(b"HTTP/1.1 200 OK") == 2


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    time.sleep(0.2)
    said = capsys.readouterr()
    assert said.err == ""
    assert "Traceback" not in said.out
    assert "hunter2" not in said.out
    return [json.loads(line) for line in said.out.splitlines()]


@pytest.mark.parametrize(("size", "status"), [(32, b"200"), (65, b"400")])
def test_a_head_that_goes_on_and_on_is_refused(port: int, size: int, status: bytes) -> None:
    said = b""
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.settimeout(10)
        connection.sendall(GET.removesuffix(b"\r\n") + b"Connection: close\r\nX-Long: ")
        for _ in range(size):
            connection.sendall(b"x" * 1024)
        if status == b"200":
            connection.sendall(b"\r\n\r\n")
        while received := connection.recv(65_536):
            said += received
    assert said.startswith(b"HTTP/1.1 " + status)


def test_an_answer_comes_in_one_piece_and_one_without_a_body_at_once(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.settimeout(10)
        for _ in range(50):
            connection.sendall(GET)
            assert connection.recv(65_536).endswith(b'\r\n\r\n{"ok":true}')
        connection.sendall(GET.replace(b"GET", b"HEAD"))
        said = connection.recv(65_536)
        assert said.startswith(b"HTTP/1.1 405 ")
        assert said.endswith(b"\r\n\r\n")
        connection.sendall(HEAD.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_an_error_that_nobody_foresaw_is_one_line_of_ours(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_service(0)
    head = HEAD.replace(b": 100", b": %d" % len(RECORD))
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(head + RECORD)
        assert answer(connection).startswith(b"HTTP/1.1 500 ")
    (line,) = [line for line in logged(capsys) if line["event"] != "prompt_call"]
    assert (line["event"], line["error"]) == ("unexpected_error", "RuntimeError")
    assert any("test_time_limits.py" in str(place) for place in [line["places"]])


def test_what_the_server_itself_says_is_a_line_of_our_form(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    log_as_service(0)
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(b"hunter2 is no request\r\n\r\n")
        assert answer(connection).startswith(b"HTTP/1.1 400 ")
    (line,) = logged(capsys)
    assert (line["event"], line["logger"]) == ("log", "uvicorn.error")


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"x", GET[:9]])
def test_a_caller_that_goes_away_is_no_error(
    port: int, capsys: pytest.CaptureFixture[str], sent: bytes
) -> None:
    log_as_service(0)
    with closing(socket.create_connection(("127.0.0.1", port))) as connection:
        connection.sendall(sent)
        time.sleep(0.05)
    assert logged(capsys) == []


def test_a_call_that_outlives_the_drain_is_answered() -> None:
    """The server cancels what is left when it has waited long enough."""

    async def for_ever(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(3600)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def cancelled() -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": RUN, "headers": []}
        task = asyncio.create_task(LastResort(for_ever)(scope, receive, send))
        await asyncio.sleep(0)
        task.cancel()
        await task
        return sent

    start, body = asyncio.run(cancelled())
    assert start["status"] == 503
    assert (b"retry-after", b"5") in start["headers"]
    assert json.loads(body["body"])["error"]["message"] == "the service stops: ask again"
