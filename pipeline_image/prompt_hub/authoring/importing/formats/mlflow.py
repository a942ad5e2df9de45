"""A prompt of MLflow's registry: a version's fields, or the model version that holds it as tags."""

from __future__ import annotations

from pydantic import JsonValue

from prompt_hub.authoring.importing.documents import Node, broken, json_or_text
from prompt_hub.authoring.importing.form import Draft, Fields, named, with_question
from prompt_hub.authoring.importing.messages import Chat, is_json, response_schema
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.reasons import NO_PARAMETER, NO_TAGS
from prompt_hub.authoring.importing.templates import Converted, from_jinja, from_names

_TAGS = {
    "template": "mlflow.prompt.text",
    "response_format": "_mlflow_prompt_response_format",
    "model_config": "_mlflow_prompt_model_config",
}
"""The tags in which the registry keeps what a version's fields say."""
_SAYS_NOTHING = ("mlflow.prompt.is_prompt", "_mlflow_prompt_type")


def mlflow(node: Node, notes: Notes) -> Draft:
    """Read one version; raises `InvalidDocumentsError` for what it says and ours cannot."""
    prompt = Fields(node, notes)
    name = f"MLflow prompt {named(prompt)}"
    tags = Fields(_tags(prompt.take("tags") or Node({}, node.source)), notes)
    found = {key: prompt.take(key) or _in_tag(tags, tag) for key, tag in _TAGS.items()}
    for key in _SAYS_NOTHING:
        tags.text(key)
    tags.rest("the prompt's tags", {}, NO_TAGS)
    template = found["template"]
    if template is None:
        raise broken(*node.place, "no 'template'", "a text or a list of messages")
    is_jinja = _is_jinja(template.data)

    def convert(text: str, place: Place) -> Converted:
        return from_jinja(text, place, {}, notes) if is_jinja else from_names(text, place, notes)

    chat = Chat(notes, convert)
    chat.read(template, role="user")
    config = Fields(found["model_config"] or Node({}, node.source), notes)
    draft = Draft(
        name=name,
        place=node.place,
        messages=with_question(chat.messages, node.place, notes),
        variables=chat.variables,
        model=config.text("model_name"),
        provider=config.text("provider"),
        parameters=config.parameters(),
        output=response_schema(found["response_format"], notes),
        json=is_json(found["response_format"]),
        description=prompt.text("description"),
    )
    config.rest("the prompt's model_config", {}, NO_PARAMETER)
    prompt.rest("the prompt")
    return draft


def _is_jinja(template: JsonValue) -> bool:
    """Whether MLflow renders it by Jinja2: where a tag stands in any of its texts."""
    messages = template if isinstance(template, list) else [{"content": template}]
    texts = [message.get("content") for message in messages if isinstance(message, dict)]
    return any("{%" in text and "%}" in text for text in texts if isinstance(text, str))


def _tags(node: Node) -> Node:
    """Return tags by their keys: the API writes them as a list."""
    if not isinstance(node.data, list):
        return node
    pairs = [entry for entry in node.data if isinstance(entry, dict)]
    data = {str(entry.get("key")): entry.get("value") for entry in pairs}
    return Node(data, node.source, node.location)


def _in_tag(tags: Fields, key: str) -> Node | None:
    """Return what a tag holds: JSON, but for a template that is a plain text."""
    node = tags.take(key)
    if node is None or not isinstance(node.data, str):
        return node
    data = json_or_text(node.data)
    return Node(data, node.source, node.location) if isinstance(data, dict | list) else node
