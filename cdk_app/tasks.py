"""What the CDK app needs to know about each prompt task, read from `prompts/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cdk_app.settings import SettingsError
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Metadata

_DAY_MINUTES = 24 * 60
FRESHNESS_PERIODS = 3
"""A task without a sample for this many rounds of the score watch pages a person."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One prompt task: its name, how its score watch runs, how long an evaluation may take.

    CloudWatch takes alarm periods that are multiples of a minute and at most a day, and looks back
    a day at most. Raises `SettingsError` for a score watch that fits no alarm.
    """

    name: str
    every_minutes: int
    datapoints_to_alarm: int
    evaluation_periods: int
    budget_seconds: float

    def __post_init__(self) -> None:
        where = f"03-metadata/{self.name}.yaml: score_watch"
        if not 1 <= self.every_minutes <= _DAY_MINUTES // FRESHNESS_PERIODS:
            raise SettingsError(
                f"{where}.every_minutes is {self.every_minutes}; it must be from 1 to"
                f" {_DAY_MINUTES // FRESHNESS_PERIODS}, because CloudWatch looks back a day at most"
                f" and silence is noticed after {FRESHNESS_PERIODS} rounds."
            )
        if self.every_minutes * self.evaluation_periods > _DAY_MINUTES:
            raise SettingsError(
                f"{where}.evaluation_periods is {self.evaluation_periods}; with a sample every"
                f" {self.every_minutes} minutes it must be at most"
                f" {_DAY_MINUTES // self.every_minutes}, because CloudWatch looks back a day."
            )
        if not 1 <= self.datapoints_to_alarm <= self.evaluation_periods:
            raise SettingsError(
                f"{where}.datapoints_to_alarm is {self.datapoints_to_alarm}; it must be from 1 to"
                f" evaluation_periods ({self.evaluation_periods})."
            )

    @classmethod
    def from_metadata(cls, metadata: Metadata) -> Self:
        """Return the task that `metadata` describes."""
        watch = metadata.score_watch
        return cls(
            name=metadata.task,
            every_minutes=watch.every_minutes,
            datapoints_to_alarm=watch.datapoints_to_alarm,
            evaluation_periods=watch.evaluation_periods,
            budget_seconds=metadata.gate.budget.seconds,
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
