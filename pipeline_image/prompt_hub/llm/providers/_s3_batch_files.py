"""Files of Bedrock's batches: requests in a folder in S3, answers in a folder beside them.

Bedrock writes `FOLDER/BATCH/INPUT.jsonl.out` and `.err` beside `FOLDER/INPUT.jsonl` (Bedrock's user
guide, "Submit a batch of prompts with the OpenAI Batch API", as of November 2026).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from prompt_hub.llm.retry import PermanentError, TransientError

if TYPE_CHECKING:
    import openai
    from mypy_boto3_s3 import S3Client
    from openai.types import Batch

    from prompt_hub.llm.config import ModelConfig

BROKEN = 500
MISSING = frozenset({"404", "NoSuchKey"})


class S3Files:
    """Objects below the `batch_folder` of a model."""

    async def put(
        self, client: openai.AsyncOpenAI, model: ModelConfig, lines: IO[bytes], tag: str
    ) -> str:
        """Store requests under the batch's own tag, so that a second try replaces the first."""
        assert model.batch_folder is not None
        uri = f"{model.batch_folder}{tag}.jsonl"
        bucket, key = _parts(uri)

        def put(s3: S3Client) -> None:
            s3.put_object(Bucket=bucket, Key=key, Body=lines, ContentType="application/x-ndjson")

        await _in_s3(model, put)
        return uri

    def results(self, batch: Batch) -> tuple[str, ...]:
        """Say where answers and errors stand, by the documented layout."""
        folder, _, name = batch.input_file_id.rpartition("/")
        place = f"{folder}/{batch.id.rpartition('/')[2]}/{name}"
        return f"{place}.out", f"{place}.err"

    async def fetch(
        self, client: openai.AsyncOpenAI, model: ModelConfig, name: str, into: IO[bytes]
    ) -> None:
        """Copy an object; a batch without errors has no file of them."""
        bucket, key = _parts(name)
        await _in_s3(model, lambda s3: s3.download_fileobj(bucket, key, into), may_lack=True)


def _parts(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


async def _in_s3(
    model: ModelConfig, do: Callable[[S3Client], None], *, may_lack: bool = False
) -> None:
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from s3transfer.exceptions import RetriesExceededError

    def run() -> None:
        # A session of its own: the common one may not be used by two threads at once.
        do(boto3.Session().client("s3", region_name=model.region))

    try:
        await asyncio.to_thread(run)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if may_lack and code in MISSING:
            return
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= BROKEN:
            raise TransientError(f"S3 says {code}") from None
        raise PermanentError(f"S3 says {code}") from None
    except (BotoCoreError, Boto3Error, RetriesExceededError) as error:
        broken_off = isinstance(error, HTTPClientError | RetriesExceededError)
        kind = TransientError if broken_off else PermanentError
        raise kind(f"S3 cannot be asked ({type(error).__name__})") from None
