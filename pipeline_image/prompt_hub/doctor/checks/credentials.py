"""Whether the credentials are good, and those of the installation's account and region."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.doctor.base import Check, Finding
from prompt_hub.doctor.readers import Readers


def _examine(readers: Readers) -> Iterator[Finding]:
    caller, settings = readers.caller, readers.installation
    if settings is None:
        return
    if settings.account not in {None, caller.account}:
        yield Finding(
            f"The credentials are {caller.arn}, of account {caller.account}; cdk.json says account"
            f" {settings.account}.",
            f"Use credentials of account {settings.account}.",
            "export AWS_PROFILE=PROFILE",
        )
    if settings.region != readers.region:
        yield Finding(
            f"AWS is asked in region {readers.region}; cdk.json says {settings.region}.",
            "Ask in the installation's region.",
            f"export AWS_DEFAULT_REGION={settings.region}",
        )


CHECK = Check("credentials", _examine, lambda: "aws sts get-caller-identity")
