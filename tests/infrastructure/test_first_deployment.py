"""`cdk deploy` of the pipeline stack is enough to start with, in an account that has nothing."""

from __future__ import annotations

import json

from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import Assembly

TOOLCHAIN = {
    "prompt-hub-source",
    "prompt-hub-image",
    "prompt-hub-evaluation",
    "prompt-hub-github-oidc",
}


def test_the_pipeline_stack_brings_every_toolchain_stack(assembly: Assembly) -> None:
    artifacts = json.loads((assembly.path / "manifest.json").read_text())["artifacts"]
    stacks = {
        name for name, item in artifacts.items() if item["type"] == "aws:cloudformation:stack"
    }
    assert stacks == {*TOOLCHAIN, "prompt-hub-pipeline"}
    assert set(artifacts["prompt-hub-pipeline"]["dependencies"]) >= TOOLCHAIN


def test_no_stack_of_a_stage_imports_anything(assembly: Assembly) -> None:
    for name, template in assembly.templates.items():
        if name not in {*TOOLCHAIN, "prompt-hub-pipeline"}:
            assert "Fn::ImportValue" not in json.dumps(template), name
            assert not any("Export" in item for item in template.get("Outputs", {}).values()), name


def test_the_alarms_stand_before_the_first_task_runs(assembly: Assembly) -> None:
    order = [name for name in assembly.actions if name.endswith(".Deploy")]
    assert order == [
        "dev/prompt-hub-dev-ledger.Deploy",
        "dev/prompt-hub-dev-rollback.Deploy",
        "dev/prompt-hub-dev-service.Deploy",
    ]


def test_nothing_needs_a_custom_resource(assembly: Assembly) -> None:
    functions = []
    for template in assembly.templates.values():
        for resource in template["Resources"].values():
            kind = resource["Type"]
            assert not kind.startswith("Custom::"), kind
            assert kind != "AWS::CloudFormation::CustomResource"
            if kind == "AWS::Lambda::Function":
                functions.append(resource["Properties"]["FunctionName"])
    assert functions == [aws_names.rollback_function("dev")]


def test_what_is_found_by_name_has_that_name(assembly: Assembly) -> None:
    results = assembly.resources("evaluation", "AWS::S3::Bucket").values()
    assert [result["BucketName"] for result in results] == [
        {"Fn::Join": ["", ["prompt-hub-results-", {"Ref": "AWS::AccountId"}, "-us-east-1"]]}
    ]
    repository = assembly.only("image", "AWS::ECR::Repository")
    assert repository["RepositoryName"] == aws_names.image_repository()
    evaluation = assembly.only("evaluation", "AWS::CodeBuild::Project")
    assert evaluation["Name"] == aws_names.evaluation_project()
    pipeline = assembly.only("pipeline", "AWS::CodePipeline::Pipeline")
    assert pipeline["Name"] == aws_names.pipeline()
    table = assembly.only("dev-ledger", "AWS::DynamoDB::Table")
    assert table["TableName"] == aws_names.ledger_table("dev")
    cluster = assembly.only("dev-service", "AWS::ECS::Cluster")
    assert cluster["ClusterName"] == aws_names.cluster("dev")
    service = assembly.only("dev-service", "AWS::ECS::Service")
    assert service["ServiceName"] == aws_names.service("dev")
    definition = assembly.only("dev-service", "AWS::ECS::TaskDefinition")
    assert definition["Family"] == aws_names.service("dev")
    topic = assembly.only("dev-rollback", "AWS::SNS::Topic")
    assert topic["TopicName"] == aws_names.notification_topic("dev")


def test_the_connection_outlives_the_pipeline_and_its_approval_with_it(assembly: Assembly) -> None:
    (connection,) = (
        template
        for template in assembly.templates["prompt-hub-source"]["Resources"].values()
        if template["Type"] == "AWS::CodeConnections::Connection"
    )
    assert connection["DeletionPolicy"] == "RetainExceptOnCreate"
    assert connection["Properties"]["ProviderType"] == "GitHub"
