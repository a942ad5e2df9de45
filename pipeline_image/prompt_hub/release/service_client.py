"""JSON over HTTP with the running service, for whoever asks it something.

It imports only the standard library: the container's health check starts anew every few seconds.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import TYPE_CHECKING, NamedTuple, cast

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.urls import address_problem

if TYPE_CHECKING:
    from pydantic import JsonValue

LONGEST_TEXT = 500
"""Bytes that are kept of an answer which is no JSON: enough to see who wrote it."""
_NO_HEADER = re.compile(r"[^\x20-\x7e]")


class UnreachableServiceError(PromptHubError):
    """Nothing answered, or not in HTTP."""

    def __init__(self, url: str, reason: object) -> None:
        super().__init__(f"{url} does not answer: {reason}.", exit_code=ExitCode.BLOCKED)


class Response(NamedTuple):
    """An answer of any status."""

    status: int
    body: bytes
    retry_after: int = 0
    """Seconds after which to ask again, where it says so."""

    def json(self) -> JsonValue:
        """Return the body as strict JSON, or else the start of it as text."""
        from prompt_hub.core.json_strict import ENVELOPE_DEPTH, strict_json

        try:
            text = self.body.decode("utf-8")
            return cast("JsonValue", strict_json(text, max_depth=ENVELOPE_DEPTH))
        except ValueError:
            return self.body[:LONGEST_TEXT].decode("utf-8", "replace")

    def object(self) -> dict[str, JsonValue]:
        """Return the body where it is a JSON object, empty where it is anything else."""
        value = self.json()
        return value if isinstance(value, dict) else {}


class Client:
    """Asks one service; for more than `timeout` seconds in a row it may not be silent."""

    def __init__(self, url: str, *, timeout: float, token: str | None = None) -> None:
        """Speak with the service at `url`; raises `PromptHubError` if that is no HTTP address.

        `token` says who asks, in a stage that tells callers apart; one that no header can carry
        raises, too.
        """
        if problem := address_problem(url):
            raise PromptHubError(f"the address of the service {problem}.")
        # A file or a shell may have left the end of a line behind it.
        token = (token or "").strip()
        if odd := _NO_HEADER.search(token):
            # The library would refuse it as well, and its words hold the whole token.
            raise PromptHubError(
                "the caller's token has a character that no HTTP header can carry, at position"
                f" {odd.start() + 1} of {len(token)}.",
                hint="Copy the token again: it is one line of ASCII.",
            )
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._token = token

    def ask(self, path: str, body: Mapping[str, JsonValue] | None = None) -> Response:
        """GET `path`, or POST it where there is a JSON object to send.

        Raises:
            UnreachableServiceError: no answer came.
        """
        url = self.url + path
        data = None if body is None else json.dumps(body).encode("utf-8")
        try:
            request = urllib.request.Request(  # noqa: S310  (the scheme was checked)
                url, data=data, headers={"Content-Type": "application/json"} if data else {}
            )
            if self._token:
                # Whoever the service may redirect to gets no token.
                request.add_unredirected_header("Authorization", f"Bearer {self._token}")
            try:
                answer = urllib.request.urlopen(request, timeout=self._timeout)  # noqa: S310
            except urllib.error.HTTPError as refused:
                answer = refused
            with answer:
                wait = answer.headers.get("Retry-After", "")
                return Response(answer.status, answer.read(), int(wait) if wait.isdecimal() else 0)
        except (OSError, HTTPException, ValueError) as error:
            raise UnreachableServiceError(url, getattr(error, "reason", error)) from None
