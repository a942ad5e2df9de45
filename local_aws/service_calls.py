"""What services of AWS ask IAM for by themselves, with a role that they were given.

Pure: what is to be done in, the checks out. `service_roles` asks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local_aws.permission_checks import Check


def of_log(place: str, group: str, stream: str = "") -> Iterator[Check]:
    """Yield what writing a log takes; `place` is `region:account`."""
    arn = f"arn:aws:logs:{place}:log-group:{group}:log-stream:{stream}"
    for name in ("CreateLogStream", "PutLogEvents"):
        yield Check(action=f"logs:{name}", resource=arn)


def of_container(place: str, container: Mapping[str, Any]) -> Iterator[Check]:
    """Yield what ECS needs to start a container: its image, its log, its secrets."""
    registry, _, repository = container["image"].partition("/")
    if ".dkr.ecr." in registry:
        yield Check(action="ecr:GetAuthorizationToken", resource="*")
        arn = f"arn:aws:ecr:{place}:repository/{repository.rpartition(':')[0]}"
        for name in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
            yield Check(action=f"ecr:{name}", resource=arn)
    log = container.get("logConfiguration") or {}
    if log.get("logDriver") == "awslogs":
        yield from of_log(place, log["options"]["awslogs-group"])
    for secret in container.get("secrets") or []:
        # What follows the seventh part is a key, a stage and a version of the secret.
        arn = ":".join(secret["valueFrom"].split(":")[:7])
        in_manager = ":secretsmanager:" in arn
        action = "secretsmanager:GetSecretValue" if in_manager else "ssm:GetParameters"
        yield Check(action=action, resource=arn)


def of_artifact(bucket: str, key: str, *, write: bool = False) -> Check:
    """Return what getting or putting an artifact takes."""
    action = "s3:PutObject" if write else "s3:GetObject"
    return Check(action=action, resource=f"arn:aws:s3:::{bucket}/{key}")


def of_connection(arn: str) -> Check:
    """Ask to read what a connection leads to; IAM calls the service by the name in the ARN."""
    parts = arn.split(":")
    service = parts[2] if len(parts) > 2 else "codeconnections"
    keys = {f"{service}:ProviderPermissionsRequired".lower(): "read_only"}
    return Check(action=f"{service}:UseConnection", resource=arn, keys=keys)
