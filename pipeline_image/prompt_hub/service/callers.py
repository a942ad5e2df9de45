"""Who calls: the name in a token that the load balancer has verified, and that caller's quota.

The service verifies no signature: the balancer's listener does, and forwards no call without a
valid token. It is asked for only where the stage's settings say that there is such a balancer, and
the stage's security groups let nobody else reach the service.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.service.errors import ErrorCode, ServiceError
from prompt_hub.service.execution_log import log_line
from prompt_hub.service.quotas import Quota, QuotaTable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

LONGEST_NAME = 256
"""Characters of a caller's name: each line of the log has it."""
_REMEMBERED = 1024
"""Callers of whom the log has said that they are over their quota."""
_SAY_AGAIN_SECONDS = 60.0

Count = Annotated[int, Field(ge=1)]


class CallerSettings(BaseModel):
    """What the stage's settings say of its callers."""

    # Deferred: most stages tell nobody apart.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    claim: str
    """The claim of a token that names the caller."""
    requests_per_minute: Count
    """The quota of each caller in the whole stage."""
    quotas: dict[str, Count]
    """Callers with a quota of their own."""
    tasks: Count
    """Tasks over which the balancer spreads the calls."""
    own_port: int
    """The port of the balancer where only containers of the stage itself are let in."""

    @classmethod
    def from_environment(cls) -> Self | None:
        """Read them; None where callers are not told apart."""
        text = os.environ.get(aws_names.ENV_CALLERS)
        if not text:
            return None
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise PromptHubError(
                f"{aws_names.ENV_CALLERS} is wrong: {where}: {first['msg']}.",
                hint="Deploy the stage again: its settings write this variable.",
            ) from None


class Callers:
    """Tells callers apart, and lets each ask as often as its quota says."""

    def __init__(self, settings: CallerSettings, table: QuotaTable) -> None:
        self._settings = settings
        self._table = table
        self._own_port = str(settings.own_port).encode()
        self._default = Quota(settings.requests_per_minute / settings.tasks)
        self._quotas = {
            name: Quota(number / settings.tasks) for name, number in settings.quotas.items()
        }
        self._said: dict[str, float] = {}

    @classmethod
    def from_environment(cls, lock: AbstractContextManager[object]) -> Self | None:
        """Follow the stage's settings; None where callers are not told apart."""
        settings = CallerSettings.from_environment()
        return None if settings is None else cls(settings, QuotaTable(lock))

    def admit(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return who calls, None for a container of the stage itself.

        Raises:
            ServiceError: nobody is named, or the caller's quota is used up.
        """
        tokens, ports = [], []
        for name, value in headers:
            if name == b"authorization":
                tokens.append(value)
            elif name == b"x-forwarded-port":
                ports.append(value)
        # No token can be meant for the stage's own port: whoever has one is counted.
        if not tokens and ports == [self._own_port]:
            return None
        caller = name_in(tokens, self._settings.claim)
        wait = self._table.take(caller, self._quotas.get(caller, self._default))
        if wait > 0:
            raise self._over_quota(caller, math.ceil(wait))
        return caller

    def _over_quota(self, caller: str, seconds: int) -> ServiceError:
        quota = self._settings.quotas.get(caller, self._settings.requests_per_minute)
        now = self._table.clock()
        if now >= self._said.get(caller, now):
            if len(self._said) >= _REMEMBERED:
                self._said.clear()
            self._said[caller] = now + _SAY_AGAIN_SECONDS
            log_line("caller_over_quota", caller=caller, requests_per_minute=quota)
        return ServiceError(
            ErrorCode.OVER_QUOTA,
            f"the quota of caller {caller!r} is {count(quota, 'call')} a minute, and it is used up",
            retry_after=seconds,
            quota={"caller": caller, "requests_per_minute": quota},
        )


def name_in(tokens: list[bytes], claim: str) -> str:
    """Return the caller's name in the one token of a call; raises `ServiceError`.

    Messages say nothing of the token but what it lacks.
    """
    if len(tokens) != 1:
        # With two, the balancer may have verified the other one.
        number = "no" if not tokens else "more than one"
        raise ServiceError(ErrorCode.UNKNOWN_CALLER, f"the call has {number} Authorization header")
    scheme, _, token = tokens[0].partition(b" ")
    parts = token.strip(b" ").split(b".")
    if scheme.lower() != b"bearer" or len(parts) != 3:
        raise ServiceError(
            ErrorCode.UNKNOWN_CALLER, "the Authorization header is not `Bearer` and a JWT"
        )
    try:
        payload = parts[1] + b"=" * (-len(parts[1]) % 4)
        claims = from_json(base64.b64decode(payload, altchars=b"-_", validate=True))
    except ValueError:
        claims = None
    name = claims.get(claim) if isinstance(claims, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise ServiceError(ErrorCode.UNKNOWN_CALLER, f"the token's claim {claim!r} names no caller")
    return name
