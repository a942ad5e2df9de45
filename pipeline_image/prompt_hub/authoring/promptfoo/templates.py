"""Nunjucks, promptfoo's template language, as Jinja2: nearly the same, named where it is not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, TemplateError, nodes
from pydantic import JsonValue

from prompt_hub.authoring.promptfoo.javascript import Value
from prompt_hub.authoring.promptfoo.nunjucks import Nunjucks, UnknownMeaningError
from prompt_hub.repository.template_filters import MAX_INDENT
from prompt_hub.repository.templates import read

# Only read, never rendered; for a prompt, autoescaping would be wrong.
_LEXER = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701
_UNFINISHED = re.compile(r"\{%[^%]*$|\{\{[^}]*$|\{#[^#]*$", re.MULTILINE)
_RAW = re.compile(r"\{%\s*raw\s*%\}"), re.compile(r"\{%\s*endraw\s*%\}")
_ESCAPES = re.compile(r"""\\[^\\'"ntr]""")
_TAGS = {"if", "elif", "elseif", "else", "endif", "for", "endfor", "in"}
_TESTS = {"defined", "mapping", "none", "null", "number", "string", "undefined"}
_JINJA_ONLY = {"items", "tojson", "unique"}
_FOREIGN = {
    "env": "the environment ({{ env.… }})",
    "_conversation": "the conversation so far ({{ _conversation }})",
    "True": "the name 'True', a variable in Nunjucks",
    "False": "the name 'False', a variable in Nunjucks",
    "None": "the name 'None', a variable in Nunjucks",
}


@dataclass(frozen=True)
class Translated:
    """A template as Jinja2: the fields that it reads, what was rewritten, what cannot be."""

    text: str
    variables: frozenset[str]
    rewritten: tuple[str, ...]
    problem: str | None
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


def partly_written(text: str) -> bool:
    """Whether promptfoo takes all of a text literally, for a tag that its line does not end."""
    wrapped = all(mark.search(text) for mark in _RAW)
    return _UNFINISHED.search(text) is not None and not wrapped


@lru_cache(maxsize=4096)
def to_jinja(text: str) -> Translated:
    """Translate one template; `problem` names the first thing that has no counterpart."""
    try:
        rewriting = _Rewriting([(kind, value) for _, kind, value in _LEXER.lex(text)])
        fresh = rewriting.run()
    except _ForeignError as error:
        return Translated(text, frozenset(), (), str(error))
    except (TemplateError, RecursionError) as error:
        return Translated(text, frozenset(), (), f"a template that Jinja2 cannot read ({error})")
    # A template here loses its last line end, there it does not.
    fresh += "\n" * fresh.endswith("\n")
    analysis = read(fresh)
    if analysis.faults or analysis.tree is None:
        fault = analysis.faults[0]
        unread = fault.rule == "template-syntax"
        problem = f"a template that Jinja2 cannot read ({fault.found})" if unread else fault.found
        return Translated(text, frozenset(), (), problem)
    if any(loop.test is not None for loop in analysis.tree.find_all(nodes.For)):
        return Translated(text, frozenset(), (), "a loop with a condition")
    strict, members = rewriting.strict and not rewriting.loose, rewriting.members
    if rewriting.strict and rewriting.loose:
        return Translated(text, frozenset(), (), "'==' beside '===', which are one here")
    return Translated(
        text=fresh,
        variables=frozenset(analysis.variables),
        rewritten=(*rewriting.changes,),
        problem=None,
        filters=frozenset(rewriting.filters),
        loops=analysis.tree.find(nodes.For) is not None,
        meaning=Nunjucks(analysis.tree, strict=strict, members=members),
    )


class _ForeignError(Exception):
    """Something that has no counterpart, in words."""


class _Rewriting:
    """Goes over the tokens of a template once."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self.changes: dict[str, None] = {}
        self.filters: set[str] = set()
        self.strict = self.loose = self.members = False

    def run(self) -> str:
        """Return the template as Jinja2 has it; raises `_ForeignError`."""
        written: list[str] = []
        while self._at < len(self._tokens):
            kind, value = self._tokens[self._at]
            self._at += 1
            match kind:
                case "block_begin":
                    self._tag(value)
                    written.append(value)
                case "name":
                    written.append(self._name(value))
                case "operator":
                    written.append(self._operator(value))
                case "integer" | "float":
                    if not re.fullmatch(r"\d+(\.\d+)?", value):
                        raise _ForeignError(f"the number {value}, which Nunjucks does not read so")
                    written.append(value)
                case "string":
                    if _ESCAPES.search(value) or self._next()[0] == "string":
                        raise _ForeignError(f"the text {value}, which Nunjucks does not read so")
                    written.append(value)
                case _:
                    written.append(value)
        return "".join(written)

    def _next(self, skip: int = 0) -> tuple[str, str]:
        """Return the next token that is no white space, and skip to it where `skip` says so."""
        at = self._at
        while at < len(self._tokens) and self._tokens[at][0] == "whitespace":
            at += 1
        if skip:
            self._at = at + skip
        return self._tokens[at] if at < len(self._tokens) else ("", "")

    def _tag(self, mark: str) -> None:
        _, name = self._next()
        if mark.endswith("+") or name not in _TAGS:
            raise _ForeignError(f"a tag ({{% {name} %}})")
        if name == "for":
            words = []
            for kind, value in self._tokens[self._at :]:
                if value == "in" or kind == "block_end":
                    break
                words.append(value)
            if "," in words:
                raise _ForeignError("a loop over the entries of an object")

    def _rewrote(self, message: str) -> None:
        self.changes[message] = None

    def _name(self, name: str) -> str:
        before = self._before()
        if before == ".":
            return name
        if before == "|":
            return self._filter(name)
        tests = before == "is" or (before == "not" and self._before(2) == "is")
        if tests and name not in _TESTS | {"not"}:
            raise _ForeignError(f"the test {name!r}, which Nunjucks has not")
        if name in _FOREIGN:
            raise _ForeignError(_FOREIGN[name])
        if name == "elseif":
            self._rewrote("'elseif' as 'elif'")
            return "elif"
        return "none" if name == "null" else name

    def _before(self, steps: int = 1) -> str:
        """Return the token before the one that is looked at, without white space."""
        at = self._at - 2
        while at >= 0:
            kind, value = self._tokens[at]
            steps -= kind != "whitespace"
            if not steps:
                return value
            at -= 1
        return ""

    def _filter(self, name: str) -> str:
        self.filters.add(name)
        if name in _JINJA_ONLY or name == "load":
            raise _ForeignError(f"the filter {name!r}")
        if name == "d":
            return "default"
        if name != "dump":
            return name
        indent = "true"
        if self._next()[1] == "(":
            self._next(skip=1)
            kind, indent = self._next(skip=1)
            few = kind == "integer" and indent in {str(n + 1) for n in range(MAX_INDENT)}
            if not few or self._next(skip=1)[1] != ")":
                raise _ForeignError(f"the filter 'dump' with more than 1 to {MAX_INDENT} spaces")
        self._rewrote("the filter 'dump' as 'tojson'")
        return f"tojson({indent})"

    def _operator(self, operator: str) -> str:
        _, following = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if operator in ("==", "!="):
            if following == "=":
                self._at += 1
                self.strict = True
                self._rewrote(f"'{operator}=' as '{operator}'")
            else:
                self.loose = True
        elif operator == "." and following == "length" and self._before() != "loop":
            self._at += 1
            self.members = True
            self._rewrote("'.length' as the filter 'length'")
            return "|length"
        elif operator == "|" and self._next()[1] == "safe":
            self._next(skip=1)
            self.filters.add("safe")
            self._rewrote("the filter 'safe' left out: nothing is escaped here")
            return ""
        return operator


def rendered_values(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return values whose texts are filled in as templates, as promptfoo does before the prompt.

    A text that names a variable that is not there stays as it is. Raises `UnknownMeaningError`.
    """
    return {name: _rendered(value, values) for name, value in values.items()}


def _rendered(value: JsonValue, values: Mapping[str, JsonValue]) -> JsonValue:
    if not isinstance(value, str) or "{" not in value or partly_written(value):
        return value
    translated = to_jinja(value)
    if translated.problem is None and translated.variables - values.keys():
        return value
    return translated.there(values)


def filled(text: str, values: Mapping[str, JsonValue]) -> str:
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
