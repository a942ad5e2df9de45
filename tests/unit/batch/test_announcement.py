"""What people are told of a run that has ended."""

from __future__ import annotations

from prompt_hub.batch.announcement import in_words
from prompt_hub.batch.run_manifest import RunManifest, Spent


def test_all_numbers_of_a_sentence_are_written_alike() -> None:
    spent = Spent(calls=12345, input_tokens=1, output_tokens=1, usd=1234.5, seconds=None)
    manifest = RunManifest.model_construct(
        records=10_000, answered=8_879, failed=1_121, blank=0, spent=spent
    )
    assert in_words(manifest) == (
        "10,000 records, 8,879 answered, 1,121 failed; 12,345 calls, 1,234.5 US dollars"
    )
