"""What the local AWS is told when it starts: read once, passed to every extension."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from local_aws.processes import LocalRunError

Permissions = Literal["off", "audit", "enforce"]
"""Whether the local AWS asks IAM: not at all, to write down what it would deny, or to deny it."""

PERMISSIONS_LOG = "logs/permissions.log"
"""Below the state folder: how IAM is asked, then a JSON object for each call denied since then."""

PERMISSION_CALLS_LOG = "logs/permission-calls.log"
"""Beside it: a JSON object for each kind of call that IAM allowed a role."""

TASK_LOCKS, BUILD_LOCKS = "tasks/*", "builds/*/state/*.pid"
"""Files below the state folder that the processes of containers and builds hold while they live."""


def app_settings(path: Path) -> Mapping[str, object]:
    """Return what a `cdk.json` says to our CDK app.

    Raises:
        LocalRunError: it cannot be read, or says nothing to it.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise LocalRunError(f"{path} cannot be read: {error}; mend it and try again.") from None
    match content:
        case {"context": {"prompt-hub": dict() as settings}}:
            return settings
    raise LocalRunError(f"{path} has no settings in context.prompt-hub; docs/settings.md has them.")


@dataclass(frozen=True, kw_only=True)
class CloudSettings:
    """Settings of one local AWS.

    `overrides` are the endpoint variables laid over the environment of every build action and
    container, last: the only thing in which a local run differs from one on AWS. `repositories`
    maps the `owner/name` of a connection source to a bare git repository on this machine, `issuers`
    the URL of an OpenID provider to the address on this machine that serves its keys.
    """

    port: int
    state: Path
    account: str = "000000000000"
    region: str = "eu-central-1"
    overrides: Mapping[str, str] = field(default_factory=dict)
    repositories: Mapping[str, Path] = field(default_factory=dict)
    issuers: Mapping[str, str] = field(default_factory=dict)
    permissions: Permissions = "enforce"

    @property
    def endpoint(self) -> str:
        """The URL at which every service of the local AWS answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def place(self) -> str:
        """Region and account, as ARNs have them."""
        return f"{self.region}:{self.account}"

    @classmethod
    def load(cls, path: Path) -> CloudSettings:
        """Read settings from the JSON file that the driver wrote; raises `ValueError` if broken."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        permissions = raw.get("permissions", cls.permissions)
        if permissions not in get_args(Permissions):
            raise ValueError(
                f"{path}: permissions is {permissions!r}; expected one of"
                f" {', '.join(get_args(Permissions))}."
            )
        return cls(
            port=int(raw["port"]),
            state=Path(raw["state"]),
            account=raw.get("account", cls.account),
            region=raw.get("region", cls.region),
            overrides=raw.get("overrides", {}),
            repositories={name: Path(where) for name, where in raw.get("repositories", {}).items()},
            issuers=raw.get("issuers", {}),
            permissions=permissions,
        )
