"""A prompt of Langfuse as its API and its SDK return it."""

from __future__ import annotations

import re

from prompt_hub.authoring.importing.documents import Node, broken
from prompt_hub.authoring.importing.form import NO_PARAMETER, Draft, Fields, named, with_question
from prompt_hub.authoring.importing.messages import NO_TOOLS, Chat, response_schema
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.templates import Converted, from_names, merged

_REFERENCE = re.compile(r"@@@langfusePrompt:[^@]*@@@")
_REASONS = {
    "labels": "which version is live is the registry's and the ledger's: `prompt-hub ledger show`",
    "tags": "a task has an owner and a description, and no tags",
    "commitMessage": "write it into the message of the commit",
    "commit_message": "write it into the message of the commit",
    "resolutionGraph": "the prompt stands here as a whole",
    "tools": NO_TOOLS,
    "tool_choice": NO_TOOLS,
}
_OTHERWISE = "a task has no such setting"


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
    if (said := prompt.take("prompt")) is None:
        raise broken(*node.place, "no 'prompt'", "a text or a list of messages")
    chat.read(said, role="user")
    config = prompt.inner("config") or Fields(Node({}, node.source), notes)
    model = config.text("model")
    draft = Draft(
        name=name,
        place=node.place,
        messages=with_question(chat.messages, node.place, notes),
        variables=merged(chat.parts),
        model=model,
        setting={"provider": "openai", "model": model},
        parameters=config.parameters(),
        output=response_schema(config.take("response_format") or config.take("json_schema"), notes),
    )
    config.rest(
        "the prompt's config",
        _REASONS,
        f"{NO_PARAMETER}; an application that reads it has to keep it",
    )
    prompt.rest("the prompt", _REASONS, _OTHERWISE)
    return draft
