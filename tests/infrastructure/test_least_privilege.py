"""Who may do what: each role has what its command needs, on what it needs it for."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch

import pytest

from tests.infrastructure.synthesised import Assembly, Json, listed

COMMANDS = (
    "Build/Synth",
    "Evaluate/Tests",
    "Promote/Promote",
    "Image/Image",
    "dev/Activate",
    "dev/SmokeTest",
    "dev/Drill",
    "dev/Record",
    "Verdict/Verdict",
)
ARTIFACTS = "prompt-hub-artifacts-"
EXAMPLE_SETS = "/examples/*.jsonl"
BUILD_LOGS = ("logs:", "codebuild:")


def flat(resource: object) -> str:
    """A resource as one string, good enough to look into."""
    return resource if isinstance(resource, str) else json.dumps(resource)


def may(statements: list[Json]) -> dict[str, set[str]]:
    """The services of a role's own permissions and the actions in each, CDK's own grants aside."""
    found: dict[str, set[str]] = {}
    for statement in statements:
        resources = [flat(item) for item in listed(statement["Resource"])]
        if statement["Effect"] != "Allow" or all(ARTIFACTS in resource for resource in resources):
            continue
        for action in listed(statement["Action"]):
            if not action.startswith(BUILD_LOGS):
                service, name = action.split(":")
                found.setdefault(service, set()).add(name)
    return found


def on(statements: list[Json], action: str) -> str:
    """Everything that `action` is allowed on."""
    return " ".join(
        flat(resource)
        for statement in statements
        if statement["Effect"] == "Allow" and action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    )


RUN_TASK = {"ecs": {"DescribeServices", "RunTask", "TagResource"}, "iam": {"PassRole"}}
RUN_TASK_AND_WAIT = {**RUN_TASK, "ecs": {*RUN_TASK["ecs"], "DescribeTasks"}}
CONNECTION = {"codestar-connections": {"UseConnection"}, "codeconnections": {"UseConnection"}}
READ = {"GetObject", "ListBucket"}


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("Build/Synth", {"s3": {*READ, "PutObject"}, "sns": {"Publish"}, **CONNECTION}),
        ("Evaluate/Tests", {"s3": {*READ, "PutObject"}, **CONNECTION}),
        (
            "Promote/Promote",
            {
                "s3": {*READ, "PutObject"},
                "sns": {"Publish"},
                "dynamodb": {"GetItem", "Query"},
                **CONNECTION,
            },
        ),
        (
            "Image/Image",
            {
                "ecr": {
                    "BatchCheckLayerAvailability",
                    "BatchGetImage",
                    "CompleteLayerUpload",
                    "GetAuthorizationToken",
                    "GetDownloadUrlForLayer",
                    "InitiateLayerUpload",
                    "PutImage",
                    "UploadLayerPart",
                },
                "dynamodb": {"GetItem", "Query"},
                "s3": {*READ, "PutObject"},
            },
        ),
        (
            "dev/Activate",
            {
                **RUN_TASK,
                "ecs": {*RUN_TASK["ecs"], "DescribeTaskDefinition"},
                "dynamodb": {"GetItem", "Query", "PutItem", "ConditionCheckItem"},
                "s3": READ,
            },
        ),
        ("dev/SmokeTest", {**RUN_TASK_AND_WAIT, "s3": READ}),
        (
            "dev/Drill",
            {
                **RUN_TASK_AND_WAIT,
                "dynamodb": {"GetItem", "Query", "PutItem", "ConditionCheckItem"},
                "s3": READ,
            },
        ),
        ("dev/Record", {"dynamodb": {"GetItem", "Query"}, "s3": {*READ, "PutObject"}}),
        ("Verdict/Verdict", {"s3": READ}),
    ],
)
def test_an_action_has_what_its_command_needs(
    assembly: Assembly, action: str, expected: dict[str, set[str]]
) -> None:
    assert may(assembly.role_of(action)) == expected


@pytest.mark.parametrize(
    ("action", "marks"), [("Evaluate/Tests", "tests"), ("Build/Synth", "templates")]
)
def test_what_remembers_green_runs_reads_and_writes_their_marks_and_no_other_result(
    assembly: Assembly, action: str, marks: str
) -> None:
    statements = assembly.role_of(action)
    for allowed in ("s3:GetObject", "s3:PutObject"):
        keys = [
            flat(resource)
            for statement in statements
            if allowed in listed(statement["Action"])
            for resource in listed(statement["Resource"])
            if ARTIFACTS not in flat(resource) and EXAMPLE_SETS not in flat(resource)
        ]
        assert len(keys) == 1
        assert f"/{marks}/*.json" in keys[0]


def test_those_read_example_sets_that_read_examples_and_nobody_writes_them(
    assembly: Assembly,
) -> None:
    found = {"s3:GetObject": set[str](), "s3:PutObject": set[str]()}
    for stack in assembly.templates:
        for role, statements in assembly.statements(stack.removeprefix("prompt-hub-")).items():
            for statement in statements:
                for action, roles in found.items():
                    if statement["Effect"] == "Allow" and action in listed(statement["Action"]):
                        resources = map(flat, listed(statement["Resource"]))
                        if any(EXAMPLE_SETS in resource for resource in resources):
                            roles.add(re.sub(r"(Role)?[0-9A-F]{8}$", "", role))
    assert found == {
        "s3:GetObject": {
            "Evaluate",
            "PipelineBuildSynthCdkBuildProject",
            "PipelinePromote",
            "PromptsSmoke",
            "PromptsWatch",
            "PullRequests",
        },
        "s3:PutObject": set(),
    }


def test_nobody_else_writes_marks_of_green_templates(assembly: Assembly) -> None:
    writers = {
        (stack, role)
        for stack in assembly.templates
        for role, statements in assembly.statements(stack.removeprefix("prompt-hub-")).items()
        for statement in statements
        if statement["Effect"] == "Allow"
        and any(fnmatch("s3:PutObject", action) for action in listed(statement["Action"]))
        for resource in map(flat, listed(statement["Resource"]))
        for key in re.findall(r'prompt-hub-results-.*-us-east-1/([^"]*)', resource)
        if fnmatch(f"templates/{'0' * 64}.json", key)
    }
    ((stack, role),) = writers
    assert stack == "prompt-hub-pipeline"
    assert "Synth" in role


def test_evaluation_calls_models_and_keeps_records(assembly: Assembly) -> None:
    (statements,) = assembly.statements("evaluation").values()
    assert may(statements) == {
        "s3": {*READ, "PutObject"},
        "bedrock": {"InvokeModel"},
        "dynamodb": {"GetItem", "Query"},
        **CONNECTION,
    }
    written = on(statements, "s3:PutObject")
    assert "/evaluations/*" in written
    assert "/verdicts/*" in written
    assert "releases" not in written
    for action in ("dynamodb:GetItem", "dynamodb:Query"):
        assert on(statements, action).count("table/prompt-hub-dev-ledger") == 1
    (project,) = assembly.resources("evaluation", "AWS::CodeBuild::Project").values()
    variables = project["Environment"]["EnvironmentVariables"]
    assert {"Name": "PROMPT_HUB_STAGES", "Type": "PLAINTEXT", "Value": "dev"} in variables


def of_service(assembly: Assembly, role: str) -> list[Json]:
    """The statements of the one role of the service's stack that is called so."""
    (found,) = (
        statements
        for name, statements in assembly.statements("dev-service").items()
        if role in name
    )
    return found


def namespaces(statements: list[Json]) -> list[Json]:
    """The conditions under which metrics are published."""
    return [
        statement["Condition"]
        for statement in statements
        if "cloudwatch:PutMetricData" in listed(statement["Action"])
    ]


def test_the_service_can_forge_nothing_that_a_rollback_counts(assembly: Assembly) -> None:
    """It reads what callers send: no sample, no score, no round of the watch, no call for one."""
    statements = of_service(assembly, "TaskRole")
    assert may(statements) == {
        "dynamodb": {"GetItem", "Query"},
        "bedrock": {"InvokeModel"},
        "cloudwatch": {"PutMetricData"},
    }
    (condition,) = namespaces(statements)
    assert condition == {"StringEquals": {"cloudwatch:namespace": "PromptHub/Service"}}


def test_the_smoke_test_writes_its_result_and_nothing_else(assembly: Assembly) -> None:
    statements = of_service(assembly, "SmokeRole")
    assert may(statements) == {"dynamodb": {"GetItem", "Query"}, "s3": {"GetObject", "PutObject"}}
    assert on(statements, "s3:GetObject").endswith(f'{EXAMPLE_SETS}"]]}}')
    written = on(statements, "s3:PutObject")
    assert written.endswith('/releases/*/dev-smoke.json"]]}')
    assert written.count("arn:") == 1


def test_the_watch_cannot_move_a_pointer(assembly: Assembly) -> None:
    statements = of_service(assembly, "WatchRole")
    assert may(statements) == {
        "dynamodb": {"GetItem", "Query", "PutItem"},
        "bedrock": {"InvokeModel"},
        "cloudwatch": {"PutMetricData"},
        "lambda": {"InvokeFunction"},
        "s3": {"GetObject", "PutObject"},
    }
    assert "smoke" not in on(statements, "s3:PutObject")
    # To ask is all that it may: that one function decides on the ledger.
    invoked = on(statements, "lambda:InvokeFunction")
    assert invoked.endswith(':function:prompt-hub-dev-rollback"]]}')
    assert "*" not in invoked
    (put,) = (node for node in statements if "dynamodb:PutItem" in listed(node["Action"]))
    assert put["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["SCORE#*"]}}
    (condition,) = namespaces(statements)
    assert condition == {"StringEquals": {"cloudwatch:namespace": "PromptHub"}}


def partitions(statements: list[Json]) -> set[str]:
    """What of a ledger may be written into."""
    (writing,) = (node for node in statements if "dynamodb:PutItem" in listed(node["Action"]))
    # A transaction's condition check counts as a write of the partition that it looks at.
    assert set(listed(writing["Action"])) == {"dynamodb:PutItem", "dynamodb:ConditionCheckItem"}
    ((test, condition),) = writing["Condition"].items()
    assert test == "ForAllValues:StringLike"
    return set(condition["dynamodb:LeadingKeys"])


POINTERS = {"HEAD", "ACTIVE"}


def test_what_moves_pointers_writes_its_own_partitions_and_no_samples(assembly: Assembly) -> None:
    """The scores decide about a rollback: whoever rolls back can write none."""
    (rollback,) = assembly.statements("dev-rollback").values()
    assert partitions(rollback) == {*POINTERS, "TASK#*", "OUTBOX"}
    assert partitions(assembly.role_of("dev/Activate")) == {*POINTERS, "TASK#*", "RELEASE"}
    assert partitions(assembly.role_of("dev/Drill")) == {*POINTERS, "TASK#prompt-hub-drill"}


def test_the_schedule_starts_the_watch_as_the_watch(assembly: Assembly) -> None:
    rule, asked = (
        found
        for found in assembly.resources("dev-service", "AWS::Events::Rule").values()
        if "EcsParameters" in found["Targets"][0]
    )
    assert rule["Targets"][0]["RoleArn"] == asked["Targets"][0]["RoleArn"]
    (target,) = rule["Targets"]
    (role,) = target["RoleArn"]["Fn::GetAtt"][:1]
    statements = assembly.statements("dev-service")[role]
    assert may(statements) == {"ecs": {"RunTask", "TagResource"}, "iam": {"PassRole"}}
    assert passed(statements) == {"prompt-hub-dev-watch", "prompt-hub-dev-execution"}


def test_the_rollback_lambda_changes_the_ledger_and_tells_people(assembly: Assembly) -> None:
    (statements,) = assembly.statements("dev-rollback").values()
    assert may(statements) == {
        "dynamodb": {"GetItem", "Query", "PutItem", "ConditionCheckItem"},
        "cloudwatch": {"DescribeAlarms", "GetMetricData", "PutMetricData"},
        "events": {"PutEvents"},
        "sns": {"Publish"},
        "xray": {"PutTraceSegments", "PutTelemetryRecords"},
    }


def test_models_are_named(assembly: Assembly) -> None:
    for stack in ("evaluation", "dev-service", "github-oidc"):
        for statements in assembly.statements(stack).values():
            called = on(statements, "bedrock:InvokeModel").split()
            assert called in (
                [],
                [
                    "arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-oss-120b-1:0",
                    "arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-oss-20b-1:0",
                ],
            )


def passed(statements: list[Json]) -> set[str]:
    """The roles that may be handed on, to ECS and to no other service."""
    (passing,) = (node for node in statements if "iam:PassRole" in listed(node["Action"]))
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    return {json.dumps(item).split(":role/")[1].split('"')[0] for item in passing["Resource"]}


@pytest.mark.parametrize(
    ("action", "role"), [("Activate", "watch"), ("Drill", "watch"), ("SmokeTest", "smoke")]
)
def test_build_actions_hand_on_only_the_role_of_what_they_start(
    assembly: Assembly, action: str, role: str
) -> None:
    statements = assembly.role_of(f"dev/{action}")
    assert passed(statements) == {f"prompt-hub-dev-{role}", "prompt-hub-dev-execution"}
    (running,) = (node for node in statements if "ecs:RunTask" in listed(node["Action"]))
    assert "cluster/prompt-hub-dev" in json.dumps(running["Condition"]["ArnEquals"])
    (tagging,) = (node for node in statements if "ecs:TagResource" in listed(node["Action"]))
    assert ":task/prompt-hub-dev/*" in flat(tagging["Resource"])
    assert tagging["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}


def test_promotion_reads_the_ledger_of_every_stage_and_writes_none(assembly: Assembly) -> None:
    statements = assembly.role_of("Promote/Promote")
    for action in ("dynamodb:GetItem", "dynamodb:Query"):
        assert on(statements, action).count("table/prompt-hub-dev-ledger") == 1
    variables = assembly.project("Promote/Promote")["Environment"]["EnvironmentVariables"]
    assert {"Name": "PROMPT_HUB_STAGES", "Type": "PLAINTEXT", "Value": "dev"} in variables


def test_a_rollback_may_start_the_one_pipeline_and_do_nothing_else(assembly: Assembly) -> None:
    (rule,) = (
        found
        for found in assembly.resources("pipeline", "AWS::Events::Rule").values()
        if found.get("EventPattern", {}).get("source") == ["prompt-hub.rollback"]
    )
    assert rule["EventPattern"]["detail-type"] == ["PromptRolledBack"]
    (target,) = rule["Targets"]
    (pipeline,) = assembly.resources("pipeline", "AWS::CodePipeline::Pipeline")
    assert flat(target["Arn"]).endswith(f'{{"Ref": "{pipeline}"}}]]}}')
    (role,) = target["RoleArn"]["Fn::GetAtt"][:1]
    (statement,) = assembly.statements("pipeline")[role]
    assert listed(statement["Action"]) == ["codepipeline:StartPipelineExecution"]
    assert statement["Resource"] == target["Arn"]


def test_images_are_pushed_to_one_repository(assembly: Assembly) -> None:
    assert on(assembly.role_of("Image/Image"), "ecr:PutImage").endswith(
        ':repository/prompt-hub"]]}'
    )


def test_no_role_of_ours_has_a_wildcard_in_an_action(assembly: Assembly) -> None:
    for action in COMMANDS:
        for actions in may(assembly.role_of(action)).values():
            assert not any("*" in name for name in actions), action


def test_no_managed_policy_widens_a_role(assembly: Assembly) -> None:
    for name, template in assembly.templates.items():
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::IAM::Role":
                assert "ManagedPolicyArns" not in resource["Properties"], name


def test_the_role_that_deploys_reads_the_artifacts_that_it_deploys(assembly: Assembly) -> None:
    """Its bootstrap lets it read buckets of other accounts only: the bucket has to let it in."""
    (stages,) = (
        pipeline["Stages"]
        for pipeline in assembly.resources("pipeline", "AWS::CodePipeline::Pipeline").values()
    )
    deploying = {
        json.dumps(action["RoleArn"])
        for stage in stages
        for action in stage["Actions"]
        if action["ActionTypeId"]["Provider"] == "CloudFormation"
    }
    assert len(deploying) == 1
    assert "cdk-hnb659fds-deploy-role-" in deploying.pop()
    (policy,) = assembly.resources("source", "AWS::S3::BucketPolicy").values()
    (allowed,) = (
        statement
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    )
    assert "role/cdk-hnb659fds-deploy-role-" in json.dumps(allowed["Principal"])
    assert allowed["Action"] == ["s3:GetBucket*", "s3:GetObject*", "s3:List*"]
    assert len(allowed["Resource"]) == 2
