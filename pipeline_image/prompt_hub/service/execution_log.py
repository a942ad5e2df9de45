"""The execution log: one JSON line a call, never a field's value, never a secret.

Names are OpenTelemetry's for GenAI where they exist.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

from pydantic_core import to_json

from prompt_hub.core.log_setup import timestamp, write_line
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers.registry import provider_of
from prompt_hub.llm.response import Answer
from prompt_hub.service.errors import ErrorCode

Outcome = ErrorCode | Literal["ok"]


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
    write_json_line(sys.stdout, {"event": event, "time": timestamp(), **values})


def write_json_line(stream: TextIO, line: Mapping[str, object]) -> None:
    """Write one JSON line at once. A line that cannot be written is lost, and stops nothing."""
    try:
        text = to_json(line, fallback=str).decode("utf-8")
    except ValueError:
        # A value with half a character in it is no JSON.
        return
    write_line(stream, text)


def log_call(
    call: Call, outcome: Outcome, *, seconds: float, answer: Answer | None, problem: str | None
) -> None:
    """Log one call. `seconds` is wall time; `problem` must not quote the caller's fields."""
    model = call.model
    response = answer.response if answer else None
    usage = response.usage if response else None
    write_json_line(
        sys.stdout,
        {
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
            "seconds": round(seconds, 4),
            "attempts": usage.attempts if usage else None,
            "usd": usage.usd if usage else None,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider_of(model.provider).telemetry_name if model else None,
            "gen_ai.request.model": model.model if model else None,
            "gen_ai.response.model": response.model if response else None,
            "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
            "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
        },
    )
