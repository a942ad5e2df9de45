"""The HTTP face of the service: requests read, answers written, both as `api_models` has them."""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prompt_hub.core.concurrency import run_off_loop
from prompt_hub.core.json_strict import (
    ENVELOPE_DEPTH,
    TooManyValuesError,
    refuse_large,
    strict_json,
)
from prompt_hub.core.log_setup import describe_exception
from prompt_hub.repository.schema import JsonObject
from prompt_hub.service.api_models import (
    CallUsage,
    ErrorDetail,
    ErrorResponse,
    HealthResponse,
    InstanceInfo,
    LedgerInfo,
    NotReadyResponse,
    ReadyResponse,
    RefusedTask,
    RunRequest,
    RunResponse,
    ServedTask,
    TasksResponse,
)
from prompt_hub.service.errors import ErrorCode, ServiceError
from prompt_hub.service.execution_log import log_line
from prompt_hub.service.openapi import (
    JSON,
    RUN_PATH,
    TRACE_PARAMETERS,
    OpenApiDocument,
    error_responses,
)
from prompt_hub.service.service import Answered, PromptService

API_VERSION = "1.0.0"
"""Version of the interface under `/v1`: its minor number moves with every addition."""
BODY_SECONDS = 30.0
"""Time for a body to arrive."""
MAX_BODY_BYTES = 256 * 1024
"""A record of a few fields comes nowhere near; more is a mistake or an attack."""
RETRY_AFTER_SECONDS = 5

TRACE_PARENT = re.compile(r"^[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
AMAZON_TRACE = re.compile(r"Root=(?P<trace>1-[0-9a-f]{8}-[0-9a-f]{24})")


def create_app(
    service: PromptService, *, poll_seconds: float, body_seconds: float = BODY_SECONDS
) -> FastAPI:
    """Return the application; its lifespan runs the thread that follows the ledger.

    A body has `body_seconds` to arrive.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        poller = threading.Thread(
            target=service.poller.run, args=(poll_seconds, stop), name="pointers", daemon=True
        )
        poller.start()
        log_line("started", release=service.release, instance=service.instance.id)
        yield
        stop.set()
        await service.close()
        log_line("stopped", release=service.release, instance=service.instance.id)

    app = FastAPI(
        title="Prompt Hub",
        summary="Records in, structured fields out, by the prompt versions that are active.",
        version=API_VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    document = app.state.document = OpenApiDocument(service, app.openapi)

    @app.post(
        RUN_PATH,
        operation_id="run",
        summary="Answer one record with the active version of a task",
        response_model=RunResponse,
        response_description="An output that keeps the prompt's output contract.",
        responses=error_responses(ErrorCode),
        openapi_extra={
            # Not a parameter of the function: JSON is read more strictly here than FastAPI does.
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": RunRequest.model_json_schema()}},
            },
            "parameters": TRACE_PARAMETERS,
        },
    )
    async def run(task: str, request: Request) -> Response:
        """Answer one record. Which fields a task takes, the path of that very task says."""
        trace_id = _trace_id(request)
        try:
            body = await _body(request, body_seconds)
            fields = await run_off_loop(len(body), _fields, body)
            answered = await service.run(task, fields, trace_id, size=len(body))
        except ServiceError as error:
            return _error(error, trace_id)
        return _json(_answer(answered, service.release, trace_id))

    @app.get("/v1/tasks", operation_id="tasks", summary="What is served, and why")
    async def tasks() -> TasksResponse:
        """Version and hash that answer each task, and where the decision came from."""
        return _tasks(service)

    @app.get("/healthz", operation_id="health", summary="Whether the process lives")
    async def healthz() -> HealthResponse:
        """Answer as long as the process can."""
        return HealthResponse(ok=True)

    @app.get(
        "/readyz",
        operation_id="ready",
        summary="Whether calls should be sent here",
        response_model=ReadyResponse,
        response_description="It serves what the ledger says, or has given up waiting for it.",
        responses={
            503: {
                "model": NotReadyResponse,
                "description": "It waits for the ledger, or lacks what is active.",
            }
        },
    )
    async def readyz() -> Response:
        """Tell a load balancer whether this process can answer."""
        reason = _not_ready(service)
        if reason is None:
            return _json(ReadyResponse(ready=True))
        return _json(NotReadyResponse(ready=False, reason=reason), 503)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        """Describe this interface, with the contracts of what is active now."""
        return Response(await asyncio.to_thread(document.encoded), media_type=JSON)

    @app.exception_handler(HTTPException)
    async def no_such_path(request: Request, error: HTTPException) -> Response:
        found = ServiceError(
            ErrorCode.NO_SUCH_PATH, f"{request.method} {request.url.path}: {error.detail}"
        )
        response = _error(found, _trace_id(request), error.status_code)
        # A wrong method is told which ones there are (`Allow`).
        response.headers.update(error.headers or {})
        return response

    app.add_middleware(LastResort)
    return app


class LastResort:
    """Answers what nobody foresaw. Nothing reaches the server, which would log it its own way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace_id = _trace_id(Request(scope))
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
            return
        except ClientDisconnect:
            return  # Nobody is there to be answered, and nothing went wrong here.
        except asyncio.CancelledError:
            # The process has waited long enough for the calls in flight.
            error = ServiceError(ErrorCode.MODEL_UNAVAILABLE, "the service stops: ask again")
        except Exception as unexpected:
            # Types and places only: a message could quote what the caller sent.
            kind, *places = describe_exception(unexpected)
            log_line("unexpected_error", error=kind, places=places, trace_id=trace_id)
            error = ServiceError(ErrorCode.UNEXPECTED, "an unexpected error; see the log")
        if not begun:
            await _error(error, trace_id)(scope, receive, send)


async def _body(request: Request, seconds: float) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise ServiceError(
                        ErrorCode.BODY_TOO_LARGE, f"the body has more than {MAX_BODY_BYTES} bytes"
                    )
    except TimeoutError:
        message = f"the body did not arrive within {seconds:g} s"
        raise ServiceError(ErrorCode.TOO_SLOW, message) from None
    return bytes(body)


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


def _answer(answered: Answered, release: str, trace_id: str) -> RunResponse:
    usage = answered.answer.response.usage
    return RunResponse(
        output=answered.output,
        task=answered.task,
        version=answered.served.reference.version,
        sha256=answered.served.reference.sha256,
        release=release,
        model=answered.model,
        valid=True,
        trace_id=trace_id,
        usage=CallUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            usd=usage.usd,
            seconds=usage.seconds,
            attempts=usage.attempts,
        ),
    )


def _tasks(service: PromptService) -> TasksResponse:
    state = service.poller.state
    return TasksResponse(
        stage=service.stage,
        release=service.release,
        instance=InstanceInfo(id=service.instance.id, started_at=service.instance.started_at),
        ledger=LedgerInfo(revision=state.revision, answers=state.ledger_answers),
        tasks=[
            ServedTask(
                task=task,
                version=served.reference.version,
                sha256=served.reference.sha256,
                release=service.release,
                revision=served.revision,
                source=served.source,
            )
            for task, served in sorted(state.served.items())
        ],
        refused=[
            RefusedTask(task=task, version=wanted.version, sha256=wanted.sha256)
            for task, wanted in sorted(state.refused.items())
        ],
    )


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


def _error(error: ServiceError, trace_id: str, status: int | None = None) -> Response:
    """Answer with an error; `status` where it is another one than the table has."""
    status = status or error.code.status
    detail = ErrorDetail.model_validate(
        {"code": error.code, "message": error.message, **error.details}
    )
    response = _json(ErrorResponse(error=detail, valid=False, trace_id=trace_id), status)
    if error.code.retry:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if error.code is ErrorCode.TOO_SLOW:
        response.headers["Connection"] = "close"
    return response


def _json(body: BaseModel, status: int = 200) -> Response:
    return JSONResponse(body.model_dump(mode="json", exclude_unset=True), status_code=status)


def _trace_id(request: Request) -> str:
    """Return the caller's trace (W3C or Amazon's), or a fresh one."""
    for header, form in (("traceparent", TRACE_PARENT), ("x-amzn-trace-id", AMAZON_TRACE)):
        found = form.search(request.headers.get(header, ""))
        if found:
            return found["trace"]
    return uuid.uuid4().hex
