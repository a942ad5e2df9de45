"""The prompts of a promptfoo configuration as chat messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.authoring.importing.documents import Node, Source, json_or_text, parsed_yaml
from prompt_hub.authoring.importing.form import ChatMessage, UnusablePromptError, with_question
from prompt_hub.authoring.importing.javascript import UnknownMeaningError
from prompt_hub.authoring.importing.messages import Chat
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.templates import Converted
from prompt_hub.authoring.promptfoo.reading import REFERENCE, Project
from prompt_hub.authoring.promptfoo.templates import Translated, filled, to_jinja
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.foreign_text import one_line
from prompt_hub.core.hidden_characters import find_hidden, in_words

_PATH = re.compile(r"[^\s{}]+\.[A-Za-z0-9]{1,5}(?::\w+)?")
_PERHAPS_A_PATH = re.compile(r"(?=.{1,255}\Z)(?:.*[*/\\].*|.*\.[A-Za-z0-9]{1,5})")
"""A line that promptfoo takes for a text only where no file has such a name.

A longer one is a text here: it is none that people write as a path.
"""
_BRACES = re.compile(r"(?=.*/)(?:[^\s{}\"']*\{[^\s{}\"']+\})+[^\s{}\"']*")
"""A pattern of files such as `prompts/{a,b}.txt`."""
_WHOLE = {".md", ".j2"}
_CHAT = {".json", ".yaml", ".yml"}
_TABLES = {".csv", ".jsonl"}
_REMOTE = ("exec:", "langfuse://", "portkey://", "helicone://", "http://", "https://")
_IN_YAML = re.compile(r"\s*- role:")
_CHAT_TO_BE = re.compile(r"\s*(?:\[\s*(?:\{|\")|\{\s*\").*[\]}]\s*", re.DOTALL)
"""A text that promptfoo takes for JSON once its variables are filled in."""
_LIKE_JSON = re.compile(
    r"\s*(?:\{.*\}|\[\s*(?:[\"{\[\d-]|true|false|null).*\]|\[\s*\])\s*", re.DOTALL
)
"""A text that promptfoo refuses to send unless it is JSON."""
_ENTRY_KEYS = {"id", "raw", "label", "prompt", "display"}


@dataclass(frozen=True)
class ImportedPrompt:
    """One prompt: what it is called, where it stands, and what it says.

    `plain` says that it was a text, not a chat: what the model writes is then free text, too.
    """

    label: str
    place: Place
    messages: tuple[ChatMessage, ...]
    plain: bool
    parts: tuple[Translated, ...]
    """The templates of its messages."""
    whole: Translated | None
    """The template of all of its text; None where promptfoo fills in message by message."""

    @property
    def variables(self) -> frozenset[str]:
        """The fields that it reads."""
        return frozenset().union(*(part.variables for part in self.parts))

    @property
    def loops(self) -> bool:
        """Whether a template of it has a loop."""
        return any(part.loops for part in self.parts)

    def values(self, values: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        """Return the values that its templates see: promptfoo fills in texts among them first.

        Raises `UnknownMeaningError` for more than a template that takes in texts.
        """
        marked = {
            name: value
            for name, value in values.items()
            if isinstance(value, str) and any(mark in value for mark in ("{{", "{%", "{#"))
        }
        # A '$' in what is taken in has a meaning of its own to JavaScript's `replace`.
        texts = {
            name: value
            for name, value in values.items()
            if isinstance(value, str) and name not in marked and "$" not in value
        }
        needed = marked.keys() & self.variables
        for name in sorted(needed):
            if self.whole is None or to_jinja(marked[name]).variables - texts.keys():
                why = f"the variable {name!r} is a template itself, of more than other texts"
                raise UnknownMeaningError(why)
        return {**values, **{name: filled(marked[name], texts) for name in sorted(needed)}}

    def sent(self, values: Mapping[str, JsonValue]) -> list[str]:
        """Return the texts that promptfoo sends for what `values` returned.

        Raises `UnknownMeaningError` where that is not known.
        """
        if self.whole is None:
            return [part.there(values) for part in self.parts]
        text = self.whole.there(values)
        if self.plain:
            if _LIKE_JSON.fullmatch(text) or json_or_text(text) != text:
                raise UnknownMeaningError("the text is JSON, which promptfoo sends as it is")
            return [text]
        try:
            chat = parsed_yaml(text, "").data
        except PromptHubError as error:
            raise UnknownMeaningError(error.message) from None
        messages = chat if isinstance(chat, list) else []
        texts = [item.get("content") if isinstance(item, dict) else None for item in messages]
        return [text if isinstance(text, str) else "" for text in texts]


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
            texts = [*_texts(project, node, what, notes)]
        except PromptHubError as error:
            notes.lost(node.place, what, error.message)
            continue
        for text, place in texts:
            name = label or f"prompt {len(found) + 1}"
            try:
                found.append(_prompt(name, text, place, redefined, notes))
            except PromptHubError as error:
                why = error.message.removeprefix(f"{place[0]}:{place[1]}:1: ")
                notes.lost(place, what, why)
    return found


def _entries(entries: Node, notes: Notes) -> Iterator[tuple[str, Node]]:
    """Label and value of every entry, in each of the forms that promptfoo takes."""
    if isinstance(entries.data, dict):  # path or text: label
        for key, node in entries.items():
            yield str(node.data), Node(key, node.source, node.location)
        return
    for node in entries.elements():
        label = node.get("label") or node.get("display") or node.get("id")
        for key, value in node.items():
            if key not in _ENTRY_KEYS:
                notes.lost(value.place, f"'{key}' of a prompt", "prompts have no such setting here")
        content = node.get("raw") or node.get("prompt") or node.get("id")
        if not isinstance(node.data, dict):
            yield "", node
        elif content is not None:
            yield str(label.data) if label else "", content


def _texts(
    project: Project, node: Node, what: str, notes: Notes
) -> Iterator[tuple[JsonValue, Place]]:
    """Yield an entry's texts or lists of messages, and where they stand.

    A file of it that cannot be used is noted as lost, and costs no other.
    """
    if not isinstance(node.data, str):
        yield node.data, node.place
        return
    if node.data.startswith(_REMOTE):
        raise UnusablePromptError(
            "it is fetched from elsewhere when promptfoo runs; write it into a file"
        )
    name = node.data.strip()
    if _BRACES.fullmatch(name):
        raise UnusablePromptError("it is a pattern with braces; name the files")
    is_path = name.startswith(REFERENCE) or _PATH.fullmatch(name) is not None
    paths = project.find(name) if is_path or _PERHAPS_A_PATH.fullmatch(name) else []
    if not is_path and not any(path.is_file() for path in paths):
        yield json_or_text(node.data), node.place
        return
    if not paths:
        raise UnusablePromptError("no file has such a name")
    for path in paths:
        try:
            yield from _in_file(project, path)
        except PromptHubError as error:
            notes.lost(node.place, what, error.message)


def _in_file(project: Project, path: Path) -> Iterator[tuple[JsonValue, Place]]:
    """Yield a file's prompts; raises `PromptHubError` for one that cannot be used."""
    file, suffix = project.name(path), path.suffix.lower()
    if suffix == ".txt":
        yield from _sections(project.text(path), file)
    elif suffix in _WHOLE:
        yield json_or_text(project.text(path)), (file, 1)
    elif suffix in _CHAT:
        loaded = project.load(path)
        yield loaded.data, loaded.place
    elif suffix in _TABLES:
        raise UnusablePromptError(f"{file} is a table of prompts; write them out")
    else:
        raise UnusablePromptError(
            f"{file} is a program; a prompt here is a template that says all it says"
        )


def _sections(content: str, name: str) -> Iterator[tuple[JsonValue, Place]]:
    """Yield the prompts of a .txt file, and only of such a one: between lines that say `---`."""
    start, lines = 1, content.replace("\r\n", "\n").split("\n")
    for number, line in enumerate([*lines, "---"], start=1):
        if line.strip() == "---":
            text = "\n".join(lines[start - 1 : number - 1]).strip()
            if text:
                yield json_or_text(text), (name, start)
            start = number + 1


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
    parts: list[Translated] = []

    def convert(text: str, at: Place) -> Converted:
        parts.append(_translated(text, at, notes))
        return Converted(parts[-1].text, {})

    chat = Chat(notes, convert)
    chat.read(Node(value, Source(place[0], {(): place[1]})), role="")
    messages = with_question(chat.messages, place, notes)
    for name in sorted(frozenset().union(*(part.filters for part in parts)) & redefined):
        raise UnusablePromptError(f"it uses the filter {name!r}, which nunjucksFilters defines")
    plain = whole is not None and not _IN_YAML.match(whole)
    return ImportedPrompt(
        label=label,
        place=place,
        messages=messages,
        plain=plain,
        parts=tuple(parts),
        whole=None if whole is None else parts[0] if plain else to_jinja(whole),
    )


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
        raise UnusablePromptError(f"it uses {translated.problem}")
    if (hidden := next(find_hidden(text), None)) is not None:
        raise UnusablePromptError(f"it holds {in_words(hidden[1])}, which nobody sees")
    for message in translated.rewritten:
        notes.changed(place, "the template", message)
    if "\r" in text:
        notes.changed(place, "the template", "line ends are '\\n' here")
    return translated


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(one_line(text, 50))
