"""The console over HTTP: every page once as a whole and once as a stream of what changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import cache

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from prompt_hub.console.guard import Guard
from prompt_hub.console.pages import TEMPLATES, Console, Page, digest, fragment, missing, whole
from prompt_hub.reporting import pages

LIVE = "/live"
"""Before the path of a page: the stream of its changes."""
SEEN = "seen"
"""What a browser shows already, in the address of a stream."""
OVER = "over"
"""The event after which nothing changes any more: a browser would ask again for ever."""
LONGEST_NAME = 200
"""Characters of a name in an address: no task, version, execution or action has more."""


def create_app(console: Console, *, token: str, port: int) -> Guard:
    """Return the console, which answers nobody without `token`, on `port` of this machine."""
    app = FastAPI(title="Prompt Hub console", docs_url=None, redoc_url=None, openapi_url=None)
    shown: dict[str, Callable[..., Page]] = {
        "/": console.now,
        "/pipeline": console.pipeline,
        "/pipeline/{execution}/log/{action}": console.log,
        "/task/{task}": console.task,
        "/incident/{task}/{revision}": console.incident,
        "/evaluation/{task}/version/{version}": console.evaluation,
        "/evaluation/{task}/execution/{execution}": console.evaluation_of,
    }
    for path, view in shown.items():
        app.add_api_route(path, _as_page(view, console.stage.stage), response_class=HTMLResponse)
        app.add_api_route(LIVE + path, _as_stream(view), response_class=EventSourceResponse)
    app.add_api_route("/console.css", lambda: Response(_style(), media_type="text/css"))
    app.add_api_route("/console.js", lambda: Response(_script(), media_type="text/javascript"))

    @app.exception_handler(404)
    async def not_found(request: Request, _: Exception) -> HTMLResponse:
        page = _nowhere(request)
        return HTMLResponse(whole(page, console.stage.stage), page.status)

    return Guard(app, token=token, port=port)


def _as_page(view: Callable[..., Page], stage: str) -> Callable[[Request], HTMLResponse]:
    # Not async: sources are asked in a thread.
    def show(request: Request) -> HTMLResponse:
        page = _made(view, request)
        return HTMLResponse(whole(page, stage), page.status)

    return show


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


def _made(view: Callable[..., Page], request: Request) -> Page:
    names = request.path_params.values()
    if any(len(name) > LONGEST_NAME or not name.isprintable() for name in names):
        return _nowhere(request)
    return view(request.query_params, **request.path_params)


def _nowhere(request: Request) -> Page:
    return missing(f"There is no page {request.url.path}.")


@cache
def _style() -> str:
    return pages.asset("base.css") + (TEMPLATES / "console.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    return (TEMPLATES / "console.js").read_text(encoding="utf-8")
