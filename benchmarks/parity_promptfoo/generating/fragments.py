"""Pieces of templates, with the words by which a note may name each."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from benchmarks.parity_promptfoo.generating.values import Sort


@dataclass(frozen=True)
class Fragment:
    """Template text with `X` for the variable's name; `words` name it in a note, `rare` ones less.

    `needs` is the sort of its variable, None for a piece without one.
    """

    text: str
    needs: Sort | None
    words: tuple[str, ...] = ()


def _filters(sort: Sort, *calls: str) -> list[Fragment]:
    return [
        Fragment(f"{{{{ X | {call} }}}}", sort, (call.partition("(")[0].split()[0],))
        for call in calls
    ]


PLAIN = (
    Fragment("{{ X }}", Sort.TEXT),
    Fragment("{{X}}", Sort.TEXT),
    Fragment("{{ X }}", Sort.NUMBER),
    Fragment("{{ X }}", Sort.FLAG, ("X",)),
    Fragment("{{- X -}}", Sort.TEXT),
    Fragment("{% if X %}given: {{ X }}{% else %}none given{% endif %}", Sort.TEXT),
    Fragment("{% if X %}yes{% else %}no{% endif %}", Sort.FLAG),
    Fragment("{{ X.value }}", Sort.OBJECT),
)
ODD = (
    *_filters(
        Sort.TEXT, "upper", "lower", "trim", "capitalize", "title", "truncate(12)",
        'truncate(12, true, "…")', "replace('a', 'b')", "replace('', '-')", "default('none')",
        "default('none', true)", "d('x')", "length", "first", "last", "reverse", "dump", "safe",
        "escape", "e", "urlencode", "list", "wordcount", "nl2br", "striptags", "striptags(true)",
        "indent", "indent(2, true)", "center(20)", "int", "float", "string", "forceescape",
        "list | join('-')", "upper | lower", "trim | title", "truncate(5) | upper", "int + 1",
        "batch(2) | length", "abs",
    ),
    *_filters(
        Sort.NUMBER, "round", "round(1)", "round(0, 'floor')", "round(1, 'ceil')", "int", "float",
        "abs", "string", "dump", "default(7)", "default(7, true)", "upper", "length", "trim",
    ),
    *_filters(Sort.FLAG, "dump", "default('x')", "default('x', true)", "string", "int", "upper"),
    *_filters(
        Sort.LIST, "join(', ')", "join", "first", "last", "length", "reverse | join('-')",
        "sort | join(' ')", "dump", "sum", "random | length", "slice(2) | length", "unique | join",
        "list | join", "batch(2) | dump", "join(', ') | upper", "string", "tojson", "map('upper')",
        "sort(true) | join(' ')", "default('none', true)", "select | join(',')", "dump(2)",
    ),
    *_filters(
        Sort.OBJECT, "dump", "dump(2)", "length", "dictsort | dump", "string", "default('x', true)",
        "tojson", "list | length",
    ),
    Fragment("{{ X }}", Sort.LIST),
    Fragment("{{ X }}", Sort.OBJECT),
    Fragment("{{ X.unit }}", Sort.OBJECT),
    Fragment("{{ X['value'] }}", Sort.OBJECT),
    Fragment("{{ X.tags.length }}", Sort.OBJECT, ("length",)),
    Fragment("{{ X.more.deep }}", Sort.OBJECT),
    Fragment("{% for t in X.tags %}<{{ t }}>{% endfor %}", Sort.OBJECT, ("loop", "for")),
    Fragment("{% if X.tags %}tags{% else %}no tags{% endif %}", Sort.OBJECT, ("X",)),
    Fragment("{% for k, v in X %}{{ k }}={{ v }};{% endfor %}", Sort.OBJECT, ("loop",)),
    Fragment("{{ X.length }}", Sort.OBJECT, ("length",)),
    Fragment("{{ X.length }}", Sort.TEXT, ("length",)),
    Fragment("{{ X.length }}", Sort.LIST, ("length",)),
    Fragment("{{ X[0] }}", Sort.TEXT, ("[", "member")),
    Fragment("{{ X[0] }}", Sort.LIST, ("[", "member")),
    Fragment("{{ X[-1] }}", Sort.LIST, ("[", "member")),
    Fragment("{{ X.toUpperCase() }}", Sort.TEXT, ("toUpperCase",)),
    Fragment("{{ X.split(' ') | join('-') }}", Sort.TEXT, ("split",)),
    Fragment("{% if X == 2 %}two{% else %}other{% endif %}", Sort.NUMBER, ("==",)),
    Fragment("{% if X == 2 %}two{% else %}other{% endif %}", Sort.TEXT, ("==",)),
    Fragment("{% if X == '50' %}fifty{% else %}other{% endif %}", Sort.TEXT, ("==",)),
    Fragment("{% if X === 2 %}two{% else %}other{% endif %}", Sort.NUMBER, ("===",)),
    Fragment("{% if X !== '2' %}not two{% endif %}", Sort.NUMBER, ("!==",)),
    Fragment("{% if X == true %}true{% else %}not{% endif %}", Sort.FLAG, ("==",)),
    Fragment("{% if X > 2 %}many{% elif X > 0 %}some{% else %}no{% endif %}", Sort.NUMBER, (">",)),
    Fragment("{% if X > 2 %}many{% elseif X > 0 %}some{% endif %}", Sort.NUMBER, ("elseif",)),
    Fragment("{% if X and X != 'word' %}and{% endif %}", Sort.TEXT, ("!=",)),
    Fragment("{% if not X %}not{% endif %}", Sort.TEXT, ("not",)),
    Fragment("{% if not X %}not{% else %}some{% endif %}", Sort.LIST, ("not",)),
    Fragment("{% if X %}some{% else %}none{% endif %}", Sort.LIST, ("if",)),
    Fragment("{% if X %}some{% else %}none{% endif %}", Sort.OBJECT, ("if",)),
    Fragment("{% if X %}some{% else %}none{% endif %}", Sort.NUMBER, ("if",)),
    Fragment("{% if X is defined %}defined{% else %}undefined{% endif %}", Sort.TEXT, ("defined",)),
    Fragment("{% if X is undefined %}undefined{% endif %}", Sort.TEXT, ("undefined",)),
    Fragment("{% if X is string %}string{% endif %}", Sort.TEXT, ("string",)),
    Fragment("{% if X is number %}number{% endif %}", Sort.NUMBER, ("number",)),
    Fragment("{% if X is odd %}odd{% endif %}", Sort.NUMBER, ("odd",)),
    Fragment("{% if X is divisibleby(2) %}even{% endif %}", Sort.NUMBER, ("divisibleby",)),
    Fragment("{% if X is iterable %}iterable{% endif %}", Sort.TEXT, ("iterable",)),
    Fragment("{% if X is none %}null{% endif %}", Sort.TEXT, ("none",)),
    Fragment("{% if 'a' in X %}has a{% endif %}", Sort.TEXT, ("in",)),
    Fragment("{% if 'a' in X %}has a{% endif %}", Sort.LIST, ("in",)),
    Fragment("{{ 'big' if X > 2 else 'small' }}", Sort.NUMBER, ("if",)),
    Fragment("{{ 'big' if X > 2 }}", Sort.NUMBER, ("if",)),
    Fragment("{{ X or 'nothing' }}", Sort.TEXT, ("or",)),
    Fragment("{{ X || 'nothing' }}", Sort.TEXT, ("||",)),
    Fragment("{{ X and 'something' }}", Sort.LIST, ("and",)),
    Fragment("{{ X or 'nothing' }}", Sort.NUMBER, ("or",)),
    Fragment("{{ X + 1 }}", Sort.NUMBER, ("+",)),
    Fragment("{{ X + 1 }}", Sort.TEXT, ("+",)),
    Fragment("{{ X + ' ohm' }}", Sort.NUMBER, ("+",)),
    Fragment("{{ X * 2 }}", Sort.NUMBER, ("*",)),
    Fragment("{{ X / 2 }}", Sort.NUMBER, ("/",)),
    Fragment("{{ X // 2 }}", Sort.NUMBER, ("//",)),
    Fragment("{{ X % 2 }}", Sort.NUMBER, ("%",)),
    Fragment("{{ X ** 2 }}", Sort.NUMBER, ("**",)),
    Fragment("{{ -X }}", Sort.NUMBER, ("-",)),
    Fragment("{{ X ~ '!' }}", Sort.TEXT, ("~",)),
    Fragment("{{ X ~ '!' }}", Sort.NUMBER, ("~",)),
    Fragment("{{ X ~ '!' }}", Sort.FLAG, ("~",)),
    Fragment("{{ (X ~ 'a') | upper }}", Sort.TEXT, ("upper",)),
    Fragment("{% set y = X %}{{ y }}", Sort.TEXT, ("set",)),
    Fragment("{% set y = X | length %}{{ y }}", Sort.TEXT, ("set",)),
    Fragment("{% for t in X %}{{ t }}{% if not loop.last %}, {% endif %}{% endfor %}", Sort.LIST,
             ("loop",)),
    Fragment("{% for t in X %}{{ loop.index }}. {{ t }}\n{% else %}nothing{% endfor %}", Sort.LIST,
             ("loop",)),
    Fragment("{%- for t in X -%} {{ loop.index0 }}{{ loop.revindex }}/{{ loop.length }}"
             "{%- endfor %}", Sort.LIST, ("loop",)),
    Fragment("{% for c in X %}{{ c }}.{% endfor %}", Sort.TEXT, ("loop",)),
    Fragment("{% for i in range(3) %}{{ i }}{% endfor %}", None, ("range", "loop")),
    Fragment("{% raw %}{{ untouched }}{% endraw %}", None, ("raw",)),
    Fragment("{# a comment #}", None, ("comment",)),
    Fragment("{{ 'text' }}", None),
    Fragment("{{ 1.0 }} {{ 1e3 }}", None, ("number", "1.0", "1e3")),
    Fragment("{{ 5 / 2 }} {{ 7 // 2 }} {{ 4 / 2 }}", None, ("/",)),
    Fragment("{{ [1, 2] }} {{ true }}", None, ("[", "true")),
    Fragment("{{ [1, 2] | length }}", None, ("length",)),
    Fragment("{{ none }}{{ undefined_name }}", None, ("undefined_name",)),
    Fragment("{% include 'other.txt' %}", None, ("include",)),
    Fragment("{{ env.HOME_TOWN }}", None, ("environment",)),
    Fragment("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(1) }}", None, ("macro", "a tag")),
    Fragment("{% filter upper %}shout{% endfilter %}", None, ("filter",)),
    Fragment("{{ X\n}}", Sort.TEXT, ("line",)),
    Fragment("{% if X\n== '50' %}fifty{% endif %}", Sort.TEXT, ("==", "line")),
    Fragment("{% if X %}\n  indented {{ X }}\n{% endif %}\n", Sort.TEXT),
    Fragment("  {%- if X %} a {% endif -%}  b", Sort.TEXT),
    Fragment("{{ X | default }}", Sort.TEXT, ("default",)),
    Fragment("{{ missing | default('gone') }}", None, ("missing", "default")),
    Fragment("{{ missing }}", None, ("missing",)),
    Fragment("{{ missing.part }}", None, ("missing",)),
    Fragment("{{ joiner() }}", None, ("joiner",)),
    Fragment("{% switch X %}{% case 'word' %}W{% default %}D{% endswitch %}", Sort.TEXT,
             ("switch", "tag")),
    Fragment("{{ X | upcase }}", Sort.TEXT, ("upcase",)),
)  # fmt: skip
LITERALS = (
    "Which class is this part?", "Answer with one word.", "Part:", "100 % sure?", "a { b } c",
    "Say 'yes' or \"no\".", "# Title", "* item", "€ 5 <b>", "---- not a cut", "Ends: ",
)  # fmt: skip


def template(
    draw: Random, variables: dict[str, Sort], *, odd: float
) -> tuple[str, list[tuple[str, ...]]]:
    """Return a template that shows the key, and the words of every unusual piece in it."""
    pieces = [draw.choice(LITERALS)]
    named: list[tuple[str, ...]] = []
    for name, sort in variables.items():
        pool = ODD if draw.random() < odd else PLAIN
        fitting = [fragment for fragment in pool if fragment.needs is sort]
        if not fitting:
            fitting = [fragment for fragment in ODD if fragment.needs is sort]
        fragment = draw.choice(fitting)
        pieces.append(fragment.text.replace("X", name))
        if fragment.words:
            named.append(tuple(word.replace("X", name) for word in fragment.words))
    if draw.random() < odd / 2:
        free = draw.choice([fragment for fragment in ODD if fragment.needs is None])
        pieces.append(free.text)
        named.append(free.words)
    pieces.insert(draw.randrange(len(pieces) + 1), "({{ key }})")
    return draw.choice((" ", "\n")).join(pieces), named
