"""A prompt and the fields of a record become chat messages: sandboxed, strict, bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.repository.schema import JsonObject, Message, Prompt
from prompt_hub.repository.templates import render_text


class RenderError(PromptHubError):
    """A template could not be rendered with the fields given."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.BLOCKED)


def render(prompt: Prompt, fields: Mapping[str, object]) -> list[dict[str, str]]:
    """Chat messages for one record, few-shot turns inlined before the last user message.

    Raises:
        RenderError: a variable is missing, or the template does something that is not allowed.
    """
    *before, question = prompt.messages
    messages = [_one(prompt, message, fields) for message in before]
    shots = prompt.few_shot.examples or () if prompt.few_shot else ()
    for shot in shots:
        messages.append(_one(prompt, question, shot.input))
        answer = json.dumps(shot.expected, ensure_ascii=False)
        messages.append({"role": "assistant", "content": answer})
    messages.append(_one(prompt, question, fields))
    return messages


def rejection_reason(prompt: Prompt, fields: JsonObject) -> str | None:
    """Why a prompt cannot be asked about a record, in words; None where it can.

    Its input's contract comes first, because the service holds callers to it; then its template.
    """
    problem = schema_problem(fields, prompt.input)
    if problem is not None:
        return f"the input of {prompt.task} {prompt.version} does not take them ({problem})"
    try:
        # Shots are inlined in a prompt and fit it; leaving them out keeps this linear.
        render(prompt.model_copy(update={"few_shot": None}), fields)
    except RenderError as error:
        return error.message.rstrip(".")
    return None


def _one(prompt: Prompt, message: Message, fields: Mapping[str, object]) -> dict[str, str]:
    try:
        return {"role": message.role, "content": render_text(message.content, fields)}
    # A template is a program of its author's: whatever it raises is about the template.
    except Exception as error:
        raise RenderError(
            f"the {message.role} message of {prompt.task} {prompt.version} cannot be rendered:"
            f" {error}.",
            hint="Declare the field in the prompt's input, or mend the template.",
        ) from None
