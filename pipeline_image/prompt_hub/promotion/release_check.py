"""Whether a candidate may be released: asked by promotion, and by who would push it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.store import logged_record
from prompt_hub.promotion.overrides import used_override
from prompt_hub.promotion.registry_view import TaskRegistryView
from prompt_hub.promotion.states import (
    OPEN,
    PASSED,
    Decision,
    Event,
    Guard,
    NotAllowedError,
    State,
    TransitionContext,
    move,
)
from prompt_hub.repository.examples import examples_sha256
from prompt_hub.repository.placeholders import placeholder_reason
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Prompt
from prompt_hub.scoring.metadata import read_metadata


def release_blocker(repository: PromptRepository, record: EvaluationRecord) -> str | None:
    """Say why promotion leaves the candidate alone whatever its verdict; None where it does not."""
    view = TaskRegistryView(repository.registry(), record.task)
    gone = taken_out(repository, view, record.version)
    if gone is not None:
        return gone  # It says who took it out and why; the table of moves knows neither.
    champion = repository.production(record.task)
    candidate = repository.candidate(record.task).known_as(champion)
    try:
        check_release(repository, record, candidate, champion, view, later=(PASSED, OPEN))
    except NotAllowedError as error:
        return str(error)
    return None


def changed_since(repository: PromptRepository, record: EvaluationRecord) -> str | None:
    """Name what a verdict rests on and what is another one by now; None where nothing is."""
    champion = repository.production(record.task)
    now = (
        examples_sha256(repository.stream_examples(record.task)),
        read_metadata(repository, record.task).sha256,
        champion.sha256 if champion else None,
    )
    then = (record.examples_sha256, record.metadata_sha256, record.champion_sha256)
    names = ("examples", "metadata", "champion")
    for name, new, old in zip(names, now, then, strict=True):
        if new != old:
            return name
    if record.candidate is None:
        return None  # Nothing was measured: the verdict is of no text.
    candidate = repository.candidate(record.task).known_as(champion)
    judged = (record.version, record.candidate.sha256)
    return None if (candidate.version, candidate.sha256) == judged else "candidate"


def taken_out(repository: PromptRepository, view: TaskRegistryView, version: str) -> str | None:
    """Say why a number is left alone quietly, as every execution meets it; None where it is not."""
    insisted = _decision(repository, view.task, version) is not None
    return view.reuse_blocker(version) or (
        None if insisted else view.refused_before_archive(version)
    )


def check_release(
    repository: PromptRepository,
    record: EvaluationRecord,
    candidate: Prompt,
    champion: Prompt | None,
    view: TaskRegistryView,
    *,
    later: Collection[Guard] = (),
) -> tuple[Event, Decision | None]:
    """Return the event that releases the candidate, and the person who answers for it, if any.

    Raises `NotAllowedError` where it may not be released; guards that are asked `later` are left
    out.
    """
    task, version = record.task, record.version
    decision = _decision(repository, task, version)
    case = replace(
        context_of(record, candidate, champion, decision),
        quarantined_as=_quarantined_as(repository, view, candidate),
    )
    refused = view.refused_before_archive(version)
    if refused is not None and decision is None:
        raise NotAllowedError(
            f"{task} {version} may not be released: {refused}.",
            hint="Or override by name with `prompt-hub promote override`.",
        )
    state = view.state(version)
    reason = None
    if state is not State.RELEASED:
        reason = placeholder_reason(candidate, repository.stream_examples(task))
    if reason is not None:
        raise NotAllowedError(
            f"{task} {version} may not be released: {reason}.",
            hint="Replace what `prompt-hub new` wrote, and stamp the task.",
        )
    check_number(repository, view, candidate)
    used = used_override(repository, record)
    if used is not None:
        raise NotAllowedError(f"{task} {version} may not be released: {used}.")
    event = Event.REQUALIFY if state is State.RELEASED else Event.PROMOTE
    if record.verdict.overridden_by is not None:
        event = Event.OVERRIDE
    move(task, state, event, case, later=later)
    # Who insists on what did harm, or was refused, is named, also where the gate passes it now.
    named = event is Event.OVERRIDE or case.quarantined_as is not None or refused is not None
    return event, decision if named else None


def waits_for_release(repository: PromptRepository, task: str) -> bool:
    """Whether a candidate that was not released yet will be, as soon as its verdict is PASS."""
    view, champion = TaskRegistryView(repository.registry(), task), repository.production(task)
    version = repository.metadata(task).version
    if taken_out(repository, view, version) is not None:
        return False
    try:
        case = TransitionContext(
            version=version,
            released=champion.version if champion else None,
            quarantined_as=_quarantined_as(repository, view, repository.candidate(task)),
            decision=_decision(repository, task, version),
        )
        move(task, view.state(version), Event.PROMOTE, case, later=(PASSED,))
    except NotAllowedError:
        return False
    except PromptHubError:
        pass  # It cannot be read as it is, and its author will mend that.
    return True


def _decision(repository: PromptRepository, task: str, version: str) -> Decision | None:
    """Return who insists on a version in the metadata, and why; None where nobody does."""
    override = repository.metadata(task).override
    if override is None or override.version != version:
        return None
    return Decision(override.person, override.reason)


def _quarantined_as(
    repository: PromptRepository, view: TaskRegistryView, candidate: Prompt
) -> str | None:
    """Return the quarantined version that the candidate is word for word, whatever its number."""
    return next(
        (
            old.version
            for old in repository.archived(view.task)
            if view.state(old.version) is State.QUARANTINED
            and old.content_sha256 == candidate.content_sha256
        ),
        None,
    )


def check_number(repository: PromptRepository, view: TaskRegistryView, candidate: Prompt) -> None:
    """Raise `NotAllowedError` where 04-evals alone knows the number, as that of other content.

    The registry has lost its entry. A verdict on the candidate would be written over the record of
    what was released, and stages would refuse the number much later.
    """
    task, version = view.task, candidate.version
    record = None if view.version(version) else logged_record(repository, task, version)
    if record is None or record.candidate is None or not record.verdict.promotes:
        return
    if record.candidate.sha256 != candidate.sha256:
        raise NotAllowedError(
            f"{task} {version} may not be released: 04-evals has it as released with other content,"
            " and the registry has lost its entry.",
            hint="Raise the version, and bring the entry back: `git log -p -- prompt_registry.yaml`"
            " has it.",
        )


def context_of(
    record: EvaluationRecord,
    candidate: Prompt,
    champion: Prompt | None,
    decision: Decision | None = None,
) -> TransitionContext:
    """Return what the guards of a move look at."""
    return TransitionContext(
        version=record.version,
        released=champion.version if champion else None,
        same_content=champion is not None and champion.content_sha256 == candidate.content_sha256,
        status=record.verdict.status,
        reasons=record.verdict.reasons,
        decision=decision,
    )
