"""What must not be lost is not lost: the ledger, the results, the images."""

from __future__ import annotations

import json

from prompt_hub.core import aws_names
from stacks.image import KEPT_IMAGES
from tests.infrastructure.synthesised import Assembly, Json


def kept(resource: Json) -> bool:
    """Whether it outlives its stack, but not a creation that failed: its name is taken then."""
    kept = resource["UpdateReplacePolicy"] == "Retain"
    return kept and bool(resource["DeletionPolicy"] == "RetainExceptOnCreate")


def test_the_ledger_is_protected_and_can_be_wound_back(assembly: Assembly) -> None:
    (table,) = assembly.templates["prompt-hub-dev-ledger"]["Resources"].values()
    assert kept(table)
    properties = table["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["KeySchema"] == [
        {"AttributeName": aws_names.LEDGER_PARTITION_KEY, "KeyType": "HASH"},
        {"AttributeName": aws_names.LEDGER_SORT_KEY, "KeyType": "RANGE"},
    ]


def test_the_ledger_depends_on_nothing(assembly: Assembly) -> None:
    manifest = json.loads((assembly.path / "assembly-dev" / "manifest.json").read_text())
    (ledger,) = (
        item
        for item in manifest["artifacts"].values()
        if item.get("properties", {}).get("stackName") == "prompt-hub-dev-ledger"
    )
    needed = [manifest["artifacts"][name]["type"] for name in ledger["dependencies"]]
    assert needed == ["cdk:asset-manifest"]


def test_buckets_are_private_encrypted_and_kept(assembly: Assembly) -> None:
    for stack in ("source", "evaluation"):
        for resource in assembly.templates[f"prompt-hub-{stack}"]["Resources"].values():
            if resource["Type"] != "AWS::S3::Bucket":
                continue
            assert kept(resource)
            assert set(resource["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
            assert "BucketEncryption" in resource["Properties"]
        policy = json.dumps(assembly.only(stack, "AWS::S3::BucketPolicy"))
        assert '"aws:SecureTransport": "false"' in policy


def test_records_and_verdicts_never_expire(assembly: Assembly) -> None:
    bucket = assembly.only("evaluation", "AWS::S3::Bucket")
    expiring = [
        rule.get("Prefix")
        for rule in bucket["LifecycleConfiguration"]["Rules"]
        if "ExpirationInDays" in rule
    ]
    assert expiring == ["samples/", "tests/", "templates/"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_no_rule_expires_a_release_by_its_age(assembly: Assembly) -> None:
    repository = assembly.only("image", "AWS::ECR::Repository")
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    by_age = [
        entry["selection"]
        for entry in rules
        if entry["selection"]["countType"] == "sinceImagePushed"
    ]
    assert [item["tagStatus"] for item in by_age] == ["untagged"]
    (kept,) = (rule["selection"] for rule in rules if rule["selection"]["tagStatus"] == "tagged")
    assert kept["countType"] == "imageCountMoreThan"
    assert kept["countNumber"] == KEPT_IMAGES


def test_nothing_with_a_fixed_name_is_left_behind_by_a_creation_that_failed(
    assembly: Assembly,
) -> None:
    policies = {
        (resource["Type"], resource["DeletionPolicy"])
        for template in assembly.templates.values()
        for resource in template["Resources"].values()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }
    assert policies == {
        (kind, "RetainExceptOnCreate")
        for kind in (
            "AWS::CodeConnections::Connection",
            "AWS::DynamoDB::Table",
            "AWS::ECR::Repository",
            "AWS::IAM::OIDCProvider",
            "AWS::S3::Bucket",
        )
    }
