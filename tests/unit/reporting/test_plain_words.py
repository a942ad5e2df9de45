"""The sentence before the statistics, and the plot of a task's scores."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prompt_hub.reporting.answers import Answers
from prompt_hub.reporting.evaluation import EvaluationView, Watched
from prompt_hub.reporting.formats.html import render as evaluation_page
from prompt_hub.reporting.plain_words import lead
from prompt_hub.reporting.score_history import score_history
from tests.unit.reporting.evaluations import Builder, view_of
from tests.unit.reporting.history import AT
from tests.unit.reporting.html import Reader


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({}, "14 of 48 examples got better than with 1.2.0, 2 got worse."),
        ({"champion": False}, "18 of 48 examples are entirely right."),
        ({"failing": 1}, "1 of 48 examples could not be measured."),
        ({"examples": 1, "seed": 1}, "No example scores otherwise than with 1.2.0."),
    ],
)
def test_what_it_came_to_is_said_before_any_statistics(
    evaluated: Builder, spec: dict[str, Any], sentence: str
) -> None:
    view = view_of(evaluated(**spec))
    assert lead(view) == sentence
    message = Reader(evaluation_page(view)).texts()
    assert message.index(sentence) < message.index(view.evaluation.record.verdict.reasons[0])


def test_the_other_way_round_it_got_worse(evaluated: Builder) -> None:
    view = view_of(evaluated())
    examples = tuple(
        replace(example, candidate=example.champion, champion=example.candidate)
        for example in view.examples
    )
    said = "14 of 48 examples got worse than with 1.2.0, 2 got better."
    assert lead(replace(view, examples=examples)) == said
    lost = tuple(example for example in examples if example.change == "lost")
    assert lead(replace(view, examples=lost)) == (
        "14 of 14 examples got worse than with 1.2.0, none got better."
    )


@pytest.mark.parametrize("failing", [3, 48])
def test_an_example_without_an_answer_of_the_champion_is_not_compared(
    evaluated: Builder, failing: int
) -> None:
    view = view_of(evaluated())
    examples = list(view.examples)
    for place, example in enumerate(examples[:failing]):
        assert example.champion is not None
        (call,) = example.champion.calls
        missing = replace(call, score=None, answer=None, error="503")
        examples[place] = replace(example, champion=Answers((missing,)))
    sentence = f"{failing} of 48 examples could not be measured."
    assert lead(replace(view, examples=tuple(examples))) == sentence


def test_of_nothing_nothing_is_said(evaluated: Builder) -> None:
    view = replace(view_of(evaluated()), candidate=None)
    assert lead(view) == ""


def watched(view: EvaluationView) -> EvaluationView:
    scores = [("1.0.0", 0.7, -29), ("1.2.0", 0.82, -9), ("1.2.0", 0.65, -5), ("1.2.0", 0.8, -1)]
    return replace(
        view,
        watched=tuple(
            Watched(version, score, 0.7, AT + timedelta(days=days))
            for version, score, days in scores
        ),
    )


def test_scores_stand_in_the_order_of_time(evaluated: Builder) -> None:
    view = watched(view_of(evaluated()))
    plot = score_history(view)
    assert plot is not None
    judged = [point for point in plot.points if point.score.kind != "watch"]
    assert [point.score.label for point in judged] == ["0.9.0", "1.0.0", "1.1.0", "1.2.0", "1.3.0"]
    assert [point.x for point in judged] == sorted(point.x for point in judged)
    kinds = [point.score.kind for point in judged]
    assert kinds == ["earlier", "earlier", "blocked", "champion", "candidate"]
    measured = [point for point in plot.points if point.score.kind == "watch"]
    assert [point.score.tone for point in measured] == ["good", "good", "bad", "good"]
    # The measurements of one version are joined, those of two are not.
    assert len(plot.lines) == 2
    assert plot.thresholds[-1].x2 == 1
    page = evaluation_page(view)
    assert "score watch, 4 measurements" in Reader(page).texts()
    assert "blocked 0.690 of 0.700" not in page
    assert "1.1.0 0.690 of 0.700" in page


def test_one_judgement_alone_is_no_plot(evaluated: Builder) -> None:
    view = view_of(evaluated())
    alone = replace(view, history=view.history[:1])
    assert score_history(alone) is None
    assert 'class="series"' not in evaluation_page(alone)


def test_of_many_versions_only_the_reports_own_is_named(evaluated: Builder) -> None:
    view = view_of(evaluated())
    many = [
        replace(view.history[-1], version=f"0.{n}.0", at=AT - timedelta(days=100 + n))
        for n in range(15)
    ]
    plot = score_history(replace(view, history=(*view.history, *many)))
    assert plot is not None
    assert [point.score.label for point in plot.points if point.score.label] == ["1.3.0"]
