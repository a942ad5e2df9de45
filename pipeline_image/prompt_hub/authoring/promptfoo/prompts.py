"""The prompts of a promptfoo configuration as chat messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.authoring.promptfoo.javascript import UnknownMeaningError
from prompt_hub.authoring.promptfoo.notes import Notes, Place
from prompt_hub.authoring.promptfoo.reading import REFERENCE, Node, Project, parsed_yaml
from prompt_hub.authoring.promptfoo.templates import Translated, filled, to_jinja
from prompt_hub.core.errors import PromptHubError
from prompt_hub.validation.hidden_characters import find_hidden, in_words

_WHOLE = {".md", ".j2"}
_CHAT = {".json", ".yaml", ".yml"}
_PROGRAMS = "py|js|cjs|mjs|ts|cts|mts|go|rb"
_PATH = re.compile(rf"[^\s{{}}]+\.[A-Za-z0-9]{{1,5}}|[^\s{{}}]+\.(?:{_PROGRAMS}):\w+")
_PROGRAM = re.compile(rf".+\.(?:{_PROGRAMS}|sh|bash|exe|bat|cmd|ps1|pl)(?::\w+)?", re.IGNORECASE)
_REMOTE = ("exec:", "langfuse://", "portkey://", "helicone://", "http://", "https://")
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_CHAT_TO_BE = re.compile(r"\s*(?:\[\s*(?:\{|\")|\{\s*\").*[\]}]\s*", re.DOTALL)
"""A text that promptfoo takes for JSON once its variables are filled in."""
_LIKE_JSON = re.compile(
    r"\s*(?:\{.*\}|\[\s*(?:[\"{\[\d-]|true|false|null).*\]|\[\s*\])\s*", re.DOTALL
)
"""A text that promptfoo refuses to send unless it is JSON."""
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
    loops: bool
    """Whether a template of it has a loop."""
    parts: tuple[Translated, ...]
    """The templates of its messages."""
    whole: Translated | None
    """The template of all of its text; None where promptfoo fills in message by message."""

    def values(self, values: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        """Return the values that its templates see: promptfoo fills in texts among them first.

        Raises `UnknownMeaningError` for more than a template that takes in texts.
        """
        marked = {
            name: value
            for name, value in values.items()
            if isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))
        }
        texts = {n: v for n, v in values.items() if isinstance(v, str) and n not in marked}
        needed = marked.keys() & self.variables
        if needed and self.whole is None:
            raise UnknownMeaningError(f"the variable {min(needed)!r} is a template itself")
        return {**values, **{name: filled(marked[name], texts) for name in sorted(needed)}}

    def sent(self, values: Mapping[str, JsonValue]) -> list[str]:
        """Return the texts that promptfoo sends for what `values` returned.

        Raises `UnknownMeaningError` where that is not known.
        """
        if self.whole is None:
            return [part.there(values) for part in self.parts]
        text = self.whole.there(values)
        if self.plain:
            if _is_json(text):
                raise UnknownMeaningError("the text is JSON, which promptfoo sends as it is")
            return [text]
        try:
            chat = parsed_yaml(text, "").data
        except PromptHubError as error:
            raise UnknownMeaningError(error.message) from None
        messages = chat if isinstance(chat, list) else []
        texts = [item.get("content") if isinstance(item, dict) else None for item in messages]
        return [text if isinstance(text, str) else "" for text in texts]


def _is_json(text: str) -> bool:
    if _LIKE_JSON.fullmatch(text):
        return True
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class UnusablePromptError(PromptHubError):
    """A prompt that cannot be carried over, and why."""


def prompts_of(project: Project, notes: Notes) -> list[ImportedPrompt]:
    """Every prompt that can be carried over, in order; the others are noted as lost."""
    given = project.config.get("prompts")
    if given is None:  # promptfoo's own default
        given = Node("{{prompt}}", project.config.source)
    own = project.config.get("nunjucksFilters")
    redefined = frozenset(name for name, _ in own.items()) if own else frozenset()
    found: list[ImportedPrompt] = []
    for label, node in _entries(given, notes):
        what = f"the prompt {label or _short(node.data)}"
        try:
            texts = [*_texts(project, node)]
        except UnusablePromptError as error:
            notes.lost(node.place, what, error.message)
            continue
        for text, place in texts:
            name = label or f"prompt {len(found) + 1}"
            try:
                found.append(_prompt(name, text, place, redefined, notes))
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


def _texts(project: Project, node: Node) -> Iterator[tuple[JsonValue, Place]]:
    """Yield an entry's texts or lists of messages, and where they stand."""
    if not isinstance(node.data, str):
        yield node.data, node.place
        return
    text = node.data
    if text.startswith(_REMOTE):
        raise UnusablePromptError(
            "it is fetched from elsewhere when promptfoo runs; write it into a file"
        )
    name = text.strip()
    if not name.startswith(REFERENCE) and _PATH.fullmatch(name) is None:
        yield _chat(text), node.place
        return
    if _PROGRAM.fullmatch(name):
        raise UnusablePromptError(
            f"{name.removeprefix(REFERENCE)} is a program;"
            " a prompt here is a template that says all it says"
        )
    paths = project.find(name)
    if not paths:
        raise UnusablePromptError("no file has such a name")
    for path in paths:
        yield from _file(project, path)


def _file(project: Project, path: Path) -> Iterator[tuple[JsonValue, Place]]:
    name, suffix = project.name(path), path.suffix.lower()
    if suffix == ".csv" and "," not in project.text(path):
        lines = enumerate(project.text(path).splitlines(), start=1)
        found = [(line, number) for number, line in lines if line.strip()]
        for line, number in found[found[:1] != [] and found[0][0].strip().lower() == "prompt" :]:
            yield _chat(line), (name, number)
    elif suffix == ".csv":
        for row in project.load(path).elements():
            text = row.get("prompt")
            if text is not None and str(text.data).strip():
                yield _chat(str(text.data).strip()), row.place
    elif suffix == ".txt":
        yield from _sections(project.text(path), name)
    elif suffix in _WHOLE:
        yield _chat(project.text(path)), (name, 1)
    elif suffix == ".jsonl":
        for number, line in enumerate(project.text(path).splitlines(), start=1):
            if line:
                yield _chat(line), (name, number)
    elif suffix in _CHAT:
        try:
            node = project.load(path)
        except PromptHubError as error:
            raise UnusablePromptError(
                f"as it stands it is no list of messages ({error.message})"
            ) from None
        yield node.data, node.place
    else:
        raise UnusablePromptError(
            f"{name} is a program; a prompt here is a template that says all it says"
        )


def _sections(content: str, name: str) -> Iterator[tuple[JsonValue, Place]]:
    """Yield the prompts of a .txt file, and only of such a one: between lines that say `---`."""
    start, lines = 1, content.replace("\r\n", "\n").split("\n")
    for number, line in enumerate([*lines, "---"], start=1):
        if line.strip() == "---":
            text = "\n".join(lines[start - 1 : number - 1]).strip()
            if text:
                yield _chat(text), (name, start)
            start = number + 1


def _chat(text: str) -> JsonValue:
    """Return text that is a JSON list of messages as that list; any other text as it is."""
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, list | dict) else text


def _prompt(
    label: str, value: JsonValue, place: Place, redefined: frozenset[str], notes: Notes
) -> ImportedPrompt:
    whole = value if isinstance(value, str) else None
    if whole is not None:
        value = _messages_of(whole, place)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if not isinstance(value, list) or not value:
        raise UnusablePromptError("it is neither a text nor a list of messages")
    messages = [_message(item, place, notes) for item in value]
    parts = [_translated(message.content, place, notes) for message in messages]
    used = frozenset().union(*(part.filters for part in parts))
    for name in sorted(used & redefined):
        raise UnusablePromptError(f"it uses the filter {name!r}, which nunjucksFilters defines")
    messages = [
        ChatMessage(message.role, part.text) for message, part in zip(messages, parts, strict=True)
    ]
    if messages[-1].role != "user":
        if any(message.role == "user" for message in messages):
            raise UnusablePromptError(
                f"its last message is the {messages[-1].role}'s, not the user's"
            )
        notes.changed(place, "the last message", "said by the user: here it asks the question")
        messages[-1] = ChatMessage("user", messages[-1].content)
    plain = whole is not None and not _IN_YAML.match(whole)
    return ImportedPrompt(
        label=label,
        place=place,
        messages=tuple(messages),
        variables=frozenset().union(*(part.variables for part in parts)),
        plain=plain,
        loops=any(part.loops for part in parts),
        parts=tuple(parts),
        whole=None if whole is None else parts[0] if plain else to_jinja(whole),
    )


_IN_YAML = re.compile(r"\s*- role:")


def _messages_of(text: str, place: Place) -> JsonValue:
    """Return the messages that promptfoo sees in a text: those of YAML, or one of the user."""
    if _IN_YAML.match(text):
        try:
            return parsed_yaml(text, place[0]).data
        except PromptHubError:
            reason = "it is a chat in YAML that cannot be read as it stands"
            raise UnusablePromptError(reason) from None
    if _CHAT_TO_BE.fullmatch(text):
        raise UnusablePromptError(
            "it is JSON only when its variables are filled in; write the messages out"
        )
    return [{"role": "user", "content": text}]


def _translated(text: str, place: Place, notes: Notes) -> Translated:
    translated = to_jinja(text)
    if translated.problem is not None:
        raise UnusablePromptError(f"it uses {translated.problem}, which templates here have not")
    if (hidden := next(find_hidden(text), None)) is not None:
        raise UnusablePromptError(f"it holds {in_words(hidden[1])}, which nobody sees")
    for message in translated.rewritten:
        notes.changed(place, "the template", message)
    if "\r" in text:
        notes.changed(place, "the template", "line ends are '\\n' here")
    return translated


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
        if len(parts) > 1:
            notes.changed(place, "the parts of a message", "are one text of several lines here")
    if not isinstance(content, str) or not content.strip():
        raise UnusablePromptError("it has a message without text")
    return ChatMessage(_ROLES[str(item["role"])], content)


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return repr(line if len(line) <= 50 else line[:47] + "...")
