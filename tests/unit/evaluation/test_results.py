"""The results bucket: what is stored, and what storing it needs."""

from __future__ import annotations

import tempfile
from typing import Any, cast

import pytest

from prompt_hub.evaluation.results import SPOOLED_BYTES, BucketResults


class FakeS3:
    """Keeps objects by key."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[str, bytes]] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: Any, ContentType: str) -> None:  # noqa: N803
        assert Bucket == "results"
        self.stored[Key] = ContentType, Body if isinstance(Body, bytes) else Body.read()


@pytest.fixture
def bucket() -> FakeS3:
    return FakeS3()


@pytest.fixture
def results(bucket: FakeS3) -> BucketResults:
    return BucketResults(cast(Any, bucket), "results")


def test_a_large_text_needs_no_folder_to_write_into(
    bucket: FakeS3, results: BucketResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    text = "µ" * SPOOLED_BYTES
    results.put("samples/dev/part-class/2026.json", text)
    assert bucket.stored == {
        "samples/dev/part-class/2026.json": ("application/json", text.encode())
    }


def test_lines_are_ended_each_and_told_by_their_kind(
    bucket: FakeS3, results: BucketResults
) -> None:
    lines = [f'"{number} µ"' for number in range(SPOOLED_BYTES // 8)]
    results.put_lines("evaluations/e1/part-class.jsonl", iter(lines))
    kind, body = bucket.stored["evaluations/e1/part-class.jsonl"]
    assert kind == "application/x-ndjson"
    assert body.decode().splitlines() == lines
