"""The connection to the repository, and the bucket that build artifacts travel through."""

from __future__ import annotations

from aws_cdk import CfnOutput, DefaultStackSynthesizer, Duration, Fn, Stack
from aws_cdk import aws_codeconnections as codeconnections
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_app import arns
from cdk_app.private_bucket import PrivateBucket
from cdk_app.settings import Settings
from cdk_app.stack import KEPT, ToolchainStack
from prompt_hub.core import aws_names


def artifact_bucket_name(stack: Stack) -> str:
    """Name of the bucket of build artifacts."""
    return aws_names.named("artifacts", stack.account, stack.region)


class SourceStack(ToolchainStack):
    """Apart from the pipeline, so that the evaluation project can use both, and so that a
    replaced pipeline never loses a connection that a person has approved.

    The connection is PENDING until then.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(
            scope, construct_id, settings=settings, purpose="the connection to the repository"
        )
        connection = codeconnections.CfnConnection(
            self, "Connection", connection_name=aws_names.installation(), provider_type="GitHub"
        )
        connection.apply_removal_policy(KEPT)
        made = connection.attr_connection_arn
        self.connection_arn = settings.connection_arn or made
        if settings.connection_arn:
            # Stacks that are deployed take it from here until they are deployed anew, and
            # CloudFormation lets nobody take away or change what another stack takes.
            self.export_value(made)
        crossing = any(map(settings.has_own_account, settings.stages))
        self.artifact_key = self._build_key() if crossing else None
        """Where stages have accounts of their own; CDK lets the CDK's roles there use it."""
        artifacts = PrivateBucket(
            self,
            "Artifacts",
            name=artifact_bucket_name(self),
            rules=[s3.LifecycleRule(expiration=Duration.days(30))],
            key=self.artifact_key,
        )
        # It reads the templates. Its own policy reads buckets of other accounts only, and CDK
        # grants nothing on a bucket that the pipeline knows by name.
        artifacts.bucket.grant_read(self._deploy_role())
        for account, region in settings.places_elsewhere:
            if account != settings.account and region == settings.region:
                # Elsewhere CDK Pipelines makes copies, and lets that region's role in itself.
                deployer = arns.bootstrap_role(self, "deploy", account=account, region=region)
                artifacts.let_in(deployer, ["s3:GetObject*"], ["*"])
        CfnOutput(self, "ConnectionArn", value=self.connection_arn)

    def _build_key(self) -> kms.Key:
        """Build a key for the artifacts: S3's own opens for one account alone."""
        return kms.Key(
            self,
            "ArtifactKey",
            description="Build artifacts that stages in other accounts take",
            enable_key_rotation=True,
            removal_policy=KEPT,
        )

    def _deploy_role(self) -> iam.IRole:
        """Return the role of CDK's bootstrap that the pipeline deploys with."""
        synthesizer = self.synthesizer
        if not isinstance(synthesizer, DefaultStackSynthesizer):
            raise TypeError(f"{self.node.path} is deployed without the roles of a bootstrap")
        return iam.Role.from_role_arn(
            self,
            "Deployment",
            Fn.sub(synthesizer.deploy_role_arn),
            mutable=False,
            add_grants_to_resources=True,
        )
