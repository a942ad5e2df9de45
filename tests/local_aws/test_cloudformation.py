"""Record-only CloudFormation types, and what happens to types that nobody knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local_aws.cloudformation import RECORD_ONLY, RECORDED_INSTEAD
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws

PROPERTIES: dict[str, dict[str, Any]] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": {
        "ResourceId": "service/cluster/name",
        "ScalableDimension": "ecs:service:DesiredCount",
        "ServiceNamespace": "ecs",
        "MinCapacity": 1,
        "MaxCapacity": 2,
    },
    # A zone that nobody made here.
    "AWS::Route53::RecordSet": {"HostedZoneId": "Z0123456789", "Name": "prompts.example.com."},
}


def template(**resources: Mapping[str, object]) -> str:
    return json.dumps({"Resources": resources})


def deploy(cloudformation: Any, name: str, body: str, *, update: bool = False) -> dict[str, Any]:
    """Create or update a stack and wait; answers its outputs."""
    act = cloudformation.update_stack if update else cloudformation.create_stack
    act(StackName=name, TemplateBody=body)
    waiter = cloudformation.get_waiter(f"stack_{'update' if update else 'create'}_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}


def every_type(extra: dict[str, str]) -> str:
    """A template with one resource of each record-only type, and an output for each attribute."""
    resources: dict[str, object] = {}
    outputs: dict[str, dict[str, object]] = {}
    for number, (name, kind) in enumerate((RECORD_ONLY | RECORDED_INSTEAD).items()):
        logical_id = f"R{number}"
        resources[logical_id] = {"Type": name, "Properties": PROPERTIES.get(name, {}) | extra}
        outputs[f"{logical_id}Ref"] = {"Value": {"Ref": logical_id}}
        for attribute in kind.attributes:
            got = {"Fn::GetAtt": [logical_id, attribute]}
            outputs[f"{logical_id}{attribute}"] = {"Value": got}
    return json.dumps({"Resources": resources, "Outputs": outputs})


def test_every_record_only_type_answers_ref_and_getatt_and_keeps_its_identity(
    aws: LocalAws,
) -> None:
    cloudformation = aws.client("cloudformation")

    first = deploy(cloudformation, "recorded", every_type({}))
    second = deploy(cloudformation, "recorded", every_type({"Description": "new"}), update=True)

    assert first == second
    assert all(first.values())
    assert not [value for value in first.values() if "{" in value]
    by_type = {name: first[f"R{number}Ref"] for number, name in enumerate(RECORD_ONLY)}
    connection = by_type["AWS::CodeConnections::Connection"]
    assert connection.startswith(f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/")
    cloudformation.delete_stack(StackName="recorded")
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName="recorded", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def test_a_type_that_nobody_knows_is_refused_before_anything_is_made(aws: LocalAws) -> None:
    cloudformation = aws.client("cloudformation")
    body = template(Known={"Type": "AWS::SNS::Topic"}, Odd={"Type": "AWS::CodeDeploy::Application"})

    with pytest.raises(ClientError, match=r"Unrecognized resource types.*AWS::CodeDeploy"):
        cloudformation.create_stack(StackName="unknown", TemplateBody=body)

    assert aws.client("sns").list_topics()["Topics"] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ExecutionMode": "QUEUED"}, "SUPERSEDED"),
        ({"Stages": [{"Name": "S", "Actions": [], "BeforeEntry": {}}]}, "beforeEntry"),
        ({"DisableInboundStageTransitions": [{"StageName": "S"}]}, "DisableInboundStage"),
    ],
)
def test_a_pipeline_that_would_not_run_as_on_aws_fails_its_stack(
    aws: LocalAws, change: dict[str, object], reason: str
) -> None:
    cloudformation = aws.client("cloudformation")
    properties = {
        "RoleArn": "arn:aws:iam::000000000000:role/none",
        "ArtifactStore": {"Type": "S3", "Location": "none"},
        "Stages": [{"Name": "S", "Actions": []}],
    }
    resource = {"Type": "AWS::CodePipeline::Pipeline", "Properties": properties | change}
    name = f"bad-{reason}"
    cloudformation.create_stack(StackName=name, TemplateBody=template(Pipeline=resource))

    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any(reason in item for item in reasons), reasons
    assert aws.client("codepipeline").list_pipelines()["pipelines"] == []


def test_what_aws_refuses_to_delete_stays_and_so_does_its_stack(aws: LocalAws) -> None:
    """The emulator would delete a protected table and a bucket that holds something."""
    client, dynamodb, s3 = (aws.client(name) for name in ("cloudformation", "dynamodb", "s3"))
    table = {
        "TableName": "protected",
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": True,
        "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
    }
    body = template(
        Table={"Type": "AWS::DynamoDB::Table", "Properties": table},
        Bucket={"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "holds-something"}},
    )
    deploy(client, "kept", body)
    s3.put_object(Bucket="holds-something", Key="key", Body=b"x")
    waiter = client.get_waiter("stack_delete_complete")

    client.delete_stack(StackName="kept")
    with pytest.raises(WaiterError):
        waiter.wait(StackName="kept", WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    left = client.describe_stack_resources(StackName="kept")["StackResources"]
    assert {item["LogicalResourceId"]: item["ResourceStatus"] for item in left} == {
        "Table": "DELETE_FAILED",
        "Bucket": "DELETE_FAILED",
    }
    dynamodb.update_table(TableName="protected", DeletionProtectionEnabled=False)
    s3.delete_object(Bucket="holds-something", Key="key")
    client.delete_stack(StackName="kept")
    waiter.wait(StackName="kept", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert "protected" not in dynamodb.list_tables()["TableNames"]
