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
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from local_aws.settings import CloudSettings

EMULATOR_VERSION = "1.5.33"
"""The version whose private tables the extensions reach into; the contract test holds it."""

EXTENSIONS = (
    "cloudformation",
    "codebuild",
    "codepipeline",
    "alarms",
    "ecs",
    "load_balancer",
    "schedules",
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
    configure_environment(settings)
    extensions = install(settings)
    log.info("local AWS on %s, state in %s", settings.endpoint, settings.state)
    asyncio.run(_serve(settings, extensions))
    return 0


def configure_environment(settings: CloudSettings) -> None:
    """Set what the emulator reads from the environment; must run before it is imported.

    The caller's own AWS variables are removed first, so that no client in this process can reach
    a real account.
    """
    for name in [name for name in os.environ if name.startswith(("AWS_", "MINISTACK_"))]:
        del os.environ[name]
    settings.state.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "GATEWAY_PORT": str(settings.port),
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",  # would listen on every interface
            "SFTP_ENABLED": "0",
            "MINISTACK_REGION": settings.region,
            "MINISTACK_ACCOUNT_ID": settings.account,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(settings.state / "services"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(settings.state / "objects"),
            "AWS_ENDPOINT_URL": settings.endpoint,
            "AWS_ACCESS_KEY_ID": settings.account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )
    os.environ.setdefault("LOG_LEVEL", "WARNING")


def install(settings: CloudSettings) -> list[ModuleType]:
    """Add every extension to the emulator's tables; returns them in order."""
    import ministack.app  # configures logging, so ours is set after it

    logging.getLogger("local_aws").setLevel(logging.INFO)
    extensions = []
    for name in EXTENSIONS:
        if find_spec(f"local_aws.{name}") is None:
            log.warning("TEMPORARY: no extension %s yet", name)
            continue
        module = import_module(f"local_aws.{name}")
        module.install(settings)
        extensions.append(module)
    assert ministack.app.PERSIST_STATE, "the emulator was imported before its environment was set"
    return extensions


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
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        for module in extensions:
            if hasattr(module, "start"):
                await asyncio.to_thread(module.start)
        saver.start()
        await told.wait()
        log.info("stopping")
        saver.stop()
        # Before the server closes, so that what is being ended can still report its end.
        for module in reversed(extensions):
            if hasattr(module, "stop"):
                await asyncio.to_thread(module.stop)

    await serve(saver.watching, config, shutdown_trigger=until_told)  # type: ignore[arg-type]


class _Saver:
    """Writes the emulator's state now and then, while requests that may change it come in."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="saver", daemon=True)

    async def watching(self, scope: Message, receive: Receive, send: Send) -> None:
        """The emulator as an ASGI application that is watched for changes."""
        from ministack.app import app

        if scope.get("method") not in {None, "GET", "HEAD", "OPTIONS"}:
            self._changed.set()
        await app(scope, receive, send)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        from ministack.app import _build_persistence_save_dict
        from ministack.core.persistence import save_all

        while not self._stopped.wait(SAVE_SECONDS):
            if self._changed.is_set():
                self._changed.clear()
                save_all(_build_persistence_save_dict())


if __name__ == "__main__":
    sys.exit(main())
