"""Whether account and region are bootstrapped for the CDK, and newly enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prompt_hub.doctor.base import Check, Finding
from prompt_hub.doctor.readers import Readers

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

LEAST_VERSION = 6
"""What each of our templates asks for, in its rule `CheckBootstrapVersion`."""
_COMMAND = "make bootstrap"


def _examine(readers: Readers) -> Iterator[Finding]:
    parameter = f"/cdk-bootstrap/{readers.cdk_json.context.qualifier}/version"
    for session in readers.sessions:
        yield from _look(session.client("ssm"), parameter)


def _look(ssm: SSMClient, parameter: str) -> Iterator[Finding]:
    where = ssm.meta.region_name
    mend = f"Bootstrap this account and region ({where})."
    try:
        version = ssm.get_parameter(Name=parameter)["Parameter"].get("Value", "")
    except ssm.exceptions.ParameterNotFound:
        problem = f"There is no parameter {parameter}: nothing can be deployed here."
        yield Finding(problem, mend, _COMMAND)
        return
    if not version.isdecimal() or int(version) < LEAST_VERSION:
        problem = f"{parameter} says version {version!r}; templates need {LEAST_VERSION} at least."
        yield Finding(problem, mend, _COMMAND)


CHECK = Check("bootstrap", _examine, lambda: _COMMAND)
