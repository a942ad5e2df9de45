"""The template language: what it is made of, and that nothing in it can run away."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_hub.repository.template_filters import FILTERS, MAX_RENDERED
from prompt_hub.repository.templates import read, render_text
from tests.unit.repository.prompts import BIG

PIECES = st.sampled_from(
    ["text", "other", "many", "nested", "a", "'x'", "1", "-1", "[text, text]", "none", "true"]
)

UNARY = st.sampled_from(
    [
        *(f"({{}} | {name})" for name in sorted(FILTERS.keys() - {"replace"})),
        "({} | replace('xx', 'y'))",
        "({} | join('xxxxxxxxxx'))",
        "({} | truncate(150000))",
        "({})[1:]",
        "({})[-1]",
    ]
)

BINARY = st.sampled_from(["({} == {})", "({} in {})", "({} < {})", "({} and {})"])


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """An expression of everything that is allowed, up to four operators deep."""
    expression = draw(PIECES)
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            expression = draw(UNARY).format(expression)
        else:
            expression = draw(BINARY).format(expression, draw(PIECES))
    return expression


@st.composite
def templates(draw: st.DrawFn) -> str:
    """Outputs, conditions and loops inside one another, up to three deep."""
    template = f"{{{{ {draw(expressions())} }}}}" * draw(st.integers(1, 3))
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["if {}", "for a in {}", "for a in many if {}"]))
        end = "endif" if kind.startswith("if") else "endfor"
        template = f"{{% {kind.format(draw(expressions()))} %}}{template}{{% {end} %}}"
    return template


@settings(max_examples=150)
@given(templates())
def test_no_template_that_is_allowed_takes_long_or_writes_much(template: str) -> None:
    assert read(template).faults == []
    began = time.process_time()
    try:
        text = render_text(template, BIG)
    except Exception:
        text = ""
    assert len(text) <= MAX_RENDERED
    assert time.process_time() - began < 2.0
