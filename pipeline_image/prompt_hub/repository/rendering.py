"""A prompt and the fields of a record become chat messages: sandboxed, strict, bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.repository.schema import JsonObject, Message, Prompt
from prompt_hub.repository.templates import compile_text


class RenderError(PromptHubError):
    """A template could not be rendered with the fields given."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.BLOCKED)


class Renderer:
    """Makes one prompt's messages for many records: what is the same for all is made once."""

    def __init__(self, prompt: Prompt) -> None:
        """Make a renderer; nothing is compiled before the first record."""
        self._prompt = prompt
        self._templates: list[_Template] | None = None
        self._shots: list[dict[str, str]] | None = None

    def render(self, fields: Mapping[str, object]) -> list[dict[str, str]]:
        """Return chat messages for one record, the caller's own: nobody else has them.

        Raises:
            RenderError: a variable is missing, or the template does something that is not allowed.
        """
        templates, shots = self._templates, self._shots
        if templates is None or shots is None:
            *before, question = self._prompt.messages
            templates = [_Template(self._prompt, message) for message in before]
            messages = [template.message(fields) for template in templates]
            asked = _Template(self._prompt, question)
            shots = list(_shots(self._prompt, asked))
            messages += [*map(dict, shots), asked.message(fields)]
            self._templates, self._shots = [*templates, asked], shots
            return messages
        messages = [template.message(fields) for template in templates]
        messages[-1:-1] = map(dict, shots)
        return messages


def render(prompt: Prompt, fields: Mapping[str, object]) -> list[dict[str, str]]:
    """Chat messages for one record, few-shot turns inlined before the last user message.

    Raises:
        RenderError: a variable is missing, or the template does something that is not allowed.
    """
    return Renderer(prompt).render(fields)


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


def _shots(prompt: Prompt, question: _Template) -> Iterator[dict[str, str]]:
    for shot in (prompt.few_shot.examples or ()) if prompt.few_shot else ():
        yield question.message(shot.input)
        answer = json.dumps(shot.expected, ensure_ascii=False)
        yield {"role": "assistant", "content": answer}


class _Template:
    """One message of a prompt, compiled."""

    def __init__(self, prompt: Prompt, message: Message) -> None:
        self._prompt = prompt
        self._role = message.role
        try:
            self._text_of = compile_text(message.content)
        except Exception as error:
            raise self._error(error) from None

    def message(self, fields: Mapping[str, object]) -> dict[str, str]:
        try:
            return {"role": self._role, "content": self._text_of(fields)}
        # A template is a program of its author's: whatever it raises is about the template.
        except Exception as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> RenderError:
        return RenderError(
            f"the {self._role} message of {self._prompt.task} {self._prompt.version} cannot be"
            f" rendered: {error}.",
            hint="Declare the field in the prompt's input, or mend the template.",
        )
