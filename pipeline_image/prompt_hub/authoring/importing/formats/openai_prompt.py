"""A stored prompt of OpenAI: what a request to the Responses API says, with `{{variables}}`."""

from __future__ import annotations

from prompt_hub.authoring.importing.documents import Node, broken
from prompt_hub.authoring.importing.form import Draft, Fields, named, with_question
from prompt_hub.authoring.importing.messages import Chat, is_json, response_schema
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.reasons import NO_PARAMETER
from prompt_hub.authoring.importing.templates import from_names
from prompt_hub.repository.schema import JsonObject

OTHERWISE = (
    "a task has no such setting; leave it out, or set it where the model alias is configured"
)


def openai_prompt(node: Node, notes: Notes) -> Draft:
    """Read a prompt object; raises `InvalidDocumentsError` for what it says and ours cannot."""
    prompt = Fields(node, notes)
    name = f"OpenAI prompt {named(prompt, 'id')}"
    prompt.text("object")
    chat = Chat(notes, lambda text, place: from_names(text, place, notes))
    for key, role in (("instructions", "system"), ("messages", "user"), ("input", "user")):
        if (messages := prompt.take(key)) is not None:
            chat.read(messages, role=role)
    format_ = answer_format(prompt)
    draft = Draft(
        name=name,
        place=node.place,
        messages=with_question(chat.messages, node.place, notes),
        variables=chat.variables,
        model=prompt.text("model"),
        parameters=prompt.parameters(),
        output=response_schema(format_, notes),
        json=is_json(format_),
        description=prompt.text("description"),
        samples=_samples(prompt.take("variables"), chat.variables, notes),
    )
    prompt.rest("the prompt", otherwise=OTHERWISE)
    return draft


def answer_format(request: Fields) -> Node | None:
    """Return the format of a request's answer; what else is said where it stands is listed."""
    older, text = request.take("response_format"), request.inner("text")
    if text is None:
        return older
    format_ = text.take("format")
    text.rest("'text'", {}, NO_PARAMETER)
    if format_ is not None and older is not None:
        why = "'text' says the answer's format, too, and that one was taken"
        request.notes.lost(older.place, "'response_format'", why)
    return format_ or older


def _samples(node: Node | None, read: dict[str, JsonObject], notes: Notes) -> JsonObject:
    """Return the values that variables have where the prompt was stored, or their names alone."""
    found: JsonObject = {}
    if node is None:
        return found
    entries = [*node.items()]
    for element in node.elements() if isinstance(node.data, list) else ():
        named = element.get("name") or element
        entries.append((str(named.data), element.get("value") or Node(None, element.source)))
    for name, value in entries:
        text = value.get("text") if isinstance(value.data, dict) else value
        if name not in read:
            notes.lost(value.place, f"the variable {name!r}", "the prompt does not read it")
        elif text is None or not isinstance(text.data, str | None):
            raise broken(*value.place, f"a value of {name!r} that is no text", "a text")
        elif text.data:
            found[name] = text.data
    return found
