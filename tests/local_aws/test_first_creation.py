"""A creation that failed is in nobody's way; a stack that is deleted loses no state."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import Assembly, Json, build
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually

STAGE = {"name": "dev", "availability_zones": [f"{REGION}a", f"{REGION}b"]}


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    path = tmp_path_factory.mktemp("cdk.out")
    build(path, {"region": REGION, "stages": [STAGE]}).synth()
    return Assembly(path)


def has_table(aws: LocalAws) -> bool:
    return aws_names.ledger_table("dev") in aws.client("dynamodb").list_tables()["TableNames"]


def has_repository(aws: LocalAws) -> bool:
    found = aws.client("ecr").describe_repositories()["repositories"]
    return aws_names.image_repository() in [item["repositoryName"] for item in found]


def has_provider(aws: LocalAws) -> bool:
    """Others in the account may sign in by it: it has one for GitHub."""
    return bool(aws.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"])


def has_bucket(name: str) -> Callable[[LocalAws], bool]:
    bucket = f"prompt-hub-{name}-{ACCOUNT}-{REGION}"
    return lambda aws: (
        bucket in [item["Name"] for item in aws.client("s3").list_buckets()["Buckets"]]
    )


def only_what_is_kept(template: Json) -> Json:
    """The template's resources that outlive it, alone: the rest needs other stacks."""
    resources = {
        name: {key: value for key, value in resource.items() if key != "Metadata"}
        for name, resource in template["Resources"].items()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }
    return {"Resources": resources}


def with_a_fault(template: Json) -> Json:
    """The same with a resource that fails after all others stand: it waits for nobody's signal."""
    wrong = copy.deepcopy(template)
    wrong["Resources"]["Handle"] = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    wrong["Resources"]["Fault"] = {
        "Type": "AWS::CloudFormation::WaitCondition",
        "DependsOn": sorted(template["Resources"]),
        "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "1", "Count": 1},
    }
    return wrong


def status_after(aws: LocalAws, name: str, act: Callable[[Any], object]) -> str:
    """Start something on the stack; the state in which it ends, "gone" where there is none."""
    cloudformation = aws.client("cloudformation")
    act(cloudformation)

    def ended() -> str | None:
        try:
            (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError:
            return "gone"
        status: str = stack["StackStatus"]
        return None if status.endswith("IN_PROGRESS") else status

    return eventually(ended, seconds=60, what=f"the end of what {name} does")


@pytest.mark.parametrize(
    ("stack", "exists"),
    [
        ("dev-ledger", has_table),
        ("image", has_repository),
        ("source", has_bucket("artifacts")),
        ("evaluation", has_bucket("results")),
        ("github-oidc", has_provider),
    ],
)
def test_a_creation_that_failed_can_be_tried_again_and_a_deletion_loses_nothing(
    aws: LocalAws, assembly: Assembly, stack: str, exists: Callable[[LocalAws], bool]
) -> None:
    name = f"prompt-hub-{stack}"
    template = only_what_is_kept(assembly.templates[name])
    if stack == "dev-ledger":
        # Protection and retention are two walls; this is about the second.
        (table,) = template["Resources"].values()
        table["Properties"]["DeletionProtectionEnabled"] = False

    def create(body: Json) -> str:
        return status_after(
            aws,
            name,
            lambda client: client.create_stack(StackName=name, TemplateBody=json.dumps(body)),
        )

    def delete() -> str:
        return status_after(aws, name, lambda client: client.delete_stack(StackName=name))

    assert create(with_a_fault(template)) == "ROLLBACK_COMPLETE"
    assert not exists(aws), "it would be in the way of the next creation"
    assert delete() in {"gone", "DELETE_COMPLETE"}
    assert create(template) == "CREATE_COMPLETE"
    assert exists(aws)
    assert delete() in {"gone", "DELETE_COMPLETE"}
    assert exists(aws)
