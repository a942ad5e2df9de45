"""Who may look: whoever has the token, on this machine, in a browser that asks for nothing else.

A page of somebody else's in the same browser has neither the cookie, nor a name for this server
(its Host would be the attacker's, as in DNS rebinding), nor the right to read an answer.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = "token"  # noqa: S105  (a name)
READING = frozenset({"GET", "HEAD"})
WRITING = "POST"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
        " img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Without one a browser says of a form's own page only that its origin is null.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""On every answer, refusals too."""
_Headers = list[tuple[bytes, bytes]]


class Guard:
    """Lets a request through, or answers it itself: without the token there is no content."""

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}
        self._origins = {b"http://" + host for host in self._hosts}
        # Browsers do not tell ports apart: two consoles would take each other's cookie away.
        self._cookie = f"prompt-hub-console-{port}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: _Headers = scope["headers"]
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value.encode() for name, value in query if name == TOKEN]
        if [value for name, value in headers if name == b"host"] not in [[h] for h in self._hosts]:
            await _refuse(send, 403, "This name is not the console's.")
        elif scope["method"] not in _methods(scope):
            await _refuse(send, 405, "The console only reads.")
        elif scope["method"] == WRITING and not self._is_own_form(headers):
            await _refuse(send, 403, "Only a page of the console's own may send a form.")
        elif given and self._is_token(given[0]):
            rest = urlencode([pair for pair in query if pair[0] != TOKEN])
            # Kept out of the history, of links and of what is copied from the address bar.
            await self._admit(send, _path(scope) + (f"?{rest}" if rest else ""))
        elif given or not self._has_cookie(headers) or _is_elsewhere(headers):
            await _refuse(
                send, 403, "Open the address that prompt-hub console printed, with its token."
            )
        else:
            await self._app(scope, receive, _secured(send))

    async def _admit(self, send: Send, target: str) -> None:
        cookie = b"=".join((self._cookie, self._token))
        cookie += b"; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800"
        extra = [(b"location", target.encode("latin-1")), (b"set-cookie", cookie)]
        await _answer(send, 303, "", extra)

    def _is_own_form(self, headers: _Headers) -> bool:
        """Whether a page of this very server sent a form.

        The cookie alone does not say so: to a browser every port of this machine is the same site.
        """
        origins = [value for name, value in headers if name == b"origin"]
        sites = {value for name, value in headers if name == b"sec-fetch-site"}
        return len(origins) == 1 and origins[0] in self._origins and sites <= {b"same-origin"}

    def _has_cookie(self, headers: _Headers) -> bool:
        # Nothing is asked of the others: every server of this machine leaves some, of any form.
        cookies = b";".join(value for name, value in headers if name == b"cookie").split(b";")
        pairs = (cookie.strip().partition(b"=") for cookie in cookies)
        return any(name == self._cookie and self._is_token(value) for name, _, value in pairs)

    def _is_token(self, given: bytes) -> bool:
        return hmac.compare_digest(given, self._token)


def _methods(scope: Scope) -> frozenset[str]:
    """Return what may be asked for: grades are written into the clone, and nothing else is."""
    path: str = scope["path"]
    return READING | {WRITING} if path.startswith("/label/") else READING


def _path(scope: Scope) -> str:
    # One slash: a browser takes two for the beginning of another server's address.
    raw: bytes = scope["raw_path"]
    return "/" + raw.decode("latin-1").partition("?")[0].lstrip("/\\")


def _is_elsewhere(headers: _Headers) -> bool:
    """Whether another page asks, other than by a link that somebody followed."""
    values = dict(headers)
    return values.get(b"sec-fetch-site", b"none") not in {b"none", b"same-origin"} and (
        values.get(b"sec-fetch-mode") != b"navigate"
    )


def _secured(send: Send) -> Send:
    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0].decode() not in HEADERS]
            message["headers"] = [*kept, *_encoded()]
        await send(message)

    return secured


async def _refuse(send: Send, status: int, text: str) -> None:
    await _answer(send, status, f"{text}\n", [(b"content-type", b"text/plain; charset=utf-8")])


async def _answer(send: Send, status: int, text: str, extra: _Headers) -> None:
    body = text.encode()
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*extra, length, *_encoded()],
        }
    )
    await send({"type": "http.response.body", "body": body})


def _encoded() -> _Headers:
    return [(name.encode(), value.encode()) for name, value in HEADERS.items()]
