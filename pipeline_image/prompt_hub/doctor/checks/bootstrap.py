"""Whether account and region are bootstrapped for the CDK, and newly enough."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.doctor.base import Check, Finding
from prompt_hub.doctor.readers import Readers

LEAST_VERSION = 6
"""What each of our templates asks for, in its rule `CheckBootstrapVersion`."""
_COMMAND = "make bootstrap"


def _examine(readers: Readers) -> Iterator[Finding]:
    ssm = readers.session.client("ssm")
    parameter = f"/cdk-bootstrap/{readers.cdk_json.context.qualifier}/version"
    mend = "Bootstrap this account and region."
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
