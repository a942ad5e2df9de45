"""The results bucket: what is stored, and what storing it needs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, cast

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.large_details import put_details
from prompt_hub.evaluation.results import (
    RESULTS_DIR,
    SPOOLED_BYTES,
    BucketResults,
    FolderResults,
    OverlaidResults,
    results_from_environment,
)
from tests.unit.batch.servers import serving


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
    keys = ["evaluations/e1/part-class.jsonl", "verdicts/0.jsonl"]
    put_details(results, keys, iter(lines))
    assert [*bucket.stored] == keys
    for kind, body in bucket.stored.values():
        assert kind == "application/x-ndjson"
        assert body.decode().splitlines() == lines


def test_lines_in_a_folder_stand_under_every_key(tmp_path: Path) -> None:
    results = FolderResults(tmp_path)
    results.put("again.jsonl", "before")
    put_details(results, ["folder/first.jsonl", "again.jsonl"], iter(['"µ"', "2"]))
    assert results.get("folder/first.jsonl") == results.get("again.jsonl") == '"µ"\n2\n'


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_a_bucket_that_refuses_is_a_sentence(code: str) -> None:
    body = f"<Error><Code>{code}</Code><Message>arn:aws:iam::123456789012:role/x</Message></Error>"
    with serving(lambda path, sent: (403, body.encode())) as url:
        results = BucketResults(client(url), "results")
        with pytest.raises(PromptHubError) as caught:
            results.get("a.json")
    assert caught.value.message == f"the results bucket results cannot be read: {code}."
    assert caught.value.exit_code == ExitCode.NOT_MEASURED


def test_a_bucket_out_of_reach_is_a_sentence() -> None:
    results = BucketResults(client("http://127.0.0.1:9"), "results")
    with pytest.raises(PromptHubError, match=r"cannot be written: EndpointConnectionError\."):
        results.put("a.json", "{}")


class Shared:
    """What somebody may read and not write: it has nothing to write with."""

    def __init__(self, **texts: str) -> None:
        self._texts = texts

    def get(self, key: str) -> str | None:
        return self._texts.get(key)


def test_what_is_shared_is_read_and_what_is_written_stays_here(tmp_path: Path) -> None:
    own = FolderResults(tmp_path)
    results = OverlaidResults(Shared(a="theirs", b="theirs"), own)
    results.put("a", "ours")
    put_details(results, ["c", "d"], iter(["1", "2"]))
    assert [results.get(key) for key in "abcde"] == ["ours", "theirs", "1\n2\n", "1\n2\n", None]
    assert [own.get(key) for key in "abcd"] == ["ours", None, "1\n2\n", "1\n2\n"]


def test_a_bucket_that_may_only_be_read_is_overlaid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = {aws_names.ENV_RESULTS_BUCKET: "results"}
    assert isinstance(results_from_environment(tmp_path, bucket), BucketResults)
    results_from_environment(tmp_path, bucket, read_only=True).put("a", "ours")
    assert (tmp_path / RESULTS_DIR / "a").read_text(encoding="utf-8") == "ours"
    results_from_environment(tmp_path, {}, read_only=True).put("b", "ours")
    assert (tmp_path / RESULTS_DIR / "b").exists()


def client(url: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 1}),
    )
