"""What people are told of a run that has ended."""

from __future__ import annotations

import pytest

from prompt_hub.batch.announcement import headline, in_words
from prompt_hub.batch.run_manifest import RepairOf, RunManifest, Spent


def test_all_numbers_of_a_sentence_are_written_alike() -> None:
    spent = Spent(calls=12345, input_tokens=1, output_tokens=1, usd=1234.5, seconds=None)
    manifest = RunManifest.model_construct(
        records=10_000, answered=8_879, failed=1_121, blank=0, spent=spent
    )
    assert in_words(manifest) == (
        "10,000 records, 8,879 answered, 1,121 failed; 12,345 calls, 1,234.5 US dollars"
    )


@pytest.mark.parametrize(
    ("failed", "subject"),
    [
        (0, "t: 10,000 records answered"),
        (1_121, "t: 10,000 records, 1,121 failed"),
        (10_000, "t: 10,000 records, 10,000 failed"),
    ],
)
def test_a_subject_says_answered_only_where_all_records_were(failed: int, subject: str) -> None:
    manifest = RunManifest.model_construct(task="t", records=10_000, failed=failed)
    assert headline(manifest) == subject


def test_the_subject_of_a_repair_does_not_count_the_lines_that_it_left_alone() -> None:
    repair = RepairOf(run="r", version="1.1.0", reason="it is bad")
    manifest = RunManifest.model_construct(task="t", records=10_000, failed=3, repair_of=repair)
    assert headline(manifest) == "t: a run of 1.1.0 repaired"
