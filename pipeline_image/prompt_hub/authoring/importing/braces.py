"""Mustache and Handlebars as templates of ours, where both mean the same.

Both are written in double braces, and both drop a line on which nothing but such a tag stands. A
section's meaning depends on the value: a list is looped over, anything else is asked. So only
fields with a declared type may open one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from prompt_hub.authoring.importing.documents import broken
from prompt_hub.authoring.importing.notes import Notes, Place
from prompt_hub.authoring.importing.templates import (
    Converted,
    as_template,
    bound,
    closed,
    kind_of,
    literal,
    variable,
)
from prompt_hub.repository.contracts import properties, required
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.template_filters import MAX_INDENT

_ENDS = (("{{!--", "--}}"), ("{{{", "}}}"), ("{{", "}}"))
"""How a tag begins, and how such a one ends; the first that fits counts."""
_ALONE = (*"#/^!>=",)
"""What a tag begins with that, alone on its line, takes the line with it."""
_PATH = re.compile(r"(?:\.\./)?(?:\./|@root\.|this\.)?[A-Za-z]\w*(?:\.[A-Za-z]\w*)*")
_WORD = re.compile(r'"[^"\\]*"|\'[^\'\\]*\'|[^\s"\']+')
_MAX_DEPTH = 20
"""Blocks in blocks: a prompt has a few."""


@dataclass(frozen=True)
class Tag:
    """What stands between braces, and the text before it; `line` is the tag's own."""

    before: str
    text: str
    line: int
    comment: bool = False
    raw: bool = False


def tags_of(text: str, file: str, line: int) -> Iterator[Tag]:
    """Yield every tag with the text before it; at the end an empty tag with what is left.

    Raises:
        InvalidDocumentsError: a tag has no end.
    """
    before = 0
    while (start := text.find("{{", before)) >= 0:
        at = line + text.count("\n", 0, start)
        head, tail = next(ends for ends in _ENDS if text.startswith(ends[0], start))
        end = text.find(tail, start + len(head))
        if end < 0:
            raise broken(file, at, f"{head} without an end", tail)
        word = text[start + len(head) : end].strip()
        end += len(tail)
        comment, raw = head == "{{!--" or word.startswith("!"), head == "{{{"
        first = start
        if comment or (not raw and _takes_its_line(word)):
            first, end = _whole_line(text, start, end)
        yield Tag(text[before : max(first, before)], word, at, comment, raw)
        before = end
    yield Tag(text[before:], "", line + text.count("\n"))


def _takes_its_line(word: str) -> bool:
    return word[:1] in _ALONE or word == "else" or word.startswith("else if ")


def _whole_line(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span of a tag's whole line where nothing else stands on it."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last < 0 else last + 1
    if text[first:start].strip(" \t") or text[end:last].strip(" \t\n"):
        return start, end
    return first, last


@dataclass
class _Block:
    """An open block: its own word, and what names mean inside it."""

    word: str
    line: int
    item: str = ""
    """The name of the loop's element, empty where names are the fields."""
    schema: JsonObject = field(default_factory=dict)
    """The schema of the element."""
    in_else: bool = False
    """Whether its `{{else}}` was read, in which names are what they are around the block."""


class Braces:
    """Converts one text; the two languages differ in what a tag means."""

    def __init__(self, file: str, types: Mapping[str, JsonObject], notes: Notes) -> None:
        self.file = file
        self.types = types
        self.notes = notes
        self.blocks: list[_Block] = []
        self.pieces: list[str] = []
        self.variables: dict[str, JsonObject] = {}
        self.optional: set[str] = set()
        """Fields inside of others that may be missing, which is an empty text to both languages."""

    def convert(self, text: str, line: int) -> Converted:
        """Convert a text that begins at a line; raises `InvalidDocumentsError`."""
        text = as_template(text, (self.file, line), self.notes)
        for tag in tags_of(text, self.file, line):
            # A backslash keeps Handlebars from reading a tag, and two of them do not.
            if tag.before.endswith("\\") and tag.text:
                self.refuse(tag, "a backslash before a tag", "the tag without it")
            self.pieces.append(literal(tag.before))
            if tag.text and not tag.comment:
                self.tag(tag)
        if self.blocks:
            block = self.blocks[-1]
            raise broken(self.file, block.line, f"{{{{#{block.word}}}}} without an end", "its end")
        return Converted(closed("".join(self.pieces)), self.variables)

    def tag(self, tag: Tag) -> None:
        """Convert one tag."""
        raise NotImplementedError

    def refuse(self, tag: Tag, found: str, expected: str) -> NoReturn:
        """Raise `InvalidDocumentsError` for what ours cannot say."""
        raise broken(self.file, tag.line, found, expected)

    def open(self, tag: Tag, block: _Block, text: str) -> None:
        """Open a block with a tag of ours."""
        if len(self.blocks) >= _MAX_DEPTH:
            self.refuse(tag, "blocks nested without end", f"at most {_MAX_DEPTH}")
        self.blocks.append(block)
        self.pieces.append(text)

    def close(self, tag: Tag, word: str) -> None:
        """Close the block that was opened last."""
        if not self.blocks or self.blocks[-1].word != word:
            self.refuse(tag, f"{{{{/{word}}}}}, which ends nothing", "the end of the open block")
        block = self.blocks.pop()
        self.pieces.append("{% endfor %}" if block.item else "{% endif %}")

    def loop(self, tag: Tag, word: str, expression: str, schema: JsonObject) -> None:
        """Open a loop over a list; its items are named after how deep they are."""
        bound(expression, schema, (self.file, tag.line), self.notes)
        items = schema.get("items")
        item = "item" if len(self.blocks) == 0 else f"item{len(self.blocks) + 1}"
        if item in self.types:
            self.refuse(tag, f"a loop beside a field {item!r}", f"another name than {item!r}")
        block = _Block(word, tag.line, item, items if isinstance(items, dict) else {})
        self.open(tag, block, f"{{% for {item} in {expression} %}}")

    def named(self, tag: Tag, path: str) -> tuple[str, JsonObject]:
        """Return a field by its path, as we write it, and its schema."""
        first, *rest = path.split(".")
        name = variable(first, (self.file, tag.line))
        schema = self.variables[name] = self.types.get(name, {})
        return self.member(tag, name, schema, rest)

    def member(
        self, tag: Tag, expression: str, schema: JsonObject, path: list[str]
    ) -> tuple[str, JsonObject]:
        """Return a field inside a value, as we write it, and its schema."""
        for step in path:
            inner = properties(schema).get(step)
            if not isinstance(inner, dict):
                expected = "a field that is declared in the input's schema"
                self.refuse(tag, f"{expression}.{step}", expected)
            may_be_missing = step not in required(schema)
            schema, expression = inner, f"{expression}.{step}"
            if may_be_missing:
                self.optional.add(expression)
        return expression, schema

    def write(self, tag: Tag, expression: str, schema: JsonObject) -> None:
        """Write a value as text."""
        kind = kind_of(schema)
        if kind in ("array", "object"):
            self.refuse(tag, f"the {kind} {expression!r} written out", "a text, or a loop over it")
        if kind == "number":
            why = "a whole number with a point, such as 5.0, keeps it here"
            self.notes.changed((self.file, tag.line), f"the number {expression!r}", why)
        otherwise = " | default('')" if expression in self.optional else ""
        self.pieces.append(f"{{{{ {expression}{otherwise} }}}}")


# --- Mustache ----------------------------------------------------------------------------------


class _Mustache(Braces):
    def tag(self, tag: Tag) -> None:
        sign, name = ("", tag.text) if tag.raw else (tag.text[0], tag.text[1:].strip())
        if sign in (">", "="):
            self.refuse(tag, f"{{{{{tag.text[:40]}}}}}", "a template that stands in one file")
        if sign == "/":
            self.close(tag, name)
            return
        if sign not in ("#", "^"):
            name = name if sign in ("", "&") else tag.text
            expression, schema = self.value(tag, name)
            if kind_of(schema) == "boolean":
                self.refuse(tag, f"the boolean {name!r} written out", "a section {{#…}} with words")
            if not tag.raw and sign != "&":
                why = "nothing is escaped here: Mustache writes & < > and quotes as &amp; and so on"
                self.notes.changed((self.file, tag.line), f"the variable {name!r}", why)
            self.write(tag, expression, schema)
            return
        expression, schema = self.value(tag, name)
        if sign == "#" and kind_of(schema) == "array":
            self.loop(tag, name, expression, schema)
        elif kind_of(schema) == "boolean" or (sign == "^" and kind_of(schema) == "array"):
            test = expression if sign == "#" else f"not {expression}"
            self.open(tag, _Block(name, tag.line), f"{{% if {test} %}}")
        else:
            expected = "a field that is declared as a boolean or an array"
            self.refuse(tag, f"a section of {name!r}", expected)

    def value(self, tag: Tag, name: str) -> tuple[str, JsonObject]:
        """Return a name's value: in loops a field of an element, the innermost first."""
        loops = [block for block in reversed(self.blocks) if block.item]
        if name == "." and loops:
            return loops[0].item, loops[0].schema
        path = name.split(".")
        for loop in loops:
            if path[0] in properties(loop.schema):
                return self.member(tag, loop.item, loop.schema, path)
        if loops and not (path[0] in self.types and all(map(_is_declared, loops))):
            expected = "a field that is declared in the input's schema, of an element or beside it"
            self.refuse(tag, f"{name!r} in a section of a list", expected)
        return self.named(tag, name)


def _is_declared(loop: _Block) -> bool:
    """Whether it is known which fields the elements of a loop have, if any."""
    return kind_of(loop.schema) not in ("", "object") or bool(properties(loop.schema))


def from_mustache(
    text: str, place: Place, types: Mapping[str, JsonObject], notes: Notes
) -> Converted:
    """Convert a template of Mustache; raises `InvalidDocumentsError` for what ours cannot say."""
    return _Mustache(place[0], types, notes).convert(text, place[1])


# --- Handlebars --------------------------------------------------------------------------------


class Handlebars(Braces):
    """Converts a template of Handlebars without escaping, with the helpers of dotprompt."""

    def tag(self, tag: Tag) -> None:
        """Convert one tag."""
        text = tag.text
        if text.startswith("~") or text.endswith("~"):
            self.refuse(tag, "'~', which takes white space away", "the template without it")
        words = _WORD.findall(text)
        match words:
            case _ if text[0] in "&>=*" or (tag.raw and len(words) != 1):
                self.refuse(tag, f"{{{{{text[:40]}}}}}", "a template that stands in one file")
            case ["#if", path]:
                self.open(tag, _Block("if", tag.line), f"{{% if {self.condition(tag, path)} %}}")
            case ["#unless", path]:
                test = f"not ({self.condition(tag, path)})"
                self.open(tag, _Block("unless", tag.line), f"{{% if {test} %}}")
            case ["#ifEquals" | "#unlessEquals" as word, left, right]:
                sign = "==" if word == "#ifEquals" else "!="
                test = f"{self.operand(tag, left, right)} {sign} {self.operand(tag, right, left)}"
                self.open(tag, _Block(word[1:], tag.line), f"{{% if {test} %}}")
            case ["#each", path]:
                self.loop(tag, "each", *self.value(tag, path))
            case ["else"] if self.blocks:
                self.blocks[-1].in_else = True
                self.pieces.append("{% else %}")
            case ["else", "if", path] if self.blocks and not self.blocks[-1].item:
                self.pieces.append(f"{{% elif {self.condition(tag, path)} %}}")
            case [word] if word.startswith("/"):
                self.close(tag, word[1:])
            case ["json", path, *more]:
                indent = more[0].removeprefix("indent=").strip("\"'") if more else "0"
                if len(more) > 1 or indent not in {str(n) for n in range(MAX_INDENT + 1)}:
                    self.refuse(tag, f"{{{{{text[:40]}}}}}", f"an indent of at most {MAX_INDENT}")
                expression, schema = self.value(tag, path)
                if kind_of(schema) not in ("string", "boolean", "integer"):
                    why = "a whole number with a point in it, such as 5.0, keeps it here"
                    self.notes.changed((self.file, tag.line), f"the JSON of {expression!r}", why)
                form = "true" if indent == "0" else indent
                self.pieces.append(f"{{{{ {expression} | tojson({form}) }}}}")
            case [path] if text[0] not in "#^":
                self.write(tag, *self.value(tag, path))
            case _:
                expected = "a field, or if, unless, each, ifEquals, unlessEquals, json"
                self.refuse(tag, f"{{{{{text[:40]}}}}}", expected)

    def loops(self) -> list[_Block]:
        """Return the loops whose elements names are looked for in, the innermost last."""
        return [block for block in self.blocks if block.item and not block.in_else]

    def value(self, tag: Tag, path: str) -> tuple[str, JsonObject]:
        """Return a value by its path, as we write it, and its schema."""
        loops = self.loops()
        if path in ("this", ".") and loops:
            return loops[-1].item, loops[-1].schema
        if path == "@index" and loops:
            return "loop.index0", {"type": "integer"}
        if not _PATH.fullmatch(path):
            expected = "a field's name, or this, @index, @first, @last in a loop"
            self.refuse(tag, f"{{{{{path[:40]}}}}}", expected)
        if path.startswith("../"):
            if not loops:
                self.refuse(tag, f"{path!r} outside of a loop", "the name without '../'")
            loops, path = loops[:-1], path.removeprefix("../")
        if path.startswith("@root."):
            loops, path = [], path.removeprefix("@root.")
        path = path.removeprefix("./").removeprefix("this.")
        if not loops:
            return self.named(tag, path)
        return self.member(tag, loops[-1].item, loops[-1].schema, path.split("."))

    def condition(self, tag: Tag, path: str) -> str:
        """Return what is asked: an empty text, list, 0 and false are no in both languages."""
        if path in ("@first", "@last") and self.loops():
            return f"loop.{path[1:]}"
        expression, schema = self.value(tag, path)
        if kind_of(schema) == "object":
            self.refuse(tag, f"a condition of the object {path!r}", "one of its fields")
        is_there = f"{expression} is defined and " if expression in self.optional else ""
        return f"{is_there}{expression}"

    def operand(self, tag: Tag, operand: str, other: str) -> str:
        """Return one side of a comparison: JavaScript holds values of two types to be unequal."""
        if operand[0] in "\"'":
            return json.dumps(operand[1:-1], ensure_ascii=False)
        if operand[0] == "-" or operand.isdecimal() or operand in ("true", "false"):
            self.refuse(tag, f"a comparison with {operand}", "one with a text in quotes")
        expression, schema = self.value(tag, operand)
        if kind_of(schema) not in ("string", "") or other[0] not in "\"'":
            self.refuse(tag, f"a comparison of {operand!r}", "a text field and a text in quotes")
        return expression
