"""The repository of release images."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_app import arns
from cdk_app.private_bucket import others
from cdk_app.settings import Settings
from cdk_app.stack import KEPT, ToolchainStack
from prompt_hub.core import aws_names

KEPT_IMAGES = 500
"""How many release images stay.

Every push makes one, and a stage that waits for an approval goes on running an old one: each task
that ECS starts pulls it again. They share all layers but the last, so 500 cost little.
"""


class ImageStack(ToolchainStack):
    """One repository, one immutable tag a release.

    Lifecycle rules know nothing of what ECS runs: no rule here goes by a release's age.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(
            scope, construct_id, settings=settings, purpose="the repository of release images"
        )
        repository = ecr.Repository(
            self,
            "Images",
            repository_name=aws_names.image_repository(),
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            removal_policy=KEPT,
        )
        for stage in settings.stages:
            if settings.has_own_account(stage):
                role = arns.execution_role_name(stage.name)
                repository.add_to_resource_policy(
                    iam.PolicyStatement(
                        actions=[
                            "ecr:BatchCheckLayerAvailability",
                            "ecr:BatchGetImage",
                            "ecr:GetDownloadUrlForLayer",
                        ],
                        principals=[
                            others(arns.role_in(self, str(settings.account_of(stage)), role))
                        ],
                    )
                )
        repository.add_lifecycle_rule(
            description="What a retry left without a tag",
            tag_status=ecr.TagStatus.UNTAGGED,
            max_image_age=Duration.days(1),
        )
        repository.add_lifecycle_rule(
            description="The newest releases",
            tag_status=ecr.TagStatus.TAGGED,
            tag_pattern_list=["*"],
            max_image_count=KEPT_IMAGES,
        )
