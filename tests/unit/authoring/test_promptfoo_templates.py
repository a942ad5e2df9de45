"""Nunjucks as Jinja2."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from prompt_hub.authoring.promptfoo.templates import to_jinja
from prompt_hub.repository.templates import render_text

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
        ("{{ a != '!' }}", {"a": "?"}, "true", None),
        ("{{ a | dump }}", {"a": {"k": [1, 2]}}, '{"k":[1,2]}', "'dump' as 'tojson'"),
        ("{{ a | dump(2) }}", {"a": [1]}, "[\n  1\n]", "'dump' as 'tojson'"),
        ("{{ a | d('x') }}", {"a": "y"}, "y", None),
        ("{{ a | dump(2) | safe }}", {"a": 1}, "1", "'safe' left out"),
        ("{{ a.length }} {{ b['c'].length }}", {"a": [0], "b": {"c": "xyz"}}, "1 3", "'.length'"),
        ("{% if a %}1{% elseif b %}2{% endif %}", {"a": 0, "b": 1}, "2", "'elseif'"),
    ],
)
def test_what_is_written_otherwise_renders_the_same(
    text: str, fields: dict[str, JsonValue], rendered: str, message: str | None
) -> None:
    found = to_jinja(text)
    assert found.problem is None
    assert render_text(found.text, fields) == found.there(fields) == rendered
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
        ("{% include 'part.njk' %}", "a tag"),
        ("{% if a %}", "cannot read"),
        ("{{ a ? b : c }}", "cannot read"),
        ("{{ a && b }}", "cannot read"),
        ("{{ a || b }}", "the operator '||'"),
        ("{{ !a }}", "cannot read"),
        ("{{ a | nl2br }}", "the filter 'nl2br'"),
        ("{{ a | tojson }}", "the filter 'tojson'"),
        ("{{ True }}", "the name 'True'"),
        ("{% if a is boolean %}x{% endif %}", "the test 'boolean'"),
        ("{{ 0x1f }}", "0x1f, which Nunjucks does not read so"),
        ("{{ 'a' 'b' }}", "'b', which Nunjucks"),
        ("{% for a in b if a %}x{% endfor %}", "a loop with a condition"),
        ("{{ a | round }}", "the filter 'round', which is not translated"),
    ],
)
def test_what_has_no_counterpart_is_named(text: str, named: str) -> None:
    problem = str(to_jinja(text).problem)
    assert named in problem
    assert "\n" not in problem
