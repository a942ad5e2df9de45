"""What every import makes of what it reads, before it is a task; and what it gives back."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from prompt_hub.authoring.importing.documents import Node, broken, unkept
from prompt_hub.authoring.importing.notes import Note, Notes, Place
from prompt_hub.authoring.importing.reasons import NO_NUMBER, NO_SETTING, REASONS
from prompt_hub.authoring.importing.schemas import object_schema
from prompt_hub.authoring.task_files import NewTask
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.schema import JsonObject

ANSWER = "answer"
"""The field that holds the answer of a prompt that is answered in plain text."""
THRESHOLD = 0.8
"""The mean score that an imported task must reach: others have none for all examples."""
PARAMETERS = {
    **{name: name for name in ("temperature", "top_p", "seed", "max_tokens")},
    **dict.fromkeys(
        (
            "max_completion_tokens",
            "max_completions_tokens",
            "max_output_tokens",
            "maxOutputTokens",
            "maxTokens",
        ),
        "max_tokens",
    ),
    "topP": "top_p",
}
"""Sampling parameters by the names that others have for them."""
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "model": "assistant",
}
"""Who says a message, by the names that others have."""


@dataclass(frozen=True)
class ChatMessage:
    """One message; `content` is a Jinja2 template."""

    role: str
    content: str


@dataclass(frozen=True)
class ImportedModel:
    """A model: its alias, its parameters, and what the alias could mean.

    `setting` is an entry of `PROMPT_HUB_MODELS`, without `model` where that is not named; None
    where no such entry is known.
    """

    alias: str
    parameters: JsonObject
    setting: JsonObject | None = None
    schema: JsonObject | None = None
    parsed: bool = False
    """Whether promptfoo hands answers in JSON to code as objects."""


@dataclass(frozen=True)
class Imported:
    """The task, what to look over, and what its model alias should mean."""

    task: NewTask
    notes: tuple[Note, ...]
    model: ImportedModel


@dataclass(frozen=True)
class Choices:
    """What the author says about a task that no import can know."""

    task: str
    owner: str
    default_alias: str
    """The alias of a prompt that names no model."""
    description: str | None = None
    alias: str | None = None
    prompt: int | None = None
    """Which of several prompts to take, from 1; the first by default."""


@dataclass(frozen=True)
class Draft:
    """A prompt of elsewhere in our words."""

    name: str
    place: Place
    messages: tuple[ChatMessage, ...]
    variables: Mapping[str, JsonObject]
    """The fields that its templates read, each with its schema."""
    model: str = ""
    """The model's name there; empty where none is named."""
    provider: str = ""
    """Who serves it there, in that tool's word; empty where it is OpenAI, or not said."""
    parameters: JsonObject = field(default_factory=dict)
    output: JsonObject | None = None
    """The JSON Schema of its answers; None where they are plain text, or JSON without a schema."""
    json: bool = False
    """Whether it is answered in JSON, also where there is no schema that is usable here."""
    description: str = ""
    samples: JsonObject = field(default_factory=dict)
    """Values of fields that it gives as samples, without an answer."""

    @property
    def setting(self) -> JsonObject | None:
        """What an alias of this model could mean, None where no provider of ours has it."""
        if self.provider in ("", "openai"):
            return {"provider": "openai", "model": self.model}
        if self.provider in ("azure", "azure_openai"):
            return on_azure(self.model)
        if self.provider == "foundry":
            url = "https://YOUR-ENDPOINT/v1"
            return {"provider": "openai", "model": self.model, "base_url": url}
        return None


class UnusablePromptError(PromptHubError):
    """A prompt that cannot be carried over, and why."""


def on_azure(deployment: str) -> JsonObject:
    """Return what an alias of a deployment of Azure OpenAI means; its resource is named by hand."""
    url = "https://NAME.openai.azure.com"
    return {"provider": "azure-openai", "model": deployment, "base_url": url}


def plain_contract() -> JsonObject:
    """Return the contract of answers that were plain text."""
    return object_schema({ANSWER: {"type": "string"}}, [ANSWER])


def unique_name(name: str, number: int, taken: set[str]) -> str:
    """Return an example's name that no other one has; `taken` is told of it."""
    name = name if name not in taken else f"{name}-{number}"
    taken.add(name)
    return name


def unusable(what: str, notes: Notes) -> PromptHubError:
    """Return the error of an import that leaves nothing usable, with everything that was found."""
    listed = "".join(f"\n  {note}" for note in notes.all())
    return PromptHubError(f"nothing was imported: {what}.{listed}", exit_code=ExitCode.BLOCKED)


def alias_of(model: str) -> str:
    """Return the name of a model as an alias may be written."""
    alias = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return alias if re.match(r"[a-z]", alias) else f"model-{alias}".strip("-")


def with_question(
    messages: Sequence[ChatMessage], place: Place, notes: Notes
) -> tuple[ChatMessage, ...]:
    """Return messages of which the last is the user's; raises `InvalidDocumentsError`."""
    if not messages:
        raise broken(*place, "a prompt without a text", "a message that asks for something")
    if messages[-1].role == "user":
        return tuple(messages)
    if any(message.role == "user" for message in messages):
        found = f"a last message of the {messages[-1].role}'s"
        raise broken(*place, found, "one of the user's, which asks the question")
    notes.changed(place, "the last message", "said by the user: here it asks the question")
    return (*messages[:-1], ChatMessage("user", messages[-1].content))


def asking_for_json(
    messages: Sequence[ChatMessage], place: Place, notes: Notes
) -> list[ChatMessage]:
    """Return the messages of a prompt that was answered in plain text, asked for a JSON object."""
    sentence = f'Answer with one JSON object: {{"{ANSWER}": "…"}}.'
    notes.changed(place, "the prompt", f"a sentence was added: {sentence}")
    first = messages[0]
    if first.role == "system":
        return [ChatMessage("system", f"{first.content.rstrip()}\n{sentence}\n"), *messages[1:]]
    return [ChatMessage("system", sentence), *messages]


def as_file(messages: Sequence[ChatMessage]) -> list[JsonObject]:
    """Return messages as they stand in a prompt's file."""
    return [{"role": message.role, "content": message.content} for message in messages]


class Fields:
    """Reads the entries of one object; those that were not asked for are listed at the end."""

    def __init__(self, node: Node, notes: Notes) -> None:
        self.node = node
        self.notes = notes
        self._left = dict(node.items())
        self._refused: dict[str, str] = {}
        """Why a parameter that we have was not taken, by its name there."""

    def take(self, key: str) -> Node | None:
        """Return the entry `key`, None where there is none or it is null."""
        node = self._left.pop(key, None)
        return None if node is None or node.data is None else node

    def text(self, key: str) -> str:
        """Return a text, an empty one where there is none; anything else stays to be listed."""
        node = self._left.get(key)
        if node is None or not isinstance(node.data, str):
            return ""
        del self._left[key]
        return node.data

    def inner(self, key: str) -> Fields | None:
        """Return the entries of an object in it; anything else stays to be listed."""
        node = self._left.get(key)
        if node is None or not isinstance(node.data, dict):
            return None
        del self._left[key]
        return Fields(node, self.notes)

    def part(self, key: str) -> Fields:
        """Return the entries of an object in it; none where there is no object."""
        return self.inner(key) or Fields(Node({}, self.node.source), self.notes)

    def parameters(self) -> JsonObject:
        """Return the sampling parameters among the entries."""
        found: JsonObject = {}
        for key, ours in PARAMETERS.items():
            node = self._left.get(key)
            if node is None:
                continue
            if type(node.data) not in (int, float):
                self._refused[key] = NO_NUMBER
            elif ours in found:
                self._refused[key] = f"{ours} is said by another name, too, and that one was taken"
            else:
                found[ours] = node.data
                del self._left[key]
        return found

    def rest(
        self, of: str, reasons: Mapping[str, str] = REASONS, otherwise: str = NO_SETTING
    ) -> None:
        """List every entry that was not asked for, with its place and what to do."""
        for key, node in self._left.items():
            if node.data not in (None, [], {}, "") or unkept(node.data):
                reason = self._refused.get(key) or reasons.get(key, otherwise)
                self.notes.lost(node.place, f"'{key}' of {of}", reason)
        self._left = {}


def listed(node: Node, notes: Notes) -> list[Node]:
    """Return the elements of a list, also of an API's; what its page says beside them is noted."""
    data = node.get("data")
    if data is None:
        return [*node.elements()]
    page = Fields(node, notes)
    page.take("data")
    for key in ("object", "first_id", "last_id"):
        page.text(key)
    page.take("has_more")
    page.rest("the list")
    return [*data.elements()]


def note_next_pages(lists: Sequence[Node], notes: Notes) -> None:
    """Note which lists of rows go on in a file that is not named.

    No page names the next one: those whose rows are of one run of an eval belong together.
    """
    pages = [(page, more) for page in lists if (more := page.get("has_more")) is not None]
    ended = {_run_of(page) for page, more in pages if more.data is False} - {None}
    unless = ", unless it is among these" if len(lists) > 1 else ""
    for page, more in pages:
        if more.data is not True or _run_of(page) in ended:
            continue
        last = page.get("last_id")
        fetched = f" (fetched with 'after={last.data}')" if last is not None and last.data else ""
        why = f"more follow on the next page: name its file, too{unless}{fetched}"
        notes.lost(more.place, "a list with 'has_more'", why)


def _run_of(page: Node) -> str | None:
    """Return the run whose rows a page holds, None where they name none."""
    rows = page.get("data")
    first = None if rows is None else next(rows.elements(), None)
    run = None if first is None else first.get("run_id")
    return None if run is None else str(run.data)


def end_front_matter(front: Fields, read: Container[str], declared: Mapping[str, Place]) -> None:
    """List what a front matter says and nobody asked for, and inputs that no template reads."""
    notes = front.notes
    for name, place in declared.items():
        if name not in read:
            notes.lost(place, f"the input {name!r}", "the template does not read it")
    front.rest("the front matter")
    if (lost := unkept(front.node.data)) is not None:
        notes.lost(front.node.place, "a value of the front matter", lost)


def named(prompt: Fields, key: str = "name") -> str:
    """Return what a prompt and its version are called."""
    name, version = prompt.text(key) or "without a name", prompt.take("version")
    return name if version is None else f"{name}, version {version.data}"
