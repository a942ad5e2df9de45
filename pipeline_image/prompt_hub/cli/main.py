"""`prompt-hub COMMAND`: runs one command; failures become sentences and exit codes."""

from __future__ import annotations

import argparse
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol, TextIO, cast

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.imports import gc_paused

COMMANDS: dict[str, tuple[str, str]] = {
    "new": ("prompt_hub.cli.new", "make a working task"),
    "import": ("prompt_hub.cli.import_task", "make a task of what another tool exported"),
    "validate": ("prompt_hub.cli.validate", "check every prompt file, layer and the registry"),
    "evaluate": ("prompt_hub.cli.evaluate", "score a candidate against its examples"),
    "review": ("prompt_hub.cli.review", "let a meta-prompt criticise a candidate"),
    "dev": ("prompt_hub.cli.dev", "measure a task again on every save"),
    "examples": ("prompt_hub.cli.examples", "keep an example set that is too large for git in S3"),
    "replay": ("prompt_hub.cli.replay", "make a record again without a model call"),
    "promote": ("prompt_hub.cli.promote", "release, downgrade, archive or override a version"),
    "run": ("prompt_hub.cli.run", "turn raw records into structured fields"),
    "records": ("prompt_hub.cli.records", "answer a file of records in parts"),
    "repair": ("prompt_hub.cli.repair", "make the records of a bad version again"),
    "serve": ("prompt_hub.cli.serve", "answer HTTP requests with the active prompts"),
    "health": ("prompt_hub.cli.health", "ask the service in this container if it lives"),
    "image": ("prompt_hub.cli.image", "build and push the image of a release"),
    "activate": ("prompt_hub.cli.activate", "move a stage's pointers to this release"),
    "watch": ("prompt_hub.cli.watch", "measure the active version and publish its score"),
    "smoke-test": ("prompt_hub.cli.smoke_test", "prove that a stage serves this release"),
    "drill": ("prompt_hub.cli.drill", "prove that a stage takes a bad version back by itself"),
    "record": ("prompt_hub.cli.record", "write down what a stage runs now"),
    "soak": ("prompt_hub.cli.soak", "wait until this release has held in a stage"),
    "ledger": ("prompt_hub.cli.ledger", "show or change by hand what is active"),
    "verdict": ("prompt_hub.cli.verdict", "end red if this execution blocked a task"),
    "report": ("prompt_hub.cli.report", "pages and summaries: evaluations, all prompts, a run"),
    "diff": ("prompt_hub.cli.diff", "compare two versions, word by word"),
    "history": ("prompt_hub.cli.history", "what was tried of a task here, and what it changed"),
    "console": ("prompt_hub.cli.console", "see a stage and its pipeline in a browser, and label"),
    "doctor": ("prompt_hub.cli.doctor", "find what is wrong with a stage, and how to mend it"),
    "trace": ("prompt_hub.cli.trace", "prove where an answer came from, and what became of it"),
    "demo": ("prompt_hub.cli.demo", "show a prompt's life in seconds: no AWS, no model"),
    "completion": ("prompt_hub.cli.completion", "print what completes commands in a shell"),
}

_DENIALS = {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS}
"""What a machine answers where nothing is wrong with the product."""


class Command(Protocol):
    """A command module: says its arguments, and runs."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, arguments: argparse.Namespace) -> ExitCode:
        """Do the work; raise `PromptHubError` for what a person must mend."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see `ExitCode`)."""
    words = list(sys.argv[1:] if argv is None else argv)
    called = " ".join(["prompt-hub", *words[:1]])
    _open_streams()
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` has.
        return 128 + signal.SIGPIPE
    except PromptHubError as error:
        _tell(f"{called}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _tell(f"{called}: interrupted; nothing was left half written.")
        return 130
    except Exception as error:
        if denied := _denied(error):
            _tell(f"{called}: {denied}")
            return ExitCode.USAGE
        _tell(f"{traceback.format_exc()}{called}: unexpected error; please report the above.")
        return ExitCode.UNEXPECTED
    finally:
        for stream in (sys.stdout, sys.stderr):
            if not _flush(stream):
                # Python must not complain again at its end, nor end with a code of its own.
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run(words: Sequence[str]) -> int:
    if not words or words[0] in {"-h", "--help"}:
        print(_overview())
        return ExitCode.OK if words else ExitCode.USAGE
    name = words[0]
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        print(f"prompt-hub: no command {name!r}. Try one of: {known}.", file=sys.stderr)
        return ExitCode.USAGE
    # We use no pydantic plugins, and looking for some in every installed package is slow.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with gc_paused():
        command, parser = load(name)
        from prompt_hub.cli.options import verbosity_of
        from prompt_hub.core import log_setup
    try:
        arguments = parser.parse_args(words[1:])
    except SystemExit:
        # It has printed a help: whether that can be written is known only now.
        sys.stdout.flush()
        raise
    log_setup.configure(verbosity_of(arguments))
    return command.run(arguments)


def _open_streams() -> None:
    """See that a command can print whatever it was started with.

    A stream that is closed, as daemons and `>&-` leave it, is None in Python; and not every
    character is one of the terminal's.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            silent = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 open to the end
            setattr(sys, name, silent)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _denied(error: Exception) -> str:
    """Say what the machine denies a command; nothing where the error may be the product's."""
    if not isinstance(error, OSError):
        return ""
    if error.errno not in _DENIALS and type(error) is not PermissionError:
        return ""
    if error.filename is None:
        return f"its output cannot be written: {error.strerror}."
    return f"{error.filename} cannot be read or written: {error.strerror}."


def _tell(text: str) -> None:
    """Print on stderr, if it takes anything: the exit code says the same."""
    with suppress(OSError):
        print(text, file=sys.stderr)


def _flush(stream: TextIO) -> bool:
    """Whether what was printed could be written."""
    try:
        stream.flush()
    except OSError:
        return False
    return True


def load(name: str) -> tuple[Command, argparse.ArgumentParser]:
    """Import a command only now, and return it with its parser.

    So `--help` and `validate` never pay for a model client or a server.
    """
    module, summary = COMMANDS[name]
    command = cast(Command, import_module(module))
    from prompt_hub.cli.options import CommandParser

    parser = CommandParser(prog=f"prompt-hub {name}", description=summary)
    command.configure(parser)
    return command, parser


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "usage: prompt-hub COMMAND [options]\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
