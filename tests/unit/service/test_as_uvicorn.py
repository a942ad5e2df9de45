"""Over real sockets the service's protocol says what uvicorn's own would, byte for byte.

It has taken the place of some of uvicorn's private methods: another release of uvicorn that does
more in them than this one is noticed here.
"""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from prompt_hub.cli.serve import behind_balancer
from prompt_hub.service.http import Receive, Scope, Send
from prompt_hub.service.time_limits import TimedProtocol

LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BODY = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)
EXPECTING = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Say what was heard, as the path wants it: early, in parts, as an error, or long."""
    path, body = scope["path"], b""
    while "early" not in path:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    said = f"{scope['method']} {path} {scope['query_string']} {scope['http_version']}".encode()
    said += body * (100_000 if "long" in path else 1)
    headers = [(b"content-length", b"%d" % len(said))]
    status = 404 if "missing" in path else 200
    if "bare" in path:
        headers = [(b"connection", b"close"), *headers]
        status = 413
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if "parts" in path:
        await send({"type": "http.response.body", "body": said[:3], "more_body": True})
        said = said[3:]
    await send({"type": "http.response.body", "body": said})


async def heard(protocol: type[HttpToolsProtocol], pieces: list[bytes]) -> bytes:
    """Send the pieces one after the other, and read until the server closes."""
    config: uvicorn.Config = behind_balancer(app, "127.0.0.1", 0)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    finally:
        server.close()
    assert not state.tasks
    return answer


@pytest.mark.parametrize(
    "pieces",
    [
        [LAST],
        [BODY % b"/a" + CHUNKED + LAST],
        [BODY % b"/early", BODY % b"/early-missing", LAST],
        [CHUNKED[:70], CHUNKED[70:80], CHUNKED[80:], LAST],
        [EXPECTING, b"hello", LAST],
        [b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n", b"HEAD /parts HTTP/1.1\r\nHost: x\r\n\r\n", LAST],
        [BODY % b"/parts" + BODY % b"/missing" + BODY % b"/a%20b?c=d" + LAST],
        [BODY % b"/long" + BODY % b"/a" + LAST],
        [b"GET /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"],
        [BODY % b"/a", BODY % b"/bare"],
        [BODY % b"/a", b"GARBAGE\r\n\r\n"],
        [b"\r\n\r\n", BODY % b"/a", b"\r\n", LAST],
    ],
)
def test_whoever_asks_hears_what_uvicorn_would_say(pieces: list[bytes]) -> None:
    async def run() -> tuple[bytes, bytes]:
        return await heard(TimedProtocol, pieces), await heard(HttpToolsProtocol, pieces)

    ours, theirs = asyncio.run(run())
    assert ours == theirs
    assert ours.startswith(b"HTTP/1.1 ")
