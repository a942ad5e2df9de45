"""The prompts of a promptfoo configuration as chat messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo.notes import Notes, Place
from prompt_hub.authoring.promptfoo.reading import REFERENCE, Node, Project
from prompt_hub.authoring.promptfoo.templates import to_jinja
from prompt_hub.core.errors import PromptHubError

_TEXT = {".txt", ".md", ".j2"}
_CHAT = {".json", ".yaml", ".yml"}
_PATH = re.compile(r"[^\s{}]+\.[A-Za-z0-9]{1,4}")
_REMOTE = ("exec:", "langfuse://", "portkey://", "helicone://", "http://", "https://")
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_SEPARATOR = re.compile(r"\n---[ \t]*\n")
_ENTRY_KEYS = {"id", "raw", "label", "prompt", "display"}


@dataclass(frozen=True)
class ChatMessage:
    """One message; `content` is a Jinja2 template."""

    role: str
    content: str


@dataclass(frozen=True)
class ImportedPrompt:
    """One prompt: what it is called, where it stands, what it says and which fields it reads.

    `plain` says that it was a text, not a chat: what the model writes is then free text, too.
    """

    label: str
    place: Place
    messages: tuple[ChatMessage, ...]
    variables: frozenset[str]
    plain: bool


class UnusablePromptError(PromptHubError):
    """A prompt that cannot be carried over, and why."""


def prompts_of(project: Project, notes: Notes) -> list[ImportedPrompt]:
    """Every prompt that can be carried over, in order; the others are noted as lost."""
    entries = project.resolved(project.config.get("prompts"))
    if entries is None:
        return []
    found: list[ImportedPrompt] = []
    for label, node in _entries(entries, notes):
        what = f"the prompt {label or _short(node.data)}"
        try:
            texts = [*_texts(project, node)]
        except UnusablePromptError as error:
            notes.lost(node.place, what, error.message)
            continue
        for text, plain, place in texts:
            name = label or f"prompt {len(found) + 1}"
            try:
                found.append(_prompt(name, text, plain, place, notes))
            except UnusablePromptError as error:
                notes.lost(place, what, error.message)
    return found


def _entries(entries: Node, notes: Notes) -> Iterator[tuple[str, Node]]:
    """Label and value of every entry, in each of the forms that promptfoo takes."""
    if isinstance(entries.data, dict):  # path or text: label
        for key, node in entries.items():
            yield str(node.data), Node(key, node.source, node.location)
        return
    for node in entries.elements():
        if not isinstance(node.data, dict):
            yield "", node
            continue
        label = node.get("label") or node.get("display") or node.get("id")
        for key, value in node.items():
            if key not in _ENTRY_KEYS:
                notes.lost(value.place, f"'{key}' of a prompt", "prompts have no such setting here")
        content = node.get("raw") or node.get("prompt") or node.get("id")
        if content is not None:
            yield str(label.data) if label else "", content


def _texts(project: Project, node: Node) -> Iterator[tuple[JsonValue, bool, Place]]:
    """Yield an entry's texts or lists of messages, whether they are plain text, and where."""
    if not isinstance(node.data, str):
        yield node.data, False, node.place
        return
    text = node.data
    if text.startswith(_REMOTE):
        raise UnusablePromptError(
            "it is fetched from elsewhere when promptfoo runs; write it into a file"
        )
    names_a_file = text.startswith(REFERENCE) or _PATH.fullmatch(text.strip()) is not None
    if not names_a_file:
        yield *_read(text), node.place
        return
    paths = project.find(text.strip())
    if not paths:
        raise UnusablePromptError("no file has such a name")
    for path in paths:
        yield from _file(project, path)


def _file(project: Project, path: Path) -> Iterator[tuple[JsonValue, bool, Place]]:
    name, suffix = project.name(path), path.suffix.lower()
    if suffix == ".csv":
        for row in project.load(path).elements():
            text = row.get("prompt")
            if text is not None:
                yield text.data, True, row.place
    elif suffix in _TEXT:
        line = 1
        content = project.text(path)
        for part in _SEPARATOR.split(content):
            yield *_read(part), (name, line)
            line += part.count("\n") + 2
    elif suffix in _CHAT:
        try:
            node = project.load(path)
        except PromptHubError as error:
            raise UnusablePromptError(
                f"as it stands it is no list of messages ({error.message})"
            ) from None
        yield node.data, False, node.place
    else:
        raise UnusablePromptError(
            f"{name} is a program; a prompt here is a template that says all it says"
        )


def _read(text: str) -> tuple[JsonValue, bool]:
    """Text that is a JSON list of messages as that list; any other text as it is."""
    if text.lstrip().startswith("["):
        try:
            value: JsonValue = json.loads(text)
        except (ValueError, RecursionError):
            return text, True
        if isinstance(value, list) and all(
            isinstance(item, dict) and "role" in item for item in value
        ):
            return value, False
    return text, True


def _prompt(
    label: str, value: JsonValue, plain: bool, place: Place, notes: Notes
) -> ImportedPrompt:
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if plain:
        value = [{"role": "user", "content": str(value).strip("\n")}]
    if not isinstance(value, list) or not value:
        raise UnusablePromptError("it is neither a text nor a list of messages")
    messages: list[ChatMessage] = []
    variables: set[str] = set()
    for item in value:
        message = _message(item, place, notes)
        translated = to_jinja(message.content)
        if translated.problem is not None:
            raise UnusablePromptError(
                f"it uses {translated.problem}, which templates here have not"
            )
        for text in translated.rewritten:
            notes.changed(place, "the template", f"{text}")
        messages.append(ChatMessage(message.role, translated.text))
        variables |= translated.variables
    if messages[-1].role != "user":
        if any(message.role == "user" for message in messages):
            raise UnusablePromptError(
                f"its last message is the {messages[-1].role}'s, not the user's"
            )
        notes.changed(place, "the last message", "said by the user: here it asks the question")
        messages[-1] = ChatMessage("user", messages[-1].content)
    return ImportedPrompt(label, place, tuple(messages), frozenset(variables), plain)


def _message(item: JsonValue, place: Place, notes: Notes) -> ChatMessage:
    if not isinstance(item, dict) or str(item.get("role")) not in _ROLES:
        role = item.get("role") if isinstance(item, dict) else None
        raise UnusablePromptError(
            f"it has a message of the role {role!r}; here are {', '.join(_ROLES)}"
        )
    if item["role"] == "developer":
        notes.changed(place, "the role 'developer'", "is 'system' here")
    for key in item:
        if key not in {"role", "content"}:
            notes.lost(place, f"'{key}' of a message", "a message here is a role and a text")
    content = item.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if any(not isinstance(part, str) for part in parts):
            raise UnusablePromptError("it shows the model something else than text")
        content = "\n".join(str(part) for part in parts)
    if not isinstance(content, str) or not content.strip():
        raise UnusablePromptError("it has a message without text")
    return ChatMessage(_ROLES[str(item["role"])], content)


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return repr(line if len(line) <= 50 else line[:47] + "...")
