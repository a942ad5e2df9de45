"""The percentile that records store and pages show: nearest rank, a value that was measured."""

from __future__ import annotations

import pytest

from prompt_hub.core.percentile import percentile
from prompt_hub.evaluation.answer_sums import sums_of
from prompt_hub.evaluation.example_results import parse_details
from prompt_hub.evaluation.record import parse_record
from prompt_hub.reporting.charts import histogram, nice
from tests.unit.building import RepositoryFolder


@pytest.mark.parametrize(
    ("count", "share", "rank"),
    [(1, 0.95, 1), (2, 0.5, 1), (3, 0.5, 2), (19, 0.95, 19), (20, 0.95, 19), (21, 0.95, 20),
     (100, 0.95, 95), (100, 0.99, 99), (101, 0.99, 100)],
)  # fmt: skip
def test_ranks_as_numpy_has_them(count: int, share: float, rank: int) -> None:
    """What `numpy.percentile(..., method="inverted_cdf")` answers for 1, 2, 3 and so on."""
    assert percentile(range(1, count + 1), share) == rank


def test_of_nothing_there_is_none() -> None:
    assert percentile([], 0.5) is None


def test_a_stored_record_has_the_same_numbers(healthy: RepositoryFolder) -> None:
    records = sorted(healthy.path("prompts/04-evals").rglob("*.json"))
    assert records
    for path in records:
        arm = parse_record(path.read_text("utf-8"), path.name).candidate
        details = parse_details(path.with_suffix(".jsonl").read_text("utf-8"), path.name)
        assert arm is not None
        sums = sums_of(details["candidate"])
        assert arm.seconds_p50 == sums.latency(0.5)
        assert arm.seconds_p95 == sums.latency(0.95)


def test_a_chart_ends_above_the_same_percentile() -> None:
    values = [1.0] * 98 + [2.0, 50.0]
    found = histogram(values)
    assert found is not None
    assert found.upper == nice(percentile(values, 0.99) or 0.0) == 2.0
    assert found.beyond == 1
