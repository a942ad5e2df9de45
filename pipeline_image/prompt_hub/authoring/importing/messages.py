"""Chats in JSON: roles and texts, as OpenAI, Langfuse and MLflow write them."""

from __future__ import annotations

from collections.abc import Callable

from prompt_hub.authoring.importing.documents import Node, broken
from prompt_hub.authoring.importing.form import (
    ROLES,
    ChatMessage,
    Fields,
    UnusablePromptError,
    listed,
)
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.reasons import HISTORY
from prompt_hub.authoring.importing.schemas import in_todays_draft, why_unusable
from prompt_hub.authoring.importing.templates import Converted
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.repository.schema import JsonObject

Convert = Callable[[str, Place], Converted]
"""Converts a template that stands somewhere."""
_TEXTS = {"input_text", "output_text", "text"}
_KINDS = {"message", "chatmessage"}


class Chat:
    """The messages of one prompt."""

    def __init__(self, notes: Notes, convert: Convert) -> None:
        self.messages: list[ChatMessage] = []
        self.variables: dict[str, JsonObject] = {}
        """The fields that they read, each with the schema that is known."""
        self._notes = notes
        self._convert = convert

    def add(self, role: str, text: str, place: Place) -> None:
        """Add a message; raises `InvalidDocumentsError` for a role or a template we have not."""
        if role not in ROLES:
            raise broken(
                *place, f"a message of the role {role[:40]!r}", f"one of {', '.join(ROLES)}"
            )
        if role == "developer":
            self._notes.changed(place, "the role 'developer'", "is 'system' here")
        if not text.strip():
            self._notes.lost(place, "a message without a text", "it says nothing")
            return
        converted = self._convert(text, place)
        for name, schema in converted.variables.items():
            self.variables[name] = {**self.variables.get(name, {}), **schema}
        self.messages.append(ChatMessage(ROLES[role], converted.text))

    def read(self, node: Node, *, role: str) -> None:
        """Add a text, said by `role`, or a list of messages."""
        if isinstance(node.data, str):
            self.add(role, node.data, node.place)
            return
        for element in node.elements():
            message = Fields(element, self._notes)
            kind = message.text("type")
            if kind == "placeholder":
                what = f"the placeholder {message.text('name')!r}"
                self._notes.lost(element.place, what, HISTORY)
                continue
            content = message.take("content")
            if content is None or kind not in ("", *_KINDS):
                found = f"a message of the type {kind!r}" if kind else "a message without 'content'"
                raise broken(*element.place, found, "a role and a text")
            self.add(message.text("role") or role, self._text(content), content.place)
            message.rest("a message", {}, "a message here is a role and a text")

    def _text(self, content: Node) -> str:
        if isinstance(content.data, str):
            return content.data
        texts = []
        for element in content.elements():
            part = Fields(element, self._notes)
            kind, text = part.text("type"), part.take("text")
            if kind not in _TEXTS or text is None or not isinstance(text.data, str):
                raise broken(
                    *element.place, f"content of the type {kind!r}", "text: tasks read text"
                )
            part.rest("a part of a message", {}, "a message here is a role and a text")
            texts.append(text.data)
        if len(texts) > 1:
            why = "are one text of several lines here"
            self._notes.changed(content.place, "the parts of a message", why)
        return "\n".join(texts)


def is_json(node: Node | None) -> bool:
    """Whether a response format is JSON, with or without a schema."""
    return node is not None and isinstance(node.data, dict) and node.data.get("type") != "text"


def response_schema(node: Node | None, notes: Notes) -> JsonObject | None:
    """Return the JSON Schema in a response format of OpenAI's, or a schema that stands alone.

    None, which is noted, for one that no answer here can be held against.
    """
    if node is None:
        return None
    if node.data in ({"type": "text"}, {"type": "json_object"}):
        if node.data == {"type": "json_object"}:
            notes.changed(node.place, "the answer's format", "answers are one JSON object anyway")
        return None
    inner: Node | None = node
    while inner is not None and isinstance(inner.data, dict) and "properties" not in inner.data:
        format_ = Fields(inner, notes)
        format_.text("type")
        inner = format_.take("json_schema") or format_.take("schema")
        reasons = {"strict": "every answer is held against the schema here"}
        format_.rest("the answer's format", reasons, "the schema says all that is kept of it")
    wrong = "it holds no JSON Schema of an object"
    if inner is not None and isinstance(inner.data, dict):
        schema = in_todays_draft({**inner.data, "type": inner.data.get("type", "object")})
        wrong = why_unusable(schema) or ""
        if not wrong:
            return schema
    notes.lost(node.place, "the answer's format", f"{wrong}; write the output's schema yourself")
    return None


def chosen(node: Node, wanted: int | None, notes: Notes, what: str) -> Node:
    """Return the one of several in a file that is asked for, from 1; the others are noted."""
    prompts = listed(node, notes)
    number = wanted or 1
    if not 1 <= number <= len(prompts):
        hint = f"It has {count(len(prompts), 'prompt')}." if prompts else "Export it again."
        raise PromptHubError(f"{node.source.file}: there is no prompt {number}.", hint=hint)
    for index, other in enumerate(prompts, start=1):
        if index != number:
            why = f"a task has one candidate; take this one with --prompt {index}"
            notes.lost(other.place, f"{what} {index} of {len(prompts)}", why)
    found = prompts[number - 1]
    if not isinstance(found.data, dict):
        raise UnusablePromptError(f"{node.source.file}: {what} {number} is no object.")
    return found
