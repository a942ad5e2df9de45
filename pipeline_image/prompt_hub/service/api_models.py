"""Requests and answers of the HTTP interface, as types: answers and OpenAPI are made from them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from prompt_hub.release.ledger_poller import Source
from prompt_hub.service.errors import ErrorCode


class ApiModel(BaseModel):
    """A JSON object with these fields and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class RunRequest(ApiModel):
    """A record to be answered."""

    fields: dict[str, object]
    """Name and value of each field; the task's input contract says which there are."""


class CallUsage(ApiModel):
    """What one answer took."""

    input_tokens: int
    """Tokens of the prompt, as the provider counts them."""
    output_tokens: int
    """Tokens of the answer."""
    usd: float | None
    """Cost in US dollars; null where the stage's settings name no price."""
    seconds: float
    """Wall time of the attempt that was answered."""
    attempts: int
    """How often the model was asked, failures included."""


class RunResponse(ApiModel):
    """An output that keeps the prompt's output contract, and what it came from."""

    output: dict[str, JsonValue]
    """The structured fields."""
    task: str
    """The task that was asked."""
    version: str
    """The version of the prompt that answered."""
    sha256: str
    """The hash of that version."""
    release: str
    """The release whose image answered."""
    model: str
    """The model, as verdicts and registry name it."""
    valid: Literal[True]
    """Always true: an output that breaks its contract is an error."""
    trace_id: str
    """The caller's trace, or a fresh one; the service's log has the call under it."""
    usage: CallUsage
    """Tokens, cost and time."""


class FieldProblem(ApiModel):
    """What is wrong with one field; its value is never repeated."""

    field: str
    """Where, names joined by dots; empty for the fields as a whole."""
    problem: str
    """What is wrong, in words."""


class CallerQuota(ApiModel):
    """How often a caller may ask."""

    caller: str
    """The caller, by the name in its token."""
    requests_per_minute: int
    """Its calls a minute in the whole stage."""


class ErrorDetail(ApiModel):
    """Why there is no output."""

    code: ErrorCode
    """For programs; the table of errors says what each means."""
    message: str
    """For people."""
    tasks: list[str] = []
    """With `unknown_task`: the tasks that there are. Absent with every other code."""
    fields: list[FieldProblem] = []
    """With `invalid_fields`: everything that is wrong. Absent with every other code."""
    quota: CallerQuota | None = None
    """With `over_quota`: what is used up. Absent with every other code."""
    refused: bool = False
    """With `model_unavailable`: true where the provider refuses this one request. Absent else."""


class ErrorResponse(ApiModel):
    """An answer without an output."""

    error: ErrorDetail
    """Why there is none."""
    valid: Literal[False]
    """Always false."""
    trace_id: str
    """The caller's trace, or a fresh one; the service's log has the call under it, unless it was
    refused with 4xx."""


class InstanceInfo(ApiModel):
    """The very process that answers: it stays the same when a pointer moves."""

    id: str
    """Made up when the process starts."""
    started_at: str
    """When it started, in ISO 8601."""


class LedgerInfo(ApiModel):
    """How far the process has followed the ledger."""

    revision: int
    """The number of changes that the process has seen."""
    answers: bool
    """Whether the ledger answered when it was asked last."""


class ServedTask(ApiModel):
    """A task and the version that answers it."""

    task: str
    """The task."""
    version: str
    """The version that answers."""
    sha256: str
    """Its hash."""
    release: str
    """The release of the image."""
    revision: int
    """The ledger's revision that made it active; 0 from a snapshot."""
    source: Source
    """`ledger`, or `snapshot` where the image's own word had to do."""


class RefusedTask(ApiModel):
    """A pointer to a version that the image does not carry."""

    task: str
    """The task."""
    version: str
    """The version that the ledger wants."""
    sha256: str
    """Its hash."""


class TasksResponse(ApiModel):
    """What is served here."""

    stage: str
    """The stage."""
    release: str
    """The release of the image."""
    instance: InstanceInfo
    """The process."""
    ledger: LedgerInfo
    """The ledger, as the process sees it."""
    tasks: list[ServedTask]
    """Every task that is answered."""
    refused: list[RefusedTask]
    """Pointers that cannot be followed; such a task keeps its last good version, if it has one."""


class HealthResponse(ApiModel):
    """The process lives."""

    ok: Literal[True]
    """Always true."""


class ReadyResponse(ApiModel):
    """The process answers what the ledger has active."""

    ready: Literal[True]
    """Always true."""


class NotReadyResponse(ApiModel):
    """The process should not be sent calls yet."""

    ready: Literal[False]
    """Always false."""
    reason: str
    """What it waits for, or what its image lacks."""
