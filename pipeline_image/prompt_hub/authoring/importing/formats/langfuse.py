"""A prompt of Langfuse as its API and its SDK return it."""

from __future__ import annotations

import re

from prompt_hub.authoring.importing.documents import Node, broken
from prompt_hub.authoring.importing.form import Draft, Fields, named, with_question
from prompt_hub.authoring.importing.messages import Chat, is_json, response_schema
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.reasons import NO_PARAMETER
from prompt_hub.authoring.importing.templates import Converted, from_names

_REFERENCE = re.compile(r"@@@langfusePrompt:[^@]*@@@")


def langfuse(node: Node, notes: Notes) -> Draft:
    """Read one version; raises `InvalidDocumentsError` for what it says and ours cannot."""

    def convert(text: str, place: Place) -> Converted:
        if reference := _REFERENCE.search(text):
            expected = "the other prompt's text: export it resolved"
            raise broken(*place, f"{reference[0][:80]}, another prompt", expected)
        return from_names(text, place, notes)

    prompt = Fields(node, notes)
    name = f"Langfuse prompt {named(prompt)}"
    chat = Chat(notes, convert)
    prompt.text("type")
    if (text := prompt.take("prompt")) is None:
        raise broken(*node.place, "no 'prompt'", "a text or a list of messages")
    chat.read(text, role="user")
    config = prompt.part("config")
    format_ = config.take("response_format") or config.take("json_schema")
    draft = Draft(
        name=name,
        place=node.place,
        messages=with_question(chat.messages, node.place, notes),
        variables=chat.variables,
        model=config.text("model"),
        parameters=config.parameters(),
        output=response_schema(format_, notes),
        json=is_json(format_),
    )
    otherwise = f"{NO_PARAMETER}; an application that reads it has to keep it"
    config.rest("the prompt's config", otherwise=otherwise)
    prompt.rest("the prompt")
    return draft
