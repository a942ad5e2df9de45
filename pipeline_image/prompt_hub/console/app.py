"""The console over HTTP: every page once as a whole and once as a stream of what changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache, partial
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from prompt_hub.console.guard import WRITING, Guard
from prompt_hub.console.label import Labelling
from prompt_hub.console.pages import (
    LONGEST_NAME,
    TEMPLATES,
    Console,
    Page,
    digest,
    fragment,
    missing,
    whole,
)
from prompt_hub.reporting import pages

LIVE = "/live"
"""Before the path of a page: the stream of its changes."""
SEEN = "seen"
"""What a browser shows already, in the address of a stream."""
OVER = "over"
"""The event after which nothing changes any more: a browser would ask again for ever."""
LONGEST_FORM = 1_000_000
"""Bytes of a form that are read; a label has some hundred."""
MOST_INPUTS = 2_000
_FORM = "application/x-www-form-urlencoded"


def create_app(console: Console, *, token: str, port: int, records: Path | None = None) -> Guard:
    """Return the console, which answers nobody without `token`, on `port` of this machine.

    `records` is a file of what can be labelled.
    """
    app = FastAPI(title="Prompt Hub console", docs_url=None, redoc_url=None, openapi_url=None)
    shown: dict[str, Callable[..., Page]] = {
        "/": console.now,
        "/pipeline": console.pipeline,
        "/pipeline/{execution}/log/{action}": console.log,
        "/task/{task}": console.task,
        "/incident/{task}/{revision}": console.incident,
        "/evaluation/{task}/{kind}/{name}": console.evaluation,
    }
    labelling = Labelling(console, records)
    app.add_api_route("/label", _as_page(labelling.tasks, console), response_class=HTMLResponse)
    both = ["GET", "POST"]
    app.add_api_route("/label/{task}", _as_page(labelling.item, console), methods=both)
    for path, view in shown.items():
        app.add_api_route(path, _as_page(view, console), response_class=HTMLResponse)
        app.add_api_route(LIVE + path, _as_stream(view), response_class=EventSourceResponse)
    for path, content, kind in (
        ("/console.css", _style, "text/css"),
        ("/console.js", _script, "text/javascript"),
        (f"/{pages.ICON}", partial(pages.asset, pages.ICON), "image/svg+xml"),
    ):
        app.add_api_route(path, _as_file(content, kind))

    @app.exception_handler(404)
    async def not_found(request: Request, _: Exception) -> Response:
        return _response(_nowhere(request), console)

    return Guard(app, token=token, port=port)


def _as_file(content: Callable[[], str], kind: str) -> Callable[[], Response]:
    return lambda: Response(content(), media_type=kind)


def _as_page(
    view: Callable[..., Page], console: Console
) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        given = await _form(request) if request.method == WRITING else {}
        if given is None:
            return PlainTextResponse("This is no form of the console's.\n", 400)
        page = await run_in_threadpool(_made, view, request, *([given] if given else []))
        return await run_in_threadpool(_response, page, console)

    return show


async def _form(request: Request) -> dict[str, list[str]] | None:
    """Read what a form holds; None for anything but a form of one of our pages."""
    body = b""
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        return None
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_FORM:
            return None
    try:
        text = body.decode("ascii")
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_INPUTS)
    except ValueError:
        return None


def _response(page: Page, console: Console) -> Response:
    if page.location:
        return RedirectResponse(page.location, page.status)
    return HTMLResponse(whole(page, console.stage.stage, labels=console.clone.exists), page.status)


def _as_stream(view: Callable[..., Page]) -> Callable[[Request], AsyncIterator[ServerSentEvent]]:
    async def follow(request: Request) -> AsyncIterator[ServerSentEvent]:
        seen = request.query_params.get(SEEN, "")
        while True:
            page = await run_in_threadpool(_made, view, request)
            live = await run_in_threadpool(fragment, page)
            if digest(live) != seen:
                seen = digest(live)
                yield ServerSentEvent(data=live)
            if page.every is None:
                yield ServerSentEvent(event=OVER, data=OVER)
                return
            await asyncio.sleep(page.every)

    return follow


def _made(view: Callable[..., Page], request: Request, *more: object) -> Page:
    names = (*request.path_params.values(), *request.query_params.get("from", "").split("/"))
    if any(len(name) > LONGEST_NAME or not name.isprintable() for name in names):
        return _nowhere(request)
    return view(request.query_params, *more, **request.path_params)


def _nowhere(request: Request) -> Page:
    return missing(f"There is no page {request.url.path}.")


@cache
def _style() -> str:
    return pages.asset("base.css") + (TEMPLATES / "console.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    return (TEMPLATES / "console.js").read_text(encoding="utf-8")
