"""A bucket of ours: private, encrypted, kept."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_app import nag
from cdk_app.stack import KEPT


class PrivateBucket(Construct):
    """Only roles that are granted it get in, over TLS only; it survives its stack."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        rules: Sequence[s3.LifecycleRule],
        versioned: bool = False,
        key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            enforce_ssl=True,
            versioned=versioned,
            lifecycle_rules=[
                s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(1)),
                *rules,
            ],
            removal_policy=KEPT,
        )
        nag.acknowledge(
            self.bucket,
            {
                "S1": "Only roles of this app touch it; access logs would need a bucket of their"
                " own to say what CloudTrail's data events say with the caller's name."
            },
        )

    def let_in(self, role: str, actions: Sequence[str], keys: Sequence[str]) -> None:
        """Let a role of another account do `actions` with objects whose keys match `keys`.

        What that role may do is said by its own policy, too. It need not be there yet.
        """
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                actions=list(actions),
                principals=[others(role)],
                resources=[self.bucket.arn_for_objects(key) for key in keys],
            )
        )


def others(*roles: str) -> iam.PrincipalBase:
    """Roles of one other account, as a principal that need not be there yet."""
    (account,) = {role.split(":")[4] for role in roles}
    return iam.AccountPrincipal(account).with_conditions(
        {"ArnEquals": {"aws:PrincipalArn": list(roles)}}
    )
