"""What an organisation asks of everything in its accounts: tags, a boundary, roles of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.infrastructure.synthesised import Assembly, Json

TAGS = {"team": "catalogue", "cost-centre": "4711"}
CONTEXT = {
    "@aws-cdk/core:bootstrapQualifier": "catalogue",
    "@aws-cdk/core:permissionsBoundary": {"name": "team-boundary"},
}
UNTAGGED = {
    "AWS::EC2::Route": "part of its table",
    "AWS::EC2::SecurityGroupEgress": "part of its group",
    "AWS::EC2::SecurityGroupIngress": "part of its group",
    "AWS::EC2::SubnetRouteTableAssociation": "part of its table",
    "AWS::EC2::VPCGatewayAttachment": "part of its gateway",
    "AWS::IAM::Policy": "part of its role",
    "AWS::Lambda::EventInvokeConfig": "part of its function",
    "AWS::Lambda::Permission": "part of its function",
    "AWS::S3::BucketPolicy": "part of its bucket",
    "AWS::SNS::Subscription": "part of its topic",
    "AWS::SNS::TopicPolicy": "part of its topic",
}
"""Types that CloudFormation lets nobody tag, and why that is no loss."""


@pytest.fixture(scope="module")
def ruled(synthesise: Callable[..., Assembly]) -> Assembly:
    return synthesise({"tags": TAGS, "notification_emails": ["a@example.com"]}, context=CONTEXT)


def resources(assembly: Assembly) -> Iterator[tuple[str, Json]]:
    for stack, template in assembly.templates.items():
        for logical_id, resource in template["Resources"].items():
            yield f"{stack}/{logical_id}", resource


def test_every_resource_that_can_have_tags_has_them(ruled: Assembly) -> None:
    without = set()
    for name, resource in resources(ruled):
        if resource["Type"] in UNTAGGED:
            continue
        tags = resource["Properties"].get("Tags", [])
        found = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
        if not found.items() >= TAGS.items():
            without.add(f"{resource['Type']} {name}")
    assert without == set()


def test_without_the_setting_nothing_of_ours_is_tagged(assembly: Assembly) -> None:
    assert not [name for name, resource in resources(assembly) if "team" in json.dumps(resource)]


def test_containers_carry_the_tags_of_their_definition(ruled: Assembly) -> None:
    assert ruled.only("dev-service", "AWS::ECS::Service")["PropagateTags"] == "TASK_DEFINITION"
    rules = ruled.resources("dev-service", "AWS::Events::Rule").values()
    started = [target["EcsParameters"] for rule in rules for target in rule["Targets"]]
    assert {each["PropagateTags"] for each in started} == {"TASK_DEFINITION"}


def test_every_role_has_the_boundary_that_cdk_json_names(
    ruled: Assembly, assembly: Assembly
) -> None:
    roles = {name: role for name, role in resources(ruled) if role["Type"] == "AWS::IAM::Role"}
    assert {name.partition("/")[0] for name in roles} >= {
        "prompt-hub-pipeline",
        "prompt-hub-github-oidc",
        "prompt-hub-dev-service",
        "prompt-hub-dev-rollback",
    }
    for name, role in roles.items():
        boundary = json.dumps(role["Properties"].get("PermissionsBoundary"))
        assert ":policy/team-boundary" in boundary, name
    assert not [name for name, role in resources(assembly) if "PermissionsBoundary" in str(role)]


def test_everything_is_deployed_by_the_roles_of_the_installations_own_bootstrap(
    ruled: Assembly, assembly: Assembly
) -> None:
    def written(path: Path) -> str:
        return "".join(file.read_text() for file in sorted(path.rglob("*.json")))

    assert "hnb659fds" in written(assembly.path), "CDK's own qualifier, where none is named"
    assert "hnb659fds" not in written(ruled.path)
    assert "/cdk-bootstrap/catalogue/version" in written(ruled.path)
