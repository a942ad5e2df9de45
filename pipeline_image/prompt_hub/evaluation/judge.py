"""An answer graded by a meta-prompt: a task of this repository in a released version.

What a judge is asked and answers is its contract in `scoring/scorers/judge.py`. The score is the
median vote's place between the bounds of the grade.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import combinations
from statistics import fmean, median

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.budgeted_client import Ask
from prompt_hub.llm.response import FILTERED, Answer
from prompt_hub.repository.reader import ARCHIVE, PRODUCTION, PromptRepository
from prompt_hub.repository.schema import Example, JsonObject, Judge, Prompt
from prompt_hub.scoring.base import NO_OUTPUT, NotScoredError, ScorerResult
from prompt_hub.scoring.metadata import ScoringMetadata
from prompt_hub.scoring.registry import sort_scorers
from prompt_hub.scoring.scorers.judge import INPUTS, grade_bounds

JUDGE_FILTERED = f"the judge was {FILTERED.reason}"


def judge_of(repository: PromptRepository, metadata: ScoringMetadata) -> Prompt | None:
    """Return the pinned judge of a task, its lock verified; None where no judge scores.

    Raises:
        PromptHubError: a judge scores, but none is named, or there is no such released version.
    """
    if not sort_scorers(metadata.scorers).judges:
        return None
    file = f"03-metadata/{metadata.task}.yaml"
    settings = metadata.judge
    if settings is None:
        raise PromptHubError(
            f"{file}: a judge scores, but no judge is named.",
            hint="Add judge: {task: ..., version: ...}.",
            exit_code=ExitCode.BLOCKED,
        )
    prompt = repository.version(settings.task, settings.version)
    if prompt is None:
        raise PromptHubError(
            f"{file}: the judge {settings.task} {settings.version} is neither in {PRODUCTION} nor"
            f" in {ARCHIVE}.",
            hint="Name a released version of the judge's task.",
            exit_code=ExitCode.BLOCKED,
        )
    scale(prompt)
    return prompt


def scale(judge: Prompt) -> tuple[int, int]:
    """Lowest and highest grade; raises `PromptHubError` if the judge's output does not say."""
    bounds = grade_bounds(judge.output)
    if bounds is None:
        raise PromptHubError(
            f"the judge {judge.task} must answer an integer 'grade' with minimum and maximum.",
            exit_code=ExitCode.BLOCKED,
        )
    return bounds


def votes_of(judge: Prompt, settings: Judge) -> int:
    """How often the judge is asked: once where it always says the same."""
    return settings.votes if judge.model.sampled else 1


def question(example: Example, output: JsonObject) -> JsonObject:
    """Return what the judge is asked about one answer.

    Raises `RecursionError` for endless nesting.
    """
    message = (example.input, example.expected, output)
    texts = (json.dumps(value, ensure_ascii=False) for value in message)
    return dict(zip(INPUTS, texts, strict=True))


async def grade(
    judge: Prompt,
    settings: Judge,
    weight: float,
    output: JsonObject | None,
    example: Example,
    ask: Ask,
    *,
    repeat: int = 0,
) -> ScorerResult:
    """Let the judge grade one answer.

    Raises `ModelUnavailableError` if a vote gave no usable grade.

    A judge that breaks its own contract has measured nothing: that is an outage, not a zero.

    Args:
        judge: the pinned judge.
        settings: how it is used.
        weight: the scorer's weight.
        output: the answer to grade.
        example: what was asked, and what people expect.
        ask: the way to the model.
        repeat: which repeat of the example this is; a sampled judge is asked anew in each.
    """
    if output is None:
        return ScorerResult("judge", 0.0, weight, NO_OUTPUT)
    low, high = scale(judge)
    wanted = votes_of(judge, settings)
    try:
        fields = question(example, output)
    except RecursionError:
        return ScorerResult("judge", 0.0, weight, f"{NO_OUTPUT}: values nested without end")
    votes: list[tuple[int, str]] = []
    for vote in range(wanted):
        answer = await ask(judge, fields, repeat=repeat * wanted + vote)
        if answer.response.withheld is not None and answer.response.withheld.filtered:
            # No vote will ever come: a wrong answer, where `gate.content_filter` lets it be one.
            return ScorerResult("judge", 0.0, weight, JUDGE_FILTERED)
        votes.append(_vote(judge, answer))
    grades = sorted(given for given, _ in votes)
    middle = median(grades)
    scores = tuple((given - low) / (high - low) for given, _ in votes)
    loss = ""
    if middle < high:
        _, reason = min(votes, key=lambda vote: abs(vote[0] - middle))
        counted = f" (votes {', '.join(map(str, grades))})" if wanted > 1 else ""
        loss = f"judged {middle:g} of {high}{counted}: {reason}".rstrip(": ")
    return ScorerResult("judge", (middle - low) / (high - low), weight, loss, votes=scores)


def _vote(judge: Prompt, answer: Answer) -> tuple[int, str]:
    given = answer.output.get("grade") if answer.output else None
    # JSON Schema counts 4.0 among the integers.
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise NotScoredError(
            f"the judge {judge.task} {judge.version} gave no usable grade:"
            f" {answer.problem or 'its answer has none'} (--fresh asks it again)."
        )
    reason = answer.output.get("reason") if answer.output else None
    return int(given), reason if isinstance(reason, str) else ""


def votes_agree(parts: Iterable[ScorerResult]) -> float | None:
    """Share of pairs of votes on the same answer that say the same; None without such pairs.

    Not corrected for chance: it says how steady a judge is, its agreement with people whether it
    is right (`gate/agreement.py`).
    """
    pairs = [
        float(number == other)
        for part in parts
        if part.scorer == "judge"
        for number, other in combinations(part.votes, 2)
    ]
    return fmean(pairs) if pairs else None
