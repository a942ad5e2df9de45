"""How build actions act in a stage that lives in another account or region than the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_app import arns, nag, permissions
from cdk_app.build_action import Access
from cdk_app.permissions import Permission
from cdk_app.settings import Settings
from cdk_app.stack import environment
from cdk_app.stage_settings import StageSettings
from prompt_hub.core import aws_names

Wanted = Mapping[str, Sequence[Callable[[Construct, str], Sequence[Permission]]]]
"""What an action may do in each stage, by the stage's name."""


class AccessStack(Stack):
    """The roles that build actions assume in one stage.

    It is no stack of the stage's release: Evaluate and Promote ask a stage's ledger before the
    first release of that stage, and are told then that there is none yet.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, stage: StageSettings
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=environment(settings, stage),
            description=f"Prompt Hub {stage.name}: what build actions of the pipeline may do there",
        )

    def add_role(
        self, action: str, *, stage: str, builder: str, wanted: Sequence[Permission]
    ) -> str:
        """Make the role that only the role `builder` may assume; returns its ARN."""
        name = aws_names.named(stage, "for", action)
        account = builder.split(":")[4]
        role = iam.Role(
            self,
            action,
            role_name=name,
            description=f"What {action} of the pipeline may do in {stage}",
            # The account and a condition: a principal would have to be there before.
            assumed_by=iam.AccountPrincipal(account).with_conditions(
                {"ArnEquals": {"aws:PrincipalArn": builder}}
            ),
        )
        nag.grant(role, wanted)
        return arns.role(self, name)


class StageAccess:
    """Lets build actions act in every stage: directly, or as a role of a stage that is elsewhere.

    A role there has what the action is granted there and no more, and trusts that action alone.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self._settings = settings
        self.stacks = {
            stage.name: AccessStack(
                app, aws_names.named(stage.name, "access"), settings=settings, stage=stage
            )
            for stage in settings.stages
            if settings.is_elsewhere(stage)
        }

    def of(self, scope: Construct, action: str, wanted: Wanted) -> Access:
        """Return what `action`, whose project is in `scope`, gets for what it wants to do."""
        granted: list[Permission] = []
        roles: list[str] = []
        lines: list[str] = []
        name = aws_names.named("build", action)
        for stage, kinds in wanted.items():
            there = self.stacks.get(stage)
            allowed = [each for kind in kinds for each in kind(there or scope, stage)]
            if there is None:
                granted += allowed
                continue
            builder = arns.role(scope, name)
            roles.append(there.add_role(action, stage=stage, builder=builder, wanted=allowed))
            lines += (
                f"[profile {aws_names.stage_profile(stage)}]",
                f"role_arn = {roles[-1]}",
                "credential_source = EcsContainer",
                f"region = {there.region}",
            )
        if not roles:
            return Access(granted=tuple(granted))
        text = " ".join(f"'{line}'" for line in lines)
        return Access(
            granted=(*granted, *permissions.assume(roles)),
            commands=(f"mkdir -p ~/.aws && printf '%s\\n' {text} > ~/.aws/config",),
            role_name=name,
        )
