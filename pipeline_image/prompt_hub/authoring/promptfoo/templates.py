"""Nunjucks, promptfoo's template language, as Jinja2: nearly the same, named where it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jinja2 import Environment, TemplateError, meta

_RAW = re.compile(r"(\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\})", re.DOTALL)
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_QUOTED = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.DOTALL)
_REWRITES: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"!=="), "!=", "'!==' as '!='"),
    (re.compile(r"==="), "==", "'===' as '=='"),
    (re.compile(r"\s*&&\s*"), " and ", "'&&' as 'and'"),
    (re.compile(r"\s*\|\|\s*"), " or ", "'||' as 'or'"),
    (re.compile(r"(?<![\w!=])!(?!=)\s*"), "not ", "'!' as 'not'"),
    (re.compile(r"\|\s*dump\b(\s*\(\s*\w*\s*\))?"), "| tojson", "the filter 'dump' as 'tojson'"),
    (re.compile(r"\|\s*safe\b"), "", "the filter 'safe' left out: nothing is escaped here"),
    (re.compile(r"(?<=[\w\])])\.length\b"), "|length", "'.length' as the filter 'length'"),
    (re.compile(r"\belseif\b"), "elif", "'elseif' as 'elif'"),
)
_FOREIGN = (
    (re.compile(r"\benv\."), "the environment ({{ env.… }})"),
    (re.compile(r"\b_conversation\b"), "the conversation so far ({{ _conversation }})"),
    (re.compile(r"\|\s*load\b"), "the filter 'load'"),
    (re.compile(r"\{%-?\s*(asyncEach|asyncAll|import|from|extends|macro|call)\b"), "a tag"),
    (re.compile(r"\{%-?\s*include\b"), "an included template"),
    (re.compile(r"\{%-?\s*for\s+\w+\s*,"), "a loop over the entries of an object"),
)


@dataclass(frozen=True)
class Translated:
    """A template as Jinja2: the fields that it reads, what was rewritten, what cannot be."""

    text: str
    variables: frozenset[str]
    rewritten: tuple[str, ...]
    problem: str | None


def to_jinja(text: str) -> Translated:
    """Translate one template; `problem` names the first thing that has no counterpart."""
    rewritten: dict[str, None] = {}

    def tag(match: re.Match[str]) -> str:
        parts = _QUOTED.split(match[0])
        for index in range(0, len(parts), 2):
            for pattern, replacement, message in _REWRITES:
                parts[index], count = pattern.subn(replacement, parts[index])
                if count:
                    rewritten[message] = None
        return "".join(parts)

    pieces = _RAW.split(text)
    foreign = None
    for index in range(0, len(pieces), 2):
        for found in _TAG.finditer(pieces[index]):
            bare = "".join(_QUOTED.split(found[0])[::2])
            foreign = foreign or next((what for item, what in _FOREIGN if item.search(bare)), None)
        pieces[index] = _TAG.sub(tag, pieces[index])
    fresh = "".join(pieces)
    if foreign is not None:
        return Translated(text, frozenset(), (), foreign)
    try:
        # Only parsed, never rendered; for a prompt, autoescaping would be wrong.
        tree = Environment(autoescape=False).parse(fresh)  # noqa: S701
    except (TemplateError, RecursionError) as error:
        return Translated(text, frozenset(), (), f"a template that Jinja2 cannot read ({error})")
    return Translated(fresh, frozenset(meta.find_undeclared_variables(tree)), (*rewritten,), None)
