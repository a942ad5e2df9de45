"""Who answers a record: the prompt itself, called from here, or the running service."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass
from typing import Protocol

from prompt_hub.batch.output_lines import usage_from_json
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import Answer, Usage
from prompt_hub.release.service_client import Client, Response, UnreachableServiceError
from prompt_hub.repository.rendering import RenderError
from prompt_hub.repository.schema import JsonObject, Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class VersionInfo:
    """What answered: every line of the output says it."""

    task: str
    version: str
    sha256: str
    release: str | None
    model: str | None


@dataclass(frozen=True, kw_only=True)
class RecordAnswer:
    """An output that keeps the prompt's contract, or the reason why there is none."""

    output: JsonObject | None
    error: str | None
    answered_by: VersionInfo
    usage: Usage | None = None
    """What the call took; None where no model was asked, or the service does not say."""
    trace_id: str | None = None
    """The call in the service's log; None where no service was asked."""


class Backend(Protocol):
    """Answers records of one task."""

    @property
    def answered_by(self) -> VersionInfo:
        """What answers now, as far as it is known."""

    async def answer(self, fields: JsonObject, record: int = 0) -> RecordAnswer:
        """Answer the record of that number.

        Raises `ModelUnavailableError` when no answer came at all.
        """


class LocalBackend:
    """Calls the prompt from this process."""

    def __init__(self, prompt: Prompt, client: ModelClient, *, timeout: float) -> None:
        """Answer with `prompt`; one attempt may take `timeout` seconds."""
        self._prompt = prompt
        self._client = client
        self._timeout = timeout
        self.answered_by = VersionInfo(
            task=prompt.task,
            version=prompt.version,
            sha256=prompt.sha256,
            release=os.environ.get(aws_names.ENV_RELEASE) or None,
            model=client.resolve(prompt).identity,
        )

    async def answer(self, fields: JsonObject, record: int = 0) -> RecordAnswer:
        """Answer one record; raises `ModelUnavailableError` when no answer came at all."""
        try:
            answer = await self._ask(fields, record)
        except RenderError as error:
            return RecordAnswer(output=None, error=error.message, answered_by=self.answered_by)
        return RecordAnswer(
            output=answer.output,
            error=answer.problem,
            answered_by=self.answered_by,
            usage=answer.response.usage,
        )

    async def _ask(self, fields: JsonObject, record: int) -> Answer:
        return await self._client.call(self._prompt, fields, timeout=self._timeout)


RECORD_ERRORS = frozenset({"invalid_fields", "body_too_large", "invalid_output", "prompt_broken"})
"""Codes of a bad record, or of an answer that breaks the contract: asking again changes nothing.

Every other refusal, and whatever a proxy or a balancer in between says, is about the way there.
"""


QUOTA_SECONDS = 900.0
"""How long a record waits for its caller's quota, or a place, which others may be using, too."""


class ServiceBackend:
    """Asks the running service; which version answers is the service's decision."""

    def __init__(self, url: str, task: str, *, timeout: float) -> None:
        """Find out what the service at `url` answers `task` with.

        Raises:
            PromptHubError: `url` is no HTTP address, or the service does not have the task.
            ModelUnavailableError: the service does not answer.
        """
        token = os.environ.get(aws_names.ENV_TOKEN)
        self._client = Client(url, timeout=timeout, token=token)
        self._url = self._client.url
        self.answered_by = self._begun = self._served(task)

    def _served(self, task: str) -> VersionInfo:
        response = self._ask("/v1/tasks")
        served = response.object().get("tasks")
        if response.status != 200 or not isinstance(served, list):
            raise ModelUnavailableError(
                f"{self._url}/v1/tasks answered with HTTP {response.status}."
            )
        known = [value for value in served if isinstance(value, dict)]
        mine = next((entry for entry in known if entry.get("task") == task), None)
        if mine is None:
            tasks = ", ".join(str(item.get("task")) for item in known) or "none"
            raise PromptHubError(f"the service at {self._url} serves no task {task!r} ({tasks}).")
        return _answered_by(task, mine)

    async def answer(self, fields: JsonObject, record: int = 0) -> RecordAnswer:
        """Answer one record; raises `ModelUnavailableError` when no answer came at all."""
        task = self.answered_by.task
        path = f"/v1/tasks/{task}/run"
        deadline = time.monotonic() + QUOTA_SECONDS
        while True:
            answer = await asyncio.to_thread(self._ask, path, {"fields": fields})
            status, body = answer.status, answer.object()
            if not _is_busy(answer) or time.monotonic() + answer.retry_after > deadline:
                break
            # Three records without an answer would end the run, and this one will have its own.
            await asyncio.sleep(answer.retry_after)
        trace_id = body.get("trace_id")
        trace_id = trace_id if isinstance(trace_id, str) else None
        logger.debug("the service answered with HTTP %d", status)
        if status == 200:
            output = body.get("output")
            if isinstance(output, dict):
                # Refusals do not say which version they are of: it may have moved meanwhile.
                self.answered_by = _answered_by(task, body)
                return RecordAnswer(
                    output=output,
                    error=None,
                    answered_by=self.answered_by,
                    usage=usage_from_json(body.get("usage")),
                    trace_id=trace_id,
                )
            raise ModelUnavailableError(f"the service at {self._url} answered without an output.")
        found = body.get("error")
        error = found if isinstance(found, dict) else {}
        code, message = error.get("code", ""), error.get("message", "")
        if code == "invalid_fields":
            await self._require_same_fields(task)
        if code in RECORD_ERRORS:
            return RecordAnswer(
                output=None,
                error=str(message),
                answered_by=self.answered_by,
                trace_id=trace_id,
            )
        reason = f"HTTP {status}{f', {message}' if message else ''}"
        raise ModelUnavailableError(
            f"the service at {self._url} gave no answer: {reason}.",
            of_request=error.get("refused") is True,
        )

    async def _require_same_fields(self, task: str) -> None:
        """Raise `PromptHubError` where another version refuses fields than they were read for."""
        served = await asyncio.to_thread(self._served, task)
        if served.sha256 != self._begun.sha256:
            raise PromptHubError(
                f"the service at {self._url} has moved to {task} {served.version}, which takes"
                f" other fields than {self._begun.version}.",
                hint="Pull the repository, so that records are read for that version, and run the"
                " same command again: it begins anew, and keeps what was answered beside it.",
                exit_code=ExitCode.NOT_MEASURED,
            )

    def _ask(self, path: str, body: JsonObject | None = None) -> Response:
        try:
            return self._client.ask(path, body)
        except UnreachableServiceError as error:
            hint = "Check that it runs, then run the same command again."
            raise ModelUnavailableError(f"the service at {error.message}", hint=hint) from None


def _is_busy(answer: Response) -> bool:
    """Whether the service refuses for a quota that is used up, or for the calls of others."""
    if answer.status != 429 or not answer.retry_after:
        return False
    error = answer.object().get("error")
    return isinstance(error, dict) and error.get("code") in {"over_quota", "overloaded"}


def _answered_by(task: str, value: JsonObject) -> VersionInfo:
    release, model = value.get("release"), value.get("model")
    if not isinstance(value.get("version"), str) or not isinstance(value.get("sha256"), str):
        raise PromptHubError(
            "the service does not say which version answers.", exit_code=ExitCode.NOT_MEASURED
        )
    return VersionInfo(
        task=task,
        version=str(value["version"]),
        sha256=str(value["sha256"]),
        release=release if isinstance(release, str) else None,
        model=model if isinstance(model, str) else None,
    )
