"""Models that do not answer: what is told to mend can be run, and shows no key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import boto3
import pytest

from prompt_hub.doctor.base import Finding
from prompt_hub.doctor.checks import models
from prompt_hub.doctor.examination import examine
from prompt_hub.doctor.installation import CdkJson
from prompt_hub.doctor.readers import Caller, Readers
from prompt_hub.llm import secrets
from tests.unit.llm.servers import Reply, Scripted, scripted

UNKNOWN: Reply = (404, {}, {"error": {"message": "The model `m` does not exist"}})
DENIED: Reply = (401, {}, {"error": "Unauthorized"})
SECRET = {"secret": "prompt-hub/gateway"}
IN_SECRET = (
    "$(aws secretsmanager get-secret-value --secret-id prompt-hub/gateway"
    " --query SecretString --output text)"
)
IN_VARIABLE = {"api_key_env": "GATEWAY_KEY"}
PUT = (
    "aws secretsmanager put-secret-value --secret-id prompt-hub/gateway"
    " --secret-string file://KEY-FILE"
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setenv("GATEWAY_KEY", "key-of-the-gateway")
    monkeypatch.setattr(secrets, "_read_secret", lambda secret: "key-of-the-gateway")
    with scripted(UNKNOWN) as script:
        yield script


def found(base_url: str, **setting: object) -> Finding:
    """What is told of the one alias, which does not answer."""
    session = cast("boto3.Session", None)
    readers = Readers("dev", Path(), session, CdkJson(), datetime.now(UTC))
    readers.caller = Caller("arn:aws:iam::1:user/ann", "1")
    alias = {"provider": "openai", "model": "m", "base_url": base_url, **setting}
    price = {"price_per_million": {"input": 1, "output": 1}}
    readers.configured = json.dumps({"gw": {**alias, **price}})
    (result,) = examine([models.CHECK], readers)
    (finding,) = result.findings
    assert "key-of-the-gateway" not in str(finding)
    return finding


@pytest.mark.parametrize(
    ("setting", "header"),
    [
        ({}, ""),
        (SECRET, f' -H "Authorization: Bearer {IN_SECRET}"'),
        (IN_VARIABLE, ' -H "Authorization: Bearer $GATEWAY_KEY"'),
    ],
    ids=["no key", "secret", "variable"],
)
def test_a_wrong_name_is_looked_up_by_the_key(
    server: Scripted, setting: dict[str, str], header: str
) -> None:
    finding = found(f"{server.url}/v1/", **setting)
    assert "HTTP 404" in finding.problem
    assert "correct the alias" in finding.mend
    assert finding.command == f"curl --silent --show-error{header} {server.url}/v1/models"


@pytest.mark.parametrize("provider", ["openai", "azure-openai"])
@pytest.mark.parametrize(
    ("setting", "place", "command"),
    [
        (SECRET, "the secret 'prompt-hub/gateway'", PUT),
        (IN_VARIABLE, "GATEWAY_KEY", "export GATEWAY_KEY=KEY"),
    ],
    ids=["secret", "variable"],
)
def test_a_key_that_is_refused_is_to_be_replaced_where_it_is(
    server: Scripted, provider: str, setting: dict[str, str], place: str, command: str
) -> None:
    server.replies[:] = [DENIED]
    finding = found(server.url, provider=provider, **setting)
    assert f"refuses the key in {place}" in finding.mend
    assert finding.command == command


def test_an_endpoint_that_wants_a_key_says_so_of_an_alias_without_one(server: Scripted) -> None:
    server.replies[:] = [DENIED]
    assert found(server.url).mend == "The endpoint wants a key: name its secret in the alias."


def test_a_variable_without_a_key_is_to_be_set(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "")
    finding = found(server.url, **IN_VARIABLE)
    assert (finding.mend, finding.command) == ("Set GATEWAY_KEY.", "export GATEWAY_KEY=KEY")


def test_deployments_of_azure_are_listed_by_azure(server: Scripted) -> None:
    finding = found(server.url, provider="azure-openai", **SECRET)
    assert finding.command.startswith("az cognitiveservices account deployment list")


def test_converse_behind_an_address_of_its_own_is_looked_up_at_aws(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    server.replies[:] = [(403, {}, {"message": "no access"})]
    finding = found(server.url, provider="bedrock-converse", region="us-east-1")
    assert "bedrock:InvokeModel" in finding.mend
    assert finding.command.startswith("aws bedrock get-foundation-model-availability --model-id m")


def test_a_key_in_the_path_of_an_address_is_not_shown(server: Scripted) -> None:
    finding = found(f"{server.url}/sk-abcdefghijkl12345/v1")
    assert finding.command == f"curl --silent --show-error {server.url}/…/v1/models"
    assert "sk-" not in str(finding)
