"""The HTTP face of the service: requests read, answers written, both as `api_models` has them.

A plain ASGI application: there are five paths, and everything that a framework does for a request
beyond finding one of them would be paid by every call. `declared_api` describes them.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from itertools import islice
from typing import Any, NamedTuple

from pydantic_core import to_json

from prompt_hub.core import aws_names
from prompt_hub.core.concurrency import TimeLimit, run_off_loop
from prompt_hub.core.json_strict import (
    ENVELOPE_DEPTH,
    TooManyValuesError,
    refuse_large,
    strict_json,
)
from prompt_hub.core.log_setup import describe_exception
from prompt_hub.core.wording import count
from prompt_hub.release.ledger_poller import ServingState
from prompt_hub.repository.schema import JsonObject
from prompt_hub.service.admission import Admission, Refusals
from prompt_hub.service.caller_watch import CallerLeftError, CallerWatch
from prompt_hub.service.callers import Callers
from prompt_hub.service.errors import ErrorCode, ServiceError
from prompt_hub.service.execution_log import LinesOfAnswers, log_line
from prompt_hub.service.openapi import JSON, OpenApiDocument
from prompt_hub.service.service import Answered, PromptService

BODY_SECONDS = 30.0
"""Time for a body to arrive."""
MAX_BODY_BYTES = 256 * 1024
"""A record of a few fields comes nowhere near; more is a mistake or an attack."""

TRACE_PARENT = re.compile(rb"^[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
AMAZON_TRACE = re.compile(rb"Root=(?P<trace>1-[0-9a-f]{8}-[0-9a-f]{24})")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_TOGETHER = 16
"""Parts of a long answer that are sent at once, some kilobytes each."""
_LISTED = 32
"""Tasks in one part of the list of tasks."""
_RUN_START, _RUN_END = "/v1/tasks/", "/run"
_JSON_HEADER = (b"content-type", JSON.encode())


class _Response(NamedTuple):
    """One answer."""

    status: int
    body: bytes | Sequence[bytes]
    """As one, or in parts where it is long."""
    headers: tuple[tuple[bytes, bytes], ...] = ()


def create_app(
    service: PromptService,
    *,
    poll_seconds: float,
    body_seconds: float = BODY_SECONDS,
    admission: Admission | None = None,
    callers: Callers | None = None,
    announce: bool = True,
) -> ServiceApp:
    """Return the application; its lifespan runs the thread that follows the ledger.

    A body has `body_seconds` to arrive; `admission` says how many calls are taken on at once,
    `callers` who may ask how often. What is one of several workers does not `announce` its start
    and end.
    """
    return ServiceApp(
        service,
        poll_seconds=poll_seconds,
        body_seconds=body_seconds,
        admission=admission or Admission(),
        callers=callers,
        announce=announce,
    )


class ServiceApp:
    """The application, as an ASGI server takes it."""

    def __init__(
        self,
        service: PromptService,
        *,
        poll_seconds: float,
        body_seconds: float,
        admission: Admission,
        callers: Callers | None,
        announce: bool,
    ) -> None:
        self.document = OpenApiDocument(service)
        self._service = service
        self._poll_seconds = poll_seconds
        self._body_limit = TimeLimit(body_seconds)
        self._admission = admission
        self._refusals = Refusals(service.stage)
        self._lines = LinesOfAnswers()
        self._callers = callers
        self._announce = announce
        # Of many tasks these are long, and callers would wait for them.
        self._pages = {
            "/v1/tasks": _Shared(lambda: _served(service), service),
            "/openapi.json": _Shared(self.document.encoded, service),
        }
        self._requests = LastResort(self._respond)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or live from the server's start to its end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._requests(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        service, stop = self._service, threading.Event()
        await receive()
        poller = threading.Thread(
            target=service.poller.run, args=(self._poll_seconds, stop), name="pointers", daemon=True
        )
        poller.start()
        if self._announce:
            log_line("started", release=service.release, instance=service.instance.id)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        stop.set()
        await service.close()
        self._lines.write()
        self._refusals.say()
        if self._announce:
            log_line("stopped", release=service.release, instance=service.instance.id)
        await send({"type": "lifespan.shutdown.complete"})

    def _respond(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path: str = scope["path"]
        if path.startswith(_RUN_START) and path.endswith(_RUN_END):
            task = path[len(_RUN_START) : -len(_RUN_END)]
            if task and "/" not in task:
                if scope["method"] == "POST":
                    return self._run(task, scope, receive, send)
                return _send(send, _wrong_method(scope, "POST"))
        return self._look(path, scope, send)

    async def _run(self, task: str, scope: Scope, receive: Receive, send: Send) -> None:
        service, trace_id = self._service, _trace_id(scope["headers"])
        admission = self._admission
        if not admission.enter():
            self._refusals.add()
            message = (
                f"the service has {count(admission.most, 'call')} in hand and takes on no other"
            )
            await _send(send, _error(ServiceError(ErrorCode.OVERLOADED, message), trace_id))
            return
        try:
            callers = self._callers
            caller = None if callers is None else callers.admit(scope["headers"])
            body = await _body(receive, self._body_limit)
            fields = await run_off_loop(len(body), _fields, body)
            answered = await service.run(
                task, fields, trace_id, size=len(body), caller=caller, queued=CallerWatch(receive)
            )
        except ServiceError as error:
            if error.code is ErrorCode.OVER_QUOTA:
                self._refusals.add(aws_names.CALLS_OVER_QUOTA)
            answered, refusal = None, _error(error, trace_id)
        finally:
            admission.leave()
        if answered is None:
            await _send(send, refusal)
            return
        try:
            await _send(send, _Response(200, to_json(_answer(answered, service.release, trace_id))))
        finally:
            self._lines.add(answered.line)

    async def _look(self, path: str, scope: Scope, send: Send) -> None:
        """Answer what asks about the service itself."""
        long = self._pages.get(path)
        if long is None and path not in {"/healthz", "/readyz"}:
            response = _no_such_path(scope, "Not Found", 404)
        elif scope["method"] != "GET":
            response = _wrong_method(scope, "GET")
        elif long is not None:
            response = _Response(200, await long.page())
        else:
            response = _Response(200, b'{"ok":true}') if path == "/healthz" else self._ready()
        await _send(send, response)

    def _ready(self) -> _Response:
        reason = _not_ready(self._service)
        if reason is None:
            return _Response(200, b'{"ready":true}')
        return _Response(503, to_json({"ready": False, "reason": reason}))


class _Shared:
    """A page that takes long, made in a thread: once for all who ask while no pointer moves.

    A thread for each of them would leave none for large calls.
    """

    def __init__(self, make: Callable[[], tuple[bytes, ...]], service: PromptService) -> None:
        self._make = make
        self._service = service
        self._making: tuple[ServingState, asyncio.Task[tuple[bytes, ...]]] | None = None

    async def page(self) -> tuple[bytes, ...]:
        """Return the page, by pointers as they are when it is asked for or later."""
        state = self._service.poller.state
        if self._making is None or self._making[0] is not state:
            self._making = state, asyncio.create_task(asyncio.to_thread(self._make))
            self._making[1].add_done_callback(self._made)
        # Who leaves does not take it from the others.
        return await asyncio.shield(self._making[1])

    def _made(self, task: asyncio.Task[tuple[bytes, ...]]) -> None:
        if self._making is not None and self._making[1] is task:
            self._making = None


class LastResort:
    """Answers unexpected errors, so that the server does not, which would log them its own way."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
            return
        except CallerLeftError:
            return
        except asyncio.CancelledError:
            # The process has waited long enough for the calls in flight.
            error = ServiceError(ErrorCode.MODEL_UNAVAILABLE, "the service stops: ask again")
            trace_id = _trace_id(scope["headers"])
        except Exception as unexpected:
            # Types and places only: a message could quote what the caller sent.
            kind, *places = describe_exception(unexpected)
            trace_id = _trace_id(scope["headers"])
            log_line("unexpected_error", error=kind, places=places, trace_id=trace_id)
            error = ServiceError(ErrorCode.UNEXPECTED, "an unexpected error; see the log")
        if not begun:
            await _send(send, _error(error, trace_id))


async def _send(send: Send, response: _Response) -> None:
    parts = (response.body,) if isinstance(response.body, bytes) else response.body
    headers = [
        (b"content-length", b"%d" % sum(map(len, parts))),
        _JSON_HEADER,
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if len(parts) == 1:
        await send({"type": "http.response.body", "body": parts[0]})
        return
    for start in range(0, len(parts), _TOGETHER):
        body, more = b"".join(parts[start : start + _TOGETHER]), start + _TOGETHER < len(parts)
        await send({"type": "http.response.body", "body": body, "more_body": more})
        # Other calls go on.
        await asyncio.sleep(0)


async def _body(receive: Receive, limit: TimeLimit) -> bytes:
    body = bytearray()
    try:
        with limit():
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise CallerLeftError
                body += message.get("body", b"")
                if len(body) > MAX_BODY_BYTES:
                    raise ServiceError(
                        ErrorCode.BODY_TOO_LARGE, f"the body has more than {MAX_BODY_BYTES} bytes"
                    )
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        message_in_words = f"the body did not arrive within {limit.seconds:g} s"
        raise ServiceError(ErrorCode.TOO_SLOW, message_in_words) from None


def _fields(body: bytes) -> JsonObject:
    try:
        text = body.decode("utf-8")
        refuse_large(text, max_depth=ENVELOPE_DEPTH)
        value = strict_json(text, max_depth=ENVELOPE_DEPTH)
    except TooManyValuesError as error:
        raise ServiceError(ErrorCode.BODY_TOO_LARGE, f"the body has {error}") from None
    except ValueError as error:
        raise ServiceError(ErrorCode.NOT_JSON, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict) or set(value) != {"fields"}:
        raise ServiceError(
            ErrorCode.NO_FIELDS, 'the body must be {"fields": {...}} and nothing else'
        )
    fields = value["fields"]
    if not isinstance(fields, dict):
        raise ServiceError(ErrorCode.NO_FIELDS, '"fields" must be an object: name → value')
    return fields


def _answer(answered: Answered, release: str, trace_id: str) -> Mapping[str, object]:
    """Return a `RunResponse`; the tests hold every answer against the document made of it."""
    usage, reference = answered.answer.response.usage, answered.served.reference
    return {
        "output": answered.output,
        "task": answered.task,
        "version": reference.version,
        "sha256": reference.sha256,
        "release": release,
        "model": answered.model,
        "valid": True,
        "trace_id": trace_id,
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "usd": usage.usd,
            "seconds": usage.seconds,
            "attempts": usage.attempts,
        },
    }


def _served(service: PromptService) -> tuple[bytes, ...]:
    """Return a `TasksResponse` as JSON, in parts: of many tasks it is long."""
    state = service.poller.state
    head = {
        "stage": service.stage,
        "release": service.release,
        "instance": {"id": service.instance.id, "started_at": service.instance.started_at},
        "ledger": {"revision": state.revision, "answers": state.ledger_answers},
    }
    tasks = (
        {
            "task": task,
            "version": state.served[task].reference.version,
            "sha256": state.served[task].reference.sha256,
            "release": service.release,
            "revision": state.served[task].revision,
            "source": state.served[task].source,
        }
        for task in sorted(state.served)
    )
    refused = (
        {"task": task, "version": wanted.version, "sha256": wanted.sha256}
        for task, wanted in sorted(state.refused.items())
    )
    return (
        to_json(head)[:-1] + b',"tasks":[',
        *_listed(tasks),
        b'],"refused":[',
        *_listed(refused),
        b"]}",
    )


def _listed(entries: Iterator[Mapping[str, object]]) -> Iterator[bytes]:
    """Write entries of a list, so many at once; other threads go on in between."""
    before = b""
    while some := list(islice(entries, _LISTED)):
        yield before + b",".join(map(to_json, some))
        before = b","
        time.sleep(0)


def _not_ready(service: PromptService) -> str | None:
    """Why calls should not be sent here yet, None where they may be."""
    state = service.poller.state
    if state.ready:
        return None
    lacking = [f"{task} {wanted.version}" for task, wanted in sorted(state.unserved.items())]
    if not lacking:
        return "the ledger has not answered yet"
    return (
        f"the image of release {service.release} does not carry what is active in "
        f"{service.stage}: {', '.join(lacking)}"
    )


def _wrong_method(scope: Scope, allowed: str) -> _Response:
    """Say that a path is there, and for which method (`Allow`)."""
    refused = _no_such_path(scope, "Method Not Allowed", 405)
    return refused._replace(headers=(*refused.headers, (b"allow", allowed.encode())))


def _no_such_path(scope: Scope, words: str, status: int) -> _Response:
    error = ServiceError(ErrorCode.NO_SUCH_PATH, f"{scope['method']} {scope['path']}: {words}")
    return _error(error, _trace_id(scope["headers"]), status)


def _error(error: ServiceError, trace_id: str, status: int | None = None) -> _Response:
    """Return an `ErrorResponse`; `status` where it is another one than the table has."""
    headers = []
    if error.code.retry:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if error.code is ErrorCode.UNKNOWN_CALLER:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.code is ErrorCode.TOO_SLOW:
        headers.append((b"connection", b"close"))
    detail = {"code": str(error.code), "message": error.message, **error.details}
    body = {"error": detail, "valid": False, "trace_id": trace_id}
    return _Response(status or error.code.status, to_json(body), tuple(headers))


def _trace_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the caller's trace (W3C or Amazon's), or a fresh one."""
    amazon: re.Match[bytes] | None = None
    for name, value in headers:
        if name == b"traceparent":
            if found := TRACE_PARENT.search(value):
                return found["trace"].decode("ascii")
        elif name == b"x-amzn-trace-id" and amazon is None:
            amazon = AMAZON_TRACE.search(value)
    return amazon["trace"].decode("ascii") if amazon else os.urandom(16).hex()
