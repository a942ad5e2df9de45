"""Every way in which the service refuses a call: one table, and the exception that carries it.

Answers, the OpenAPI document and the table in `docs/http-api.md` are all made from `ErrorCode`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Fault(StrEnum):
    """Who has to mend what went wrong."""

    CALLER = "the caller"
    OPERATOR = "whoever runs the stage"
    PROMPT = "the prompt's author"
    PROVIDER = "the model's provider"
    SERVICE = "this software"


class ErrorCode(StrEnum):
    """The table of errors: the code that programs read, and what it means."""

    status: int
    """HTTP status of the answer."""
    fault: Fault
    """Who has to mend it."""
    retry: bool
    """Whether the same request may succeed when it is sent again later."""
    meaning: str
    """What happened, for people."""

    def __new__(cls, code: str, status: int, fault: Fault, retry: bool, meaning: str) -> Self:
        """Make one row of the table."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.status = status
        member.fault = fault
        member.retry = retry
        member.meaning = meaning
        return member

    NOT_JSON = (
        "not_json", 400, Fault.CALLER, False,
        "The body is no JSON, says a key twice, NaN or half a character, or nests some 60 deep.",
    )  # fmt: skip
    NO_FIELDS = (
        "no_fields", 422, Fault.CALLER, False,
        'The body is JSON and is not `{"fields": {...}}` and nothing else.',
    )  # fmt: skip
    BODY_TOO_LARGE = (
        "body_too_large", 413, Fault.CALLER, False,
        "The body has more than 256 KiB, or more than 5,000 names and values.",
    )  # fmt: skip
    TOO_SLOW = (
        "too_slow", 408, Fault.CALLER, True,
        "The body did not arrive within 30 s.",
    )  # fmt: skip
    NO_SUCH_PATH = (
        "no_such_path", 404, Fault.CALLER, False,
        "There is no such path. With status 405: the path is there, and not for this method.",
    )  # fmt: skip
    UNKNOWN_TASK = (
        "unknown_task", 404, Fault.CALLER, False,
        "The image has no version of the task; `error.tasks` lists those that it has.",
    )  # fmt: skip
    RETIRED = (
        "retired", 410, Fault.CALLER, False,
        "The task was taken out of service: git has no version of it released any more.",
    )  # fmt: skip
    INVALID_FIELDS = (
        "invalid_fields", 422, Fault.CALLER, False,
        "The fields break the prompt's input contract; `error.fields` names each and says how.",
    )  # fmt: skip
    PROMPT_BROKEN = (
        "prompt_broken", 500, Fault.PROMPT, False,
        "The prompt cannot be rendered with fields that keep its input contract.",
    )  # fmt: skip
    UNKNOWN_CALLER = (
        "unknown_caller", 401, Fault.CALLER, False,
        "No token names the caller, in a stage that tells callers apart.",
    )  # fmt: skip
    OVER_QUOTA = (
        "over_quota", 429, Fault.CALLER, True,
        "The caller has used up its own quota; `error.quota` names both. Others are not concerned.",
    )  # fmt: skip
    OVERLOADED = (
        "overloaded", 429, Fault.OPERATOR, True,
        "The service has as many calls in hand as it takes on at once.",
    )  # fmt: skip
    UNEXPECTED = (
        "unexpected", 500, Fault.SERVICE, False,
        "An error that nobody foresaw; the log has it under the trace id.",
    )  # fmt: skip
    INVALID_OUTPUT = (
        "invalid_output", 502, Fault.PROMPT, False,
        "The model answered, and its answer breaks the prompt's output contract.",
    )  # fmt: skip
    MODEL_UNAVAILABLE = (
        "model_unavailable", 503, Fault.PROVIDER, True,
        "The model gave no answer in time, or refused. With `error.refused` it refuses this one"
        " request, as one that is too long: asking again changes nothing.",
    )  # fmt: skip
    NOT_ACTIVE = (
        "not_active", 503, Fault.OPERATOR, True,
        "The image has the task, and the stage has no version of it active yet, or the ledger has"
        " not answered yet.",
    )  # fmt: skip
    NOT_CARRIED = (
        "not_carried", 503, Fault.OPERATOR, True,
        "The stage has a version active that this image does not carry.",
    )  # fmt: skip


RETRY_AFTER_SECONDS = 5
"""When to ask again, where nothing says it better."""


class ServiceError(Exception):
    """A call that has no output: `code` for programs, the message for people.

    `details` stand beside them in the answer; `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retry_after: int = RETRY_AFTER_SECONDS,
        **details: object,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.details = details
