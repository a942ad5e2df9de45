"""Batches of OpenAI's Batch API and of those who copy it: requests in a file, answers in another.

Here the openai SDK sends for itself: a batch is some dozen requests. It does not send them twice,
though: a batch whose creation got no answer may have been created, and the SDK would pay for it
again (findings/batches-that-are-created-twice.sh).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

import httpx2
from pydantic_core import to_json

from prompt_hub.core.imports import bodies_deferred
from prompt_hub.llm.batches import BatchAnswer, BatchState, Phase
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers._chat_answer import ReportedError, read_completion
from prompt_hub.llm.providers._chat_completions import (
    NEVER_TRIED_AGAIN,
    encode,
    filtered_response,
)
from prompt_hub.llm.providers._no_connection import no_connection
from prompt_hub.llm.providers._proxy import ProxyRefusedError, check_proxy, proxies_understood
from prompt_hub.llm.providers._requests import Connect, tls_context
from prompt_hub.llm.refusal import Refusal, read_refusal, redact
from prompt_hub.llm.response import ModelResponse
from prompt_hub.llm.retry import (
    DENIED,
    CallError,
    PermanentError,
    TransientError,
    call_error,
    parse_retry_after,
)
from prompt_hub.llm.secrets import SecretApiKey, api_key
from prompt_hub.llm.sent_schema import sent_schema
from prompt_hub.repository.schema import JsonObject

# As in `_requests.py`: all types of the SDK take half a second, and batches need a few of them.
with bodies_deferred("openai.types"):
    import openai

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types import Batch

ENDPOINT: Final = "/v1/chat/completions"
WINDOW: Final = "24h"
"""The only time that a batch can be given, of openai 3.54.0 (`BatchCreateParams`)."""
TAG = "prompt_hub"
"""Key of a batch's metadata under which its tag stands."""
SECONDS = 60.0
"""Time for a request without a file."""
FILE_SECONDS = 1800.0
"""Time for a request with a file, of some hundred megabytes at most."""
PAGE = 100
"""Batches that one request lists, the most that are allowed."""
CLOCK_SKEW_SECONDS = 3600.0
"""By which the provider's clock may differ from ours."""
PHASES: Mapping[str, Phase] = {
    "validating": "waiting",
    "in_progress": "waiting",
    "finalizing": "waiting",
    "cancelling": "waiting",
    "completed": "ended",
    "expired": "ended",
    "cancelled": "ended",
    "failed": "failed",
}
"""Of an expired or cancelled batch what was answered before is there, and is paid."""
QUEUE_FULL = frozenset({"token_limit_exceeded"})
"""Codes with which a batch fails when too many tokens are waiting already."""


class Files(Protocol):
    """Where a provider wants requests, and leaves answers."""

    async def put(
        self, client: openai.AsyncOpenAI, model: ModelConfig, lines: IO[bytes], tag: str
    ) -> str:
        """Store requests, and return what a batch calls them."""

    def results(self, batch: Batch) -> tuple[str, ...]:
        """Say where the answers and errors of a batch are."""

    async def fetch(
        self, client: openai.AsyncOpenAI, model: ModelConfig, name: str, into: IO[bytes]
    ) -> None:
        """Copy a file of results; nothing where there is none."""


class ApiFiles:
    """Files of the provider's own Files API."""

    async def put(
        self, client: openai.AsyncOpenAI, model: ModelConfig, lines: IO[bytes], tag: str
    ) -> str:
        """Upload requests."""
        uploaded = await client.files.create(
            file=(f"{tag}.jsonl", lines), purpose="batch", timeout=FILE_SECONDS
        )
        return uploaded.id

    def results(self, batch: Batch) -> tuple[str, ...]:
        """Take the names that the batch has for them."""
        return tuple(filter(None, (batch.output_file_id, batch.error_file_id)))

    async def fetch(
        self, client: openai.AsyncOpenAI, model: ModelConfig, name: str, into: IO[bytes]
    ) -> None:
        """Download a file piece by piece, unless the provider keeps it no longer."""
        files = client.files.with_streaming_response
        with suppress(openai.NotFoundError):
            async with files.content(name, timeout=FILE_SECONDS) as response:
                async for part in response.iter_bytes():
                    into.write(part)


class OpenAIBatches:
    """Keeps one SDK client for each model."""

    def __init__(self, connect: Connect, files: Files) -> None:
        self._connect = connect
        self._files = files
        self._clients: dict[ModelConfig, openai.AsyncOpenAI] = {}
        self._keys: dict[ModelConfig, str | SecretApiKey] = {}

    def line(
        self,
        model: ModelConfig,
        custom_id: str,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> bytes:
        """Write a request: its body is, byte by byte, that of a call by itself."""
        body = encode(model.model, messages, sent_schema(schema, model.schema_support), parameters)
        head = to_json({"custom_id": custom_id, "method": "POST", "url": ENDPOINT})[:-1]
        return b'%b,"body":%b}\n' % (head, body)

    async def upload(self, model: ModelConfig, lines: IO[bytes], tag: str) -> str:
        """Put the input where the provider reads it."""
        with self._explained(model):
            return await self._files.put(self._client(model), model, lines, tag)

    async def create(self, model: ModelConfig, uploaded: str, tag: str) -> BatchState:
        """Start a batch."""
        headers = {}
        if model.batch_role is not None:
            headers["X-Amzn-Bedrock-RoleArn"] = model.batch_role
            headers["X-Amzn-Bedrock-ModelId"] = model.model
        with self._explained(model):
            batch = await self._client(model).batches.create(
                input_file_id=uploaded,
                endpoint=ENDPOINT,
                completion_window=WINDOW,
                metadata={TAG: tag},
                extra_headers=headers,
                timeout=SECONDS,
            )
        return self._read(batch)

    async def find(self, model: ModelConfig, tag: str, since: float) -> BatchState | None:
        """Look through the batches since a time, the newest of which come first."""
        with self._explained(model):
            pages = self._client(model).batches.list(limit=PAGE, timeout=SECONDS)
            async for batch in pages:
                if (batch.metadata or {}).get(TAG) == tag:
                    return self._read(batch)
                if batch.created_at < since - CLOCK_SKEW_SECONDS:
                    break
        return None

    async def state(self, model: ModelConfig, batch: str) -> BatchState | None:
        """Ask how far a batch is."""
        try:
            with self._explained(model):
                return self._read(
                    await self._client(model).batches.retrieve(batch, timeout=SECONDS)
                )
        except PermanentError as error:
            if error.reason == "HTTP 404":
                return None
            raise

    async def answers(self, model: ModelConfig, state: BatchState) -> AsyncIterator[BatchAnswer]:
        """Read results through a file without a name, so that a slow reader loses nothing."""
        for name in state.files:
            with TemporaryFile() as lines:
                with self._explained(model):
                    await self._files.fetch(self._client(model), model, name, lines)
                lines.seek(0)
                for number, line in enumerate(lines):
                    if line.strip():
                        yield _answer(model, line)
                    if number % PAGE == 0:
                        # Others wait for their batches meanwhile.
                        await asyncio.sleep(0)

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _client(self, model: ModelConfig) -> openai.AsyncOpenAI:
        client = self._clients.get(model)
        if client is None:
            key = self._keys[model] = api_key(model)
            with proxies_understood():
                transport = _Transport(verify=tls_context())
            client = self._connect(model, key, transport)
            self._clients[model] = client
        return client

    def _read(self, batch: Batch) -> BatchState:
        phase = PHASES.get(batch.status, "unknown")
        counts = batch.request_counts
        errors = (batch.errors.data if batch.errors else None) or []
        first = errors[0] if errors else None
        reason = ""
        if first is not None:
            refusal = Refusal(status=0, code=first.code or "", message=first.message or "")
            reason = refusal.in_words(()) + (f", line {first.line}" if first.line else "")
        return BatchState(
            id=batch.id,
            status=batch.status,
            phase=phase,
            answered=counts.completed if counts else 0,
            failed=counts.failed if counts else 0,
            total=counts.total if counts else 0,
            reason=reason,
            queue_full=any(error.code in QUEUE_FULL for error in errors),
            files=self._files.results(batch) if phase == "ended" else (),
        )

    @contextmanager
    def _explained(self, model: ModelConfig) -> Iterator[None]:
        """Say what the SDK raises in the terms of the retry layer."""
        try:
            yield
        except openai.APIStatusError as error:
            response = error.response
            key = self._keys[model]
            if isinstance(key, SecretApiKey) and response.status_code in DENIED:
                key.refused()
            refusal = read_refusal(response.status_code, response.content)
            known = (key,) if isinstance(key, str) else key.known
            headers = response.headers
            raise call_error(
                response.status_code,
                detail=refusal.in_words((), known),
                after=parse_retry_after(headers.get("retry-after"), headers.get("retry-after-ms")),
                final=bool({refusal.type, refusal.code} & NEVER_TRIED_AGAIN),
            ) from None
        except (openai.APIConnectionError, httpx2.RequestError) as error:
            if isinstance(error.__cause__, ProxyRefusedError):
                raise error.__cause__ from None
            # httpx2's is that of a body which breaks off while it is read: the SDK has none for it.
            raise no_connection(error) from None
        except openai.OpenAIError as error:
            raise PermanentError(redact(str(error), ()).rstrip(".")) from None


class _Transport(openai.DefaultAsyncHttpxClient):
    """The SDK's own; a proxy that cannot be used is refused when a request is meant for it."""

    def _init_proxy_transport(
        self, proxy: httpx2.Proxy, *arguments: object, **settings: object
    ) -> httpx2.AsyncBaseTransport:
        try:
            check_proxy(str(proxy.url))
        except ProxyRefusedError as error:
            return _Refusing(error)
        # They are handed on as they came.
        return super()._init_proxy_transport(proxy, *arguments, **settings)  # type: ignore[arg-type]


class _Refusing(httpx2.AsyncBaseTransport):
    """Sends nothing, and says why."""

    def __init__(self, error: ProxyRefusedError) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raise self._error


def _answer(model: ModelConfig, line: bytes) -> BatchAnswer:
    """Read one line of results; one that does not say whose it is answers no request."""
    try:
        result: Mapping[str, Any] = json.loads(line)
        custom_id = result["custom_id"]
        if not isinstance(custom_id, str):
            raise TypeError
    except (ValueError, LookupError, TypeError, RecursionError):
        problem = "a line of the batch's results was not readable"
        return BatchAnswer(custom_id="", response=None, problem=problem)
    try:
        return BatchAnswer(custom_id=custom_id, response=_response(model, result))
    except ReportedError as error:
        return BatchAnswer(
            custom_id=custom_id, response=None, problem=error.refusal.in_words(()) or "an error"
        )
    except CallError as error:
        return BatchAnswer(custom_id=custom_id, response=None, problem=error.in_words())


def _response(model: ModelConfig, result: Mapping[str, Any]) -> ModelResponse:
    try:
        if error := result.get("error"):
            raise ReportedError(read_refusal(200, json.dumps({"error": error}).encode()))
        body = json.dumps(result["response"]["body"]).encode()
        status = int(result["response"]["status_code"])
    except (ValueError, LookupError, TypeError, AttributeError):
        raise TransientError("its answer was not readable") from None
    if not 200 <= status < 300:
        refusal = read_refusal(status, body)
        if refusal.filtered:
            return filtered_response(model)
        raise call_error(status, detail=refusal.in_words(()), after=None)
    try:
        return read_completion(body)
    except ReportedError as error:
        if error.refusal.filtered:
            return filtered_response(model)
        raise
