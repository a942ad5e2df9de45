"""Differences of prompts: word by word, each where it is, none lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.reporting.prompt_diff import word_runs

WORDS = st.lists(st.sampled_from(["the", "part", "0.7", "a", " ", "\n", ", ", "brand", "."])).map(
    " ".join
)


@given(WORDS | st.text(), WORDS | st.text())
def test_the_runs_are_both_texts(before: str, after: str) -> None:
    runs = word_runs(before, after)
    assert "".join(run.text for run in runs if run.kind != "added") == before
    assert "".join(run.text for run in runs if run.kind != "removed") == after
    assert all(run.text for run in runs)
    if before == after:
        assert {run.kind for run in runs} <= {"same"}
