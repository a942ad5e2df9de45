"""Rendering: strict, sandboxed, bounded, and it fails in one way only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.repository.rendering import RenderError, render
from tests.unit.repository.prompts import prompt


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
