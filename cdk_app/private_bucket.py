"""A bucket of ours: private, encrypted, kept."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
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
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
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
