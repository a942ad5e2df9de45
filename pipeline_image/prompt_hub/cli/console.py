"""`prompt-hub console`: a stage in a browser on this machine, until it is told to stop."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shlex
import signal
import socket
import stat
import sys
from pathlib import Path

from prompt_hub.cli.stage import add_stage, stage_of, translate_aws_errors
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import links_followed
from prompt_hub.core.wording import count
from prompt_hub.repository.own_folder import require_own

PORT = 7717
HOST = "127.0.0.1"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,256}")
"""What a cookie and an address hold as it is."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    parser.add_argument(
        "--port", type=int, default=PORT, help="0 is a free one (default %(default)s)"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="keep the token in this file, so that addresses outlive a restart",
    )
    parser.add_argument(
        "--label",
        type=Path,
        metavar="FILE",
        help="records that are graded on the page Label: .csv, .tsv, .jsonl, or .gz of one",
    )


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Serve the console on loopback until SIGTERM or Ctrl-C."""
    stage = stage_of(arguments)
    if arguments.label and not arguments.label.is_file():
        raise PromptHubError(f"--label: there is no file {arguments.label}.")
    root = links_followed(Path(os.environ.get(aws_names.ENV_ROOT, ".")))
    require_own(root)
    token = _token(arguments.token_file)
    listener = _listen(arguments.port)
    port = int(listener.getsockname()[1])
    import boto3
    import uvicorn

    from prompt_hub.console.app import create_app
    from prompt_hub.console.pages import Console
    from prompt_hub.console.stage import StageReader
    from prompt_hub.ledger.stage_session import session_of, table_of

    here = boto3.Session()
    reader = StageReader(
        stage,
        here=here,
        there=session_of(stage) or here,
        table=table_of(stage),
        bucket=os.environ.get(aws_names.ENV_RESULTS_BUCKET),
    )
    console = Console(reader, root)
    # The largest file, before somebody waits for a page.
    console.clone.registry(wait=True)
    app = create_app(console, token=token, port=port, records=arguments.label)
    # What is kept in a file that nobody else reads does not go into a log that others may.
    shown = f"TOKEN, that of {arguments.token_file}" if arguments.token_file else token
    print(f"http://{HOST}:{port}/?token={shown}", flush=True)
    # Told to stop is not failed: uvicorn ends, then raises the signal once more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(ExitCode.OK))
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # Streams end with the browser, not by themselves.
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run([listener])
    return ExitCode.OK


def _token(file: Path | None) -> str:
    """Return a new token, or that of a file, which nobody else may read."""
    if file is None:
        return secrets.token_urlsafe(32)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_urlsafe(32))
        others = stat.S_IMODE(file.stat().st_mode) & 0o077
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PromptHubError(f"{file} cannot hold the token: {error}.") from None
    if not _TOKEN.fullmatch(token):
        raise PromptHubError(
            f"{file} holds {count(len(token), 'character')}, no token of the console's: expected"
            " one line of 32 to 256 letters, digits, '-' and '_'.",
            hint="Name a file that is not there yet: the console writes it.",
        )
    if others:
        raise PromptHubError(
            f"{file} can be read by others, who could then open the console.",
            hint=f"chmod 600 {shlex.quote(str(file))}, or delete it: the console writes a new one.",
        )
    return token


def _listen(port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise PromptHubError("--port must be between 0 (a free one) and 65535.")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        # Who opens the address at once waits for the first answer, and is not refused.
        listener.listen()
    except OSError as error:
        listener.close()
        raise PromptHubError(
            f"port {port} of {HOST} is not free: {error.strerror}.",
            hint="Give another one by --port; 0 is any that is free.",
        ) from None
    return listener
