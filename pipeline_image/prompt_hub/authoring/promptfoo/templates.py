"""Nunjucks, promptfoo's template language, as Jinja2: nearly the same, named where it is not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, TemplateError, nodes

from prompt_hub.authoring.importing.javascript import UnknownMeaningError, Value
from prompt_hub.authoring.promptfoo.nunjucks import FILTERS, TESTS, Nunjucks
from prompt_hub.repository.template_filters import MAX_INDENT
from prompt_hub.repository.templates import read

# Only read, never rendered; for a prompt, autoescaping would be wrong.
_LEXER = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701
_UNFINISHED = re.compile(r"\{%[^%]*$|\{\{[^}]*$|\{#[^#]*$", re.MULTILINE)
_TAGS = {"if", "elif", "elseif", "else", "endif", "for", "endfor"}
_RENAMED = {"elseif": "elif", "null": "none"}
_ALIKE = {
    "integer": re.compile(r"\d+"),
    "float": re.compile(r"\d+\.\d+"),
    "string": re.compile(r"""(?:[^\\]|\\[\\'"ntr])*""", re.DOTALL),
    "block_begin": re.compile(r"[^+]*"),
}
"""How both languages write these; what is written otherwise, only Jinja2 reads so."""
_FOREIGN = {
    "env": "the environment ({{ env.… }})",
    "_conversation": "the conversation so far ({{ _conversation }})",
    **{name: f"the name {name!r}, a variable in Nunjucks" for name in ("True", "False", "None")},
}


@dataclass(frozen=True)
class Translated:
    """A template as Jinja2: the fields that it reads, what was rewritten, what cannot be."""

    text: str
    variables: frozenset[str] = frozenset()
    rewritten: tuple[str, ...] = ()
    problem: str | None = None
    filters: frozenset[str] = frozenset()
    """The filters that it uses, by the names that Nunjucks has for them."""
    loops: bool = False
    """Whether it loops over anything."""
    meaning: Nunjucks | None = None
    """What Nunjucks makes of it; None where there is a problem."""

    def there(self, values: Mapping[str, Value]) -> str:
        """Return the text that Nunjucks makes of values; raises `UnknownMeaningError`."""
        if self.meaning is None:
            raise UnknownMeaningError(self.problem or "a template that cannot be read")
        return self.meaning.text(values)


@lru_cache(maxsize=4096)
def to_jinja(text: str) -> Translated:
    """Translate one template; `problem` names the first thing that has no counterpart."""
    if _UNFINISHED.search(text):
        return Translated(
            text, problem="a tag over several lines, for which promptfoo fills in none"
        )
    filters: set[str] = set()
    changes: dict[str, None] = {}
    try:
        fresh = _rewritten(text, filters, changes)
        # A template here loses its last line end, there it does not.
        fresh += "\n" * fresh.endswith("\n")
        analysis = read(fresh)
    except _ForeignError as error:
        return Translated(text, problem=str(error))
    except (TemplateError, RecursionError) as error:
        # Jinja2 says the line of the template below, in a line of its own.
        reason = str(error).partition("\n")[0]
        return Translated(text, problem=f"a template that Jinja2 cannot read ({reason})")
    for fault in analysis.faults:
        unread = f"a template that Jinja2 cannot read ({fault.found})"
        problem = unread if fault.rule == "template-syntax" else fault.found
        return Translated(text, problem=problem)
    assert analysis.tree is not None
    loops = [*analysis.tree.find_all(nodes.For)]
    if any(loop.test is not None or not isinstance(loop.target, nodes.Name) for loop in loops):
        return Translated(text, problem="a loop with a condition or over the entries of an object")
    return Translated(
        text=fresh,
        variables=frozenset(analysis.variables),
        rewritten=(*changes,),
        filters=frozenset(filters),
        loops=bool(loops),
        meaning=Nunjucks(analysis.tree),
    )


class _ForeignError(Exception):
    """Something that has no counterpart, in words."""


@dataclass
class _Word:
    """A token, and the white space before it."""

    kind: str
    value: str
    space: str


def _rewritten(text: str, filters: set[str], changes: dict[str, None]) -> str:
    """Return a template as Jinja2 has it; raises `_ForeignError`, adds to the other two."""
    words = [_Word("", "", "")]
    space = ""
    for _, kind, value in _LEXER.lex(text):
        if kind == "whitespace":
            space = value
        else:
            words.append(_Word(kind, value, space))
            space = ""
    words.append(_Word("", "", space))
    originals = [word.value for word in words]
    for at, word in enumerate(words):
        before, after = originals[max(at - 1, 0)], originals[min(at + 1, len(words) - 1)]
        alike = _ALIKE.get(word.kind)
        if alike is not None and not alike.fullmatch(word.value):
            raise _ForeignError(f"{word.value}, which Nunjucks does not read so")
        if word.value == before == "|":
            raise _ForeignError("the operator '||'")
        if word.kind == "block_begin" and after not in _TAGS:
            raise _ForeignError(f"a tag ({{% {after} %}})")
        if word.kind == "string" and words[at - 1].kind == "string":
            raise _ForeignError(f"{word.value}, which Nunjucks does not read so")
        if word.value == "=" and before in ("==", "!="):
            changes[f"'{before}=' as '{before}'"] = None
            word.value = ""
        if word.kind != "name":
            continue
        if before == ".":
            if word.value == "length" and originals[at - 2] != "loop":
                changes["'.length' as the filter 'length'"] = None
                words[at - 1].value = "|"
        elif before == "|":
            _rewrite_filter(words, at, after, filters, changes)
        elif before in ("is", "not") and "is" in originals[at - 2 : at]:
            if word.value not in TESTS.keys() | {"not", "null"}:
                raise _ForeignError(f"the test {word.value!r}, which Nunjucks has not")
            word.value = _RENAMED.get(word.value, word.value)
        elif word.value in _FOREIGN:
            raise _ForeignError(_FOREIGN[word.value])
        elif word.value in _RENAMED:
            word.value = _RENAMED[word.value]
            changes[f"{originals[at]!r} as {word.value!r}"] = None
    return "".join(word.space + word.value for word in words)


def _rewrite_filter(
    words: list[_Word], at: int, after: str, filters: set[str], changes: dict[str, None]
) -> None:
    word = words[at]
    filters.add(word.value)
    if word.value == "safe":
        changes["the filter 'safe' left out: nothing is escaped here"] = None
        words[at - 1].value = word.value = ""
    elif word.value == "dump":
        changes["the filter 'dump' as 'tojson'"] = None
        if after == "(" and words[at + 2].value not in {str(n + 1) for n in range(MAX_INDENT)}:
            raise _ForeignError(f"the filter 'dump' with more than 1 to {MAX_INDENT} spaces")
        word.value = "tojson" if after == "(" else "tojson(true)"
    elif word.value == "d":
        word.value = "default"
    elif word.value not in FILTERS or word.value == "tojson":
        raise _ForeignError(f"the filter {word.value!r}, which is not translated")


def filled(text: str, values: Mapping[str, Value]) -> str:
    """Return an assertion's text with variables filled in.

    Raises:
        UnknownMeaningError: it uses a variable that is not there, or more than is known here.
    """
    if "{" not in text:
        return text
    translated = to_jinja(text)
    if missing := translated.variables - values.keys():
        raise UnknownMeaningError(f"the variable {min(missing)!r} that is not there")
    return translated.there(values)
