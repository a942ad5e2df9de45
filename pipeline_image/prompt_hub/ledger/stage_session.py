"""Where a stage of another AWS account or region is reached from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prompt_hub.core import aws_names

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecs import ECSClient


def session_of(stage: str, kind: type[boto3.Session] | None = None) -> boto3.Session | None:
    """Return a session in the account and region of `stage`, `None` where they are this process's.

    A stage that lives elsewhere has a profile of its name in the configuration of AWS, which a
    build action of the pipeline writes for itself. botocore assumes the role that stands there.
    `kind` is the class of the session, where it is not boto3's own.
    """
    from botocore.session import Session

    profile = aws_names.stage_profile(stage)
    if profile not in Session().available_profiles:
        return None
    import boto3

    found = Session(profile=profile)
    # Else AWS_DEFAULT_REGION would win, and every build has that of the pipeline.
    region = found.get_scoped_config().get("region")
    return (kind or boto3.Session)(botocore_session=found, region_name=region)


def ecs_of(stage: str) -> ECSClient:
    """Return ECS as `stage` has it, wherever that lives."""
    import boto3

    return (session_of(stage) or boto3).client("ecs")
