"""The few docker commands that building an image takes, with errors in words."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from prompt_hub.core.errors import ExitCode, PromptHubError


def login(registry: str, *, user: str, password: str) -> None:
    """Log in; the password goes to standard input, so no process list shows it."""
    _docker(
        ["login", "--username", user, "--password-stdin", registry],
        message=password,
        failure=f"the registry {registry} refused the login.",
        hint="Look at the role's permission ecr:GetAuthorizationToken.",
    )


def build(context: Path, *, tag: str, dockerfile: str, arguments: Mapping[str, str]) -> None:
    """Build the image `tag` from `context`."""
    words = ["build", "--tag", tag, "--file", dockerfile]
    for name, value in arguments.items():
        words += ["--build-arg", f"{name}={value}"]
    _docker([*words, "."], cwd=context, failure=f"the image {tag} was not built.")


def push(tag: str) -> None:
    """Push the image `tag`."""
    _docker(["push", tag], failure=f"the image {tag} was not pushed.")


def _docker(
    words: Sequence[str],
    *,
    failure: str,
    hint: str = "The lines above are docker's own.",
    message: str | None = None,
    cwd: Path | None = None,
) -> None:
    try:
        done = subprocess.run(["docker", *words], input=message, text=True, cwd=cwd, check=False)
    except FileNotFoundError:
        raise PromptHubError(
            "docker is not installed here, and an image cannot be built without it.",
            hint="Install a Docker engine, or let the pipeline build the image.",
        ) from None
    if done.returncode != 0:
        raise PromptHubError(
            f"{failure} docker {words[0]} ended with {done.returncode}.",
            hint=hint,
            exit_code=ExitCode.UNEXPECTED,
        )
