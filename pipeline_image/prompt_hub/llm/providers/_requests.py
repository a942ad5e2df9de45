"""Requests as the openai SDK forms them, and the connections over which they are sent.

The SDK knows keys, base URLs, default headers and signing. It forms requests and sends none: but
for the body all requests to one model are the same, and building one costs more than sending it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.cookies import BaseCookie
from typing import Any

import httpx2

from prompt_hub.core.imports import bodies_deferred, roots_read_aside
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers._no_connection import no_connection
from prompt_hub.llm.providers._proxy import check_proxy, proxies_understood
from prompt_hub.llm.refusal import redact
from prompt_hub.llm.retry import PermanentError
from prompt_hub.llm.secrets import SecretApiKey, api_key

# aiohttp makes two TLS contexts as it is imported. Half of the SDK's import are types of requests
# and answers, few of which it needs itself.
with roots_read_aside(), bodies_deferred("openai.types"):
    import aiohttp
    import openai

PATH = "/chat/completions"
KEPT_SECONDS = 5.0
"""A connection without a call is given back after so long, as by the SDK's own transports."""
MOST_REDIRECTS = 20
"""As many as the SDK's own transports follow."""
_OURS = frozenset({"accept-encoding", "content-length"})
"""Headers that belong to who sends the bytes and reads the answer."""
_INFORMATIONAL = frozenset({100, *range(102, 200)})
_NO_COOKIES: BaseCookie[str] = BaseCookie()
_PROXY = "prompt_hub.proxy"
_REPLY = "prompt_hub.reply"

Connect = Callable[[ModelConfig, str | SecretApiKey, httpx2.AsyncClient], openai.AsyncOpenAI]
"""Makes the SDK's client for a model from its key and a transport."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _SentRequest:
    """A request as aiohttp has put it on a connection, to be put there again with another body."""

    request: aiohttp.ClientRequest
    """What a connection is chosen by."""
    head: bytes = field(repr=False)
    """All of its head but the length of its body and its cookies."""

    @classmethod
    def of(cls, request: aiohttp.ClientRequest, session: aiohttp.ClientSession) -> _SentRequest:
        """Take a request that has been sent; aiohttp has made and checked its headers."""
        lines = [f"{request.method} {request.url.raw_path_qs} HTTP/1.1"]
        for name, value in request.headers.items():
            if name.lower() not in {"content-length", "cookie"}:
                lines.append(f"{name}: {value}")
        # The one that was sent would keep its body and its answer for as long.
        again = aiohttp.ClientRequest(
            request.method, request.url, ssl=request.ssl, loop=request.loop, session=session
        )
        return cls(request=again, head="\r\n".join(lines).encode("utf-8"))

    def with_body(self, content: bytes, cookies: BaseCookie[str]) -> bytes:
        """Return what is to be written."""
        kept = f"\r\nCookie: {cookies.output(header='', sep=';').strip()}" if cookies else ""
        return b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (
            self.head,
            kept.encode("utf-8"),
            len(content),
            content,
        )


@dataclass(kw_only=True, slots=True)
class FormedRequest:
    """All of a request but its body."""

    method: str
    url: str
    headers: list[tuple[str, str]] = field(repr=False)
    """With the key."""
    proxy: str | None = field(repr=False)
    """With its credentials, where it wants some."""
    extensions: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What the SDK keeps to itself, such as the host that its hooks let a key go to."""
    sent: _SentRequest | None = field(default=None, init=False, repr=False, compare=False)
    """How aiohttp has sent it, where it can be sent so again."""

    @property
    def has_cookies(self) -> bool:
        """Whether somebody has set cookies among its headers."""
        return any(name.lower() == "cookie" for name, _ in self.headers)

    @classmethod
    def of(cls, noted: httpx2.Response) -> FormedRequest:
        """Take the request that a `_Recorder` was given, and the proxy that it is meant for."""
        request = noted.request
        proxy: httpx2.Proxy | None = noted.extensions[_PROXY]
        headers = request.headers.multi_items()
        return cls(
            method=request.method,
            url=str(request.url),
            headers=[(name, value) for name, value in headers if name.lower() not in _OURS],
            proxy=_address(proxy) if proxy else None,
            extensions=request.extensions,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came back over a connection."""

    status: int
    headers: Mapping[str, str]
    """By names in upper or lower case."""
    content: bytes

    @property
    def good(self) -> bool:
        """Whether it is an answer, not a refusal."""
        return 200 <= self.status < 300


class SdkClient:
    """The SDK's client for one model, asked for requests.

    One that is `signed` with its body is formed for every call. All others are formed once, and
    again when the key has changed.
    """

    def __init__(self, model: ModelConfig, connect: Connect, *, signed: bool) -> None:
        """Make the client; raises `PromptHubError` when the key is missing."""
        self.key = api_key(model)
        self._recorder = _Recorder()
        self._client = connect(model, self.key, self._recorder)
        self._signed = signed
        self._formed: FormedRequest | None = None
        self._formed_with = ""
        self._forming = asyncio.Lock()

    async def form(self, content: bytes) -> FormedRequest:
        """Form the request that sends `content`; raises `PermanentError` or `TransientError`."""
        if self._signed:
            return await self._form(content)
        # Asked for before the lock: all who wait for a key that cannot be read fail together.
        key = self.key if isinstance(self.key, str) else await self.key()
        if self._formed is None or self._formed_with != key:
            async with self._forming:
                if self._formed is None or self._formed_with != key:
                    self._formed = await self._form(content)
                    self._formed_with = key
        return self._formed

    async def follow(self, formed: FormedRequest, reply: Reply) -> FormedRequest | None:
        """Form the request that a reply asks for instead; None for none, and for signed ones."""
        if self._signed:
            return None  # A signature is for one address, and its token for nobody else.
        location = reply.headers.get("location")
        answer = httpx2.Response(reply.status, headers={"location": location} if location else {})
        if not answer.has_redirect_location:
            return None
        request = httpx2.Request(
            formed.method,
            formed.url,
            headers=formed.headers,
            extensions={**formed.extensions, _REPLY: answer},
        )
        response = await self._recorder.send(request, follow_redirects=False)
        instead = response.next_request
        if instead is None:
            raise no_connection()
        # Nobody gave us the user that an answer names, and the SDK sends none either.
        instead.url = instead.url.copy_with(username=None, password=None)
        instead.extensions = dict(formed.extensions)
        return FormedRequest.of(await self._recorder.send(instead))

    async def close(self) -> None:
        """Close the SDK's client."""
        await self._client.close()

    async def _form(self, content: bytes) -> FormedRequest:
        try:
            noted = await self._client.post(PATH, cast_to=httpx2.Response, content=content)
        except openai.APIConnectionError as error:
            # What signs has asked somebody, who did not answer.
            raise no_connection(error, why="to what signs its requests") from None
        except openai.OpenAIError as error:
            raise PermanentError(str(error).rstrip(".")) from None
        return FormedRequest.of(noted)


def tls_context() -> ssl.SSLContext:
    """Return what the SDK's transports trust, read once for all clients: it takes 20 ms of CPU."""
    return _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=1)
def _trusted(file: str | None, folder: str | None) -> ssl.SSLContext:
    """`httpx2` reads both from the environment: they say here when to read again."""
    return httpx2.create_ssl_context()


class Connections:
    """Sends formed requests, over as many connections as there are calls at once.

    The limiter says how many calls are in flight; the pool must never be what holds them up.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def send(self, client: SdkClient, formed: FormedRequest, content: bytes) -> Reply:
        """Send a request, and those that the answers ask for instead, to the last answer.

        Raises:
            TransientError: no whole answer came.
            PermanentError: an answer asks for a page instead, as an address that has moved does.
        """
        try:
            for _ in range(MOST_REDIRECTS + 1):
                if formed.sent is not None and self._session is not None:
                    reply = await _send_again(self._session, formed.sent, content)
                else:
                    reply = await self._send(formed, content)
                if not 300 <= reply.status < 400:
                    return reply
                instead = await client.follow(formed, reply)
                if instead is None:
                    return reply
                if instead.method != formed.method:
                    raise _no_way_to_follow(reply, instead)
                formed = instead
        # Every kind of it, "timeout" included: a lost connection is called one, and the time that
        # an attempt may take is the retry layer's business.
        except aiohttp.ClientHttpProxyError as error:
            raise no_connection(why=f"its proxy answered HTTP {error.status}") from None
        except aiohttp.ClientProxyConnectionError as error:
            raise no_connection(error, why="to its proxy") from None
        except (
            aiohttp.ClientError,
            aiohttp.http.HttpProcessingError,
            httpx2.RequestError,
            OSError,
        ) as error:
            raise no_connection(error) from None
        raise no_connection()

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(self, formed: FormedRequest, content: bytes) -> Reply:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
        session = self._session

        async def note(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            response = await handler(request)
            # Through a proxy a request is another one.
            # Cookies of its own are sent together with those that a server wants kept.
            if formed.proxy is None and not formed.has_cookies:
                formed.sent = _SentRequest.of(request, session)
            return response

        async with session.request(
            formed.method,
            formed.url,
            data=content,
            headers=formed.headers,
            allow_redirects=False,
            proxy=formed.proxy,
            ssl=tls_context() if formed.url.startswith("https:") else True,
            middlewares=(note,),
        ) as response:
            return Reply(
                status=response.status,
                headers=response.headers,
                content=await response.read(),
            )


def _no_way_to_follow(reply: Reply, instead: FormedRequest) -> PermanentError:
    """Say that a question would become a request for a page, which no model answers."""
    address = redact(instead.url.partition("?")[0], ())  # A query may hold a key.
    return PermanentError(
        f"HTTP {reply.status}, where a question cannot follow",
        detail=f"it leads to {address}, so correct base_url",
    )


async def _send_again(session: aiohttp.ClientSession, sent: _SentRequest, content: bytes) -> Reply:
    """Send a request once more, over aiohttp's connections and by its parser.

    What `ClientSession.request` does besides was done the first time, and has come out the same.
    """
    request, cookies = sent.request, session.cookie_jar
    assert session.connector is not None
    connection = await session.connector.connect(request, traces=[], timeout=session.timeout)
    try:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None or transport.is_closing():
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(read_until_eof=True)
        kept = cookies.filter_cookies(request.url) if len(cookies) else _NO_COOKIES
        transport.write(sent.with_body(content, kept))
        # The server's 100 and 103 come before its answer.
        while (part := await protocol.read())[0].code in _INFORMATIONAL:
            pass
        message, payload = part
        # Most answers are whole by now, and need not be waited for piece by piece.
        body = payload.read_nowait() if payload.is_eof() else await payload.read()
        reply = Reply(status=message.code, headers=message.headers, content=body)
    except BaseException:
        connection.close()
        raise
    if transport.get_write_buffer_size():
        # It was answered before it was read: what is left would come before the next request.
        connection.close()
    else:
        connection.release()
    if wanted := message.headers.getall("Set-Cookie", ()):
        cookies.update_cookies_from_headers(wanted, request.url)
    return reply


class _Recorder(httpx2.AsyncClient):
    """What the SDK takes for its way to the network: it notes requests and answers at once.

    The proxies are those that the environment names, chosen by the same rules as ever. These two
    methods are also what the SDK's own client for aiohttp overrides.
    """

    def __init__(self) -> None:
        with proxies_understood():
            super().__init__(timeout=None)

    def _init_transport(self, *_: object, **__: object) -> httpx2.AsyncBaseTransport:
        return _Note(None)

    def _init_proxy_transport(
        self, proxy: httpx2.Proxy, *_: object, **__: object
    ) -> httpx2.AsyncBaseTransport:
        return _Note(proxy)


class _Note(httpx2.AsyncBaseTransport):
    """Gives each request back in its response, with the proxy that it was meant for."""

    def __init__(self, proxy: httpx2.Proxy | None) -> None:
        self._proxy = proxy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        reply: httpx2.Response | None = request.extensions.get(_REPLY)
        if reply is not None:
            return reply
        return httpx2.Response(204, request=request, extensions={_PROXY: self._proxy})


def _address(proxy: httpx2.Proxy) -> str:
    check_proxy(str(proxy.url))
    username, password = proxy.auth or (None, None)
    return str(proxy.url.copy_with(username=username, password=password))
