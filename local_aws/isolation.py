"""What of the user's own surroundings may reach a local run: nothing that leads off this machine.

A shell has its owner's AWS profiles, proxies and git settings in it. A local run deploys, pushes
and commits as a demonstration; none of that may land in a real account or the user's repository.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

_LOOPBACK = "127.0.0.1,localhost"
_LEFT_OUT = ("AWS_", "CDK_", "GIT_", "MINISTACK_", "PROMPT_HUB_")
_KEPT = ("GIT_SSL_", "PROMPT_HUB_LOCAL_", "PROMPT_HUB_BROWSER")
_SET = {
    # The files are read even where every variable is set, and one line of theirs can switch the
    # endpoint off.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "CDK_DISABLE_CLI_TELEMETRY": "true",
    # No hooks, no signing, no other names for a remote or a branch; but a checkout that belongs to
    # somebody else, as in a container, may be cloned.
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what leads to the user's accounts, repositories or proxies.

    Proxies stay for whoever downloads something, but never stand between two processes of a run.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_LEFT_OUT) or name.startswith(_KEPT)
    }
    direct = [kept[name] for name in ("NO_PROXY", "no_proxy") if kept.get(name)]
    around = ",".join(dict.fromkeys([*direct, _LOOPBACK]))
    return {**kept, **_SET, "NO_PROXY": around, "no_proxy": around}


def isolate() -> None:
    """Make this process's own environment an isolated one, for it and all it starts."""
    wanted = isolated(os.environ)
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)
