"""Whether the credentials are good, and those of the installation's account and region."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.core import aws_names
from prompt_hub.doctor.base import Check, Finding
from prompt_hub.doctor.readers import Caller, Readers


def _examine(readers: Readers) -> Iterator[Finding]:
    # Asked for also where nothing is compared: whether AWS takes them is a finding.
    caller, stage_caller, settings = readers.caller, readers.stage_caller, readers.installation
    if settings is None:
        return
    here = (settings.account, settings.region)
    yield from _compare(caller, readers.region, here, "PROFILE")
    if readers.there is not None:
        profile = aws_names.stage_profile(readers.stage)
        region = readers.there.region_name or ""
        yield from _compare(stage_caller, region, settings.place(readers.stage), profile)


def _compare(
    caller: Caller, region: str, place: tuple[str | None, str], profile: str
) -> Iterator[Finding]:
    """Compare whom and where AWS is asked with what is set; `profile` is what to correct."""
    account, expected = place
    own = profile == "PROFILE"
    if account not in {None, caller.account}:
        yield Finding(
            f"The credentials are {caller.arn}, of account {caller.account}; cdk.json says account"
            f" {account}.",
            f"Use credentials of account {account}.",
            f"export AWS_PROFILE={profile}" if own else _ask(profile, "role_arn"),
        )
    if expected != region:
        yield Finding(
            f"AWS is asked in region {region}; cdk.json says {expected}.",
            "Ask in the installation's region." if own else "Ask in the stage's region.",
            f"export AWS_DEFAULT_REGION={expected}" if own else _ask(profile, "region", expected),
        )


def _ask(profile: str, key: str, value: str = "ARN") -> str:
    return f"aws configure set {key} {value} --profile {profile}"


CHECK = Check("credentials", _examine, lambda: "aws sts get-caller-identity")
