"""Nunjucks as Jinja2."""

from __future__ import annotations

import pytest
from jinja2 import Environment

from prompt_hub.authoring.promptfoo.templates import to_jinja

SAME = [
    "Hello {{name}}",
    "{{ name | upper }} {% if name %}yes{% else %}no{% endif %}",
    "{% for item in items %}{{ loop.index }} {{ item }}{% endfor %}",
    'JSON: {"a": {"b": 1}} and {{ name }}',
    "{% raw %}{{ a === b }}{% endraw %}",
    "{{ '=== && || !' }}",
    "{# a || comment #}",
]


@pytest.mark.parametrize("text", SAME)
def test_what_both_know_stays_byte_for_byte(text: str) -> None:
    found = to_jinja(text)
    assert (found.text, found.problem, found.rewritten) == (text, None, ())


@pytest.mark.parametrize(
    ("text", "fields", "rendered", "message"),
    [
        ("{% if a === 'x' %}1{% endif %}", {"a": "x"}, "1", "'===' as '=='"),
        ("{% if a !== 'x' %}1{% endif %}", {"a": "x"}, "", "'!==' as '!='"),
        ("{% if a && !b %}1{% endif %}", {"a": 1, "b": 0}, "1", "'&&' as 'and'"),
        ("{{ 'y' if a || b }}", {"a": 0, "b": 1}, "y", "'||' as 'or'"),
        ("{{ a != '!' }}", {"a": "?"}, "True", None),
        ("{{ a | dump }}", {"a": {"k": [1]}}, '{"k": [1]}', "'dump' as 'tojson'"),
        ("{{ a | dump(2) | safe }}", {"a": 1}, "1", "'safe' left out"),
        ("{{ a.length }} {{ a['b'].length }}", {"a": {"b": "xyz"}}, "1 3", "'.length'"),
        ("{% if a %}1{% elseif b %}2{% endif %}", {"a": 0, "b": 1}, "2", "'elseif'"),
    ],
)
def test_what_is_written_otherwise_renders_the_same(
    text: str, fields: dict[str, object], rendered: str, message: str | None
) -> None:
    found = to_jinja(text)
    assert found.problem is None
    assert Environment().from_string(found.text).render(fields) == rendered
    assert found.variables == fields.keys()
    assert message is None or any(message in item for item in found.rewritten)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{{ env.API_KEY }}", "environment"),
        ("{{ (record | load).title }}", "'load'"),
        ("{% for turn in _conversation %}x{% endfor %}", "conversation"),
        ("{% for k, v in record %}{{ k }}{% endfor %}", "entries of an object"),
        ("{% asyncEach x in y %}{% endeach %}", "a tag"),
        ("{% import 'a' as b %}", "a tag"),
        ("{% include 'part.njk' %}", "an included template"),
        ("{% if a %}", "cannot read"),
        ("{{ a ? b : c }}", "cannot read"),
    ],
)
def test_what_has_no_counterpart_is_named(text: str, named: str) -> None:
    assert named in str(to_jinja(text).problem)
