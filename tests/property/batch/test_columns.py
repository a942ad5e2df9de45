"""Raw columns become typed input fields."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from prompt_hub.batch.mapping import normalise


@given(st.text())
@example("A´").via("its accent stands behind a space, and then behind the letter")
def test_normalising_twice_is_normalising_once(name: str) -> None:
    assert normalise(normalise(name)) == normalise(name)
