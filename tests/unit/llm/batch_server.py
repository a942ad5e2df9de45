"""A real HTTP provider on loopback with the documented contract of files and batches.

The contract is that of openai 3.54.0's types and OpenAI's Batch API guide: a file is uploaded, a
batch goes validating, in_progress, finalizing, completed (or failed, expired, cancelled), its
results lie in an output file and an error file, in another order. What goes wrong is told to it.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, urlsplit

TOKENS = (41, 6)
Json = dict[str, object]
Fault = Literal["", "missing", "expired", "rate", "refused", "filtered", "unreadable"]
Ending = Literal["completed", "failed", "expired", "cancelled", "archived"]


def answer_alike(question: str) -> str:
    """Answer every question alike."""
    return '{"part_class": "resistor"}'


@dataclass
class Batch:
    """A batch as the server keeps it."""

    id: str
    input_file: str
    metadata: Mapping[str, str]
    created_at: int
    status: str = "validating"
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file: str | None = None
    error_file: str | None = None
    errors: list[Json] = field(default_factory=list)

    def to_json(self) -> Json:
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": self.input_file,
            "completion_window": "24h",
            "created_at": self.created_at,
            "status": self.status,
            "metadata": dict(self.metadata),
            "output_file_id": self.output_file,
            "error_file_id": self.error_file,
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "request_counts": {
                "total": self.total,
                "completed": self.completed,
                "failed": self.failed,
            },
        }


@dataclass
class BatchServer:
    """What the server does, and what it has done."""

    answer: Callable[[str], str] = answer_alike
    faults: Callable[[str, int], Fault] = lambda question, batch: ""
    """What becomes of a question in the batch of that number, from 1."""
    endings: list[Ending] = field(default_factory=list)
    """How batches end, in order; those after them are completed."""
    most_tokens: int | None = None
    """Requests times 41 that may wait at once; more are refused with 429."""
    refuses_late: bool = False
    """Too many tokens are found out in validation, and not at creation."""
    most_bytes: int = 200_000_000
    steps: int = 1
    """Questions how far a batch is until it takes the next step."""
    breaks_off: int = 0
    """Of so many next files half is sent, and the connection closed."""
    missing: int = 404
    """HTTP status of an object that is not there; 403 for who may not list the bucket."""
    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    paid: Counter[str] = field(default_factory=Counter)
    """How often each question was answered, and so is charged."""
    live: Counter[str] = field(default_factory=Counter)
    """How often each was answered by itself."""
    asked: Counter[str] = field(default_factory=Counter)
    """Requests by method and kind."""
    seen: list[Json] = field(default_factory=list)
    """Bodies of calls by themselves."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Headers of what was posted, in lower case."""
    lost_creations: int = 0
    """So many next creations do their work and answer HTTP 500."""
    refuses_then: int = 0
    """HTTP status of every creation after a lost one, which starts nothing."""
    too_long: str = ""
    """Words of questions that are refused where they are asked by themselves."""
    refusal: int = 400
    """The HTTP status of that."""
    unlisted: int = 0
    """So many next lists lack the newest batch."""
    polls: Counter[str] = field(default_factory=Counter)
    released: threading.Event = field(default_factory=threading.Event)
    """Batches stay in progress until it is set."""
    creating: threading.Event = field(default_factory=threading.Event)
    """Set once a batch was created whose answer is held back."""
    answer_creations: threading.Event = field(default_factory=threading.Event)
    uploading: threading.Event = field(default_factory=threading.Event)
    """Set once a file has come, which is kept only when `take_files` is set."""
    take_files: threading.Event = field(default_factory=threading.Event)
    reading: threading.Event = field(default_factory=threading.Event)
    """Set once half of an output file was sent, where `send_whole_files` is not."""
    send_whole_files: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for event in (
            self.released,
            self.answer_creations,
            self.send_whole_files,
            self.take_files,
        ):
            event.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def models(self, **settings: object) -> str:
        """The setting `PROMPT_HUB_MODELS` that names this provider."""
        model = {
            "provider": "openai",
            "model": "m-1",
            "base_url": self.url,
            "price_per_million": {"input": 1.0, "output": 2.0},
            "batch_price_factor": 0.5,
            "batch_from": 10,
            **settings,
        }
        return json.dumps({"catalogue-pinned": model, "catalogue-latest": model})

    def requests_of(self, batch: Batch) -> list[Json]:
        name = batch.input_file.replace("s3:/", "", 1)
        return [json.loads(line) for line in self.files[name].splitlines()]

    def create(self, asked: Json) -> tuple[int, Json]:
        metadata = asked["metadata"]
        assert isinstance(metadata, dict)
        batch = Batch(
            id=f"batch_{len(self.batches) + 1}",
            input_file=str(asked["input_file_id"]),
            metadata=metadata,
            created_at=int(time.time()),
        )
        assert asked["completion_window"] == "24h"
        requests = self.requests_of(batch)
        waiting = sum(
            len(self.requests_of(other))
            for other in self.batches.values()
            if other.status in {"validating", "in_progress", "finalizing"}
        )
        tokens = TOKENS[0] * (waiting + len(requests))
        if self.most_tokens is not None and tokens > self.most_tokens:
            message = f"Enqueued token limit reached for m-1. Limit: {self.most_tokens} tokens."
            if not self.refuses_late:
                error = {"message": message, "type": "tokens", "code": "rate_limit_exceeded"}
                return 429, {"error": error}
            batch.errors = [{"code": "token_limit_exceeded", "message": message}]
        names = Counter(str(request["custom_id"]) for request in requests)
        if twice := [name for name, count in names.items() if count > 1]:
            batch.errors = [{"code": "duplicate_custom_id", "message": twice[0], "line": 2}]
        self.batches[batch.id] = batch
        return 200, batch.to_json()

    def step(self, batch: Batch) -> None:
        """Take a batch one step further."""
        match batch.status:
            case "validating" if batch.errors:
                batch.status = "failed"
            case "validating":
                number = int(batch.id.partition("_")[2])
                ending = self.endings[number - 1] if number <= len(self.endings) else "completed"
                if ending == "failed":
                    batch.errors = [
                        {"code": "model_not_found", "message": "The model m-1 has no batches."}
                    ]
                    batch.status = "failed"
                    return
                batch.status, batch.total = "in_progress", len(self.requests_of(batch))
            case "in_progress" if self.released.is_set():
                self.work(batch)
                batch.status = "finalizing"
            case "finalizing":
                number = int(batch.id.partition("_")[2])
                ending = self.endings[number - 1] if number <= len(self.endings) else "completed"
                batch.status = ending

    def work(self, batch: Batch) -> None:
        number = int(batch.id.partition("_")[2])
        ending = self.endings[number - 1] if number <= len(self.endings) else "completed"
        good: list[Json] = []
        bad: list[Json] = []
        requests = self.requests_of(batch)
        for place, request in enumerate(reversed(requests)):
            body = request["body"]
            assert isinstance(body, dict)
            question = str(body["messages"][-1]["content"])
            fault = self.faults(question, number)
            if ending in {"expired", "cancelled"} and place >= len(requests) // 2:
                fault = "expired"
            line: Json = {"id": f"batch_req_{place}", "custom_id": request["custom_id"]}
            match fault:
                case "missing":
                    continue
                case "expired":
                    words = "This request could not be executed before the completion window."
                    line |= {"response": None, "error": {"code": "batch_expired", "message": words}}
                    bad.append(line)
                case "rate" | "refused" | "filtered":
                    status = 429 if fault == "rate" else 400
                    code = "content_filter" if fault == "filtered" else "invalid_value"
                    error = {"message": "No such thing.", "type": "some_error", "code": code}
                    line |= {"response": {"status_code": status, "body": {"error": error}}}
                    bad.append(line)
                case "unreadable":
                    line |= {"response": {"status_code": 200, "body": {"choices": []}}}
                    good.append(line)
                case _:
                    self.paid[question] += 1
                    body = self.completion(question)
                    response = {"status_code": 200, "request_id": "r", "body": body}
                    good.append(line | {"response": response, "error": None})
        batch.completed, batch.failed = len(good), len(bad)
        for kind, lines in (("output", good), ("error", bad)):
            if lines:
                name = f"file-{kind}-{batch.id}"
                if batch.input_file.startswith("s3:/"):
                    # Beside the input, in a folder that is called as the batch.
                    folder, _, own = batch.input_file[len("s3:/") :].rpartition("/")
                    name = f"{folder}/{batch.id}/{own}.{'out' if kind == 'output' else 'err'}"
                self.files[name] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
                setattr(batch, f"{kind}_file", name)

    def completion(self, question: str) -> Json:
        message = {"role": "assistant", "content": self.answer(question)}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1764200000,
            "model": "m-1-build-7",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {
                "prompt_tokens": TOKENS[0],
                "completion_tokens": TOKENS[1],
                "total_tokens": sum(TOKENS),
            },
        }

    def list(self, query: Mapping[str, list[str]]) -> Json:
        """Batches, the newest first, two a page whatever is asked for."""
        newest = [*reversed(self.batches.values())]
        if self.unlisted:
            self.unlisted -= 1
            newest = newest[1:]
        if after := query.get("after"):
            place = [batch.id for batch in newest].index(after[0])
            newest = newest[place + 1 :]
        page = [batch.to_json() for batch in newest[:2]]
        return {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(newest) > 2,
        }


def _file_of(body: bytes, kind: str) -> bytes:
    """The file among the parts of a form."""
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    for part in body.split(b"--" + boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            return content[:-2]
    raise AssertionError("a form without a file")


@contextmanager
def batch_server(**behaviour: object) -> Iterator[BatchServer]:
    """Run the server for the length of a `with`."""
    server = BatchServer(**behaviour)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path.removeprefix("/v1").removeprefix("/openai")
            path = path.removeprefix("/v1")
            server.asked[f"POST {path}"] += 1
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            if path == "/files":
                content = _file_of(raw, self.headers["Content-Type"])
                server.uploading.set()
                server.take_files.wait(60)
                if len(content) > server.most_bytes:
                    self.reply(400, {"error": {"message": "The file is too large."}})
                    return
                with server.lock:
                    name = f"file-{len(server.files) + 1}"
                    server.files[name] = content
                self.reply(
                    200,
                    {
                        "id": name,
                        "object": "file",
                        "bytes": len(content),
                        "created_at": int(time.time()),
                        "filename": "x.jsonl",
                        "purpose": "batch",
                        "status": "processed",
                    },
                )
            elif path == "/batches":
                with server.lock:
                    if server.refuses_then and server.batches:
                        status, body = server.refuses_then, {"error": {"message": "No more."}}
                    else:
                        status, body = server.create(json.loads(raw))
                    lost = server.lost_creations > 0
                    server.lost_creations -= lost
                server.creating.set()
                server.answer_creations.wait(60)
                self.reply(*((500, {"error": {"message": "oops"}}) if lost else (status, body)))
            else:
                asked = json.loads(raw)
                question = asked["messages"][-1]["content"]
                if server.too_long and server.too_long in question:
                    self.reply(server.refusal, {"error": {"message": "too long"}})
                    return
                with server.lock:
                    server.seen.append(asked)
                    server.paid[question] += 1
                    server.live[question] += 1
                self.reply(200, server.completion(question))

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            kind, *names = (
                address.path.removeprefix("/openai").removeprefix("/v1/").lstrip("/").split("/")
            )
            server.asked[f"GET {kind}"] += 1
            if kind == "files" and names[0] not in server.files:
                self.reply(404, {"error": {"message": f"No such File object: {names[0]}"}})
            elif kind == "files":
                self.send_file(server.files[names[0]])
            elif address.path in server.files:
                self.send_file(server.files[address.path])
            elif address.path.startswith("/bucket/"):
                self.reply(404, {})
            elif not names:
                with server.lock:
                    self.reply(200, server.list(parse_qs(address.query)))
            elif names[0] not in server.batches:
                self.reply(404, {"error": {"message": f"No batch found with id '{names[0]}'."}})
            else:
                with server.lock:
                    batch = server.batches[names[0]]
                    server.polls[batch.id] += 1
                    if server.polls[batch.id] % server.steps == 0:
                        server.step(batch)
                    body = batch.to_json()
                self.reply(200, body)

        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            server.files[self.path.partition("?")[0]] = content
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_HEAD(self) -> None:
            content = server.files.get(self.path)
            self.send_response(server.missing if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("ETag", '"1"')
            self.end_headers()

        def send_file(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = content.find(b"\n", len(content) // 2) + 1
            self.wfile.write(content[:half])
            self.wfile.flush()
            if server.breaks_off:
                server.breaks_off -= 1
                self.close_connection = True
                return
            server.reading.set()
            server.send_whole_files.wait(60)
            self.wfile.write(content[half:])

        def reply(self, status: int, body: Json) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *arguments: object) -> None:
            return

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    http = Server(("127.0.0.1", 0), Handler)
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        for event in (server.answer_creations, server.send_whole_files, server.take_files):
            event.set()
        http.shutdown()
        thread.join()
        http.server_close()
