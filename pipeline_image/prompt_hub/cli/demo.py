"""`prompt-hub demo`: the life of a prompt in seconds, without AWS and without a model."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import shutil
import sys
import tempfile
import webbrowser
from pathlib import Path

from prompt_hub.authoring.demo.lifecycle import TASK, Demo
from prompt_hub.core.errors import ExitCode, PromptHubError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FOLDER",
        help="where its files are kept, a folder that is not there yet; a temporary one by default",
    )
    parser.add_argument("--no-open", action="store_true", help="do not open the page in a browser")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Show the life of a prompt, and what to do next."""
    folder = _folder(arguments.into)
    print(
        "One prompt: released, improved, blocked, worse in production, rolled back.\n"
        "  real      validation, scoring, gate, promotion, activation, score watch, detector\n"
        "  scripted  the model: it applies the rules that a prompt states, word for word\n"
        "  in memory the ledger; AWS, pipeline and containers are left out: make up has them\n"
        f"  files     {folder}"
    )
    page = asyncio.run(Demo(folder).run())
    print(f"\nThe whole story: {page}")
    if not arguments.no_open and _has_a_display():
        webbrowser.open(page.as_uri())
    program = _program()
    print(
        f"\nGo on in its files:  cd {shlex.quote(str(folder))}\n"
        f"  {program} history {TASK}           what was tried, won and lost\n"
        f"  {program} diff {TASK} 0.1.0 0.2.0  what changed, in words and scores\n"
        f"  {program} replay prompts/04-evals/{TASK}/0.2.0.json  the verdict made again\n"
        "or in your clone:\n"
        "  make up   all of it on a local AWS, with a real model\n"
        f"  {program} new my-task   a task of your own"
    )
    return ExitCode.OK


def _folder(wanted: Path | None) -> Path:
    if wanted is None:
        return Path(tempfile.mkdtemp(prefix="prompt-hub-demo-"))
    try:
        wanted.mkdir(parents=True)
    except FileExistsError:
        raise PromptHubError(
            f"{wanted} is there already.", hint="Name a folder that is not: nothing is overwritten."
        ) from None
    except OSError as error:
        raise PromptHubError(
            f"{wanted} cannot be made: {error.strerror}.", hint="Name a folder of your own."
        ) from None
    return wanted.resolve()


def _program() -> str:
    """Return how a person calls this program from another folder."""
    named = "prompt-hub"
    return named if shutil.which(named) else shlex.quote(str(Path(sys.argv[0]).absolute()))


def _has_a_display() -> bool:
    """Whether a browser would have a window; one for terminals would take this one over."""
    graphical = sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    return bool(graphical) and sys.stdout.isatty()
