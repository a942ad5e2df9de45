"""`prompt-hub serve`: the service, until it is told to stop."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from prompt_hub.cli.options import verbosity_of
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.service.admission import MAX_CALLS, Admission

if TYPE_CHECKING:
    from socket import socket

    import uvicorn

    from prompt_hub.ledger.table import Ledger
    from prompt_hub.llm.config import ModelConfig
    from prompt_hub.service.http import AsgiApp
    from prompt_hub.service.shared_state import SharedMemory

SWITCH_SECONDS = 0.0005
COLLECT_AFTER = 10_000
"""Objects more than before, after which rubbish is looked for."""
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
    parser.add_argument(
        "--workers",
        type=int,
        default=environment.get(aws_names.ENV_WORKERS, "0"),
        help="processes that answer calls; 0, the default: one for each core",
    )
    parser.add_argument(
        "--max-calls",
        type=int,
        default=environment.get(aws_names.ENV_MAX_CALLS, str(MAX_CALLS)),
        help="calls in hand at once; one more is answered 429 (default %(default)s)",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Serve until SIGTERM or Ctrl-C, then let calls in flight end."""
    _require_usable(arguments)
    from prompt_hub.llm.client import ModelClient
    from prompt_hub.llm.config import ModelAliases
    from prompt_hub.release.carried import carried_hashes, carried_prompts
    from prompt_hub.release.ledger_poller import LedgerPoller
    from prompt_hub.repository.reader import PromptRepository
    from prompt_hub.service.callers import Callers
    from prompt_hub.service.execution_log import log_line
    from prompt_hub.service.http import create_app
    from prompt_hub.service.metrics import LogsAndMetrics
    from prompt_hub.service.server import QuietServer
    from prompt_hub.service.service import PromptService
    from prompt_hub.service.shared_state import FollowedState, SharedLimitClient
    from prompt_hub.service.workers import Supervisor, listeners

    log_as_service(verbosity_of(arguments))
    repository = PromptRepository.from_environment()
    release = carried_hashes(repository.root)
    prompts = carried_prompts(repository, release)
    stage = os.environ.get(aws_names.ENV_STAGE, "local")
    ledger = _ledger()
    aliases = ModelAliases.from_environment()
    memory = shared_memory(arguments.workers, list(aliases))
    client = ModelClient(aliases) if memory is None else SharedLimitClient(aliases, memory)
    callers = Callers.from_environment(threading.Lock() if memory is None else memory.quota_lock)
    # With the start, not with the first request, which would wait for it.
    client.connect()
    poller = LedgerPoller(release, ledger, LogsAndMetrics.connect(stage), prompts)
    service = PromptService(
        stage=stage,
        release=release.release,
        prompts=prompts,
        seconds_per_call={
            task: repository.metadata(task).limits.seconds_per_call for task in repository.tasks()
        },
        poller=poller,
        client=client,
    )

    def listen(app: AsgiApp, sockets: list[socket] | None = None) -> None:
        # Told to stop is not failed: uvicorn lets calls end, then raises the signal once more.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.OK))
        QuietServer(behind_balancer(app, arguments.host, arguments.port)).run(sockets)

    create = partial(create_app, service, poll_seconds=arguments.poll_seconds, callers=callers)
    if memory is None:
        _settle()
        listen(create(admission=Admission(arguments.max_calls)))
        return ExitCode.OK

    def serve(place: int, listener: socket, state: FollowedState) -> None:
        assert isinstance(client, SharedLimitClient)
        assert memory is not None
        client.worker, service.poller, state.prompts = place, state, prompts
        admission = Admission(arguments.max_calls, memory.calls_in_hand, place)
        listen(create(admission=admission, announce=False), [listener])

    _load_for_workers()
    _settle()
    sockets = listeners(arguments.host, arguments.port, memory.workers)
    log_line(
        "started", release=release.release, instance=service.instance.id, workers=memory.workers
    )
    code = Supervisor(poller, memory, sockets, serve, prompts).run(arguments.poll_seconds)
    log_line("stopped", release=release.release, instance=service.instance.id)
    return code


def _require_usable(arguments: argparse.Namespace) -> None:
    """Raise `PromptHubError` for a number that nothing can be done with."""
    if not 0 < arguments.poll_seconds <= threading.TIMEOUT_MAX:
        raise PromptHubError("--poll-seconds must be a number of seconds, more than 0.")
    if not 0 <= arguments.port < 2**16:
        raise PromptHubError("--port must be between 0 (a free one) and 65535.")
    if arguments.workers < 0:
        raise PromptHubError("--workers must be 0 (one for each core) or more.")
    if arguments.max_calls < 1:
        raise PromptHubError("--max-calls must be 1 or more.")


def _ledger() -> Ledger:
    from prompt_hub.ledger.errors import LedgerError
    from prompt_hub.ledger.table import Ledger

    try:
        return Ledger.from_environment()
    except LedgerError as error:
        raise PromptHubError(f"{error}.", hint=f"Set {aws_names.ENV_LEDGER_TABLE}.") from None


def _load_for_workers() -> None:
    """Load what every worker needs: once, not in each of them, and not with its first call."""
    import platform

    import uvicorn.lifespan.on
    import uvicorn.loops.asyncio  # noqa: F401

    import prompt_hub.service.time_limits  # noqa: F401
    from prompt_hub.repository import contracts

    contracts.load()
    # The SDK says it in a header; the standard library asks a program, and remembers.
    platform.platform()


def _settle() -> None:
    """Fit the interpreter to a service whose modules are loaded."""
    # A thread that reads a large request gives the event loop its turn after so many seconds, and
    # what was loaded until now stays: it need not be looked at each time rubbish is collected.
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    # A call makes hundreds of objects and leaves none behind: looking for cycles after each few
    # hundred took a twenty-fifth of the service's time.
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def shared_memory(workers: int, models: Sequence[ModelConfig]) -> SharedMemory | None:
    """Return what so many workers share, None where one process does it all; 0: one for each core.

    Where a container has no /dev/shm that it can write, nothing keeps workers apart. Then one
    process does it all, unless somebody has asked for more.
    """
    from prompt_hub.service.execution_log import log_line
    from prompt_hub.service.shared_state import SharedMemory
    from prompt_hub.service.workers import cores

    # One worker has a supervisor, too: what a change of many pointers takes holds up no call then.
    number = workers or cores()
    if number == 1 and sys.platform != "linux":
        return None
    try:
        return SharedMemory(number, models)
    except OSError as error:
        reason = f"workers cannot share their limits ({error.strerror})"
        if workers > 1:
            raise PromptHubError(
                f"{reason}.", hint="Let the service write to /dev/shm, or set --workers 1."
            ) from None
        log_line("one_worker", reason=reason)
        return None


def log_as_service(verbosity: int) -> None:
    """Log JSON lines to standard output, beside those of the execution log."""
    from prompt_hub.core import log_setup

    # Errors of the server come with tracebacks, whose last line may quote what a caller sent.
    log_setup.configure(verbosity, log_setup.SERVICE, stdout=True, servers=SERVER_LOGGERS)


def behind_balancer(app: AsgiApp, host: str, port: int) -> uvicorn.Config:
    """How the service listens: its times are those that the balancer needs (`aws_names`)."""
    import uvicorn

    from prompt_hub.service.time_limits import TimedProtocol

    return uvicorn.Config(
        app,
        http=TimedProtocol,
        loop="asyncio",
        ws="none",
        host=host,
        port=port,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Who called, and by which scheme, nobody asks.
        proxy_headers=False,
        timeout_keep_alive=aws_names.KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=aws_names.DRAIN_SECONDS,
    )
