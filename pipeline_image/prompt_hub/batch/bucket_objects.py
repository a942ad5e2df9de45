"""Objects of runs in an S3 bucket, and which of both a store's address means."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NotRequired, TypedDict

from prompt_hub.batch.objects import FolderObjects, Objects
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import explain_write_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

SCHEME = "s3://"
CONFLICTS = 5
"""How often an object is created again while somebody else is creating it, too."""
CONFLICT_SECONDS = 0.5
NO_VERSION = "null"
"""What a bucket without versions calls the only one."""
AT_ONCE = 2
"""Parts of a large object on their way at once: each takes 8 MiB of memory."""
IN_PARTS_FROM = 256 << 20
"""Bytes from which an object is created in parts. One request takes 5 GB at the most, and one that
breaks off begins anew."""
PART_BYTES = 16 << 20
"""An object has 10,000 parts at the most, so that it may have 156 GiB."""


def objects_from(address: str, *, stage: str | None = None) -> Objects:
    """Return the objects at `s3://BUCKET`, or those in a folder.

    Args:
        address: where they are.
        stage: whose account and region the bucket is in; by default this process's.

    Raises:
        PromptHubError: the address names more than a bucket.
    """
    if not address.startswith(SCHEME):
        return FolderObjects(Path(address))
    bucket = address.removeprefix(SCHEME).rstrip("/")
    if not bucket or "/" in bucket:
        raise PromptHubError(
            f"{address!r} is no store of runs.", hint=f"Write {SCHEME}BUCKET, or name a folder."
        )
    return bucket_of(bucket, stage)


def bucket_of(bucket: str, stage: str | None = None) -> BucketObjects:
    """Return the objects in a bucket, in the account and region of `stage` where one is named."""
    import boto3

    from prompt_hub.ledger.stage_session import session_of

    return BucketObjects((session_of(stage) or boto3).client("s3"), bucket)


def stage_bucket(stage: str) -> BucketObjects:
    """Return the objects in the records bucket of `stage`; raises what botocore does."""
    import boto3

    from prompt_hub.ledger.stage_session import session_of

    account = (session_of(stage) or boto3).client("sts").get_caller_identity()["Account"]
    return bucket_of(aws_names.records_bucket(stage, account), stage)


class _Place(TypedDict):
    Bucket: str
    Key: str


class _Where(_Place):
    IfNoneMatch: NotRequired[str]


class BucketObjects:
    """Objects in a bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self.address = f"{SCHEME}{bucket}"

    def exists(self) -> bool:
        """Whether there is such a bucket: a stage may answer no files of records."""
        from botocore.exceptions import ClientError

        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchBucket"}:
                return False
            raise
        return True

    def read(self, key: str) -> bytes | None:
        """Return what stands under `key`, None if there is nothing."""
        try:
            with self._explained("read", key):
                return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except _MissingError:
            return None

    def version_of(self, key: str) -> str | None:
        """Return the newest version of what stands under `key`, None if there is nothing."""
        try:
            with self._explained("read", key):
                found = self._client.head_object(Bucket=self._bucket, Key=key)
        except _MissingError:
            return None
        return found.get("VersionId", NO_VERSION)

    def fetch(self, key: str, path: Path, version: str | None = None) -> bool:
        """Copy what stands under `key` into the file at `path`; False if there is nothing."""
        from boto3.s3.transfer import TransferConfig

        try:
            with explain_write_errors(path), self._explained("read", key):
                self._client.download_file(
                    self._bucket,
                    key,
                    str(path),
                    ExtraArgs={"VersionId": version} if version else None,
                    Config=TransferConfig(max_concurrency=AT_ONCE),
                )
        except _MissingError:
            return False
        return True

    def write(self, key: str, content: bytes) -> None:
        """Store `content` under `key`, in place of what may be there."""
        with self._explained("written", key):
            self._client.put_object(
                Bucket=self._bucket, Key=key, Body=content, ContentType=_kind(key)
            )

    def put(self, key: str, path: Path) -> None:
        """Store the file at `path` under `key`, in place of what may be there."""
        from boto3.s3.transfer import TransferConfig

        with self._explained("written", key):
            self._client.upload_file(
                str(path),
                self._bucket,
                key,
                ExtraArgs={"ContentType": _kind(key)},
                Config=TransferConfig(max_concurrency=AT_ONCE),
            )

    def drop(self, key: str, path: Path) -> str:
        """Store the file at `path` under `key`, and return which version that has made of it.

        The newest one may be another's already: asked for a moment later, it is no answer.
        """
        with self._explained("written", key), path.open("rb") as body:
            return self._send({"Bucket": self._bucket, "Key": key}, body, path.stat().st_size)

    def create(self, key: str, path: Path) -> bool:
        """Store the file at `path` under `key` unless something is there; False if it is."""
        condition: _Where = {"Bucket": self._bucket, "Key": key, "IfNoneMatch": "*"}
        for attempt in range(CONFLICTS):
            try:
                with self._explained("written", key), path.open("rb") as body:
                    self._send(condition, body, path.stat().st_size)
            except _ThereAlreadyError:
                return False
            except _ConflictError:
                # Neither of two writers has it yet, as S3 says: the next answer will be clear.
                time.sleep(CONFLICT_SECONDS * attempt)
            else:
                return True
        raise self._error("written", key, f"{CONFLICTS} conflicts with another writer")

    def _send(self, where: _Where, body: BinaryIO, size: int) -> str:
        """Store `body`: boto3's own upload knows no condition, and says no version."""
        place: _Place = {"Bucket": where["Bucket"], "Key": where["Key"]}
        kind = _kind(where["Key"])
        if size < IN_PARTS_FROM:
            stored = self._client.put_object(**where, Body=body, ContentType=kind)
            return stored.get("VersionId", NO_VERSION)
        upload = self._client.create_multipart_upload(**place, ContentType=kind)["UploadId"]
        parts: list[CompletedPartTypeDef] = []
        for number, part in enumerate(iter(lambda: body.read(PART_BYTES), b""), 1):
            sent = self._client.upload_part(**place, UploadId=upload, PartNumber=number, Body=part)
            parts.append({"ETag": sent["ETag"], "PartNumber": number})
        # Parts that belong to nothing in the end are deleted by a rule of the bucket, in a day.
        completed = self._client.complete_multipart_upload(
            **where, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        return completed.get("VersionId", NO_VERSION)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with `prefix`, in their order."""
        with self._explained("listed", prefix):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                for found in page.get("Contents", []):
                    yield found["Key"]

    @contextmanager
    def _explained(self, what: str, key: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _CODES:
                raise _CODES[code] from None
            raise self._error(what, key, code) from None
        except (BotoCoreError, Boto3Error) as error:
            raise self._error(what, key, type(error).__name__) from None

    def _error(self, what: str, key: str, reason: str) -> PromptHubError:
        return PromptHubError(
            f"{self.address}/{key} cannot be {what}: {reason}.",
            hint="Check that the bucket exists and that this role may use it, then run again.",
            exit_code=ExitCode.NOT_MEASURED,
        )


class _MissingError(Exception):
    """There is no such object."""


class _ThereAlreadyError(Exception):
    """There is such an object."""


class _ConflictError(Exception):
    """Another one is writing it at this moment."""


_CODES: dict[str, type[Exception]] = {
    "NoSuchKey": _MissingError,
    "NoSuchVersion": _MissingError,
    "404": _MissingError,
    "PreconditionFailed": _ThereAlreadyError,
    "ConditionalRequestConflict": _ConflictError,
}
"""What S3 says that is no failure. A HEAD has no body, so that its code is the status."""


def _kind(key: str) -> str:
    if key.endswith(".jsonl"):
        return "application/x-ndjson"
    return "text/csv" if key.endswith(".csv") else "application/json"
