"""Options that several commands have, each under one name and with one meaning."""

from __future__ import annotations

import argparse
from typing import Any

from prompt_hub.core.aws_names import ENV_LOG, person


class CommandParser(argparse.ArgumentParser):
    """A parser with `--verbose`, as are those of its subcommands."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  (whatever argparse passes on)
        super().__init__(**options)
        self.add_argument(
            "-v",
            "--verbose",
            action="count",
            # Absent unless given, so that a subcommand's parser does not take back the outer one's.
            default=argparse.SUPPRESS,
            help=f"log what goes on to standard error, -vv in detail; {ENV_LOG} says the same",
        )


def verbosity_of(arguments: argparse.Namespace) -> int:
    """How often `-v` was given."""
    return int(getattr(arguments, "verbose", 0))


def add_signature(parser: argparse.ArgumentParser) -> None:
    """Add `--person` and `--reason`, which every decision by hand needs."""
    parser.add_argument("--person", required=True, type=_person, help="who answers for it")
    parser.add_argument("--reason", required=True, type=_said, help="why; the history keeps it")


def add_concurrency(parser: argparse.ArgumentParser) -> None:
    """Add `--concurrency`, which overrides what the models' settings say."""
    parser.add_argument(
        "--concurrency",
        type=positive,
        metavar="N",
        help="calls in flight to one model (default: the model's own setting)",
    )


BATCH = "batch"


def add_backend(parser: argparse.ArgumentParser, what: str) -> None:
    """Add `--backend`, which says how models are asked about `what`."""
    parser.add_argument(
        "--backend",
        choices=("live", BATCH),
        default="live",
        help=f"batch: {what} by the provider's batches, within a day and for less",
    )


def positive(text: str) -> int:
    """Read a number from 1, as an argument of a command."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _person(text: str) -> str:
    try:
        return person(_said(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _said(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("says nothing")
    return text.strip()
