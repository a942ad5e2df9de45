"""promptfoo's providers as a model alias, its parameters, and what the alias must mean."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prompt_hub.authoring.importing.documents import Node
from prompt_hub.authoring.importing.form import Fields, ImportedModel, alias_of, on_azure
from prompt_hub.authoring.importing.messages import response_schema
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.reasons import NO_PARAMETER, NO_PROVIDER
from prompt_hub.authoring.promptfoo.reading import Project
from prompt_hub.repository.schema import JsonObject

_MODE = "(?:(?:chat|completion|responses|messages|converse):)"
_OPENAI = re.compile(rf"openai:(?:{_MODE}(?P<model>.+)|(?P<bare>[^:{{]+))")
_AZURE = re.compile(rf"azure(?:openai)?:{_MODE}(?P<model>[^{{]+)")
_BEDROCK = re.compile(rf"bedrock:{_MODE}?(?P<model>[a-z0-9-]+\.[^{{]+)")
_COMPATIBLE = re.compile(
    rf"(?:ollama|vllm|localai|openrouter|groq|together|deepseek):{_MODE}?"
    r"(?P<model>(?!embeddings?:)[^{]+)"
)


def model_of(project: Project, notes: Notes, *, alias: str | None, default: str) -> ImportedModel:
    """Return the first provider; the others are noted as lost."""
    given = project.config.get("providers") or project.config.get("targets")
    providers = project.resolved(given)
    if providers is None or providers.data == []:
        return ImportedModel(alias or default, {})
    first, *others = providers.elements()
    for other in others:
        why = "a prompt asks for one model; evaluate it on another by pointing the alias there"
        notes.lost(other.place, f"the provider {_identity(other)[0]!r}", why)
    name, config = _identity(first)
    settings = Fields(config or Node({}, first.source), notes)
    parameters, region = settings.parameters(), settings.take("region")
    format_ = project.resolved(settings.take("response_format"))
    settings.rest("the provider", {}, NO_PARAMETER)
    for key, node in _beside_settings(first, name):
        notes.lost(node.place, f"'{key}' of a provider", _WHY.get(key, _NO_SETTING))
    setting = _setting(name, str(region.data) if region else "us-east-1")
    if setting is None:
        notes.lost(first.place, f"the provider {name!r}", NO_PROVIDER)
    if alias is None:
        model = str(setting["model"]) if setting else name
        alias = alias_of(model)
    kind = format_.get("type") if format_ else None
    parsed = kind is not None and kind.data == "json_schema" and name.startswith("openai:")
    return ImportedModel(alias, parameters, setting, response_schema(format_, notes), parsed)


_NO_SETTING = "an alias has no such setting here"
_WHY = {
    "transform": "right answers are compared with the answer as the model writes it",
    "delay": "how many calls are made at once is a setting of the alias",
    "prompts": "a task has one prompt",
}


def _beside_settings(provider: Node, name: str) -> Iterator[tuple[str, Node]]:
    """Yield what a provider says beside its id and its settings, in each form."""
    for key, node in provider.items():
        if key not in {"id", "provider", "config", name}:
            yield key, node
        elif key == name:  # id: {config: …}
            yield from ((inner, item) for inner, item in node.items() if inner != "config")


def _identity(provider: Node) -> tuple[str, Node | None]:
    """Return the provider's id, and its settings, in each of the forms that promptfoo takes."""
    if not isinstance(provider.data, dict):
        return str(provider.data), None
    identity = provider.get("id") or provider.get("provider")
    if identity is not None:
        return str(identity.data), provider.get("config")
    return next(((name, node.get("config")) for name, node in provider.items()), ("", None))


def _setting(name: str, region: str) -> JsonObject | None:
    """Return what an alias of a provider could mean, None for what is no model or not known."""
    if found := _OPENAI.fullmatch(name):
        return {"provider": "openai", "model": found["model"] or found["bare"]}
    if found := _AZURE.fullmatch(name):
        return on_azure(found["model"])
    if found := _BEDROCK.fullmatch(name):
        model = found["model"]
        compatible = re.match(r"(?:[a-z-]+\.)?openai\.", model) is not None
        kind = "bedrock" if compatible else "bedrock-converse"
        return {"provider": kind, "model": model, "region": region}
    if found := _COMPATIBLE.fullmatch(name):
        url = "https://YOUR-ENDPOINT/v1"
        return {"provider": "openai", "model": found["model"], "base_url": url}
    return None
