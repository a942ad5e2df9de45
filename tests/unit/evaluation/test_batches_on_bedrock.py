"""Batches of Bedrock: the same ones, whose requests and answers lie in a folder in S3."""

from __future__ import annotations

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.gate.types import Status
from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.in_batches import Run, evaluate, first_batch
from tests.unit.evaluation.many_parts import with_many_parts
from tests.unit.llm.batch_server import BatchServer, batch_server

BATCH_ROLE = "arn:aws:iam::111122223333:role/batches"


def evaluate_on_bedrock(
    healthy: RepositoryFolder, server: BatchServer, monkeypatch: pytest.MonkeyPatch, examples: int
) -> Run:
    """Evaluate so many examples in one look; the server is Bedrock, and S3 with the folder."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    monkeypatch.setenv("AWS_BEDROCK_BASE_URL", server.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.port}")
    return evaluate(
        with_many_parts(healthy, examples, first_look=examples),
        server,
        provider="bedrock",
        model="openai.gpt-oss-20b-1:0",
        base_url=None,
        region="us-east-1",
        batch_price_factor=None,
        batch_folder="s3://bucket/batches/",
        batch_role=BATCH_ROLE,
        batch_from=1,
    )


@pytest.mark.parametrize("examples", [99, 120])
def test_bedrock_takes_the_same_batch_through_s3_from_its_least_size_on(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    with batch_server(faults=first_batch("rate", every=20)) as server:
        run = evaluate_on_bedrock(healthy, server, monkeypatch, examples)
    assert run.record.verdict.status is Status.PASS
    assert set(server.paid.values()) == {1}
    assert run.record.candidate is not None
    if examples < 100:
        assert (len(server.batches), sum(server.live.values())) == (0, 99)
        return
    assert (run.record.candidate.batched, sum(server.live.values())) == (114, 6)
    (batch,) = server.batches.values()
    assert batch.input_file.startswith("s3://bucket/batches/")
    creation = next(head for head in server.headers if "x-amzn-bedrock-rolearn" in head)
    assert creation["x-amzn-bedrock-rolearn"] == BATCH_ROLE
    assert creation["x-amzn-bedrock-modelid"] == "openai.gpt-oss-20b-1:0"
    signed = creation["authorization"]
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "us-east-1/bedrock/aws4_request" in signed


def test_who_may_not_list_the_folder_of_bedrock_hears_what_a_refusal_may_mean(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with batch_server(missing=403) as server:
        run = evaluate_on_bedrock(healthy, server, monkeypatch, 120)
    # Nothing has failed, so that there is no file of errors.
    assert "its answers: S3 says 403, which S3 also says of what is not there" in run.words
    assert set(server.paid.values()) == {1}


def test_bedrock_needs_a_folder_and_a_role(healthy: RepositoryFolder) -> None:
    folder = with_many_parts(healthy, 40, first_look=40)
    with (
        batch_server() as server,
        pytest.raises(PromptHubError, match="needs a batch_folder for batches"),
    ):
        evaluate(folder, server, provider="bedrock", base_url=None, region="us-east-1", model="m")
