"""A `.prompt` file of dotprompt: front matter in YAML, and a text in Handlebars."""

from __future__ import annotations

import re
from pathlib import Path

from prompt_hub.authoring.importing.braces import Handlebars, Tag
from prompt_hub.authoring.importing.documents import parsed_page, text_in, unkept
from prompt_hub.authoring.importing.form import (
    ROLES,
    ChatMessage,
    Draft,
    Fields,
    UnusablePromptError,
    end_front_matter,
    with_question,
)
from prompt_hub.authoring.importing.formats.picoschema import schema_of
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.reasons import HISTORY, NO_PARAMETER
from prompt_hub.authoring.importing.schemas import shape_of_sample, why_unusable
from prompt_hub.repository.contracts import properties, required
from prompt_hub.repository.schema import JsonObject

_ROLE = re.compile(r"role\s+(?:\"([a-z]+)\"|'([a-z]+)')")
_SECTION = re.compile(r"section\s+(?:\"[^\"]*\"|'[^']*')")


class _Messages(Handlebars):
    """Converts a text in which tags begin messages."""

    def __init__(self, file: str, types: dict[str, JsonObject], notes: Notes) -> None:
        super().__init__(file, types, notes)
        self.messages: list[ChatMessage] = []
        self.role = "user"
        self.line = 1

    def tag(self, tag: Tag) -> None:
        """Convert one tag."""
        role = _ROLE.fullmatch(tag.text)
        word = tag.text.split()[0]
        if role is None and tag.text != "history" and not _SECTION.fullmatch(tag.text):
            if word in ("role", "media", "section"):
                self.refuse(tag, f"{{{{{tag.text[:40]}}}}}", "text: a task reads nothing else")
            super().tag(tag)
            return
        if self.blocks:
            self.refuse(tag, f"{{{{{tag.text[:40]}}}}} inside a block", "one outside of all blocks")
        if role is None:
            why = HISTORY if word == "history" else "other code fills it; write its text instead"
            self.notes.lost((self.file, tag.line), f"{{{{{tag.text}}}}}", why)
        if role is not None or word == "history":
            self.end_message()
            self.line = tag.line
            self.role = str(role[1] or role[2]) if role is not None else "model"
            if self.role not in ROLES:
                self.refuse(tag, f"the role {self.role!r}", f"one of {', '.join(ROLES)}")

    def end_message(self) -> None:
        """Keep what was converted since the last message began, where it says anything."""
        text = "".join(self.pieces)
        self.pieces = []
        if text.strip():
            if text != text.strip():
                why = "is left out around a message"
                self.notes.changed((self.file, self.line), "white space", why)
            self.messages.append(ChatMessage(ROLES[self.role], text.strip()))


def dotprompt(path: Path, notes: Notes) -> Draft:
    """Read a file; raises `InvalidDocumentsError` for what it says and a prompt here cannot."""
    page = parsed_page(text_in(path, path.name), path.name)
    front = Fields(page.front, notes)
    place = page.front.place
    title, description = front.text("name") or path.stem, front.text("description")
    types, samples = _inputs(front.inner("input"), notes)
    converter = _Messages(page.front.source.file, types, notes)
    converter.convert(page.body, page.line)
    converter.end_message()
    provider, _, model = front.text("model").rpartition("/")
    config = front.part("config")
    output, is_json = _output(front.inner("output"), notes)
    draft = Draft(
        name=f"dotprompt {title}",
        place=place,
        messages=with_question(converter.messages, place, notes),
        variables=converter.variables,
        model=model,
        provider=provider or "not said",
        parameters=config.parameters(),
        output=output,
        json=is_json,
        description=description,
        samples={name: samples[name] for name in converter.variables if name in samples},
    )
    config.rest("the config", {}, NO_PARAMETER)
    end_front_matter(front, draft.variables, dict.fromkeys(types, place))
    return draft


def _inputs(given: Fields | None, notes: Notes) -> tuple[dict[str, JsonObject], JsonObject]:
    """Return the declared fields with their schemas, and the values that they have by default."""
    if given is None:
        return {}, {}
    types: dict[str, JsonObject] = {}
    if (declared := given.take("schema")) is not None:
        schema = schema_of(declared, notes)
        if schema.get("type") != "object":
            raise UnusablePromptError(f"{declared.source.file}: its input is no object of fields.")
        for name, inner in properties(schema).items():
            types[name] = inner if isinstance(inner, dict) and unkept(inner) is None else {}
            if name not in required(schema):
                why = "may be left out there; here every field is given, if only empty"
                notes.changed(declared.place, f"the input {name!r}", why)
    default = given.take("default")
    samples: JsonObject = {}
    for name, node in default.items() if default is not None else ():
        if unkept(node.data) is None:
            samples[name] = node.data
        types.setdefault(name, shape_of_sample(node.data))
    given.rest("'input'", {})
    return types, samples


def _output(given: Fields | None, notes: Notes) -> tuple[JsonObject | None, bool]:
    """Return the schema of answers, and whether they are JSON.

    There is none, which is noted, for a schema that no answer here can have.
    """
    if given is None:
        return None, False
    format_, declared = given.text("format"), given.take("schema")
    if format_ not in ("", "json", "text"):
        why = "answers are one JSON object"
        notes.lost(given.node.place, f"the format {format_!r}", why)
    given.rest("'output'", {})
    if declared is None:
        return None, format_ == "json"
    schema = schema_of(declared, notes)
    if wrong := why_unusable(schema):
        notes.lost(declared.place, "the output's schema", f"{wrong}; write one yourself")
        return None, True
    return schema, True
