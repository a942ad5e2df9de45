"""All stacks of the app, wired together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from aws_cdk import App

from cdk_app import arns, nag
from cdk_app.settings import Settings
from cdk_app.stack import tag
from cdk_app.tasks import Task
from cdk_app.trust import only_for_this_account
from prompt_hub.core import aws_names
from stacks.access import StageAccess
from stacks.evaluation import EvaluationStack
from stacks.github_oidc import GithubOidcStack
from stacks.image import ImageStack
from stacks.pipeline import PipelineStack
from stacks.release_stage import ReleaseStage
from stacks.source import SourceStack


def add_stacks(
    app: App, *, settings: Settings, tasks: Sequence[Task], release: str, root: Path
) -> PipelineStack:
    """Add the toolchain, the pipeline and its stages to `app`.

    The pipeline stack depends on every toolchain stack: deploying it, by hand or by its own
    self-mutation, brings them along.
    """
    # Names are asked for all over the app, and there is one app in a process.
    os.environ[aws_names.ENV_INSTALLATION] = settings.installation
    arns.name_ledgers(app, settings.ledger_tables)
    tag(app, settings)
    only_for_this_account(app)
    source = SourceStack(app, aws_names.source_stack(), settings=settings)
    access = StageAccess(app, settings)
    image = ImageStack(app, aws_names.named("image"), settings=settings)
    evaluation = EvaluationStack(
        app,
        aws_names.named("evaluation"),
        settings=settings,
        tasks=tasks,
        connection_arn=source.connection_arn,
        access=access,
    )
    github = GithubOidcStack(app, aws_names.named("github-oidc"), settings=settings)
    releases = [
        ReleaseStage(app, settings=settings, stage=stage, tasks=tasks, release=release, root=root)
        for stage in settings.stages
    ]
    pipeline = PipelineStack(
        app,
        aws_names.pipeline_stack(),
        settings=settings,
        tasks=tasks,
        releases=releases,
        evaluation=evaluation.project,
        access=access,
        source=source,
        root=root,
    )
    for toolchain in (source, image, evaluation, github, *access.stacks.values()):
        pipeline.add_stack_dependency(toolchain)
    # The project's role reads the artifact bucket, which is named, not referenced.
    evaluation.add_stack_dependency(source)
    # Only now has the pipeline granted the project what its actions need.
    nag.acknowledge_build(evaluation.project)
    return pipeline
