"""`prompt-hub review`: a meta-prompt criticises a candidate, with cited lines."""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime

from prompt_hub.cli.progress import say
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.documents import read_text, to_model
from prompt_hub.repository.reader import EVALS, REVIEWS, TEMPLATES, PromptRepository
from prompt_hub.repository.schema import Prompt
from prompt_hub.review.critique import Review, findings, in_words, questions, reviewed

REVIEWER = "review.yaml"
"""The meta-prompt, a draft among the templates."""
SECONDS = 300.0
"""How long the model may take."""
SAY_EVERY = 10.0
"""Seconds after which it is said again that the model is still asked."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", help="the task whose candidate is reviewed")
    parser.add_argument("--json", action="store_true", help="print the review as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Review and log; OK whatever is found, NOT_MEASURED where no model answered."""
    repository = PromptRepository.from_environment()
    repository.require_task(arguments.task)
    reviewer = _reviewer(repository)
    try:
        client = ModelClient(ModelAliases.from_environment())
        client.resolve(reviewer)
    except PromptHubError as error:
        message = f"nothing was reviewed: {error.message}"
        raise PromptHubError(message, hint=error.hint, exit_code=ExitCode.NOT_MEASURED) from None
    review = asyncio.run(_reviewed(repository, arguments.task, reviewer, client))
    log = f"{review.task}/{REVIEWS}/{review.version}.json"
    FolderResults(repository.prompts / EVALS).put(log, review.to_json())
    if arguments.json:
        print(review.to_json(), end="")
    else:
        print(in_words(review))
        print(f"  logged in prompts/{EVALS}/{log}")
    return ExitCode.OK


async def _reviewed(
    repository: PromptRepository, task: str, reviewer: Prompt, client: ModelClient
) -> Review:
    model = client.resolve(reviewer).identity
    say(f"{task}: asking {model}; a small model on this machine may take minutes")
    started = time.monotonic()
    async with client:
        asking = asyncio.ensure_future(
            review_of(repository, task, reviewer, client, datetime.now(UTC))
        )
        while not (await asyncio.wait([asking], timeout=SAY_EVERY))[0]:
            say(f"{task}: still waiting, {time.monotonic() - started:.0f} s of {SECONDS:.0f}")
        return asking.result()


async def review_of(
    repository: PromptRepository, task: str, reviewer: Prompt, client: ModelClient, at: datetime
) -> Review:
    """Ask the reviewer about the candidate of `task`.

    Raises:
        ModelUnavailableError: no answer came.
    """
    path = repository.candidate_path(task)
    file = repository.relative(path)
    # An answer may take minutes, in which the author goes on.
    candidate, text = repository.candidate(task), read_text(path, file)
    fields = questions(text, repository.metadata(task).description, repository.examples(task))
    answer = await client.call(reviewer, fields, timeout=SECONDS)
    found = findings(answer, text)
    model = client.resolve(reviewer).identity
    return reviewed(candidate, file, reviewer, model, at, found)


def _reviewer(repository: PromptRepository) -> Prompt:
    path = repository.path(TEMPLATES, REVIEWER)
    if not path.exists():
        raise PromptHubError(
            f"there is no prompts/{TEMPLATES}/{REVIEWER}, the prompt that reviews others.",
            hint="Write one, or take the one of the example repository.",
        )
    return repository.whole(to_model(repository.document(path), Prompt), ())
