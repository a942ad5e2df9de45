"""The page of an evaluation: whole, self-contained, safe with any text, below a megabyte."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_hub.reporting.formats.html import render as evaluation_page
from tests.unit.reporting.evaluations import Builder, view_of
from tests.unit.reporting.html import POISON, Reader


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=30)
    | st.sampled_from([POISON, "-->", "]]>", "</style>", "<!--<script>", "'\""])
)
def test_no_text_of_a_record_becomes_markup(evaluated: Builder, poison: str) -> None:
    view = view_of(evaluated(examples=4))
    record = view.evaluation.record.model_copy(
        update={
            "verdict": view.evaluation.record.verdict.model_copy(
                update={"reasons": (poison,), "overridden_by": poison}
            ),
            "execution": poison,
            "commit": poison,
        }
    )
    changed = type(view)(
        **{
            **{name: getattr(view, name) for name in view.__dataclass_fields__},
            "evaluation": replace(view.evaluation, name=poison, record=record),
            "notes": (poison,),
        }
    )
    assert sorted(set(Reader(evaluation_page(changed)).tags)) == sorted(
        {*Reader(evaluation_page(view)).tags, "p", "b"}
    )
