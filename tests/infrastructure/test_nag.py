"""cdk-nag finds nothing unacknowledged, and every acknowledgement still has something to accept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from cdk_app import nag
from tests.infrastructure.synthesised import build

TWO_STAGES = {
    "stages": [
        {"name": "dev", "availability_zones": ["us-east-1a", "us-east-1b"], "records": {}},
        {
            "name": "prod",
            "availability_zones": ["us-east-1a", "us-east-1b"],
            "vpc_cidr": "10.21.0.0/16",
            "approval": True,
            "notification_emails": ["people@example.com"],
        },
    ]
}
INFERENCE_PROFILE = {
    "models": {"catalogue-pinned": {"provider": "bedrock", "model": "us.amazon.nova-micro-v1:0"}}
}


@dataclass(frozen=True)
class Accepted:
    path: str
    rule: str
    reason: str

    def accepts(self, path: str, rule: str) -> bool:
        return rule == self.rule and (path == self.path or path.startswith(f"{self.path}/"))


def findings(path: Path, changes: Mapping[str, object]) -> set[tuple[str, str]]:
    """Construct path and rule of every finding that is not acknowledged."""
    app = build(path, changes)
    report = AwsSolutionsChecks(app).validate_scope(app)
    return {
        (resource.construct_path or "", violation.rule_name)
        for violation in report.violations
        for resource in violation.violating_resources
    }


NAMED_ACCOUNT = {"account": "123456789012"}
ZONES = ["us-east-1a", "us-east-1b"]
EVERY_OPTION = {
    "stages": [
        {
            "name": "dev",
            "availability_zones": ZONES,
            "nat_gateways": 0,
            "caller_security_groups": ["sg-0a1b2c3d"],
            "domain": {
                "name": "prompts.example.com",
                "certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/0a1b-2c3d",
                "zone_id": "Z0123456789",
            },
            "scaling": {"max_count": 4},
            "records": {},
        },
        {
            "name": "prod",
            "availability_zones": ZONES,
            "vpc_id": "vpc-0a1b2c3d",
            "vpc_cidr": "10.40.0.0/16",
            "subnet_ids": ["subnet-0a1b2c3d", "subnet-0b1c2d3e"],
        },
    ]
}


@pytest.mark.parametrize(
    "changes", [{}, TWO_STAGES, INFERENCE_PROFILE, NAMED_ACCOUNT, EVERY_OPTION]
)
def test_nothing_is_unacknowledged(tmp_path: Path, changes: Mapping[str, object]) -> None:
    assert findings(tmp_path, changes) == set()


def test_no_acknowledgement_is_stale_or_without_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = []

    def remember(scope: IConstruct, reasons: Mapping[str, str]) -> None:
        path = scope.node.path
        accepted.extend(
            Accepted(path, f"AwsSolutions-{rule}", reason) for rule, reason in reasons.items()
        )

    monkeypatch.setattr(nag, "acknowledge", remember)
    found = findings(tmp_path, TWO_STAGES)

    assert len(found) > 100, "the checks have run, and found what there is to accept"
    stale = [entry for entry in accepted if not any(entry.accepts(*finding) for finding in found)]
    assert stale == []
    assert [item for item in accepted if len(item.reason) < 20] == []


def test_a_wildcard_that_nobody_explained_is_found(tmp_path: Path) -> None:
    app = build(tmp_path)
    stack = Stack(app, "New")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(iam.PolicyStatement(actions=["s3:*"], resources=["*"]))
    report = AwsSolutionsChecks(app).validate_scope(app)
    assert sorted(violation.rule_name for violation in report.violations) == [
        "AwsSolutions-IAM5[Action::s3:*]",
        "AwsSolutions-IAM5[Resource::*]",
    ]
