"""Rendering: strict, sandboxed, bounded, and it fails in one way only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.repository.rendering import RenderError, render
from prompt_hub.repository.schema import Prompt
from prompt_hub.repository.templates import MAX_RENDERED


def prompt(*contents: str, **more: object) -> Prompt:
    roles = ["system"] * (len(contents) - 1) + ["user"]
    return Prompt.model_validate(
        {
            "schema": "prompt-hub/prompt@1",
            "task": "part-class",
            "version": "1.0.0",
            "description": "A prompt.",
            "model": {"alias": "small"},
            "input": {"type": "object"},
            "output": {"type": "object"},
            "messages": [
                {"role": role, "content": content}
                for role, content in zip(roles, contents, strict=True)
            ],
            **more,
        }
    )


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


@given(st.text(), st.dictionaries(st.sampled_from("abc"), st.text() | st.none() | st.integers()))
def test_plain_text_comes_out_as_it_went_in(text: str, fields: dict[str, object]) -> None:
    rendered = render(prompt("{{ value }}"), {**fields, "value": text})
    assert rendered[0]["content"] == text


PIECES = st.sampled_from(
    ["{{", "}}", "{%", "%}", "{#", "#}", " a ", " b", ".c", "[0]", "['x']", "|", " upper", " join",
     " length", " if ", " endif ", " for i in ", " endfor ", " set x = ", "(", ")", "+", "-", "/",
     "~", " is defined", " in ", "'", '"', "1", "0", "\n", "text", "{", "}", ",", "not "]
)  # fmt: skip
FIELDS = st.dictionaries(
    st.sampled_from(["a", "b", "i"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers()),
)


@given(st.lists(PIECES, min_size=1, max_size=25).map("".join), FIELDS)
def test_rendering_answers_or_raises_a_render_error_and_nothing_else(
    template: str, fields: dict[str, object]
) -> None:
    try:
        rendered = render(prompt(template), fields)
    except RenderError:
        return
    assert [message["role"] for message in rendered] == ["user"]
