"""The rules about scorers and judges."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.repository.contracts import schema_problems
from prompt_hub.repository.documents import Problem
from prompt_hub.scoring.base import RuleContext
from prompt_hub.scoring.registry import sort_scorers
from prompt_hub.scoring.scorers.judge import contract_complaints
from prompt_hub.validation.rules.base import Rule, task_rule
from prompt_hub.validation.tree import TaskFiles


@task_rule("scorers")
def _scorers_fit(files: TaskFiles) -> Iterator[Problem]:
    """Every scorer looks at properties that the prompt has, in a way that suits their type.

    Name a property of the candidate's output (of its input for an attack), or give the scorer
    another type; docs/scorers.md has the options of each.
    """
    if not (files.metadata and files.candidate):
        return
    prompt = files.candidate.content
    if schema_problems(prompt.input) or schema_problems(prompt.output):
        return  # said by `schema`
    metadata = files.metadata.content
    context = RuleContext(
        prompt=prompt, root=files.prompts.parent, has_judge=metadata.judge is not None
    )
    for index, scorer in enumerate(metadata.scorers):
        for location, found, expected in scorer.complaints(context):
            yield files.metadata.problem(("scorers", index, *location), found, expected)
    kinds = sort_scorers(metadata.scorers)
    if not kinds.pure and not kinds.judges:
        expected = "another scorer, which says whether an attacked answer is still right"
        yield files.metadata.problem(("scorers",), "injection scorers only", expected)


@task_rule("judge")
def _judge_fits(files: TaskFiles) -> Iterator[Problem]:
    """A judge is a released version of another task; it grades input, expected and answer.

    Promote the judge's task first, then name its task and version under `judge`.
    """
    settings = files.metadata.content.judge if files.metadata else None
    if files.metadata is None or settings is None:
        return
    if not sort_scorers(files.metadata.content.scorers).judges:
        found, expected = "a judge without a scorer of type 'judge'", "such a scorer, or no judge"
        yield files.metadata.problem(("judge",), found, expected)
    if settings.task == files.task:
        yield files.metadata.problem(("judge", "task"), "the task itself", "the task of a judge")
        return
    name = f"{settings.task} {settings.version}"
    if files.judge is None:
        found = f"{name}, which is neither in 02-production nor in 99-archive"
        expected = "a released version of a judge's task"
        yield files.metadata.problem(("judge", "version"), found, expected)
        return
    for found, expected in contract_complaints(files.judge.content):
        yield files.metadata.problem(("judge",), found, expected)


TASK_RULES: tuple[Rule[TaskFiles], ...] = (
    _scorers_fit,
    _judge_fits,
)
