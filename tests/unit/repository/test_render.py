"""Rendering: strict, sandboxed, bounded, and it fails in one way only."""

from __future__ import annotations

import pytest

from prompt_hub.repository.rendering import RenderError, render
from prompt_hub.repository.template_filters import MAX_RENDERED
from tests.unit.repository.prompts import prompt


def test_fields_stand_where_the_template_has_them_and_braces_are_safe() -> None:
    rendered = render(
        prompt('Answer with {"part_class": "diode"}.', "Title: {{ title }}"),
        {"title": "{{ part }} {% if %} <b> 10 µF"},
    )
    assert rendered == [
        {"role": "system", "content": 'Answer with {"part_class": "diode"}.'},
        {"role": "user", "content": "Title: {{ part }} {% if %} <b> 10 µF"},
    ]


def test_shots_stand_before_the_question() -> None:
    shots = [{"input": {"title": "0.1 µF"}, "expected": {"part_class": "capacitor"}}]
    rendered = render(
        prompt("Sort.", "Title: {{ title }}", few_shot={"count": 1, "examples": shots}),
        {"title": "10 kΩ"},
    )
    assert [(message["role"], message["content"]) for message in rendered] == [
        ("system", "Sort."),
        ("user", "Title: 0.1 µF"),
        ("assistant", '{"part_class": "capacitor"}'),
        ("user", "Title: 10 kΩ"),
    ]


def test_a_missing_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(RenderError, match="'title' is undefined"):
        render(prompt("{{ title }}"), {"titel": "x"})


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ title.__init__.__globals__ }}",
        "{{ title.append(1) }}",
        "{% for i in range(9) %}x{% endfor %}",
        "{{ lipsum() }}",
        "{% include 'other.txt' %}",
        "{% import 'os' as os %}",
        "{{ '{0}'.format() }}",
        "{{ 1 / 0 }}",
        "{{ title | nosuchfilter }}",
        "{{ {}['a'] }}",
        "{{ title",
        "{% if title %}" * 30 + "{% endif %}" * 30 + "{{ nothing }}",
    ],
)
def test_what_a_template_may_not_do(template: str) -> None:
    with pytest.raises(RenderError):
        render(prompt(template), {"title": ["a"]})


def test_a_runaway_message_is_refused() -> None:
    with pytest.raises(RenderError, match=str(MAX_RENDERED)):
        render(prompt("{{ title }}"), {"title": "x" * (MAX_RENDERED + 1)})
