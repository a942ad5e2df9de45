"""Whether account and region are bootstrapped for the CDK, and newly enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prompt_hub.doctor.base import Check, Finding, NotCheckedError
from prompt_hub.doctor.readers import Readers

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

LEAST_VERSION = 6
"""What each of our templates asks for, in its rule `CheckBootstrapVersion`."""
_COMMAND = "make bootstrap"


def _examine(readers: Readers) -> Iterator[Finding]:
    if readers.installation is None:
        # Not the CDK's own qualifier: under that one another team may have bootstrapped.
        raise NotCheckedError(
            "no cdk.json of the installation here says its qualifier; run it in a clone"
        )
    parameter = f"/cdk-bootstrap/{readers.cdk_json.context.qualifier}/version"
    here, there = readers.session, readers.there
    home = readers.caller.account
    # By itself it means every place of the app, and lets the pipeline into none.
    again = f"{_COMMAND} PLACE=aws://{home}/{here.region_name}"
    yield from _look(here.client("ssm"), parameter, again, again)
    if there is None:
        return
    account = readers.stage_caller.account
    again = f"{_COMMAND} PLACE=aws://{account}/{there.region_name}"
    first = f"{again} TRUST={home}" if account != home else again
    yield from _look(there.client("ssm"), parameter, first, again)


def _look(ssm: SSMClient, parameter: str, first: str, again: str) -> Iterator[Finding]:
    """Look in one place; `first` makes what is not there, `again` brings it up to date."""
    where = ssm.meta.region_name
    mend = f"Bootstrap this account and region ({where})."
    try:
        version = ssm.get_parameter(Name=parameter)["Parameter"].get("Value", "")
    except ssm.exceptions.ParameterNotFound:
        problem = f"There is no parameter {parameter}: nothing can be deployed here."
        yield Finding(problem, mend, first)
        return
    if not version.isdecimal() or int(version) < LEAST_VERSION:
        problem = f"{parameter} says version {version!r}; templates need {LEAST_VERSION} at least."
        yield Finding(problem, mend, again)


CHECK = Check("bootstrap", _examine, lambda: _COMMAND)
