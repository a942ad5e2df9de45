"""Secrets that cannot be read, each for its own reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import boto3
from botocore.stub import Stubber

from prompt_hub.doctor.checks import secrets
from prompt_hub.doctor.examination import examine
from prompt_hub.doctor.installation import CdkJson
from prompt_hub.doctor.readers import Caller, Readers


def test_a_secret_that_may_not_be_read_hides_no_other() -> None:
    client = boto3.client(
        "secretsmanager", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )

    class One:
        """A session that has one client."""

        region_name = "us-east-1"

        def client(self, name: str) -> object:
            return {"secretsmanager": client}[name]

    readers = Readers("dev", Path(), cast("boto3.Session", One()), CdkJson(), datetime.now(UTC))
    readers.caller = Caller("arn:aws:iam::1:user/ann", "1")
    price = {"price_per_million": {"input": 1, "output": 1}}
    readers.configured = json.dumps(
        {
            name: {"provider": "openai", "model": "m", "secret": name, **price}
            for name in ("a", "b", "c")
        }
    )
    with Stubber(client) as stub:
        denied = "User: x is not authorized to perform: secretsmanager:GetSecretValue on a"
        stub.add_client_error("get_secret_value", "AccessDeniedException", denied)
        stub.add_client_error("get_secret_value", "InvalidRequestException", "marked for deletion")
        stub.add_response("get_secret_value", {"SecretString": "REPLACE-ME"})
        (result,) = examine([secrets.CHECK], readers)
    deleted, placeholder, unseen = result.findings
    assert deleted.command == "aws secretsmanager restore-secret --secret-id b"
    assert "'c' still holds a placeholder" in placeholder.problem
    assert "may not secretsmanager:GetSecretValue" in unseen.problem
