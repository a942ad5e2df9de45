"""What starts the pipeline: pushes of what people write, and a rollback that git must learn of."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from cdk_app import arns
from prompt_hub.core import aws_names

PATHS = (
    # What people write. Promotion writes 02-production, 04-evals, 99-archive and
    # prompt_registry.yaml: its commits must start nothing, so no pattern here matches those.
    "prompts/00-templates/**",
    "prompts/01-examples/**",
    "prompts/03-metadata/**",
    # Code and tests.
    "pipeline_image/**",
    "{cdk_app,stacks,lambdas,scorers}/**",
    "tests/**",
    # Files of the root, by suffix: the registry is the only YAML file there.
    "*.{py,json,toml,txt,lock,ini,cfg}",
    "{.dockerignore,.npmrc,.cfnlintrc,Makefile}",
)
"""Include patterns of the trigger; CodePipeline takes eight at most."""


def start_on_push(pipeline: codepipeline.Pipeline, *, branch: str) -> None:
    """Start on pushes to `branch` that touch `PATHS`; CDK Pipelines itself knows no triggers."""
    source = pipeline.stage("Source").actions[0]
    pipeline.add_trigger(
        provider_type=codepipeline.ProviderType.CODE_STAR_SOURCE_CONNECTION,
        git_configuration=codepipeline.GitConfiguration(
            source_action=source,
            push_filter=[
                codepipeline.GitPushFilter(
                    branches_includes=[branch], file_paths_includes=list(PATHS)
                )
            ],
        ),
    )


def start_on_rollback(scope: Construct, pipeline: codepipeline.Pipeline) -> None:
    """Start when a rollback Lambda says that it moved a pointer: Promote writes it into git.

    The rule's role may start this one pipeline and do nothing else. An event that is lost costs
    time only: Promote asks the ledgers, not the event.
    """
    events.Rule(
        scope,
        "RolledBack",
        description="Starts the pipeline, which writes a rollback into git",
        event_pattern=events.EventPattern(
            source=[aws_names.event_source()], detail_type=[aws_names.EVENT_ROLLED_BACK]
        ),
        targets=[targets.CodePipeline(pipeline)],
    )


def send_rollbacks_on(scope: Construct, *, stage: str, bus: str) -> None:
    """Send what the rollback Lambda of `stage` says to the pipeline's bus, which is elsewhere."""
    events.Rule(
        scope,
        "SentOn",
        description="Tells the pipeline of rollbacks",
        event_pattern=events.EventPattern(
            source=[aws_names.event_source()],
            detail_type=[aws_names.EVENT_ROLLED_BACK],
            # Two stages may share a bus.
            detail={"stage": [stage]},
        ),
        targets=[targets.EventBus(events.EventBus.from_event_bus_arn(scope, "Bus", bus))],
    )


def hear_of_rollbacks_in(scope: Construct, accounts: Iterable[str]) -> None:
    """Let other accounts say that a pointer moved, and nothing else: it starts the pipeline."""
    for account in accounts:
        events.CfnEventBusPolicy(
            scope,
            f"RollbacksIn{account}",
            statement_id=aws_names.named("rollbacks", account),
            statement={
                "Effect": "Allow",
                "Principal": {"AWS": arns.root_of(scope, account)},
                "Action": "events:PutEvents",
                "Resource": arns.default_event_bus(scope),
                "Condition": {
                    "StringEquals": {
                        "events:source": aws_names.event_source(),
                        "events:detail-type": aws_names.EVENT_ROLLED_BACK,
                    }
                },
            },
        )
