"""Reads the body of a chat completion: an answer, why there is none, or an outage inside HTTP 200.

Endpoints agree on where an answer stands and on little else. What is no answer must never become
one: a score of 0 would be stored and remembered, though asking again brings the answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from sys import intern
from typing import Any

from pydantic_core import from_json

from prompt_hub.llm.refusal import Refusal, read_refusal
from prompt_hub.llm.response import (
    FILTERED,
    ModelResponse,
    Usage,
    Withheld,
    cut_off,
    no_content,
    refused,
    repair_surrogates,
)
from prompt_hub.llm.retry import NO_TOKENS, Tokens, TransientError

BROKEN_OFF = frozenset({"error", "abort", "aborted", "cancelled", "insufficient_system_resource"})
"""Finish reasons of an answer that something other than the model has ended.

`error` is OpenRouter's and Mistral's, `abort` vLLM's and SGLang's, the last one DeepSeek's.
"""
CUT_OFF = frozenset({"length", "max_tokens", "model_length"})
"""Finish reasons of an answer that was as long as it may be; the last one is Mistral's."""
_FILTER = "content_filter"
"""Gemini's endpoint says why after a colon: `content_filter: PROHIBITED_CONTENT`."""


_THINKING = ("reasoning_content", "reasoning")
"""Where thinking stands beside an answer: of DeepSeek, SGLang, older vLLM; of newer, OpenRouter."""


class ReportedError(Exception):
    """A failure that an endpoint tells inside HTTP 200."""

    def __init__(self, refusal: Refusal, tokens: Tokens = NO_TOKENS) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.tokens = tokens


def read_completion(body: bytes) -> ModelResponse:
    """Read a provider's answer.

    Raises:
        TransientError: it cannot be made out, or holds no answer.
        ReportedError: the provider says in it what went wrong.
    """
    try:
        try:
            completion = from_json(body)
        except ValueError:
            # Half a character, another encoding: what is odd and can be read is read.
            completion = json.loads(body)
        _raise_reported(completion, completion)
        if "choices" not in completion and (refusal := read_refusal(200, body)).message:
            raise ReportedError(refusal, _tokens_of(completion))
        choice = completion["choices"][0]
        _raise_reported(choice, completion)
        return _read_choice(completion, choice)
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError):
        raise TransientError("its answer was not readable") from None


def _raise_reported(part: Mapping[str, Any], completion: Mapping[str, Any]) -> None:
    if error := part.get("error"):
        # Sent with status 200, so that status says nothing: the error's own code may be one.
        refusal = read_refusal(200, json.dumps({"error": error}).encode("utf-8"))
        raise ReportedError(refusal, _tokens_of(completion))


def _tokens_of(completion: Mapping[str, Any]) -> Tokens:
    usage = completion.get("usage")
    if not isinstance(usage, dict):
        return NO_TOKENS
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


def _failed(reason: str, completion: Mapping[str, Any]) -> TransientError:
    """Say that an attempt brought no answer, though it may have to be paid for."""
    error = TransientError(reason)
    error.tokens = _tokens_of(completion)
    return error


def _read_choice(completion: Mapping[str, Any], choice: Mapping[str, Any]) -> ModelResponse:
    finish = str(choice.get("finish_reason") or "")
    kind = finish.partition(":")[0].strip().lower()
    if kind in BROKEN_OFF:
        raise _failed(f"its answer was broken off (finish_reason {finish})", completion)
    message = choice["message"]
    content = message.get("content")
    text, refusal = _text_of(content)
    refusal = message.get("refusal") or refusal
    usage = completion.get("usage") or {}
    output_tokens = int(usage.get("completion_tokens") or 0)
    withheld = None
    if kind == _FILTER:
        withheld = FILTERED
    elif refusal or kind == "refusal":
        withheld = refused(str(refusal or text))
    elif not text.strip() and kind in CUT_OFF:
        if _holds_thinking(message):
            withheld = Withheld(cut_off(output_tokens, thinking=True))
    elif not text.strip():
        reason = f"finish_reason {finish or 'missing'}"
        reason += ", thinking alone" if _holds_thinking(message) else ""
        # Without counts, null still says that the message is whole and has no text.
        whole = output_tokens if usage else content is None and finish
        if not whole and not (message.get("tool_calls") or message.get("function_call")):
            raise _failed(f"its answer was empty: {no_content(reason).reason}", completion)
        withheld = no_content(reason)
    return ModelResponse(
        text=repair_surrogates(text),
        model=intern(str(completion.get("model") or "")),
        truncated=kind in CUT_OFF,
        withheld=withheld,
        usage=Usage(input_tokens=int(usage.get("prompt_tokens") or 0), output_tokens=output_tokens),
    )


def _holds_thinking(message: Mapping[str, Any]) -> bool:
    """Whether a message holds a model's thinking: beside its text, or as a part of it."""
    content = message.get("content")
    parts = [part for part in content or () if isinstance(part, dict)]
    return any(map(message.get, _THINKING)) or any(part.get("type") == "thinking" for part in parts)


def _text_of(content: str | list[Any] | None) -> tuple[str, str]:
    """Return the text of a message and the refusal among its parts.

    Thinking, tool calls and references are parts, too, but none of the answer.
    """
    if content is None:
        return "", ""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        raise TypeError("content is neither text nor parts")
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    texts = [part["text"] for part in parts if part.get("type") in ("text", "output_text")]
    refusals = [part["refusal"] for part in parts if part.get("type") == "refusal"]
    return "".join(texts), "".join(refusals)
