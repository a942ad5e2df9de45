"""The page of a run: whole, self-contained, safe with any text, honest with any numbers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_hub.reporting.run_model import RunReport
from prompt_hub.reporting.run_page import bars, run_page
from tests.unit.reporting.html import Reader
from tests.unit.reporting.runs import at, read, run


def poisoned(value: object, poison: str) -> object:
    """The same run with `poison` in every text that is free."""
    if isinstance(value, dict):
        free = {"title", "name", "detail", "task", "version", "model", "what", "verdict", "from",
                "to", "reason", "id", "stage", "action", "summary"}  # fmt: skip
        return {
            key: poison if key in free and isinstance(inner, str) else poisoned(inner, poison)
            for key, inner in value.items()
        }
    return [poisoned(item, poison) for item in value] if isinstance(value, list) else value


@settings(max_examples=50)
@given(st.text(max_size=30) | st.sampled_from(["<script>x</script>", '"><img src=x>', "{{ 7*7 }}"]))
def test_no_text_whatever_becomes_markup(poison: str) -> None:
    clean = read(run()).tags
    reader = Reader(run_page(RunReport.model_validate(poisoned(run(), poison))))
    tags = reader.tags
    # Grouping by task and empty texts take elements away; nothing may ever add one.
    assert set(tags) <= set(clean)
    assert tags.count("script") == tags.count("img") == 0
    if poison.strip() == "{{ 7*7 }}":
        assert "{{ 7*7 }}" in reader.text


@given(
    st.lists(
        st.tuples(
            st.floats(-10, 1000, allow_nan=False),
            st.floats(0, 1000, allow_nan=False),
        ),
        max_size=8,
    ),
    st.floats(0, 500, allow_nan=False),
)
def test_every_step_lies_on_the_axis(times: list[tuple[float, float]], length: float) -> None:
    data = run() | {
        "finished_at": at(length),
        "steps": [
            {"name": "s", "started_at": at(start), "seconds": seconds, "status": "ok"}
            for start, seconds in times
        ],
    }
    for bar in bars(RunReport.model_validate(data)):
        assert bar.left >= 0
        assert bar.width > 0
        assert bar.left + bar.width <= 100.0001
