"""What the CDK app needs to know about each prompt task, read from `prompts/`."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cdk_app.settings import CONTEXT_KEY, SettingsError
from cdk_app.stage_settings import StageSettings
from prompt_hub.core import aws_names
from prompt_hub.repository.alarm_windows import alarm_problems
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Metadata, Prompt, ScoreWatch

_DRILL_SECONDS = 60.0
DRILL_ID = "drill"
"""What the drill's own alarm is called among those of the tasks."""
FRESHNESS_PERIODS = 3
"""A task without a sample for this many rounds of the score watch pages a person."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One prompt task: its name, how its score watch runs, how long an evaluation may take.

    Raises `SettingsError` for a score watch that fits no alarm, by the rule of `validate`, and for
    an evaluation that may take longer than a build.
    """

    name: str
    watch: ScoreWatch
    budget_seconds: float

    def __post_init__(self) -> None:
        for name, found, expected in alarm_problems(self.watch):
            raise SettingsError(
                f"03-metadata/{self.name}.yaml: score_watch.{name}: found {found};"
                f" expected {expected}."
            )
        if self.budget_seconds > (most := aws_names.LONGEST_EVALUATION_SECONDS):
            raise SettingsError(
                f"03-metadata/{self.name}.yaml: gate.budget.seconds: found"
                f" {self.budget_seconds:.10g}; expected at most {most:,}: CodeBuild ends a build"
                f" after 36 hours, of which {aws_names.BUILD_SET_UP_MINUTES} minutes are set up."
            )

    @property
    def build_minutes(self) -> int:
        """Return how long the build may take that evaluates the task, in minutes."""
        return math.ceil(self.budget_seconds / 60) + aws_names.BUILD_SET_UP_MINUTES

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


def require_aliases(root: Path, aliases: Collection[str]) -> None:
    """Raise `SettingsError` where a candidate or a released version names none of `aliases`.

    Only the pipeline's Evaluate, or a stage, would find out. A prompt that cannot be read is told
    by validation.
    """
    repository = PromptRepository(root)
    for task in repository.tasks():
        prompts: list[Prompt | None] = []
        for read in (repository.draft, repository.production):
            with suppress(InvalidDocumentsError):
                prompts.append(read(task))
        for prompt in filter(None, prompts):
            alias = prompt.model.alias
            if alias not in aliases:
                known = ", ".join(sorted(aliases))
                raise SettingsError(
                    f"{CONTEXT_KEY}.models has no alias {alias!r}, which {task} {prompt.version}"
                    f" names (known: {known}).",
                    file=aws_names.CONTEXT_FILE,
                )


def require_time_for_soaks(tasks: Sequence[Task], stages: Sequence[StageSettings]) -> None:
    """Raise `SettingsError` where a soak may end before the rounds that it waits for.

    Of a task that a release does not move, its image measures one round in each interval, and the
    one of the activation may have its round already.
    """
    rarest = max(tasks, key=lambda task: task.watch.every_minutes)
    every = rarest.watch.every_minutes
    for index, stage in enumerate(stages):
        soak = stage.soak
        if soak is not None and soak.limit_minutes < (longest := soak.rounds * every):
            raise SettingsError(
                f"{CONTEXT_KEY}.stages[{index}].soak.limit_minutes is {soak.limit_minutes}; with"
                f" soak.rounds {soak.rounds} it must be {longest} or more, as"
                f" score_watch.every_minutes of {rarest.name} is {every}. Ask for fewer rounds"
                " (0, with soak.minutes), or measure that task more often.",
                file=aws_names.CONTEXT_FILE,
            )


def require_drills_to_be_told_apart(tasks: Sequence[Task], stages: Sequence[StageSettings]) -> None:
    """Raise `SettingsError` where the alarm of a task would be built by the name of the drill's.

    The drill's keeps its id: by another one CloudFormation would make the alarm a second time.
    """
    for index, stage in enumerate(stages):
        if stage.drill and any(task.name == DRILL_ID for task in tasks):
            raise SettingsError(
                f"{CONTEXT_KEY}.stages[{index}].drill is true, and prompts/03-metadata/"
                f"{DRILL_ID}.yaml has a task {DRILL_ID!r}, as the drill's own alarm is called:"
                " give the task another name, or leave out the drill.",
                file=aws_names.CONTEXT_FILE,
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
