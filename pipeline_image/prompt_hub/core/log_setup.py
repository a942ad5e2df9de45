"""Where the lines of module loggers go: nowhere by default, to people or to machines when asked.

Only loggers of this package are switched on. Those of the libraries under it may log what they
send, and nothing of that belongs into a log.

A message names files, versions, hashes, counts, times and kinds of errors. It never has a field's
value, a model's answer or a key, and never the words of an exception, which may quote them.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import NamedTuple, TextIO

from prompt_hub.core.aws_names import ENV_LOG
from prompt_hub.core.errors import PromptHubError

PACKAGE = "prompt_hub"
LEVELS = {
    "off": logging.CRITICAL + 1,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
MOST_FRAMES = 20
"""So many frames of a traceback, the innermost ones, are kept."""

ExceptionInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)
_EMPTY: Mapping[str, str] = MappingProxyType({})
_thread_lock = threading.RLock()
"""What the thread holds that writes: locks of a file keep no threads apart."""
os.register_at_fork(
    before=_thread_lock.acquire,
    after_in_parent=_thread_lock.release,
    after_in_child=_thread_lock.release,
)
_output_lock: int | None = None
"""The file whose lock a process holds that writes, where several write to one output."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=_EMPTY)


class LogSettings(NamedTuple):
    """The least level that is logged, and whether as one JSON object a line."""

    level: int
    json: bool = False


QUIET = LogSettings(LEVELS["off"])
"""What a command does unless it is asked for more: it says its results and nothing else."""
SERVICE = LogSettings(logging.WARNING, json=True)
"""What the service does unless it is asked for more."""


def read_settings(text: str, default: LogSettings = QUIET, *, verbosity: int = 0) -> LogSettings:
    """Read a level, `json`, or both with a comma between, as `PROMPT_HUB_LOG` has them.

    A `verbosity` of 1 asks for `info` at least, one of 2 for `debug`.

    Raises:
        PromptHubError: a word is neither.
    """
    settings = default
    for word in filter(None, (part.strip().lower() for part in text.split(","))):
        if word == "json":
            settings = settings._replace(json=True)
        elif word in LEVELS:
            settings = settings._replace(level=LEVELS[word])
        else:
            raise PromptHubError(
                f"{ENV_LOG} has {word!r}; expected one of {', '.join(LEVELS)}, and json.",
                hint=f"Set for example {ENV_LOG}=debug,json.",
            )
    if verbosity:
        wanted = logging.INFO if verbosity == 1 else logging.DEBUG
        settings = settings._replace(level=min(settings.level, wanted))
    return settings


def configure(
    verbosity: int = 0,
    default: LogSettings = QUIET,
    *,
    stdout: bool = False,
    servers: Sequence[str] = (),
) -> None:
    """Send what this package logs to standard error, or to standard output.

    What the loggers of `servers` say goes the same way, as much as they are set to say. A second
    call replaces what the first one set. Raises `PromptHubError` for an unusable `PROMPT_HUB_LOG`.
    """
    settings = read_settings(os.environ.get(ENV_LOG, ""), default, verbosity=verbosity)
    handler = _LineHandler(stdout=stdout)
    handler.setFormatter(_JsonFormatter() if settings.json else _TextFormatter())
    for name in (PACKAGE, *servers):
        logger = logging.getLogger(name)
        others = [other for other in logger.handlers if not isinstance(other, _LineHandler)]
        logger.handlers[:] = [*others, handler]
    logging.getLogger(PACKAGE).setLevel(settings.level)


class log_context:  # noqa: N801  (used as a function: `with log_context(...)`)
    """Puts values, such as a trace id, on every line that is logged inside.

    Each call enters one: a generator would take it three times as long.
    """

    __slots__ = ("_token", "_values")

    def __init__(self, **values: str) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._token = _context.set({**_context.get(), **self._values})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _context.reset(self._token)


_second: tuple[int, str] = (-1, "")


def timestamp() -> str:
    """Return the time as log lines have it: all of a second begin alike."""
    global _second
    second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    known, text = _second
    if known != second:
        text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _second = second, text
    return f"{text}.{nanoseconds // 1000:06}+00:00"


def share_output() -> None:
    """Keep lines whole that this process and its forks write: from now on one writes at a time.

    A pipe takes no more than 4 KB at once.
    """
    global _output_lock
    # Locks of a file are held by processes, and are free when their process ends.
    _output_lock = os.memfd_create("prompt-hub-output", os.MFD_CLOEXEC)


def write_line(stream: TextIO, line: str) -> None:
    """Write a line, or several in one text, with nobody's between.

    What cannot be written is lost, and stops nothing.
    """
    try:
        with _thread_lock:
            if _output_lock is None:
                _write_whole(stream, line + "\n")
                return
            fcntl.lockf(_output_lock, fcntl.LOCK_EX)
            try:
                _write_whole(stream, line + "\n")
            finally:
                fcntl.lockf(_output_lock, fcntl.LOCK_UN)
    # OSError: the disk is full, the pipe closed. ValueError: the stream itself is closed. Each call
    # writes a line, and `suppress` would take it as long as a lock does.
    except (OSError, ValueError):
        pass


def _write_whole(stream: TextIO, text: str) -> None:
    """Write all of a text, even where a signal comes between; an unbuffered stream would not."""
    stream.flush()
    try:
        file = stream.fileno()
    except OSError:
        # It is no file: a test's, for example.
        stream.write(text)
        stream.flush()
        return
    left: bytes | memoryview = text.encode(stream.encoding, stream.errors or "strict")
    while left:
        try:
            written = os.write(file, left)
        except BlockingIOError:
            # Somebody who has the same output does not want to wait for it; half a line helps none.
            select.select([], [file], [])
        else:
            left = memoryview(left)[written:] if written < len(left) else b""


class _LineHandler(logging.Handler):
    """Writes to the stream that is standard at that moment."""

    def __init__(self, *, stdout: bool) -> None:
        super().__init__()
        self._stdout = stdout

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:
            # Nothing stops for a line that cannot be made, and nobody prints its arguments.
            record.msg, record.args = f"a line could not be made: {type(error).__name__}", ()
            record.exc_info = None
            line = self.format(record)
        write_line(sys.stdout if self._stdout else sys.stderr, line)


def describe_exception(error: BaseException | None) -> list[str]:
    """Return an exception's type and those behind it, then its places; never its words."""
    places: list[str] = []
    trace = error.__traceback__ if error else None
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    kinds: list[str] = []
    while error is not None and len(kinds) < MOST_FRAMES:
        kinds.append(type(error).__name__)
        error = error.__cause__ or error.__context__
    return [" from ".join(kinds), *places[-MOST_FRAMES:]]


class _Formatter(logging.Formatter):
    """Formats exceptions by type and place, for their words may quote what was sent."""

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802  (the library's name)
        return "\n".join(describe_exception(ei[1]))


class _TextFormatter(_Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (the library's name)
        context = "".join(f" {name}={value}" for name, value in _context.get().items())
        return super().formatMessage(record) + context


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "event": "log",
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().strip(),
            **_context.get(),
        }
        if record.exc_info:
            kind, *places = self.formatException(record.exc_info).splitlines()
            line |= {"error": kind, "places": places}
        return _encode(line)
