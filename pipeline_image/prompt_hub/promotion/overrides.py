"""Overrides that have been used: each releases its version once, on the model of then."""

from __future__ import annotations

from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.store import logged_record
from prompt_hub.promotion.registry_view import TaskRegistryView
from prompt_hub.promotion.states import State
from prompt_hub.repository.reader import PromptRepository


def used_override(repository: PromptRepository, record: EvaluationRecord) -> str | None:
    """Say why an override does not count: it has released this version before, on another model.

    None where it counts, or where there is none.
    """
    view = TaskRegistryView(repository.registry(), record.task)
    override, entry = repository.metadata(record.task).override, view.version(record.version)
    if record.verdict.overridden_by is None or override is None or entry is None:
        return None
    if view.state(record.version) is not State.RELEASED:
        return None
    same = (entry.person, entry.reason) == (override.person, override.reason)
    if not same:
        # An undo writes its own person and reason there. The hash in git's record has the override.
        kept = logged_record(repository, record.task, record.version)
        same = kept is not None and kept.metadata_sha256 == record.metadata_sha256
    arm = record.candidate
    if not same or arm is None or arm.model == entry.model.identity:
        return None
    return (
        f"the override by {override.person} was for {entry.model.identity}, and this is"
        f" {arm.model}: say it again with a new reason, or take it out of the metadata"
    )
