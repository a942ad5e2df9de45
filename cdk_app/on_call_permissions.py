"""What people on call may do in a stage: the commands of docs/operations.md, and the console."""

from __future__ import annotations

from constructs import Construct

from cdk_app import arns, permissions
from cdk_app.permissions import Permission, allow
from prompt_hub.core import aws_names


def be_on_call(scope: Construct, stage: str, *, with_results: bool) -> tuple[Permission, ...]:
    """Run the commands of docs/operations.md about a stage: ledger, watch, drill, trace, console.

    `with_results`: the pipeline and what it leaves lie in the stage's own account and region.
    """
    return (
        *permissions.read_alarms(scope),
        *permissions.read_metrics(),
        *permissions.decide(scope, stage),
        *permissions.see_service(scope, stage),
        *permissions.start_watch(scope, stage),
        *permissions.wait_for_tasks(scope, stage),
        allow(
            ["ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions"],
            ["*"],
            wildcard="Neither knows a task definition as its resource. Read only, and no definition"
            " of ours holds a secret.",
        ),
        allow(
            ["logs:FilterLogEvents"],
            [
                f"{arns.log_group(scope, name)}:*"
                for name in (
                    aws_names.rollback_log_group(stage),
                    aws_names.service_log_group(stage),
                )
            ],
            wildcard="The log group, as IAM writes it: the colon and all of its streams.",
        ),
        *(_read_evidence(scope, stage) + _see_pipeline(scope) if with_results else ()),
    )


def _read_evidence(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Read what a release was made of, how a drill ended, and what the score watch was answered.

    An evaluation is shown beside its examples, a large set of which lies in the bucket, too.
    """
    return (
        *permissions.read_results(
            scope,
            aws_names.manifest_key("*"),
            aws_names.image_key("*"),
            aws_names.promotion_key("*"),
            aws_names.evaluation_key("*", "*"),
            aws_names.evaluation_details_key("*", "*"),
            aws_names.drill_key("*", stage),
            aws_names.sample_key(stage, "*", "*"),
        ),
        *permissions.read_example_sets(scope),
        allow(["ecr:BatchGetImage", "ecr:DescribeImages"], [arns.image_repository(scope)]),
    )


def _see_pipeline(scope: Construct) -> tuple[Permission, ...]:
    """See what the pipeline does, and what its builds write: the pages Pipeline of the console."""
    return (
        allow(
            ["codepipeline:ListActionExecutions", "codepipeline:ListPipelineExecutions"],
            [arns.pipeline(scope)],
        ),
        allow(
            ["codebuild:BatchGetBuilds"],
            [arns.build_project(scope, aws_names.named("*"))],
            wildcard="Every project of this installation: one for each action of the pipeline. Read"
            " only, and no build of ours has a secret in its variables.",
        ),
        allow(
            ["logs:GetLogEvents"],
            [
                f"{arns.log_group(scope, aws_names.log_group(of))}:*"
                for of in ("evaluation", "pipeline")
            ],
            wildcard="The log group, as IAM writes it: the colon and all of its streams.",
        ),
    )
