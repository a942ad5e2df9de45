"""The role of people on call: what the runbook's commands about a stage need."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_app import nag, on_call_permissions, records_permissions
from cdk_app.stage_settings import OnCallSettings
from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelConfig

SHIFT_HOURS = 4
"""How long credentials are good for; a chain of roles ends them after an hour all the same."""


class OnCallRole(Construct):
    """Lets the named principals be on call for one stage.

    It asks for the account and for the principal by a condition: a principal that is named in a
    trust has to exist, and a release would fail on a person who has left.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        who: OnCallSettings,
        with_results: bool,
        with_records: bool,
        models: Iterable[ModelConfig],
    ) -> None:
        super().__init__(scope, construct_id)
        accounts = sorted({principal.split(":")[4] for principal in who.principals})
        present = {"Bool": {"aws:MultiFactorAuthPresent": "true"}} if who.mfa else {}
        role = iam.Role(
            self,
            "Role",
            role_name=aws_names.on_call_role(stage),
            description=f"People on call for {stage}",
            max_session_duration=Duration.hours(SHIFT_HOURS),
            assumed_by=iam.CompositePrincipal(*map(iam.AccountPrincipal, accounts)).with_conditions(
                {"ArnEquals": {"aws:PrincipalArn": list(who.principals)}, **present}
            ),
        )
        granted = on_call_permissions.be_on_call(self, stage, with_results=with_results)
        if with_records:
            granted += records_permissions.take_up_records(self, stage)
        if who.repair:
            granted += records_permissions.repair_records(self, stage, models)
        nag.grant(role, granted)
