"""Objects in S3 that hold example sets: the one place of the repository that knows AWS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PIECE = 1 << 20
"""Bytes of an object that are read at once."""
_MISSING = frozenset({"404", "NoSuchKey"})
_DENIED = frozenset({"403", "AccessDenied"})


def own_bucket() -> str:
    """Return the results bucket of this environment, else that of the account and region.

    Raises `PromptHubError` where the account cannot be asked for, or no region is set.
    """
    if bucket := os.environ.get(aws_names.ENV_RESULTS_BUCKET):
        return bucket
    import boto3

    session = boto3.Session()
    if session.region_name is None:
        raise PromptHubError(
            "the results bucket is named by a region, and none is set.",
            hint=f"Set AWS_DEFAULT_REGION, or {aws_names.ENV_RESULTS_BUCKET} to the bucket itself.",
        )
    with _explained("the account"):
        account = session.client("sts").get_caller_identity()["Account"]
    return aws_names.results_bucket(account, session.region_name)


def size_of(uri: str, file: str, *, or_denied: bool = False) -> int | None:
    """Return how many bytes an object has, None if there is none.

    Of what is not there S3 tells who may not list the bucket that it is denied: with `or_denied`
    that is None, too.
    """
    from botocore.exceptions import ClientError

    bucket, key = _parts(uri)
    with _explained(f"{file}: {uri}"):
        try:
            return _client().head_object(Bucket=bucket, Key=key)["ContentLength"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _MISSING or (or_denied and code in _DENIED):
                return None
            raise


def fetch(uri: str, into: IO[bytes], file: str) -> None:
    """Copy an object into a file, piece by piece."""
    bucket, key = _parts(uri)
    with _explained(f"{file}: {uri}"):
        _client().download_fileobj(bucket, key, into)


def stream_lines(uri: str, file: str) -> Iterator[bytes]:
    """Yield the lines of an object as they come; nothing is kept."""
    bucket, key = _parts(uri)
    with _explained(f"{file}: {uri}"):
        pieces = _client().get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_PIECE)
        last = b""
        for piece in pieces:
            *lines, last = (last + piece).split(b"\n")
            for line in lines:
                yield line + b"\n"
        if last:
            yield last


def store(uri: str, path: Path, file: str) -> None:
    """Make an object of a file."""
    bucket, key = _parts(uri)
    with _explained(f"{file}: {uri}", "written"):
        kind = {"ContentType": "application/x-ndjson"}
        _client().upload_file(str(path), bucket, key, ExtraArgs=kind)


def _client() -> S3Client:
    import boto3

    return boto3.client("s3", region_name=os.environ.get(aws_names.ENV_RESULTS_REGION))


def _parts(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


@contextmanager
def _explained(what: str, done: str = "read") -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from s3transfer.exceptions import RetriesExceededError

    try:
        yield
    # The last is what a download that breaks off each time ends with: boto3 hands it on as it is.
    except (BotoCoreError, Boto3Error, ClientError, RetriesExceededError) as error:
        # What S3 said is what an upload that failed comes from.
        answer = error if isinstance(error, ClientError) else error.__context__
        reason = type(error).__name__
        if isinstance(answer, ClientError):
            reason = answer.response["Error"]["Code"]
        if reason in _DENIED:
            # What may not list a bucket is not told what is missing there.
            reason += ", which S3 also says of what is not there"
        raise PromptHubError(
            f"{what} cannot be {done}: {reason}.",
            hint="Check the credentials, the network and that this role may use the bucket.",
            exit_code=ExitCode.NOT_MEASURED,
        ) from None
