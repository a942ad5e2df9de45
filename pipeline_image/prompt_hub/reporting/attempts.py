"""Every attempt at a task that was judged on this machine, each beside the one before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.core import aws_names, wording
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.foreign_text import one_line
from prompt_hub.evaluation.large_details import LargeDetails
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults, ReadableResults
from prompt_hub.evaluation.store import Evaluation, remembered_evaluation
from prompt_hub.gate.types import Status
from prompt_hub.reporting import words
from prompt_hub.reporting.answers import Change, by_example, change
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.schema import Prompt

VERDICTS = "verdicts"
"""Folder of the results in which verdicts are remembered, by the hash of what decided them."""
LISTED = 5
"""Examples that are named of those won, and of those lost; `--json` has them all."""


@dataclass(frozen=True)
class Attempt:
    """One judged candidate, and the examples that it won or lost against the attempt before."""

    record: EvaluationRecord
    won: tuple[str, ...]
    lost: tuple[str, ...]
    large: LargeDetails | None = None
    """Where answers lie that are too large to be held against others: its own, else those of the
    attempt before."""


def attempts(root: Path, task: str) -> tuple[Attempt, ...]:
    """Return the attempts at `task` whose verdicts this machine remembers, oldest first."""
    found = judged(root, task)
    return tuple(_beside(before, now) for before, now in zip([None, *found], found, strict=False))


def judged(root: Path, task: str) -> list[Evaluation]:
    """Return the evaluations of `task` that this machine remembers, oldest first.

    A verdict that can no longer be read is left out.
    """
    results = FolderResults(root / RESULTS_DIR)
    found = []
    for path in (root / RESULTS_DIR / VERDICTS).glob("*.json"):
        try:
            evaluation = remembered_evaluation(results, path.stem)
        except PromptHubError:
            continue
        if evaluation is not None and evaluation.record.task == task:
            found.append(evaluation)
    found.sort(key=lambda evaluation: evaluation.record.finished_at)
    return found


def keep_verdict(root: Path, results: ReadableResults, record: EvaluationRecord) -> None:
    """Keep a verdict and its answers on this machine too, where `results` are elsewhere.

    What could not be measured, and what was not, is remembered nowhere.
    """
    if record.candidate is None or record.verdict.status is Status.NOT_MEASURED:
        return
    here, key = FolderResults(root / RESULTS_DIR), aws_names.verdict_key(record.digest)
    text = results.get(key)
    if text is None or text == here.get(key):
        return
    answers_key = aws_names.verdict_details_key(record.digest)
    answers = results.get(answers_key)
    if answers is None:
        return
    here.put(answers_key, answers)
    here.put(key, text)


def keep_prompt(root: Path, record: EvaluationRecord, prompt: Prompt) -> None:
    """Keep the text of an attempt beside its verdict, whose record has nothing but its hash."""
    text = json.dumps(prompt.to_file(), ensure_ascii=False)
    FolderResults(root / RESULTS_DIR).put(aws_names.attempt_key(record.digest), text)


def previous_attempt(root: Path, candidate: Prompt) -> tuple[Prompt, Evaluation]:
    """Return the last attempt that said something else than `candidate`, and its evaluation.

    Raises:
        PromptHubError: there is none, or its text was not kept.
    """
    others = [
        evaluation
        for evaluation in judged(root, candidate.task)
        if (arm := evaluation.record.candidate) and arm.sha256 != candidate.sha256
    ]
    hint = f"`prompt-hub history {candidate.task}` lists the attempts of this machine."
    if not others:
        raise PromptHubError(f"no other attempt at {candidate.task} was judged here.", hint=hint)
    key = aws_names.attempt_key(others[-1].record.digest)
    text = FolderResults(root / RESULTS_DIR).get(key)
    if text is None:
        raise PromptHubError(
            f"the text of the attempt of {wording.minute(others[-1].record.finished_at)} was not"
            " kept: its prompt was edited while it was judged, or something else than"
            " `prompt-hub evaluate` judged it.",
            hint=hint,
        )
    return parse_model(text, key, Prompt, hint=hint), others[-1]


def _beside(before: Evaluation | None, now: Evaluation) -> Attempt:
    if before is None:
        return Attempt(now.record, (), ())
    if large := now.large or before.large:
        return Attempt(now.record, (), (), large)
    then, today = (by_example(each.details.get("candidate", ())) for each in (before, now))
    changes = {name: change(answers, then.get(name)) for name, answers in today.items()}
    return Attempt(
        now.record,
        tuple(name for name, how in changes.items() if how is Change.WON),
        tuple(name for name, how in changes.items() if how is Change.LOST),
    )


def in_words(found: Sequence[Attempt]) -> Iterator[str]:
    """Yield the attempts as lines for people."""
    for attempt in found:
        record = attempt.record
        arm = record.candidate
        measured = arm.score if arm else None
        yield (
            f"{wording.minute(record.finished_at)}  {record.version:<8} {record.verdict.status:<12}"
            f" {words.score(measured, record.threshold)}"
            f" of {words.score(record.threshold, measured)}"
            f" on {wording.count(arm.n if arm else 0, 'example')}  {arm.model if arm else ''}"
        )
        yield from moves_in_words(attempt.won, attempt.lost)
        if attempt.large is not None:
            yield from _large_in_words(attempt.large)


def _large_in_words(large: LargeDetails) -> Iterator[str]:
    """Say why won and lost are not listed, where the answers are, and how to get at them."""
    answers = wording.count(large.count, "answer")
    yield f"  won and lost are not listed: {answers} are too large for git and for this list"
    if large.is_shared:
        yield f"  they lie in S3: aws s3 cp {large.uri} ."
    else:
        yield f"  they lie on the machine that measured: {RESULTS_DIR / large.uri}"


def moves_in_words(won: Sequence[str], lost: Sequence[str]) -> Iterator[str]:
    """Yield a line of the examples won, and one of those lost, where there are some."""
    for what, examples in (("won", won), ("lost", lost)):
        if examples:
            more = f", and {len(examples) - LISTED} more" if len(examples) > LISTED else ""
            names = ", ".join(map(one_line, examples[:LISTED]))
            yield f"  {what:<4} {len(examples)}: {names}{more}"
