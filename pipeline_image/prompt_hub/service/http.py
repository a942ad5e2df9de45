"""The HTTP face of the service."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from prompt_hub.repository.documents import strict_json
from prompt_hub.repository.schema import JsonObject
from prompt_hub.service import service as refusals
from prompt_hub.service.logging import log_line
from prompt_hub.service.service import Answered, PromptService, ServiceError

MAX_BODY_BYTES = 256 * 1024
"""A record of a few fields comes nowhere near; more is a mistake or an attack."""
RETRY_AFTER_SECONDS = 5

STATUS: dict[type[ServiceError], int] = {
    refusals.UnknownTaskError: 404,
    refusals.RetiredError: 410,
    refusals.InvalidFieldsError: 422,
    refusals.BrokenPromptError: 500,
    refusals.InvalidOutputError: 502,
    refusals.NoAnswerError: 503,
    refusals.NotActiveError: 503,
    refusals.NotCarriedError: 503,
}
TRACE_PARENT = re.compile(r"^[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
AMAZON_TRACE = re.compile(r"Root=(?P<trace>1-[0-9a-f]{8}-[0-9a-f]{24})")


class BadBodyError(ServiceError):
    """The request's body is not what the service takes; `status` says which kind of wrong."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status


def create_app(service: PromptService, *, poll_seconds: float) -> FastAPI:
    """Return the application; its lifespan runs the thread that follows the ledger."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        poller = threading.Thread(
            target=service.follower.run, args=(poll_seconds, stop), name="pointers", daemon=True
        )
        poller.start()
        log_line("started", release=service.release, instance=service.instance.id)
        yield
        stop.set()
        await service.close()
        log_line("stopped", release=service.release, instance=service.instance.id)

    app = FastAPI(title="Prompt Hub", lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.post("/v1/tasks/{task}/run")
    async def run(task: str, request: Request) -> JSONResponse:
        """Answer one record with the active version of a task."""
        trace_id = _trace_id(request)
        try:
            fields = _fields(await _body(request))
            answered = await service.run(task, fields, trace_id)
        except ServiceError as refused:
            return _refusal(refused, trace_id)
        return JSONResponse(_answer(answered, service.release, trace_id))

    @app.get("/v1/tasks")
    async def tasks() -> dict[str, object]:
        """Return what is served: version, hash and where the decision came from."""
        view = service.follower.view
        return {
            "stage": service.stage,
            "release": service.release,
            "instance": {"id": service.instance.id, "started_at": service.instance.started_at},
            "ledger": {"revision": view.revision, "answers": view.ledger_answers},
            "tasks": [
                {
                    "task": task,
                    "version": served.reference.version,
                    "sha256": served.reference.sha256,
                    "release": service.release,
                    "revision": served.revision,
                    "source": served.source,
                }
                for task, served in sorted(view.served.items())
            ],
            "refused": [
                {"task": task, "version": wanted.version, "sha256": wanted.sha256}
                for task, wanted in sorted(view.refused.items())
            ],
        }

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        """Whether the process lives."""
        return {"ok": True}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Whether it can answer: it serves what the ledger says, or has given up waiting for it."""
        view = service.follower.view
        if view.ready:
            return JSONResponse({"ready": True})
        lacking = [f"{task} {ref.version}" for task, ref in sorted(view.unserved.items())]
        reason = "the ledger has not answered yet"
        if lacking:
            reason = (
                f"the image of release {service.release} does not carry what is active in "
                f"{service.stage}: {', '.join(lacking)}"
            )
        return JSONResponse({"ready": False, "reason": reason}, status_code=503)

    @app.exception_handler(HTTPException)
    async def no_such_path(request: Request, error: HTTPException) -> JSONResponse:
        refused = ServiceError(
            "no_such_path", f"{request.method} {request.url.path}: {error.detail}"
        )
        return _error(error.status_code, refused, _trace_id(request))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        trace_id = _trace_id(request)
        # The type only: a message could quote what the caller sent.
        log_line("unexpected_error", error=type(error).__name__, trace_id=trace_id)
        return _error(500, ServiceError("unexpected", "an unexpected error; see the log"), trace_id)

    return app


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadBodyError(
                413, "body_too_large", f"the body has more than {MAX_BODY_BYTES} bytes"
            )
    return bytes(body)


def _fields(body: bytes) -> JsonObject:
    try:
        value = strict_json(body.decode("utf-8"))
    except ValueError as error:
        raise BadBodyError(400, "not_json", f"the body is not JSON: {error}") from None
    if not isinstance(value, dict) or set(value) != {"fields"}:
        raise BadBodyError(422, "no_fields", 'the body must be {"fields": {...}} and nothing else')
    fields = value["fields"]
    if not isinstance(fields, dict):
        raise BadBodyError(422, "no_fields", '"fields" must be an object: name → value')
    return fields


def _answer(answered: Answered, release: str, trace_id: str) -> dict[str, object]:
    answer = answered.answer
    return {
        "output": answered.output,
        "task": answered.task,
        "version": answered.served.reference.version,
        "sha256": answered.served.reference.sha256,
        "release": release,
        "model": answered.model,
        "valid": True,
        "trace_id": trace_id,
        "usage": {
            "input_tokens": answer.tokens_in,
            "output_tokens": answer.tokens_out,
            "usd": answer.usd,
            "seconds": round(answer.seconds, 4),
            "attempts": answer.attempts,
        },
    }


def _refusal(refused: ServiceError, trace_id: str) -> JSONResponse:
    status = refused.status if isinstance(refused, BadBodyError) else STATUS[type(refused)]
    return _error(status, refused, trace_id)


def _error(status: int, refused: ServiceError, trace_id: str) -> JSONResponse:
    error = {"code": refused.code, "message": refused.message, **refused.details}
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None
    return JSONResponse(
        {"error": error, "valid": False, "trace_id": trace_id},
        status_code=status,
        headers=headers,
    )


def _trace_id(request: Request) -> str:
    """Return the caller's trace (W3C or Amazon's), or a fresh one."""
    for header, form in (("traceparent", TRACE_PARENT), ("x-amzn-trace-id", AMAZON_TRACE)):
        found = form.search(request.headers.get(header, ""))
        if found:
            return found["trace"]
    return uuid.uuid4().hex
