"""Files of Bedrock's batches in S3, as boto3 asks for them on loopback."""

from __future__ import annotations

import asyncio
from io import BytesIO

import openai
import pytest

from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers._s3_batch_files import S3Files
from prompt_hub.llm.retry import TransientError
from tests.unit.llm.batch_server import batch_server


def test_a_download_that_breaks_off_each_time_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = ModelConfig(alias="m", provider="bedrock", model="m", region="us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    files = {"/bucket/batches/a.jsonl.out": b'{"a": 1}\n' * 4}
    with batch_server(breaks_off=True, files=files) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.port}")
        uri = "s3://bucket/batches/a.jsonl.out"
        fetch = S3Files().fetch(openai.AsyncOpenAI(api_key="-"), model, uri, BytesIO())
        with pytest.raises(TransientError, match="RetriesExceededError"):
            asyncio.run(fetch)
