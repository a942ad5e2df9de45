"""`prompt-hub health`: the container's own health check."""

from __future__ import annotations

import argparse
import os
import urllib.error
import urllib.request

from prompt_hub import names
from prompt_hub.errors import ExitCode, PromptHubError

TIMEOUT_SECONDS = 4


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--port", type=int, default=os.environ.get(names.ENV_PORT, str(names.CONTAINER_PORT))
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Exit 0 if the service in this container answers; raises `PromptHubError` if not."""
    url = f"http://127.0.0.1:{arguments.port}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):
            return ExitCode.OK
    except (OSError, urllib.error.URLError) as error:
        raise PromptHubError(
            f"{url} does not answer: {error}.", exit_code=ExitCode.BLOCKED
        ) from None
