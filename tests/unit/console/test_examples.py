"""The examples of an evaluation, narrowed and paged."""

from __future__ import annotations

import pytest

from prompt_hub.console.examples import ROWS, ExampleIndex, Filter
from prompt_hub.reporting.answers import Change, Outcome
from tests.unit.reporting.evaluations import Spec, build, view_of


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ExampleIndex:
    return ExampleIndex(view_of(build(tmp_path_factory.mktemp("examples"), Spec(examples=120))))


def test_the_worst_come_first(index: ExampleIndex) -> None:
    rows = [*index.find(Filter()).rows, *index.find(Filter(page=2)).rows]
    lost = [row.change is Change.LOST for row in rows]
    assert lost == sorted(lost, reverse=True)
    assert len(rows) == 2 * ROWS


@pytest.mark.parametrize("show", ["all", "wrong", "lost", "won", "unmeasured"])
def test_a_choice_leaves_as_many_as_it_says(index: ExampleIndex, show: str) -> None:
    assert index.find(Filter(show=show)).total == index.counts[show]


def test_wrong_ones_are_wrong(index: ExampleIndex) -> None:
    assert {row.outcome for row in index.find(Filter(show="wrong")).rows} == {Outcome.WRONG}


def test_every_word_is_looked_for_in_input_answers_and_id(index: ExampleIndex) -> None:
    found = index.find(Filter(words="RESISTOR yageo"))
    assert 0 < found.total < 120
    for row in found.rows:
        assert row.example is not None
        answers = [call.answer for call in (row.candidate.calls if row.candidate else ())]
        answers += [call.answer for call in (row.champion.calls if row.champion else ())]
        text = f"{row.example} {answers}".lower()
        assert "resistor" in text
        assert "yageo" in text
    one = index.view.examples[7].id
    assert [row.id for row in index.find(Filter(words=one)).rows] == [one]


def test_tag_and_field_narrow_together(index: ExampleIndex) -> None:
    found = index.find(Filter(tag="connector", field="package"))
    assert found.total > 0
    for row in found.rows:
        assert "connector" in row.tags
        assert row.candidate is not None
        assert "package" in row.candidate.wrong_fields


@pytest.mark.parametrize("page", [-3, 0, 99])
def test_a_page_that_is_not_there_is_the_nearest(index: ExampleIndex, page: int) -> None:
    assert index.find(Filter(page=page)).page in {1, 3}


def test_an_address_has_the_filter_and_nothing_empty() -> None:
    assert Filter(words="a b&c", page=3).query(page=4) == "words=a+b%26c&page=4"
