"""Who is told of nothing, and how the message that asks them is sent again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import boto3
from botocore.stub import Stubber

from prompt_hub.doctor.base import Finding
from prompt_hub.doctor.checks import subscriptions
from prompt_hub.doctor.installation import CdkJson
from prompt_hub.doctor.readers import Caller, Readers


def _item(endpoint: str, protocol: str, state: str) -> dict[str, str]:
    return {"Endpoint": endpoint, "Protocol": protocol, "SubscriptionArn": state}


def _found(listed: list[dict[str, str]], settings: object = None) -> list[Finding]:
    """What the check says of a stage's topic; the pipeline's has no subscription."""
    sns = boto3.client(
        "sns", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )

    class One:
        """A session that has one client."""

        region_name = "us-east-1"

        def client(self, name: str) -> object:
            return {"sns": sns}[name]

    cdk_json = CdkJson.model_validate({"context": {"prompt-hub": settings}})
    readers = Readers("dev", Path(), cast("boto3.Session", One()), cdk_json, datetime.now(UTC))
    readers.caller = Caller("arn:aws:iam::1:user/ann", "1")
    with Stubber(sns) as stub:
        stub.add_response("list_subscriptions_by_topic", {"Subscriptions": listed})
        stub.add_response("list_subscriptions_by_topic", {"Subscriptions": []})
        return list(subscriptions.CHECK.examine(readers))


def test_a_subscription_is_repeated_by_its_own_protocol() -> None:
    url = "https://example.com/hook"
    listed = [
        _item(url, "https", subscriptions.PENDING),
        _item("a@example.com", "email", "arn:aws:sns:us-east-1:1:topic:1"),
        _item("a@example.com", "email", subscriptions.PENDING),
    ]
    (finding,) = _found(listed)
    assert f"--protocol https --notification-endpoint {url}" in finding.command


def test_who_shall_be_told_and_has_unsubscribed_is_a_finding() -> None:
    """SNS lists them for days; of somebody whom the settings do not name nothing is expected."""
    stage = {"name": "dev", "notification_emails": ["a@example.com"]}
    listed = [_item(f"{name}@example.com", "email", "Deleted") for name in "ab"]
    (finding,) = _found(listed, {"region": "us-east-1", "stages": [stage]})
    assert "--protocol email --notification-endpoint a@example.com" in finding.command
