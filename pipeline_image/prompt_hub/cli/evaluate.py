"""`prompt-hub evaluate`: score candidates, say the verdict."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, assert_never

from prompt_hub.cli.options import BATCH, add_backend, add_concurrency
from prompt_hub.cli.stage import add_stages, translate_aws_errors, words_of
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import head_commit
from prompt_hub.core.wording import count, score
from prompt_hub.evaluation.cache import CACHE_DIR, ResponseStore
from prompt_hub.evaluation.calibration import judging_in_words
from prompt_hub.evaluation.record import Arm, EvaluationRecord
from prompt_hub.evaluation.results import (
    ReadableResults,
    Results,
    execution_from_environment,
    results_from_environment,
)
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.gate.types import Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.reporting.words import reasons
from prompt_hub.repository.reader import PromptRepository

if TYPE_CHECKING:
    from prompt_hub.reporting.evaluation import EvaluationView

MOST_ON_A_PAGE = 20_000
"""Examples; all answers are in memory while a page is made."""
_KEPT = "Every answer so far is kept: run the same command again to go on from here."
_KEPT_BUT_FRESH = (
    "Every answer so far is kept, but with --fresh the same command asks everything anew, and pays"
    " for it again. Without it, what is stored is used."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task", nargs="*", help="tasks to evaluate; all of them by default")
    parser.add_argument(
        "--record",
        action="store_true",
        help="exit 0 once the record exists, whatever the verdict (inside the pipeline)",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="ask again, whatever earlier runs have stored and judged; of a candidate that is the"
        " released version there is nothing to ask: `prompt-hub watch` measures that",
    )
    parser.add_argument(
        "--changed-since",
        metavar="COMMIT",
        help="leave out tasks whose verdict rests on what COMMIT has already",
    )
    parser.add_argument(
        "--models-before",
        metavar="FILE",
        help="what PROMPT_HUB_MODELS was at that COMMIT; by default what it is",
    )
    parser.add_argument(
        "--read-only",
        action="store_true",
        help="use what the results bucket remembers and write nothing there: records stay here",
    )
    add_stages(
        parser,
        "inside the pipeline: stages whose rollbacks are written into this checkout first, as"
        " Promote will write them, so that a candidate is held against what is released then",
    )
    add_concurrency(parser)
    add_backend(parser, "large looks")
    parser.add_argument("--json", action="store_true", help="print the records as JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Evaluate; the exit code is that of the verdict that weighs most, but with `--record`."""
    repository = PromptRepository.from_environment()
    try:
        records = asyncio.run(_evaluate(arguments, repository))
    except KeyboardInterrupt:
        print(f"\n{_KEPT_BUT_FRESH if arguments.fresh else _KEPT}", file=sys.stderr)
        raise
    if arguments.json:
        print(json.dumps([json.loads(record.to_json()) for record in records], indent=2))
    if arguments.record:
        return ExitCode.OK
    return exit_code_of([record.verdict.status for record in records])


async def _evaluate(
    arguments: argparse.Namespace, repository: PromptRepository
) -> list[EvaluationRecord]:
    def say(line: str) -> None:
        print(line, file=sys.stderr if arguments.json else sys.stdout, flush=True)

    _take_waiting(repository, os.environ.get(aws_names.ENV_PROMOTION_BRANCH))
    _take_over(repository, arguments.stages, say)
    tasks = arguments.task or repository.tasks()
    for task in tasks:
        repository.require_task(task)
    aliases = ModelAliases.from_environment()
    results = results_from_environment(repository.root, read_only=arguments.read_only)
    store = ResponseStore(repository.root / CACHE_DIR, fresh=arguments.fresh)
    async with ModelClient(aliases, concurrency=arguments.concurrency) as client:
        if arguments.changed_since:
            before = arguments.models_before
            models_before = None if before is None else ModelAliases.parse(before)
            tasks = _changed(repository, tasks, arguments.changed_since, client, models_before, say)
        evaluator = Evaluator(
            repository,
            client,
            results,
            execution=execution_from_environment(),
            commit=head_commit(repository.root),
            store=store,
            fresh=arguments.fresh,
            in_batches=arguments.backend == BATCH,
            say=say,
        )
        records = []
        for task in tasks:
            record = await evaluator.evaluate(task)
            say(in_words(record))
            if arguments.record and not arguments.read_only:
                _keep_page(repository, results, record, say)
            if not arguments.record:
                _keep_attempt(repository, results, record)
            # A log of the pipeline keeps no example's values, and nobody types a command into it.
            if not (arguments.record or arguments.json):
                for line in _what_next(repository, results, record):
                    say(line)
            records.append(record)
    return records


def _what_next(
    repository: PromptRepository, results: ReadableResults, record: EvaluationRecord
) -> Iterator[str]:
    """Yield where to look and what to do after a verdict."""
    from prompt_hub.promotion.release_check import changed_since, release_blocker
    from prompt_hub.reporting.next_steps import MOST_EXAMPLES, losses, next_steps

    view = _view(repository, results, record, MOST_EXAMPLES)
    if view is not None:
        yield from (f"  note: {note}" for note in view.notes)
        yield from losses(view.worst)
    changed = blocker = None
    try:
        changed = changed_since(repository, record)
        if changed is None:
            blocker = release_blocker(repository, record)
    except PromptHubError as error:
        blocker = str(error)  # The verdict stands, even if a file was saved by half meanwhile.
    yield from next_steps(record, changed=changed, blocker=blocker)


def _view(
    repository: PromptRepository, results: ReadableResults, record: EvaluationRecord, most: int
) -> EvaluationView | None:
    """Return all that was said in an evaluation; None of one with more than `most` examples."""
    from prompt_hub.reporting.evaluation import read_view
    from prompt_hub.reporting.sources import Evaluations

    if record.candidate is None or record.candidate.n > most:
        return None
    evaluations = Evaluations(repository, results, record.execution)
    found = evaluations.recent(record.task)
    return None if found is None else read_view(evaluations, found)


def _keep_attempt(
    repository: PromptRepository, results: ReadableResults, record: EvaluationRecord
) -> None:
    """Keep what was judged, so that the next try can be held against it word by word."""
    from prompt_hub.reporting.attempts import keep_prompt, keep_verdict

    keep_verdict(repository.root, results, record)
    try:
        candidate = repository.candidate(record.task)
    except PromptHubError:
        return  # It was edited meanwhile, and saved by half.
    # It may have been edited meanwhile.
    if record.candidate is not None and record.candidate.sha256 == candidate.sha256:
        keep_prompt(repository.root, record, candidate)


def _keep_page(
    repository: PromptRepository,
    results: Results,
    record: EvaluationRecord,
    say: Callable[[str], None],
) -> None:
    """Keep the page beside the record: who has no clone reads the bucket.

    The verdict stands, even if the page cannot be made.
    """
    from prompt_hub.reporting.formats import report_formats

    try:
        view = _view(repository, results, record, MOST_ON_A_PAGE)
        if view is not None:
            key = aws_names.evaluation_page_key(record.execution, record.task)
            results.put(key, report_formats()["html"].render(view))
            say(f"  every example: {key} in the results")
    except PromptHubError as error:
        say(f"  the page of its examples was not kept: {error}")


def _take_waiting(repository: PromptRepository, branch: str | None) -> None:
    """Put what waits in the bot's `branch` for its merge into this checkout, as Promote will."""
    if branch:
        from prompt_hub.promotion.git_promotion import Checkout

        Checkout(repository.root).take_waiting(branch)


def _changed(
    repository: PromptRepository,
    tasks: Sequence[str],
    since: str,
    client: ModelClient,
    models_before: ModelAliases | None,
    say: Callable[[str], None],
) -> list[str]:
    """Return those of `tasks` that the commits after `since` concern; say so if it is none."""
    from prompt_hub.evaluation.changes import has_changed
    from prompt_hub.repository.commits import Commits

    commits = Commits(repository.root)
    if commits.find(since) is None:
        raise PromptHubError(
            f"this clone has no commit {since}.",
            hint="Fetch it (a shallow clone lacks what is older), or name another.",
        )
    with commits.tree(since) as before:
        changed = [
            task for task in tasks if has_changed(task, repository, before, client, models_before)
        ]
    if not changed:
        say(f"nothing to evaluate: no task has changed since {since}")
    return changed


@translate_aws_errors()
def _take_over(repository: PromptRepository, stages: str, say: Callable[[str], None]) -> None:
    """Make this checkout's champions those that Promote will find: git may not know them yet.

    A candidate that is held against a version that a stage has rolled back meanwhile could not be
    promoted, and nothing would start the execution that holds it against another.
    """
    if stages:
        from prompt_hub.promotion.write_back import write_back

        write_back(repository, words_of(stages.split(",")), say)


def in_words(record: EvaluationRecord) -> str:
    """Return a record as a person reads it: verdict, scores, the guess beside them, reasons."""
    verdict = record.verdict
    lines = [f"{record.task} {record.version}: {verdict.status}"]
    if record.candidate is not None:
        lines.append(f"  candidate  {_arm(record.candidate, record)}")
    if record.champion is not None:
        lines.append(f"  champion   {_arm(record.champion, record)}")
    if record.candidate is not None:
        threshold = score(record.threshold, record.candidate.score, record.baseline)
        baseline = "unknown"
        if record.baseline is not None:
            baseline = score(record.baseline, record.threshold)
        lines.append(f"  threshold {threshold} · majority guess {baseline}")
    lines += [f"  {line}" for line in judging_in_words(record)]
    lines += [f"  {reason}" for reason in reasons(record)]
    if verdict.overridden_by:
        lines.append(f"  overridden by {verdict.overridden_by}")
    if record.remembered:
        lines.append("  remembered: the same inputs were judged before, no model was called")
    return "\n".join(lines)


def _arm(arm: Arm, record: EvaluationRecord) -> str:
    others = (other.score for other in (record.candidate, record.champion) if other)
    measured = "not measured"
    if arm.score is not None:
        measured = score(arm.score, record.threshold, *others)
    low, high = arm.interval
    # A stored answer was given in another session than the other arm's: whoever reads must know.
    cached, batched = arm.asked(arm.cached), arm.asked(arm.batched)
    stored = f"  {count(cached, 'answer')} stored by an earlier run" if cached else ""
    if batched:
        stored += f"  {count(batched, 'answer')} of batches, whose latency nobody knows"
    unnamed = "which names no version of itself" if arm.n else "no answer"
    return (
        f"{arm.version}  {measured}  [{low:.3f}, {high:.3f}]  n={arm.n}"
        f"  {arm.model} ({', '.join(arm.answered_by) or unnamed})  {arm.seconds:.1f} s{stored}"
    )


def exit_code_of(verdicts: Sequence[Status]) -> ExitCode:
    """Return the exit code of several verdicts: one that blocks outweighs what was left open."""
    return max(map(_exit_code, verdicts), key=_BY_WEIGHT.index, default=ExitCode.OK)


_BY_WEIGHT = (ExitCode.OK, ExitCode.INCONCLUSIVE, ExitCode.NOT_MEASURED, ExitCode.BLOCKED)
"""As the rules of one verdict outweigh each other; the last weighs most."""


def _exit_code(status: Status) -> ExitCode:
    match status:
        case Status.PASS | Status.UNCHANGED:
            return ExitCode.OK
        case Status.BLOCK:
            return ExitCode.BLOCKED
        case Status.INCONCLUSIVE:
            return ExitCode.INCONCLUSIVE
        case Status.NOT_MEASURED:
            return ExitCode.NOT_MEASURED
        case _:
            assert_never(status)
