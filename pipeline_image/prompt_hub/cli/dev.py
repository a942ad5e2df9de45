"""`prompt-hub dev`: a task measured again on every save, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import sys

from prompt_hub.authoring.dev_session import (
    DevSession,
    Look,
    follow,
    in_words,
    saves_of,
    summary,
)
from prompt_hub.cli.options import add_concurrency
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.cache import CACHE_DIR, ResponseStore
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.reporting import words
from prompt_hub.repository.reader import PromptRepository

CLEAR = "\x1b[2J\x1b[H"
"""What empties a terminal, so that a look stands where the one before it stood."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", help="the task whose files are watched")
    add_concurrency(parser)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Watch and measure until Ctrl-C, which is how it ends well."""
    repository = PromptRepository.from_environment()
    task: str = arguments.task
    repository.require_task(task)
    aliases = ModelAliases.from_environment()
    client = ModelClient(aliases, concurrency=arguments.concurrency)
    store = ResponseStore(repository.root / CACHE_DIR)
    session = DevSession(repository, task, client, aliases, store)
    try:
        asyncio.run(_follow(session, task, client))
    except KeyboardInterrupt:
        print()
    finally:
        store.close()
    print(summary(task, session.looks))
    return ExitCode.OK


async def _follow(session: DevSession, task: str, client: ModelClient) -> None:
    terminal = sys.stdout.isatty()

    def show(look: Look, before: Look | None) -> None:
        if terminal:
            scores = " → ".join(words.score(found.score) for found in session.looks[-8:])
            print(f"{CLEAR}prompt-hub dev {task}   {scores}\n", flush=True)
        for line in in_words(look, before):
            print(line, flush=True)
        if terminal:
            print("\nwatching its files; Ctrl-C ends", flush=True)

    async with client:
        await follow(session, saves_of(session.files), show)
