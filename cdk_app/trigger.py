"""What starts the pipeline: pushes of what people write, and a rollback that git must learn of."""

from __future__ import annotations

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

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
            source=[aws_names.EVENT_SOURCE], detail_type=[aws_names.EVENT_ROLLED_BACK]
        ),
        targets=[targets.CodePipeline(pipeline)],
    )
