"""Keys of providers, from Secrets Manager or from the environment, read when a call is made."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable

from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError

SAME_KEY_SECONDS = 60.0
"""So long a key counts as the present one: a storm of refusals reads no secret over and over."""


class SecretApiKey:
    """A provider's key in Secrets Manager: read at the first call, and anew after a refusal.

    However many calls wait for it, it is read once, and off the event loop.
    """

    def __init__(
        self,
        secret: str,
        read: Callable[[str], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret = secret
        self._read = read or _read_secret
        self._clock = clock
        self._key: str | None = None
        self._known: tuple[str, ...] = ()
        self._read_at = clock()
        self._reading: asyncio.Task[str] | None = None

    async def __call__(self) -> str:
        """Return the key; raises `PromptHubError` if there is none, or it cannot be read."""
        if self._key is not None:
            return self._key
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_now())
            # Marks a failure as seen: every call that waited may have given up by then.
            self._reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        # A call that loses its patience must not end the reading for the others.
        return await asyncio.shield(self._reading)

    @property
    def known(self) -> tuple[str, ...]:
        """Every key that was read: the refusal of one that was taken away may quote it."""
        return self._known

    def refused(self) -> None:
        """Take note that the provider refused the key; the next call reads it anew."""
        if self._clock() - self._read_at >= SAME_KEY_SECONDS:
            self._key = None

    async def _read_now(self) -> str:
        try:
            self._key = key = await asyncio.to_thread(self._read, self._secret)
            self._read_at = self._clock()
            if key not in self._known:
                self._known += (key,)
            return key
        finally:
            self._reading = None


def api_key(model: ModelConfig) -> str | SecretApiKey:
    """Find the key of a model; raises `PromptHubError` when its environment variable is empty."""
    if model.secret is not None:
        return SecretApiKey(model.secret)
    if model.api_key_env is None:
        # An endpoint without a key, such as a local model, still gets the header that the SDK
        # insists on.
        return "none"
    key = os.environ.get(model.api_key_env, "").strip()
    if not key:
        raise PromptHubError(
            f"the model alias {model.alias!r} needs a key, but {model.api_key_env} is empty.",
            hint=f"Set {model.api_key_env}.",
        )
    return _checked(key, model.api_key_env)


_NO_HEADER = re.compile(r"[^\x20-\x7e]")


def _checked(key: str, place: str) -> str:
    """Return a key if a header can carry it; raises `PromptHubError` if none can."""
    if odd := _NO_HEADER.search(key):
        raise PromptHubError(
            f"the key in {place} has a character that no HTTP header can carry, at position"
            f" {odd.start() + 1} of {len(key)}.",
            hint="Copy the key again: it is one line of ASCII.",
        )
    return key


def _read_secret(secret: str) -> str:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    # A call waits for it, and with it a person.
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    try:
        # A session of its own: the common one may not be used by two threads at once.
        client = boto3.Session().client("secretsmanager", config=config)
        stored = client.get_secret_value(SecretId=secret)
    except (BotoCoreError, ClientError) as error:
        # Not its own words, which name the account and the role: callers of the service read this.
        reason = type(error).__name__
        if isinstance(error, ClientError):
            reason = error.response["Error"]["Code"]
        raise ModelUnavailableError(
            f"the provider's key cannot be read from the secret {secret!r}: {reason}.",
            hint="Check that the secret exists and that this role may read it.",
        ) from None
    return stored_key(stored.get("SecretString", ""), secret)


def stored_key(stored: str, secret: str) -> str:
    """Return the key that a secret holds; raises `PromptHubError` if it holds none."""
    key = stored.strip()
    if not key or key.upper().startswith("REPLACE"):
        raise PromptHubError(
            f"the secret {secret!r} still holds a placeholder.",
            hint="Put the provider's key into it with `aws secretsmanager put-secret-value`.",
        )
    return _checked(key, f"the secret {secret!r}")
