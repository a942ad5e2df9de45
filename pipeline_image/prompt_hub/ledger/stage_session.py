"""Where a stage's ledger is: in which account and region, and under which name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecs import ECSClient


def table_of(stage: str, root: str | Path | None = None) -> str:
    """Return the name of the ledger of `stage`: its own, or that of the table restored from it.

    What the environment does not say, the `cdk.json` of a clone does: of `root`, or of the folder
    that the environment names.

    Raises `PromptHubError` where the variable that names restored tables does not say which.
    """
    restored: dict[str, str] = {}
    for pair in filter(None, os.environ.get(aws_names.ENV_LEDGER_TABLES, "").split(",")):
        name, _, table = pair.partition("=")
        if not name or not table or name in restored:
            raise PromptHubError(
                f"{aws_names.ENV_LEDGER_TABLES} has {pair!r}.",
                hint="Write STAGE=TABLE, each stage once, separated by commas.",
            )
        restored[name] = table
    if stage in restored:
        return restored[stage]
    return aws_names.restored_ledger(stage, root) or aws_names.ledger_table(
        stage, of=aws_names.installation(root)
    )


def session_of(stage: str | None, kind: type[boto3.Session] | None = None) -> boto3.Session | None:
    """Return a session in the account and region of `stage`, `None` where they are this process's.

    A stage that lives elsewhere has a profile of its name in the configuration of AWS, which a
    build action of the pipeline writes for itself. botocore assumes the role that stands there.
    `kind` is the class of the session, where it is not boto3's own. Without a stage there is none.
    """
    if not stage:
        return None
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
