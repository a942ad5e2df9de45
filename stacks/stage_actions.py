"""What the pipeline does in a stage once a release is deployed there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, Stack, pipelines

from cdk_app import arns, permissions, toolchain
from cdk_app.build_action import EXECUTION_ID, CommandStep
from cdk_app.model_settings import models_json
from cdk_app.permissions import Permission
from cdk_app.settings import Settings
from cdk_app.stage_settings import StageSettings
from prompt_hub.core import aws_names
from stacks.access import StageAccess, Wanted

_SET_UP_MINUTES = 15
"""What a build that waits has for everything but waiting."""


def stage_actions(
    scope: Stack,
    *,
    settings: Settings,
    access: StageAccess,
    stage: StageSettings,
    tree: pipelines.IFileSetProducer,
    environment: Mapping[str, str],
    earlier: Sequence[str],
) -> list[CommandStep]:
    """Build the actions of `stage` in their order; `earlier` are the stages before it."""
    name = stage.name
    common = {
        **environment,
        aws_names.ENV_STAGE: name,
        aws_names.ENV_LEDGER_TABLE: arns.ledger_table(scope, name),
        aws_names.ENV_RELEASE: EXECUTION_ID,
        aws_names.ENV_MODELS: models_json(settings.models_of(stage)),
    }

    def action(
        step: str,
        command: str,
        wanted: Wanted,
        granted: Sequence[Permission],
        *,
        more: Mapping[str, str] | None = None,
        timeout: Duration | None = None,
    ) -> CommandStep:
        """Build one, with what it wants to do in stages and what it may do here."""
        there = access.of(scope, f"{step.lower()}-{name}", wanted)
        return CommandStep(
            step,
            source=tree,
            commands=[f"{toolchain.CLI} {command}"],
            environment={**common, **(more or {})},
            access=there,
            granted=(*there.granted, *granted),
            timeout=timeout,
        )

    actions = [
        # It reads the ledgers of the stages that the release has passed.
        action(
            "Activate",
            "activate",
            {
                **{each: [permissions.read_ledger] for each in earlier},
                name: [
                    permissions.activate,
                    permissions.see_service,
                    permissions.start_watch,
                    permissions.read_running_image,
                ],
            },
            permissions.read_results(scope, aws_names.manifest_key("*")),
            more={aws_names.ENV_EARLIER_STAGES: ",".join(earlier)} if earlier else None,
        ),
        action(
            "SmokeTest",
            "smoke-test",
            {
                name: [
                    permissions.see_service,
                    permissions.start_smoke_test,
                    permissions.wait_for_tasks,
                ]
            },
            permissions.read_results(scope, aws_names.smoke_key("*", name)),
        ),
    ]
    if stage.drill:
        drill = action(
            "Drill",
            "drill",
            {
                name: [
                    permissions.drill,
                    permissions.see_service,
                    permissions.start_watch,
                    permissions.wait_for_tasks,
                ]
            },
            permissions.read_results(scope, aws_names.drill_key("*", name)),
        )
        actions.append(drill)
    record = action(
        "Record",
        "record",
        {name: [permissions.read_ledger]},
        (
            *permissions.read_results(
                scope, aws_names.manifest_key("*"), aws_names.smoke_key("*", name)
            ),
            *permissions.write_results(scope, aws_names.release_key("*", name)),
        ),
    )
    actions.append(record)
    if stage.soak:
        # The last action of a stage that asks for it: meanwhile no newer release comes.
        soak = action(
            "Soak",
            f"soak --rounds {stage.soak.rounds} --minutes {stage.soak.minutes}"
            f" --limit-minutes {stage.soak.limit_minutes}",
            {name: [permissions.read_ledger]},
            permissions.read_results(scope, aws_names.manifest_key("*")),
            # The command itself gives up first, and says why.
            timeout=Duration.minutes(stage.soak.limit_minutes + _SET_UP_MINUTES),
        )
        actions.append(soak)
    return actions
