"""What three parsers say of broken syntax, in words for whoever wrote it.

The parsers speak of tokens and indicators. What none of these tables knows is quoted as it was
said: a parser that is upgraded may find new words, and they are better than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json import JSONDecodeError
from typing import NamedTuple

from prompt_hub.core.foreign_text import shortened

_CONFLICT = re.compile(r"(<{7}|>{7}|\|{7}) |={7}$")
_BEGIN = re.compile(r"^<{7} .*$", re.MULTILINE)
_END = re.compile(r"^>{7} .*$", re.MULTILINE)
CONFLICT = "conflict-marker"
"""The rule that a marker of git's breaks."""
MERGED = "the text as merged, and no marker"
"""Not one of the two sides: of what promotion writes that is wrong, as the rule's mend says."""
_SHOWN = 24
"""Characters that are shown of what a parser could not go on with."""


class Words(NamedTuple):
    """What was found, and what was expected in its place."""

    found: str
    expected: str


def conflict_marker(line: str) -> str:
    """Return what git wrote at the start of a line where two sides could not be merged."""
    found = _CONFLICT.match(line.rstrip("\r"))
    return f"a conflict marker of git ({found[0].strip()})" if found else ""


def conflict_at(text: str) -> int | None:
    """Return where the first conflict begins that git has left in a text, None without one."""
    begin = conflict_begin(text)
    return begin if begin is not None and has_conflict_end(text, begin) else None


def conflict_begin(text: str) -> int | None:
    """Return where the first line stands with which git begins a conflict, None without one."""
    begin = _BEGIN.search(text)
    return begin and begin.start()


def has_conflict_end(text: str, at: int = 0) -> bool:
    """Whether git ends a conflict behind a place."""
    return _END.search(text, at) is not None


# --- YAML --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """A message of a parser, and what it means."""

    message: str
    found: str
    expected: str

    def words(self, said: str) -> Words | None:
        match = re.search(self.message, said)
        return Words(match.expand(self.found), self.expected) if match else None


_YAML = (
    _Known("could not find expected ':'", "a line without ':'", "a key and value, as in 'a: b'"),
    _Known(
        "mapping values are not allowed",
        "a second ':' in a line",
        "a text with a colon in quotes, or behind | on lines of its own",
    ),
    _Known(
        "block sequence entries are not allowed",
        "a '-' where no list can begin",
        "the list on lines of its own, below its key",
    ),
    _Known(
        "did not find expected key",
        "something that is no key",
        "a key as far indented as those above it, and what has a quote inside whole in quotes",
    ),
    _Known(
        "did not find expected '-' indicator",
        "a line that is no entry of the list",
        "'- ' as far indented as the entries above it",
    ),
    _Known(
        r"did not find expected ',' or '(.)'",
        r"a bracket that is not closed by '\1'",
        "',' between the entries and a bracket at the end; a text with brackets in quotes",
    ),
    _Known("unexpected end of stream", "a quote that is never closed", "its closing quote"),
    _Known(
        "unexpected document indicator",
        "a quote that is not closed before '---'",
        "its closing quote",
    ),
    _Known(
        "character that cannot start any token",
        "a character that no value begins with",
        "the text in quotes",
    ),
    _Known(
        "unknown escape character|did not find expected hexdecimal number",
        "a backslash in double quotes that begins no escape",
        "\\\\ for a backslash, or the text in single quotes",
    ),
    _Known(
        "did not find expected alphabetic or numeric character",
        "'*' or '&' without a name",
        "the text in quotes",
    ),
    _Known("did not find expected node content", "nothing where a value belongs", "a value"),
    _Known(
        "did not find expected <document start>|expected <document start>",
        "something behind the end of the document",
        "one mapping, every key as far indented as the first",
    ),
    _Known(
        "did not find expected comment or line break",
        "something behind | or > on the same line",
        "the text on the lines below it",
    ),
    _Known(
        "unexpected ':'", "a ':' in brackets that belongs to no key", "the text with it in quotes"
    ),
)


def yaml_words(said: str) -> Words:
    """Return a message of the YAML parser in words."""
    for known in _YAML:
        if words := known.words(said):
            return words
    return Words(said.removeprefix("found "), "valid YAML")


# --- JSON --------------------------------------------------------------------------------------

_JSON = {
    "Expecting ',' delimiter": "',' or the closing bracket",
    "Expecting ':' delimiter": "':' behind the key",
    "Expecting property name enclosed in double quotes": "a key in double quotes",
    "Expecting value": "a value; a text stands in double quotes",
    "Invalid \\escape": "\\\\ for a backslash, or an escape that JSON has",
    "Invalid \\uXXXX escape": "four hexadecimal digits behind \\u",
    "Invalid control character at": "its escape: \\n for a new line, \\t for a tab",
    "Unterminated string starting at": "its closing quote on the same line",
}
_LEFT_OPEN = "Unterminated string starting at"
_CONTROL = "Invalid control character at"


def json_words(error: JSONDecodeError, whole: str) -> Words:
    """Return what is wrong with a JSON text; `whole` says what the text should be."""
    here = error.doc[error.pos - error.colno + 1 :].split("\n", 1)[0]
    if marker := conflict_marker(here):
        return Words(marker, MERGED)
    if not error.doc.strip():
        return Words("an empty file", whole)
    if error.msg == _LEFT_OPEN:
        return Words(f"the text {_there(error.doc, error.pos)}, which has no end", _JSON[error.msg])
    if error.msg == _CONTROL:
        return Words("a line break, a tab or the like inside a text", _JSON[error.msg])
    if error.msg == "Extra data":
        return Words(f"{_there(error.doc, error.pos)} behind the end of the value", whole)
    before = error.doc[: error.pos].rstrip()
    if before.endswith(",") and error.doc[error.pos : error.pos + 1] in {"}", "]"}:
        return Words(f"{_there(error.doc, error.pos)} behind a comma", "no comma at the end")
    expected = _JSON.get(error.msg)
    if expected is None:
        return Words(error.msg, whole)
    return Words(_there(error.doc, error.pos), expected)


def _there(text: str, at: int) -> str:
    """Return what stands at a place of a text, up to the end of its line."""
    rest = text[at:].split("\n", 1)[0]
    if not rest.strip():
        return "the end of the line" if text[at:].strip() else "the end"
    return repr(shortened(rest, _SHOWN))


# --- Jinja2 ------------------------------------------------------------------------------------

_RAW = "braces that are meant as text in {% raw %}…{% endraw %}"
_JINJA = (
    _Known(
        "expected token 'end of print statement', got '(.*)'",
        r"'{{' with '\1' behind its first word",
        f"a field, as in {{{{ title }}}}, or {_RAW}",
    ),
    _Known(
        "[Uu]nexpected '([})])'",
        r"'\1' that closes nothing",
        f"a field, as in {{{{ title }}}}, or {_RAW}",
    ),
    _Known(
        r"[Uu]nexpected char '(.*)' at",
        r"the character '\1' between braces",
        f"a field, as in {{{{ title }}}}, or {_RAW}",
    ),
    _Known(
        "Expected an expression, got 'end of print statement'",
        "'{{ }}' without a field",
        f"the name of a field between them, or {_RAW}",
    ),
    _Known(
        "Encountered unknown tag 'end(for|if)'",
        r"{% end\1 %}, which ends nothing",
        "its beginning in the same message",
    ),
    _Known("Encountered unknown tag '(.*?)'", r"the tag {% \1 %}", "one of: if, for, include, raw"),
    _Known(
        "Jinja was looking for the following tags: .*'(end\\w+)'",
        "a tag that is not closed",
        "{% endif %} or {% endfor %} in the same message",
    ),
    _Known("Missing end of raw directive", "{% raw %} that is not closed", "{% endraw %}"),
    _Known("Missing end of comment tag", "a comment that is not closed", "'#}'"),
    _Known(
        "unexpected end of template",
        "braces that are not closed",
        f"'}}}}' or '%}}' behind them, or {_RAW}",
    ),
)


def jinja_words(said: str) -> Words:
    """Return a message of Jinja2 in words."""
    for known in _JINJA:
        if words := known.words(said):
            return words
    return Words(f"what Jinja2 cannot read ({said.rstrip('.')})", f"a Jinja2 template; {_RAW}")
