"""Where records go: the results bucket, or a folder where there is no AWS."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import atomic_write, explain_write_errors
from prompt_hub.repository.documents import decoded

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RESULTS_DIR = Path(".prompt-hub") / "results"
LOCAL_EXECUTION = "local"
"""The execution that records outside of the pipeline belong to."""
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
}
"""What a browser is told that an object is, by the end of its key."""
SPOOLED_BYTES = 1_000_000
"""Lines that are longer in all go through a file on their way into the bucket."""


class ReadableResults(Protocol):
    """Texts by key, to read: all that a role needs which may not write."""

    def get(self, key: str) -> str | None:
        """Return the text under `key`, None if there is none.

        Raises:
            InvalidDocumentsError: if not UTF-8.
        """


class Results(ReadableResults, Protocol):
    """Texts by key. A put replaces the whole text or nothing."""

    def put(self, key: str, text: str) -> None:
        """Store `text` under `key`."""

    def put_file(self, keys: Sequence[str], body: IO[bytes]) -> None:
        """Store all that a file holds under each of `keys`; it is not held in memory."""

    def uri(self, key: str) -> str:
        """Return what other machines call the text under `key`; the key itself for none."""


class FolderResults:
    """Results in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> str | None:
        """Return the text under `key`, None if there is none."""
        path = self._folder / key
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PromptHubError(f"{path} cannot be read: {error.strerror}.") from None
        return decoded(raw, key)

    def put(self, key: str, text: str) -> None:
        """Store `text` under `key`."""
        self._write(key, [text.encode("utf-8")])

    def put_file(self, keys: Sequence[str], body: IO[bytes]) -> None:
        """Store all that a file holds under each of `keys`."""
        for key in keys:
            body.seek(0)
            self._write(key, body)

    def uri(self, key: str) -> str:
        """Return the key: other machines cannot read it."""
        return key

    def _write(self, key: str, parts: Iterable[bytes]) -> None:
        path = self._folder / key
        with explain_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as stream:
                stream.writelines(parts)


class BucketResults:
    """Results in the results bucket."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def get(self, key: str) -> str | None:
        """Return the text under `key`, None if there is none."""
        try:
            with self._explained("read"):
                found = self._client.get_object(Bucket=self._bucket, Key=key)
                return decoded(found["Body"].read(), key)
        except self._client.exceptions.NoSuchKey:
            return None

    def put(self, key: str, text: str) -> None:
        """Store `text` under `key`."""
        # Straight from memory: the service's container has no folder to write into.
        self._put(key, text.encode("utf-8"))

    def put_file(self, keys: Sequence[str], body: IO[bytes]) -> None:
        """Store all that a file holds under each of `keys`."""
        for key in keys:
            body.seek(0)
            self._put(key, body)

    def uri(self, key: str) -> str:
        """Return the object's address."""
        return f"s3://{self._bucket}/{key}"

    def _put(self, key: str, body: bytes | IO[bytes]) -> None:
        kind = _KINDS[PurePosixPath(key).suffix]
        with self._explained("written"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType=kind)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except self._client.exceptions.NoSuchKey:
            raise
        except (BotoCoreError, ClientError) as error:
            reason = type(error).__name__
            if isinstance(error, ClientError):
                reason = error.response["Error"]["Code"]
            raise PromptHubError(
                f"the results bucket {self._bucket} cannot be {what}: {reason}.",
                hint="Check that it exists and that this role may use it, then run again.",
                exit_code=ExitCode.NOT_MEASURED,
            ) from None


class OverlaidResults:
    """Results that others keep, to read, below those of this machine, which are all it writes."""

    def __init__(self, shared: ReadableResults, own: Results) -> None:
        self._shared = shared
        self._own = own

    def get(self, key: str) -> str | None:
        """Return the text under `key`, this machine's first; None if there is none."""
        text = self._own.get(key)
        return self._shared.get(key) if text is None else text

    def put(self, key: str, text: str) -> None:
        """Store `text` under `key` on this machine."""
        self._own.put(key, text)

    def put_file(self, keys: Sequence[str], body: IO[bytes]) -> None:
        """Store all that a file holds under each of `keys` on this machine."""
        self._own.put_file(keys, body)

    def uri(self, key: str) -> str:
        """Return the key: what is written stays on this machine."""
        return self._own.uri(key)


def results_from_environment(
    root: Path, environment: Mapping[str, str] | None = None, *, read_only: bool = False
) -> Results:
    """Return the bucket that `PROMPT_HUB_RESULTS_BUCKET` names, or a folder below `root`.

    With `read_only` the bucket is only read, and the folder has what is written.
    """
    chosen = os.environ if environment is None else environment
    bucket = chosen.get(aws_names.ENV_RESULTS_BUCKET)
    own = FolderResults(root / RESULTS_DIR)
    if not bucket:
        return own
    import boto3

    region = chosen.get(aws_names.ENV_RESULTS_REGION)
    shared = BucketResults(boto3.client("s3", region_name=region), bucket)
    return OverlaidResults(shared, own) if read_only else shared


def execution_from_environment(environment: Mapping[str, str] | None = None) -> str:
    """Return the execution whose results these are: the pipeline's, or that of this machine."""
    chosen = os.environ if environment is None else environment
    return chosen.get(aws_names.ENV_EXECUTION) or LOCAL_EXECUTION
