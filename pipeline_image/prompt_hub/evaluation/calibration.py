"""Whether a judge may gate: its recorded agreement with people against the floor it must reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.exact import reaches
from prompt_hub.core.wording import count, score
from prompt_hub.evaluation.judge import votes_agree, votes_of
from prompt_hub.evaluation.record import Arm, EvaluationRecord, Judging
from prompt_hub.evaluation.store import logged_record
from prompt_hub.gate.agreement import Agreement, Pair, agreement
from prompt_hub.llm.response import object_in
from prompt_hub.repository.reader import PromptRepository, evaluation_path
from prompt_hub.repository.registry import Registry, VersionState
from prompt_hub.repository.schema import Example, Judge, Prompt
from prompt_hub.scoring import ScorerResult
from prompt_hub.scoring.scorers.judge import grade_bounds, inputs_of_other_types


def calibrated(
    prompt: Prompt, answers: Iterable[tuple[Example, str]], confidence: float
) -> Agreement | None:
    """Agreement of a judge with the people who labelled its examples.

    None where the prompt is no judge, or its labelled set says nothing about one. Answers without
    a usable grade are left out: as votes they would not count either.

    Args:
        prompt: the judge.
        answers: an example and the text of an answer to it; several where it was repeated.
        confidence: of the interval.
    """
    bounds = grade_bounds(prompt.output)
    if bounds is None:
        return None
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for example, text in answers:
        given, wanted = _grade(prompt, text, bounds), example.expected.get("grade")
        if given is not None and isinstance(wanted, int | float):
            pairs[example.id].append((given, float(wanted)))
    return agreement(pairs, confidence)


def _grade(judge: Prompt, text: str, bounds: tuple[int, int]) -> float | None:
    try:
        output = object_in(text, judge)
    except ValueError:
        return None
    given = output.get("grade") if isinstance(output, dict) else None
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    low, high = bounds
    return float(given) if low <= given <= high and given == int(given) else None


@dataclass(frozen=True)
class Calibration:
    """What is recorded of the judge that a task pins, read once for a whole evaluation.

    `refusal` says why it may not gate, None where it may.
    """

    agreement: Agreement | None
    refusal: str | None


def judging(
    calibration: Calibration,
    settings: Judge,
    judge: Prompt,
    model: str,
    parts: Iterable[ScorerResult],
) -> Judging | None:
    """Return what a record says of the judge that gave these parts; None where it may not gate."""
    if calibration.refusal is not None or calibration.agreement is None:
        return None
    return Judging(
        task=judge.task,
        version=judge.version,
        sha256=judge.sha256,
        model=model,
        votes=votes_of(judge, settings),
        agreement=calibration.agreement.value,
        votes_agree=votes_agree(parts),
    )


def calibration_of(
    repository: PromptRepository, registry: Registry, settings: Judge, judge: Prompt, model: str
) -> Calibration:
    """Return what is recorded of a judge, and whether it may gate by that.

    Args:
        repository: the repository that holds the judge's record.
        registry: its registry, read before.
        settings: the judge as a task's metadata names it.
        judge: the released version that they pin.
        model: identity of the model that the judge would be answered by here; an agreement that
            was measured on another model says nothing about it.
    """
    name = f"the judge {settings.task} {settings.version} may not gate"
    entry = registry.tasks.get(settings.task)
    version = entry.versions.get(settings.version) if entry else None
    if version is not None and version.state is VersionState.QUARANTINED:
        return Calibration(None, f"{name}: it is quarantined")
    # People graded what its examples show it, and here it is asked about JSON as text.
    for misfit in inputs_of_other_types(judge):
        return Calibration(None, f"{name}: it is a judge {misfit}, and is given a text")
    try:
        record = logged_record(repository, settings.task, settings.version)
    except PromptHubError as error:
        return Calibration(None, f"{name}: {error.message}")
    found = record.agreement if record else None
    if record is None or record.candidate is None or found is None:
        path = evaluation_path(settings.task, settings.version)
        return Calibration(None, f"{name}: {path} holds no agreement with people")
    reason = _unfit(record.candidate, found, settings, judge, model)
    return Calibration(found, None if reason is None else f"{name}: {reason}")


def _unfit(
    measured: Arm, agreement: Agreement, settings: Judge, judge: Prompt, model: str
) -> str | None:
    if judge.sha256 != measured.sha256:
        return "its agreement was measured on another prompt"
    if measured.model != model:
        return (
            f"its agreement was measured on {measured.model}, here it would be answered by {model}"
        )
    if not reaches(agreement.value, settings.floor):
        found = agreement.beside(settings.floor)
        floor = score(settings.floor, agreement.value, places=2)
        return f"its agreement with people is {found}, below the floor {floor}"
    return None


def judging_in_words(record: EvaluationRecord) -> Iterator[str]:
    """Yield what a record says of the judge that graded, and of a candidate that is one."""
    judge = record.judge
    if judge is not None:
        agreed = "" if judge.votes_agree is None else f", {judge.votes_agree:.0%} of pairs the same"
        votes = count(judge.votes, "vote") + (agreed if judge.votes != 1 else "")
        yield (
            f"judge {judge.task} {judge.version} on {judge.model}: {votes};"
            f" agreement with people {judge.agreement:.2f}"
        )
    if record.agreement is not None:
        yield f"agreement with people {record.agreement}"
