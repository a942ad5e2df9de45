"""Objects of runs in a bucket of the local AWS."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.batch.bucket_objects import BucketObjects
from prompt_hub.core.errors import ExitCode, PromptHubError
from tests.local_aws.emulator import REGION, LocalAws
from tests.unit.batch.objects_contract import CHECKS, Check

BUCKET = "records-of-tests"


@pytest.fixture(scope="module")
def bucket(aws: LocalAws) -> BucketObjects:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return BucketObjects(s3, BUCKET)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_bucket_keeps_the_contract(check: Check, bucket: BucketObjects, tmp_path: Path) -> None:
    check(bucket, tmp_path)


def test_the_version_that_was_dropped_is_fetched(
    aws: LocalAws, bucket: BucketObjects, tmp_path: Path
) -> None:
    s3, path = aws.client("s3"), tmp_path / "parts.csv"
    versions = [
        s3.put_object(Bucket=BUCKET, Key="incoming/t/parts.csv", Body=body)["VersionId"]
        for body in (b"first", b"second")
    ]
    for version, content in zip(versions, (b"first", b"second"), strict=True):
        assert bucket.fetch("incoming/t/parts.csv", path, version)
        assert path.read_bytes() == content
    assert bucket.fetch("incoming/t/parts.csv", path)
    assert path.read_bytes() == b"second"


def test_more_keys_than_a_page_has_are_listed(aws: LocalAws, bucket: BucketObjects) -> None:
    for number in range(1005):
        bucket.write(f"pages/{number:06}", b"")
    assert list(bucket.keys("pages/")) == [f"pages/{number:06}" for number in range(1005)]


def test_a_bucket_that_is_not_there_is_a_sentence(aws: LocalAws, tmp_path: Path) -> None:
    missing, path = BucketObjects(aws.client("s3"), "no-such-bucket"), tmp_path / "file"
    path.write_text("x")
    for action in (
        lambda: missing.read("a"),
        lambda: missing.write("a", b""),
        lambda: missing.put("a", path),
        lambda: missing.create("a", path),
        lambda: list(missing.keys("a")),
    ):
        with pytest.raises(PromptHubError, match=r"s3://no-such-bucket/a cannot be ") as error:
            action()
        assert error.value.exit_code is ExitCode.NOT_MEASURED
