"""Files of records: the bucket into which they are dropped, and who may answer them."""

from __future__ import annotations

from typing import cast

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_app import nag, records_permissions
from cdk_app.private_bucket import PrivateBucket
from cdk_app.records_definition import RUN_DAYS
from cdk_app.settings import Settings
from cdk_app.stack import StageStack
from cdk_app.stage_settings import RecordsSettings, StageSettings
from prompt_hub.core import aws_names


class RecordsStack(StageStack):
    """What outlives a release of a stage whose settings say `records`.

    What answers the files is beside the service: `cdk_app.records_machine`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        stage: StageSettings,
        records: RecordsSettings,
    ) -> None:
        super().__init__(scope, construct_id, stage=stage, purpose="files of records")
        name = aws_names.records_bucket(stage.name, Stack.of(self).account)
        self._build_bucket(name, records)
        self._build_role(settings, stage)
        CfnOutput(
            self,
            "Drop",
            value=f"s3://{name}/{aws_names.INCOMING}TASK/FILE",
            description="Where a file of records goes",
        )

    def _build_bucket(self, name: str, records: RecordsSettings) -> None:
        expiration = Duration.days(records.expire_days)
        bucket = PrivateBucket(
            self,
            "Records",
            name=name,
            # A run is of one version of a file, also if another one is dropped under its name.
            versioned=True,
            rules=[
                s3.LifecycleRule(
                    id="Dropped",
                    prefix=aws_names.INCOMING,
                    expiration=expiration,
                    # A run that failed may still go on with what was dropped before.
                    noncurrent_version_expiration=Duration.days(2 * RUN_DAYS),
                ),
                s3.LifecycleRule(
                    id="Work",
                    prefix=aws_names.WORK,
                    expiration=expiration,
                    noncurrent_version_expiration=Duration.days(1),
                ),
                # What stays, stays in its newest version.
                *(
                    s3.LifecycleRule(
                        id=prefix.strip("/").title(),
                        prefix=prefix,
                        noncurrent_version_expiration=Duration.days(1),
                    )
                    for prefix in (aws_names.RUNS, aws_names.INDEX)
                ),
            ],
        )
        # Said here: CDK's own parameter would set it by a custom resource.
        made = cast(s3.CfnBucket, bucket.bucket.node.default_child)
        made.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )

    def _build_role(self, settings: Settings, stage: StageSettings) -> None:
        role = iam.Role(
            self,
            "Role",
            role_name=aws_names.records_role(stage.name),
            description="Containers that answer files of records",
            assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
        )
        models = settings.models_of(stage).values()
        results = settings.results_bucket(self.account)
        nag.grant(role, records_permissions.answer_records(self, stage.name, models, results))
