"""A prompt and the fields of a record become chat messages: sandboxed, strict, bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.prompts.models import Message, Prompt

MAX_RENDERED_CHARACTERS = 200_000
"""A message longer than this is a runaway template, not a prompt."""


class RenderError(PromptHubError):
    """A template could not be rendered with the fields given."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.BLOCKED)


def _environment() -> ImmutableSandboxedEnvironment:
    # Autoescaping is for HTML; a prompt is plain text and must arrive as it was written.
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=False,
    )
    # `range` and `lipsum` make text out of nothing, without bound; a prompt needs neither.
    environment.globals.clear()
    return environment


_ENVIRONMENT = _environment()


@lru_cache(maxsize=512)
def _compiled(content: str) -> Template:
    return _ENVIRONMENT.from_string(content)


def variables_of(content: str) -> set[str]:
    """Names that a template reads; raises `RenderError` if it does not parse."""
    try:
        return set(meta.find_undeclared_variables(_ENVIRONMENT.parse(content)))
    except (TemplateError, RecursionError) as error:
        raise RenderError(f"the template does not parse: {error}.") from None


def render(prompt: Prompt, fields: Mapping[str, object]) -> list[dict[str, str]]:
    """Chat messages for one record, few-shot turns inlined before the last user message.

    Raises:
        RenderError: a variable is missing, or the template does something that is not allowed.
    """
    *before, question = prompt.messages
    messages = [_one(message, fields) for message in before]
    shots = prompt.few_shot.examples or () if prompt.few_shot else ()
    for shot in shots:
        messages.append(_one(question, shot.input))
        answer = json.dumps(shot.expected, ensure_ascii=False)
        messages.append({"role": "assistant", "content": answer})
    messages.append(_one(question, fields))
    return messages


def _one(message: Message, fields: Mapping[str, object]) -> dict[str, str]:
    try:
        text = _compiled(message.content).render(fields)
    # A template is a program of its author's: whatever it raises is about the template.
    except Exception as error:
        raise RenderError(
            f"the {message.role} message cannot be rendered: {error}.",
            hint="Declare the field in the prompt's input, or mend the template.",
        ) from None
    if len(text) > MAX_RENDERED_CHARACTERS:
        raise RenderError(
            f"the {message.role} message has {len(text)} characters;"
            f" at most {MAX_RENDERED_CHARACTERS} are allowed."
        )
    return {"role": message.role, "content": text}
