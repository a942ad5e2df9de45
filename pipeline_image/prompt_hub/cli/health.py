"""`prompt-hub health`: the container's own health check."""

from __future__ import annotations

import argparse
import os

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.release.service_client import Client

TIMEOUT_SECONDS = 4


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get(aws_names.ENV_PORT, str(aws_names.CONTAINER_PORT)),
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Exit 0 if the service in this container is well; raises `PromptHubError` if not."""
    client = Client(f"http://127.0.0.1:{arguments.port}", timeout=TIMEOUT_SECONDS)
    status = client.ask("/healthz").status
    if status != 200:
        raise PromptHubError(
            f"{client.url}/healthz answers with HTTP {status}.", exit_code=ExitCode.BLOCKED
        )
    return ExitCode.OK
