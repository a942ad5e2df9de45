"""The execution log: one JSON line a call, never a field's value, never a secret.

A call that is refused for its caller's sake has none: callers would write the log.

Names are OpenTelemetry's for GenAI where they exist. The line is in CloudWatch's embedded metric
format, too: `_aws` says which of its own members are metrics, and nothing that callers send decides
what stands there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic_core import to_json

from prompt_hub.core import aws_names
from prompt_hub.core.embedded_metrics import MEMBER, directive, metadata
from prompt_hub.core.log_setup import timestamp, write_line
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.llm.response import Answer, Usage
from prompt_hub.service.errors import ErrorCode, Fault

Outcome = ErrorCode | Literal["ok"]

AFTER_ANSWER_SECONDS = 0.002
"""Time for whoever has an answer to go on, and for other answers to come."""

_ALWAYS = ((aws_names.CALL_SECONDS, "Seconds"), (aws_names.CALL_CONTRACT_FAILED, "Count"))
_TOKENS = ((aws_names.CALL_INPUT_TOKENS, "Count"), (aws_names.CALL_OUTPUT_TOKENS, "Count"))
_USD = (aws_names.CALL_USD, "None")
_OF_TASK = ((aws_names.CALL_CONTRACT_FAILED, "Count"),)


@cache
def _metrics(*, answered: bool, priced: bool) -> list[dict[str, object]]:
    # What is null is no metric of its line.
    metrics = (*_ALWAYS, *(_TOKENS if answered else ()), *((_USD,) if priced else ()))
    namespace = aws_names.calls_namespace()
    return [
        *directive(namespace, aws_names.CALL_DIMENSIONS, *metrics),
        *directive(namespace, aws_names.CALL_TASK_DIMENSIONS, *_OF_TASK),
    ]


def _metrics_of(usage: Usage | None) -> list[dict[str, object]]:
    if usage is None:
        return _metrics(answered=False, priced=False)
    return _metrics(answered=True, priced=usage.usd is not None)


@dataclass(kw_only=True, slots=True)
class Call:
    """What is known of a call before the model answers."""

    stage: str
    task: str
    version: str
    sha256: str
    release: str
    revision: int
    """The ledger's revision that made the version active; 0 from a snapshot."""
    instance: str
    trace_id: str
    model: ModelConfig | None
    caller: str | None = None
    """Who asked, in a stage that tells callers apart."""


def log_line(event: str, **values: object) -> None:
    """Write one JSON line to standard output, where the container's log is read from.

    A line that cannot be written is lost: calls are answered and pointers followed without a log.
    """
    write_json_lines({"event": event, "time": timestamp(), **values})


def write_json_lines(*lines: Mapping[str, object]) -> None:
    """Write JSON lines at once. A line that cannot be written is lost, and stops nothing."""
    texts = []
    for line in lines:
        # A value with half a character in it is no JSON.
        with suppress(ValueError):
            texts.append(to_json(line, fallback=str).decode("utf-8"))
    if texts:
        write_line(sys.stdout, "\n".join(texts))


class LinesOfAnswers:
    """Writes the lines of answered calls a moment after their answers, those that wait at once.

    Whoever is woken by an answer, on the core that this process is on, waits until it rests: of one
    who asks again at once, the next call would wait for the line of the last.
    """

    def __init__(self) -> None:
        self._waiting: list[Callable[[], Mapping[str, object]]] = []

    def add(self, line: Callable[[], Mapping[str, object]]) -> None:
        """Have a line made and written soon, by the running event loop."""
        self._waiting.append(line)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(AFTER_ANSWER_SECONDS, self.write)

    def write(self) -> None:
        """Write what waits: as its time has come, or the service ends."""
        waiting, self._waiting = self._waiting, []
        write_json_lines(*(line() for line in waiting))


def log_unserved(
    stage: str, task: str, release: str, outcome: ErrorCode, trace_id: str, caller: str | None
) -> None:
    """Log a call that no version could answer. `task` must be one that the image or ledger knows.

    Without a version it is no call that metrics count, or that can be traced to one.
    """
    log_line(
        "call_unserved",
        outcome=outcome,
        stage=stage,
        task=task,
        release=release,
        trace_id=trace_id,
        **({} if caller is None else {"caller": caller}),
    )


def call_line(
    call: Call, outcome: Outcome, *, seconds: float, answer: Answer | None, problem: str | None
) -> Mapping[str, object]:
    """Return the line of a call: `seconds` of wall time, no field of the caller in `problem`."""
    model = call.model
    response = answer.response if answer else None
    usage = response.usage if response else None
    return {
        "event": "prompt_call",
        "time": timestamp(),
        "outcome": outcome,
        "stage": call.stage,
        "task": call.task,
        "version": call.version,
        "sha256": call.sha256,
        "release": call.release,
        "revision": call.revision,
        "instance": call.instance,
        "trace_id": call.trace_id,
        **({} if call.caller is None else {"caller": call.caller}),
        "valid": outcome == "ok",
        "problem": problem,
        aws_names.CALL_SECONDS: round(seconds, 4),
        aws_names.CALL_CONTRACT_FAILED: int(outcome != "ok" and outcome.fault is Fault.PROMPT),
        "attempts": usage.attempts if usage else None,
        aws_names.CALL_USD: usage.usd if usage else None,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider_of(model.provider).telemetry_name if model else None,
        "gen_ai.request.model": model.model if model else None,
        "gen_ai.response.model": response.model if response else None,
        aws_names.CALL_INPUT_TOKENS: usage.input_tokens if usage else None,
        aws_names.CALL_OUTPUT_TOKENS: usage.output_tokens if usage else None,
        MEMBER: metadata(_metrics_of(usage)),
    }
