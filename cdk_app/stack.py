"""What all stacks of the toolchain, and all stacks of a stage, have in common."""

from __future__ import annotations

from aws_cdk import Environment, RemovalPolicy, Stack, Tags
from constructs import Construct

from cdk_app.settings import Settings
from cdk_app.stage_settings import StageSettings
from prompt_hub.core import aws_names

KEPT = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
"""What holds state outlives its stack, but not a creation that failed.

All of it has a fixed name: what a first deployment that was taken back left behind would keep every
further one from making it.
"""


def environment(settings: Settings, stage: StageSettings | None = None) -> Environment:
    """Where the toolchain or `stage` is deployed; without an account, that of the credentials."""
    if stage is None:
        return Environment(account=settings.account, region=settings.region)
    return Environment(account=settings.account_of(stage), region=settings.region_of(stage))


def tag(scope: Construct, settings: Settings) -> None:
    """Give the installation's tags to all in `scope`, but to no `Stage` in it: CDK stops there."""
    for key, value in settings.tags.items():
        Tags.of(scope).add(key, value)


class ToolchainStack(Stack):
    """A stack that exists once, whatever the number of stages; `purpose` ends its description."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, purpose: str
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=environment(settings),
            description=f"Prompt Hub toolchain: {purpose}",
        )


class StageStack(Stack):
    """A stack of one stage, named after the stage and its construct id."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: StageSettings, purpose: str
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            stack_name=aws_names.named(stage.name, construct_id.lower()),
            description=f"Prompt Hub {stage.name}: {purpose}",
        )
