"""Answers one call with the active prompt: checks, asks the model, logs. Knows no HTTP."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from prompt_hub.core.concurrency import TimeLimit, run_off_loop
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.log_setup import log_context
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.refusal import without_values
from prompt_hub.llm.response import Answer
from prompt_hub.release.ledger_poller import (
    ServedVersion,
    ServingState,
    UnservedTaskError,
    WhyUnserved,
)
from prompt_hub.release.manifest import VersionKey
from prompt_hub.repository.input_check import field_problems, in_words
from prompt_hub.repository.rendering import RenderError
from prompt_hub.repository.schema import JsonObject, Prompt
from prompt_hub.service.errors import ErrorCode, Fault, ServiceError
from prompt_hub.service.execution_log import Call, call_line, log_unserved, write_json_lines

SECONDS_PER_CALL = 60.0
"""Longest wait for a model where metadata names none."""
LAST_ATTEMPT = 0.95
"""The part of a call's time after which no attempt is begun: it would be paid for, and ended.

The end of a wait is then told by who waits, and knows what for, and not by the call's time limit.
"""


class StateSource(Protocol):
    """Where the pointers come from: a `LedgerPoller`, or what a worker hears of one."""

    @property
    def state(self) -> ServingState:
        """Return the pointers as they are now."""

    def run(self, every_seconds: float, stop: threading.Event) -> None:
        """Follow them until `stop` is set."""

    def find(self, task: str, stage: str) -> ServedVersion:
        """Return the version of `task` that is served now; raises `UnservedTaskError`."""


_UNSERVED = {
    WhyUnserved.NOT_CARRIED: ErrorCode.NOT_CARRIED,
    WhyUnserved.UNKNOWN_TASK: ErrorCode.UNKNOWN_TASK,
    WhyUnserved.RETIRED: ErrorCode.RETIRED,
    WhyUnserved.NOT_ACTIVE: ErrorCode.NOT_ACTIVE,
}


@dataclass(frozen=True, kw_only=True)
class Instance:
    """This very process, so that people see that it is the same one before and after a rollback."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())


@dataclass(kw_only=True, slots=True)
class _Attempt:
    """What came of asking a model once: an answer that keeps its contract, or an error."""

    model: ModelConfig | None = None
    answer: Answer | None = None
    error: ServiceError | None = None
    logged_problem: str | None = None
    """What the log says of an error; no field's value stands in it."""


@dataclass(kw_only=True, slots=True)
class Answered:
    """A valid answer and what it came from."""

    task: str
    served: ServedVersion
    model: str
    answer: Answer
    output: JsonObject
    line: Callable[[], Mapping[str, object]] = field(repr=False)
    """Makes the call's line: for once the answer is sent, which is not to wait for it."""


class PromptService:
    """The active prompts of one image in one stage."""

    def __init__(
        self,
        *,
        stage: str,
        release: str,
        prompts: Mapping[VersionKey, Prompt],
        seconds_per_call: Mapping[str, float],
        poller: StateSource,
        client: ModelClient,
    ) -> None:
        self.stage = stage
        self.release = release
        self.instance = Instance()
        self.poller = poller
        self._prompts = prompts
        self._seconds_per_call = seconds_per_call
        self._limits: dict[float, TimeLimit] = {}
        self._client = client

    def prompts_of(self, served: Mapping[str, ServedVersion]) -> Iterator[tuple[str, Prompt]]:
        """Yield tasks and the prompts that answer them, in the order of the tasks' names."""
        for task in sorted(served):
            yield task, self._prompts[task, served[task].reference.version]

    async def close(self) -> None:
        """Give back the connections to models."""
        await self._client.close()

    async def run(
        self,
        task: str,
        fields: JsonObject,
        trace_id: str,
        *,
        size: int = 0,
        caller: str | None = None,
        queued: AbstractContextManager[object] | None = None,
    ) -> Answered:
        """Answer one record with the active version of `task`; raises `ServiceError`.

        The caller is to have a call logged that is answered (`Answered.line`); others are already,
        but for those that are refused for their caller's sake.

        `size` is that of the fields as they came: the work that large ones take is kept off the
        event loop. `caller` is who asks, where that is known. `queued` is entered while the call
        waits to be sent to its model, and may end it by an exception.
        """
        served = self._served(task, trace_id, caller)
        prompt = self._prompts[task, served.reference.version]
        problems = await run_off_loop(size, field_problems, fields, prompt.input)
        if problems:
            raise ServiceError(ErrorCode.INVALID_FIELDS, in_words(problems), fields=problems)
        with log_context(task=task, version=prompt.version, trace_id=trace_id):
            return await self._ask(task, served, prompt, fields, trace_id, size, caller, queued)

    def _served(self, task: str, trace_id: str, caller: str | None) -> ServedVersion:
        try:
            return self.poller.find(task, self.stage)
        except UnservedTaskError as error:
            code = _UNSERVED[error.why]
            if code is ErrorCode.UNKNOWN_TASK:
                raise ServiceError(code, error.message, tasks=error.known) from None
            if code.fault is not Fault.CALLER:
                # The alarm on server errors sends people to the log.
                log_unserved(self.stage, task, self.release, code, trace_id, caller)
            raise ServiceError(code, error.message) from None

    async def _ask(
        self,
        task: str,
        served: ServedVersion,
        prompt: Prompt,
        fields: JsonObject,
        trace_id: str,
        size: int,
        caller: str | None,
        queued: AbstractContextManager[object] | None,
    ) -> Answered:
        started = time.perf_counter()
        attempt = await self._try_model(prompt, fields, size, queued)
        seconds = time.perf_counter() - started
        line = partial(self._line, task, served, prompt, trace_id, attempt, seconds, caller)
        error = attempt.error
        if error is not None:
            write_json_lines(line())
            try:
                raise error
            finally:
                # By its traceback it leads here again: a ring, which would keep the record.
                del error, attempt, line
        model, answer = attempt.model, attempt.answer
        assert model is not None
        assert answer is not None
        assert answer.output is not None
        return Answered(
            task=task,
            served=served,
            model=model.identity,
            answer=answer,
            output=answer.output,
            line=line,
        )

    def _line(
        self,
        task: str,
        served: ServedVersion,
        prompt: Prompt,
        trace_id: str,
        attempt: _Attempt,
        seconds: float,
        caller: str | None,
    ) -> Mapping[str, object]:
        error, problem = attempt.error, attempt.logged_problem
        if problem is None and error is not None and error.code != ErrorCode.INVALID_OUTPUT:
            # What is wrong with an output may quote it.
            problem = error.message
        return call_line(
            Call(
                stage=self.stage,
                task=task,
                version=prompt.version,
                # Not the prompt's own, which is worked out anew each time.
                sha256=served.reference.sha256,
                release=self.release,
                revision=served.revision,
                instance=self.instance.id,
                trace_id=trace_id,
                model=attempt.model,
                caller=caller,
            ),
            error.code if error else "ok",
            seconds=seconds,
            answer=attempt.answer,
            problem=problem,
        )

    async def _try_model(
        self,
        prompt: Prompt,
        fields: JsonObject,
        size: int,
        queued: AbstractContextManager[object] | None,
    ) -> _Attempt:
        """Ask the model once, and say what came of it; never raises for what may go wrong there."""
        seconds = self._seconds_per_call.get(prompt.task, SECONDS_PER_CALL)
        limit = self._limits.get(seconds)
        if limit is None:
            limit = self._limits[seconds] = TimeLimit(seconds)
        attempt, until = _Attempt(), time.monotonic() + seconds * LAST_ATTEMPT
        try:
            attempt.model = self._client.resolve(prompt)
            with limit():
                request = await run_off_loop(size, self._client.request, prompt, fields)
                response = await self._client.send(
                    request, timeout=None, until=until, queued=queued
                )
                attempt.answer = await run_off_loop(len(response.text), Answer.of, response, prompt)
        except RenderError:
            # The renderer's own words may quote the caller's fields.
            message = f"{prompt.task} {prompt.version} cannot be rendered"
            attempt.error = ServiceError(ErrorCode.PROMPT_BROKEN, message)
        except TimeoutError:
            message = f"the model gave no answer within {seconds:g} s"
            attempt.error = ServiceError(ErrorCode.MODEL_UNAVAILABLE, message)
        except ModelUnavailableError as error:
            refused = {"refused": True} if error.of_request else {}
            message = error.public_message
            attempt.error = ServiceError(ErrorCode.MODEL_UNAVAILABLE, message, **refused)
            attempt.logged_problem = await run_off_loop(size, without_values, error.message, fields)
        except PromptHubError as error:
            attempt.error = ServiceError(ErrorCode.MODEL_UNAVAILABLE, error.message)
        else:
            answer = attempt.answer
            if answer.output is None:
                message = f"the model's answer breaks the output contract: {answer.problem}"
                attempt.error = ServiceError(ErrorCode.INVALID_OUTPUT, message)
        return attempt
