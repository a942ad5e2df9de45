"""A mock model: OpenAI-compatible chat completions after a fixed time, with faults on demand.

Raw asyncio protocols, so that it costs a runner nothing but the latency asked for. Run as a process
of its own, on loopback; the first line that it prints is its port. It ends with its standard input.

`POST /v1/chat/completions` answers, `GET /stats` counts, `POST /reset` starts counting anew.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from benchmarks.eval import task


class Fault(StrEnum):
    """What can go wrong with a call."""

    BUSY = "429"
    BROKEN = "500"
    DISCONNECT = "disconnect"
    MALFORMED = "malformed"


RETRY_AFTER_SECONDS = 1

_HEAD = (
    b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n"
    b"Connection: keep-alive\r\n\r\n"
)
_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 500: b"Internal Server Error"}
_REASONS |= {429: b"Too Many Requests", 501: b"Not Implemented"}


def http(status: int, body: bytes, headers: bytes = b"") -> bytes:
    """One whole response."""
    return _HEAD % (status, _REASONS[status], headers, len(body)) + body


class Counts:
    """What has been asked and answered since the start or the last reset.

    A call counts as answered once a whole and well-formed answer is due, whether or not the client
    is still there: a provider bills it either way. Two calls are the same request if their bodies
    are the same bytes.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.answered = 0
        self.unread = 0
        self.in_flight = 0
        self.in_flight_max = 0
        self.first_request_at: float | None = None
        self.faults: Counter[str] = Counter()
        self.asked: Counter[bytes] = Counter()
        self._answers: Counter[bytes] = Counter()
        self._answered_times: Counter[int] = Counter()

    def ask(self, digest: bytes) -> int:
        """Count a call; returns how often this request was asked before."""
        if self.first_request_at is None:
            self.first_request_at = time.monotonic()
        self.requests += 1
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        self.asked[digest] += 1
        return self.asked[digest] - 1

    def answer(self, digest: bytes) -> None:
        """Count an answer."""
        self.answered += 1
        self._answers[digest] += 1
        times = self._answers[digest]
        self._answered_times[times] += 1
        if times > 1:
            self._answered_times[times - 1] -= 1

    def to_line(self) -> dict[str, object]:
        """The counts as `/stats` says them."""
        return {
            "requests": self.requests,
            "answered": self.answered,
            "unread": self.unread,
            "in_flight": self.in_flight,
            "in_flight_max": self.in_flight_max,
            "first_request_at": self.first_request_at,
            "faults": dict(self.faults),
            "unique": len(self.asked),
            "answered_times": {str(n): many for n, many in self._answered_times.items() if many},
        }


@dataclass(frozen=True)
class _Call:
    """A call that waits for its answer; `counts` are those that were current when it came."""

    digest: bytes
    response: bytes
    fault: Fault | None
    counts: Counts


class Endpoint:
    """Decides about every call: when it is answered, and with what.

    Args:
        latency: seconds until an answer.
        fault_rate: share of calls that each kind of fault hits.
        fault_seed: chooses which.
    """

    def __init__(self, latency: float, fault_rate: float = 0.0, fault_seed: int = 0) -> None:
        self._latency = latency
        self._fault_rate = fault_rate
        self._fault_seed = fault_seed
        self.counts = Counts()

    def receive(self, connection: Connection, body: bytes) -> None:
        """Take a call; its answer is due after the latency."""
        try:
            request = json.loads(body)
            response = completion(request)
            question = request["messages"][-1]["content"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            connection.send(http(400, _error(f"not understood: {error}")))
            return
        digest = hashlib.sha256(body).digest()
        attempt = self.counts.ask(digest)
        call = _Call(digest, response, self._fault(question, attempt), self.counts)
        asyncio.get_running_loop().call_later(self._latency, self._respond, connection, call)

    def _respond(self, connection: Connection, call: _Call) -> None:
        counts, response = call.counts, call.response
        counts.in_flight -= 1
        if call.fault is not None:
            counts.faults[call.fault] += 1
        match call.fault:
            case Fault.BUSY:
                headers = b"Retry-After: %d\r\n" % RETRY_AFTER_SECONDS
                connection.send(http(429, _error("rate limit reached"), headers))
            case Fault.BROKEN:
                connection.send(http(500, _error("the server had an error")))
            case Fault.DISCONNECT:
                # Half of these break off in the middle of the answer, half before it.
                whole = http(200, response)
                connection.send(whole[: len(whole) // 2] if call.digest[0] % 2 else b"")
                connection.hang_up()
            case Fault.MALFORMED:
                connection.send(http(200, response[: len(response) // 2]))
            case None:
                counts.answer(call.digest)
                if not connection.send(http(200, response)):
                    counts.unread += 1

    def _fault(self, question: str, attempt: int) -> Fault | None:
        """What happens to the n-th attempt of a question: the same in every run of one seed."""
        word = f"{self._fault_seed}:{attempt}:{question}".encode()
        drawn = int.from_bytes(hashlib.sha256(word).digest()[:8], "big") / 2**64
        for position, fault in enumerate(Fault, start=1):
            if drawn < position * self._fault_rate:
                return fault
        return None

    def control(self, method: str, path: str) -> bytes:
        """Answer what the harness asks."""
        if (method, path) == ("GET", "/stats"):
            return http(200, json.dumps(self.counts.to_line()).encode())
        if (method, path) == ("POST", "/reset"):
            self.counts = Counts()
            return http(200, b"{}")
        return http(404, _error(f"no {method} {path} here"))


class Connection(asyncio.Protocol):
    """One connection: requests in, responses out, kept alive."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take every whole request out of what has come."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            lowered = head.lower()
            if b"\r\ntransfer-encoding:" in lowered:
                self.send(http(501, _error("chunked requests are not understood")))
                self.hang_up()
                return
            _, found, rest = lowered.partition(b"\r\ncontent-length:")
            length = int(rest.split(b"\r\n", 1)[0]) if found else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._request(head, body)

    def _request(self, head: bytes, body: bytes) -> None:
        method, path, *_ = head.split(b"\r\n", 1)[0].decode("ascii", "replace").split(" ")
        if (method, path) == ("POST", "/v1/chat/completions"):
            self._endpoint.receive(self, body)
        else:
            self.send(self._endpoint.control(method, path))

    def send(self, data: bytes) -> bool:
        """Send if the client is still there; returns whether it was."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(data)
        return True

    def hang_up(self) -> None:
        """Close the connection after what was sent."""
        if self._transport is not None:
            self._transport.close()


def completion(request: dict[str, Any]) -> bytes:
    """The chat completion that answers a request; raises `ValueError` or the like for no such."""
    messages = request["messages"]
    text = task.answer_text(messages)
    tokens_in, tokens_out = task.usage(messages, text)
    return json.dumps(
        {
            "id": "chatcmpl-mock",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": request["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": tokens_in,
                "completion_tokens": tokens_out,
                "total_tokens": tokens_in + tokens_out,
            },
            "system_fingerprint": None,
        },
        separators=(",", ":"),
    ).encode()


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "mock", "code": None}}).encode()


async def serve(endpoint: Endpoint) -> None:
    """Serve until standard input ends, which it does with the process that started this one."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    await reader.read()
    server.close()


def main() -> int:
    """Start the mock model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=task.LATENCY_SECONDS, help="seconds")
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of each kind of fault")
    parser.add_argument("--fault-seed", type=int, default=0, help="chooses which calls they hit")
    arguments = parser.parse_args()
    endpoint = Endpoint(arguments.latency, arguments.fault_rate, arguments.fault_seed)
    asyncio.run(serve(endpoint))
    return 0


if __name__ == "__main__":
    sys.exit(main())
