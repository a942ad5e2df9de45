"""`prompt-hub serve`: the service, until it is told to stop."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

from prompt_hub.cli.options import verbosity_of
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

SWITCH_SECONDS = 0.0005
SERVER_LOGGERS = ("uvicorn", "asyncio")
"""Loggers of what runs the service: what they say goes through our formatter."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    environment = os.environ
    parser.add_argument("--host", default=environment.get(aws_names.ENV_HOST, "127.0.0.1"))
    parser.add_argument(
        "--port",
        type=int,
        default=environment.get(aws_names.ENV_PORT, str(aws_names.CONTAINER_PORT)),
    )
    parser.add_argument(
        "--poll-seconds",
        type=float,
        default=environment.get(aws_names.ENV_POLL_SECONDS, str(aws_names.POLL_SECONDS)),
        help="seconds between two looks at the ledger",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Serve until SIGTERM or Ctrl-C, then let calls in flight end."""
    if arguments.poll_seconds <= 0:
        raise PromptHubError("--poll-seconds must be more than 0.")
    import uvicorn

    from prompt_hub.ledger.errors import LedgerError
    from prompt_hub.ledger.table import Ledger
    from prompt_hub.llm.client import ModelClient
    from prompt_hub.llm.config import ModelAliases
    from prompt_hub.release.ledger_poller import LedgerPoller
    from prompt_hub.release.manifest import carried_prompts, load
    from prompt_hub.repository.reader import PromptRepository
    from prompt_hub.service.http import create_app
    from prompt_hub.service.metrics import LogsAndMetrics
    from prompt_hub.service.service import PromptService

    log_as_service(verbosity_of(arguments))
    repository = PromptRepository.from_environment()
    release = load(repository.root)
    prompts = carried_prompts(repository, release)
    stage = os.environ.get(aws_names.ENV_STAGE, "local")
    try:
        ledger = Ledger.from_environment()
    except LedgerError as error:
        raise PromptHubError(f"{error}.", hint=f"Set {aws_names.ENV_LEDGER_TABLE}.") from None
    client = ModelClient(ModelAliases.from_environment())
    # With the start, not with the first request, which would wait for it.
    client.connect()
    service = PromptService(
        stage=stage,
        release=release.release,
        prompts=prompts,
        seconds_per_call={
            task: repository.metadata(task).limits.seconds_per_call for task in repository.tasks()
        },
        poller=LedgerPoller.of_release(release, ledger, LogsAndMetrics.connect(stage)),
        client=client,
    )
    # A thread that reads a large request gives the event loop its turn after so many seconds, and
    # what was loaded until now stays: it need not be looked at each time rubbish is collected.
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    # Told to stop is not failed: uvicorn lets calls end, then raises the signal once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.OK))
    app = create_app(service, poll_seconds=arguments.poll_seconds)
    uvicorn.Server(behind_balancer(app, arguments.host, arguments.port)).run()
    return ExitCode.OK


def log_as_service(verbosity: int) -> None:
    """Log JSON lines to standard output, beside those of the execution log."""
    from prompt_hub.core import log_setup

    # Errors of the server come with tracebacks, whose last line may quote what a caller sent.
    log_setup.configure(verbosity, log_setup.SERVICE, stdout=True, servers=SERVER_LOGGERS)


def behind_balancer(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """How the service listens: its times are those that the balancer needs (`names`)."""
    import uvicorn

    from prompt_hub.service.time_limits import TimedProtocol

    return uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        host=host,
        port=port,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=aws_names.KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=aws_names.DRAIN_SECONDS,
    )
