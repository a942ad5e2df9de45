"""The local AWS as one process: the emulator, our extensions of it, on loopback only.

`python -m local_aws.cloud --settings FILE.json` serves every service on `127.0.0.1:<port>` until
it is sent SIGTERM or SIGINT. It answers `GET /_ministack/health` with 200 as soon as its state is
restored and clients may talk to it. State lives under `settings.state`: it is written on a clean
stop and every `SAVE_SECONDS` while something happens, so that a kill loses seconds.

What runs in it (build commands, Lambdas, containers as processes) is trusted code: it has the
rights of the person who started it.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import gc
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TextIO

from local_aws.isolation import isolate
from local_aws.settings import CloudSettings

EMULATOR_VERSION = "1.5.33"
"""The version whose private tables the extensions reach into; the contract test holds it."""

EXTENSIONS = (
    "permissions",
    "cloudformation",
    "web_identity",
    "codebuild",
    "codepipeline",
    "alarms",
    "embedded_metrics",
    "log_queries",
    "metric_expressions",
    "service_metrics",
    "ecs",
    "load_balancer",
    "schedules",
    "object_events",
    "state_machines",
    "account_services",
    "mail",
)
"""Modules of this package, in the order in which they are installed. Each has
`install(settings)`; where it has them, `start()` is called once the emulator answers requests,
and `stop()`, in reverse order, while it still does: after it no child process is left."""

SAVE_SECONDS = 5.0

Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("local_aws.cloud")


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local_aws.cloud", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="JSON file: CloudSettings")
    settings = CloudSettings.load(parser.parse_args(argv).settings)
    settings = replace(settings, state=settings.state.absolute())
    settings.state.mkdir(parents=True, exist_ok=True)
    with _claimed(settings.state):
        configure_environment(settings)
        extensions = install(settings)
        log.info("local AWS on %s, state in %s", settings.endpoint, settings.state)
        asyncio.run(_serve(settings, extensions))
    return 0


@contextmanager
def _claimed(state: Path) -> Iterator[None]:
    """Hold the state folder: a second process on it would end the builds of the first."""
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Another local AWS runs on {state}; stop that one first.")
        yield


def configure_environment(settings: CloudSettings) -> None:
    """Set what the emulator reads from the environment; must run before it is imported.

    The caller's own settings are removed first, so that no client in this process can reach a real
    account.
    """
    isolate()
    scratch = settings.state / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)  # unpacked Lambdas of the run before
    scratch.mkdir(parents=True)
    os.environ.update(
        {
            "TMPDIR": str(scratch),
            "GATEWAY_PORT": str(settings.port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",  # would listen on every interface
            "SFTP_ENABLED": "0",
            "MINISTACK_REGION": settings.region,
            "MINISTACK_ACCOUNT_ID": settings.account,
            "PERSIST_STATE": "1",
            "AUTH": str(settings.permissions != "off").lower(),
            "STATE_DIR": str(settings.state / "services"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(settings.state / "objects"),
            "AWS_ENDPOINT_URL": settings.endpoint,
            "AWS_ACCESS_KEY_ID": settings.account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
        }
    )
    os.environ.setdefault("LOG_LEVEL", "WARNING")


def install(settings: CloudSettings) -> list[ModuleType]:
    """Add every extension to the emulator's tables; returns them in order."""
    # What is imported stays: none of it is searched for garbage, neither now nor later.
    gc.disable()
    import ministack.app  # configures logging, so ours is set after it
    from ministack.core import persistence

    persistence.json = SimpleNamespace(**{**vars(json), "dump": dump_at_once})
    logging.getLogger("local_aws").setLevel(logging.INFO)
    extensions = []
    for name in EXTENSIONS:
        module = import_module(f"local_aws.{name}")
        module.install(settings)
        extensions.append(module)
    assert ministack.app.PERSIST_STATE, "the emulator was imported before its environment was set"
    gc.freeze()
    gc.enable()
    return extensions


def dump_at_once(
    value: object, file: TextIO, *, default: Callable[[object], object] | None = None
) -> None:
    """Write `value` as `json.dump` does, by the encoder in C.

    `json.dump` takes the one in Python, for the whole state every `SAVE_SECONDS`: it was most of
    what the local AWS computed while others waited for something else.
    """
    file.write(json.dumps(value, default=default))


async def _serve(settings: CloudSettings, extensions: list[ModuleType]) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{settings.port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    saver = _Saver()

    async def until_told() -> None:
        event = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, event.set)
        for module in extensions:
            if hasattr(module, "start"):
                await asyncio.to_thread(module.start)
        saving = asyncio.create_task(saver.run())
        await event.wait()
        log.info("stopping")
        saving.cancel()
        # Before the server closes, so that what is being ended can still report its end.
        for module in reversed(extensions):
            if hasattr(module, "stop"):
                try:
                    await asyncio.to_thread(module.stop)
                except Exception:  # the others have children to end, and state has to be saved
                    log.exception("%s did not stop cleanly", module.__name__)

    await serve(saver.watching, config, shutdown_trigger=until_told)  # type: ignore[arg-type]


class _Saver:
    """Writes the emulator's state now and then, while requests that may change it come in."""

    def __init__(self) -> None:
        self._changed = False

    async def watching(self, scope: Message, receive: Receive, send: Send) -> None:
        """Wrap the emulator into an ASGI application that is watched for changes."""
        from ministack.app import app

        if scope.get("method") not in {None, "GET", "HEAD", "OPTIONS"}:
            self._changed = True
        await app(scope, receive, send)

    async def run(self) -> None:
        """Save every `SAVE_SECONDS` if something may have changed, until cancelled."""
        from ministack.app import _build_persistence_save_dict
        from ministack.core.persistence import save_all

        while True:
            await asyncio.sleep(SAVE_SECONDS)
            if self._changed:
                self._changed = False
                # Copied here, on the loop, where most services change; written elsewhere.
                state = {
                    name: _copied(copy) for name, copy in _build_persistence_save_dict().items()
                }
                await asyncio.to_thread(save_all, state)


def _copied(copy: Callable[[], object]) -> Callable[[], object]:
    """Return a service's state as it is now.

    None, so that it is not saved, if it does not hold still.
    """
    for _ in range(3):
        try:
            state = copy()
        except RuntimeError:  # changed while it was iterated over, by a thread of the service
            continue
        return lambda: state
    return lambda: None


if __name__ == "__main__":
    sys.exit(main())
