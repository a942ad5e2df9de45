"""What the CDK app needs to know about each prompt task, read from `prompts/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cdk_app.settings import SettingsError
from prompt_hub.core import aws_names
from prompt_hub.repository.alarm_windows import watch_misfits
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Metadata, ScoreWatch

_DRILL_SECONDS = 60.0
FRESHNESS_PERIODS = 3
"""A task without a sample for this many rounds of the score watch pages a person."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One prompt task: its name, how its score watch runs, how long an evaluation may take.

    Raises `SettingsError` for a score watch that fits no alarm, by the rule of `validate`.
    """

    name: str
    watch: ScoreWatch
    budget_seconds: float

    def __post_init__(self) -> None:
        for name, found, expected in watch_misfits(self.watch):
            raise SettingsError(
                f"03-metadata/{self.name}.yaml: score_watch.{name}: found {found};"
                f" expected {expected}."
            )

    @classmethod
    def from_metadata(cls, metadata: Metadata) -> Self:
        """Return the task that `metadata` describes."""
        return cls(
            name=metadata.task,
            watch=metadata.score_watch,
            budget_seconds=metadata.gate.budget.seconds,
        )


def drill_task() -> Task:
    """Return the product's own task, with which a stage drills its rollback."""
    return Task(
        name=aws_names.DRILL_TASK, watch=ScoreWatch(every_minutes=1), budget_seconds=_DRILL_SECONDS
    )


def read_tasks(root: Path) -> tuple[Task, ...]:
    """Every live task below `root`, sorted by name.

    Raises `SettingsError` if there is none or if its metadata cannot be read.
    """
    repository = PromptRepository(root)
    try:
        tasks = tuple(Task.from_metadata(repository.metadata(name)) for name in repository.tasks())
    except InvalidDocumentsError as error:
        raise SettingsError(str(error)) from error
    if not tasks:
        raise SettingsError("prompts/ has no live task: add examples and metadata for one.")
    return tasks
