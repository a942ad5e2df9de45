"""What people and AWS decide outside of any API: approval of a connection, quotas, confirmations.

Answers have the shapes of botocore's models. What was decided stands in a file of the state folder,
which is read for each request; without it all is well. It says, for example,
`{"connection": "PENDING", "quotas": {"L-3032A538": 0.1}, "unconfirmed": ["people@example.com"]}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import router
from ministack.services import sns
from ministack.services.cloudformation import _stacks

from local_aws.settings import CloudSettings

FILE = "account.json"
TYPES = ("AWS::CodeConnections::Connection", "AWS::CodeStarConnections::Connection")
QUOTAS = {
    "L-F678F1CE": ("vpc", "VPCs per Region", 5.0),
    "L-0263D0A3": ("ec2", "EC2-VPC Elastic IPs", 5.0),
    "L-53DA6B97": ("elasticloadbalancing", "Application Load Balancers per Region", 50.0),
    "L-B99A9384": ("lambda", "Concurrent executions", 1000.0),
    "L-3032A538": ("fargate", "Fargate On-Demand vCPU resource count", 6.0),
    "L-9D07B6EF": (
        "codebuild", "Concurrently running builds for Linux/Small environment", 60.0,
    ),
}  # fmt: skip
"""AWS's defaults of the quotas that an installation needs, but for builds, of which a new account
may run one; every other one is unknown here."""
_TARGETS = {
    "codeconnections": "com.amazonaws.codeconnections.CodeConnections_20231201",
    "servicequotas": "ServiceQuotasV20190624",
}

Answer = tuple[int, dict[str, str], bytes]
_settings: CloudSettings


def install(settings: CloudSettings) -> None:
    """Add the two services to the emulator, and let it list subscriptions as AWS does."""
    global _settings
    _settings = settings
    sns._list_subscriptions_by_topic = _as_aws_lists(sns._list_subscriptions_by_topic)
    for name, prefix in _TARGETS.items():
        app._loaded_modules[name] = sys.modules[__name__]
        app.SERVICE_HANDLERS[name] = handle_request
        router.SERVICE_PATTERNS[name] = {"target_prefixes": [prefix]}


def reset() -> None:
    """Keep everything; the emulator's contract for a service module."""


async def handle_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
) -> Answer:
    """Answer one request; the emulator's contract for a service module."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    request = json.loads(body or b"{}")
    decided = _decided(_settings.state / FILE)
    found: dict[str, Any] | None = None
    if operation == "GetConnection":
        found = _connection(request["ConnectionArn"], connection_status(_settings))
        kind = "ResourceNotFoundException"
    elif operation in {"GetServiceQuota", "GetAWSDefaultServiceQuota"}:
        granted = decided.get("quotas", {}) if operation == "GetServiceQuota" else {}
        found = _quota(request["ServiceCode"], request["QuotaCode"], granted)
        kind = "NoSuchResourceException"
    else:
        kind = "InvalidAction"
    answer = found or {"__type": kind, "message": f"{operation} finds nothing here"}
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    return (200 if found else 400), headers, json.dumps(answer).encode()


def _as_aws_lists(listed: Callable[[Mapping[str, Any]], Answer]) -> Callable[..., Answer]:
    """Hide the ARN of a subscription until it is confirmed; the emulator confirms mail itself."""

    def list_subscriptions(parameters: Mapping[str, Any]) -> Answer:
        status, headers, body = listed(parameters)
        unconfirmed = _decided(_settings.state / FILE).get("unconfirmed", [])
        topic, _ = sns._get_topic(sns._p(parameters, "TopicArn"))
        for item in topic["subscriptions"] if topic and status == 200 else []:
            if not item["confirmed"] or item["endpoint"] in unconfirmed:
                body = body.replace(f">{item['arn']}<".encode(), b">PendingConfirmation<")
        return status, headers, body

    return list_subscriptions


def connection_status(settings: CloudSettings) -> str:
    """Return what a person has made of the connection: AVAILABLE where nothing else is said."""
    return str(_decided(settings.state / FILE).get("connection", "AVAILABLE"))


def _decided(file: Path) -> dict[str, Any]:
    decided: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return decided


def _connection(arn: str, status: str) -> dict[str, Any] | None:
    """Describe a connection that a stack has made."""
    for stack in _stacks.values():
        for resource in stack.get("_resources", {}).values():
            if resource.get("ResourceType") in TYPES and resource.get("PhysicalResourceId") == arn:
                properties = resource.get("Properties", {})
                connection = {
                    "ConnectionName": properties.get("ConnectionName", "connection"),
                    "ConnectionArn": arn,
                    "ProviderType": properties.get("ProviderType", "GitHub"),
                    "OwnerAccountId": _settings.account,
                    "ConnectionStatus": status,
                }
                return {"Connection": connection}
    return None


def _quota(service: str, code: str, granted: Mapping[str, float]) -> dict[str, Any] | None:
    if code not in QUOTAS or QUOTAS[code][0] != service:
        return None
    _, name, default = QUOTAS[code]
    arn = f"arn:aws:servicequotas:{_settings.region}:{_settings.account}:{service}/{code}"
    return {
        "Quota": {
            "ServiceCode": service,
            "QuotaArn": arn,
            "QuotaCode": code,
            "QuotaName": name,
            "Value": granted.get(code, default),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
    }
