"""Rules about what a contract says and nobody holds anything to. They warn."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_hub.repository.contracts import keywords_in
from prompt_hub.repository.documents import Problem, closest
from prompt_hub.repository.formats import ASSERTED, NOT_ASSERTED
from prompt_hub.validation.rules.base import Rule, task_rule
from prompt_hub.validation.tree import TaskFiles


@task_rule("schema-format", "warning")
def _formats_are_asserted(files: TaskFiles) -> Iterator[Problem]:
    """A `format` is one that values are held to, here and by a provider of models.

    Write one that is asserted, or say it with `pattern`; others are notes for people.
    """
    for source in files.people_write:
        for name in ("input", "output"):
            for location, keyword, value in keywords_in(getattr(source.content, name)):
                if keyword != "format" or not isinstance(value, str) or value in ASSERTED:
                    continue
                known = value in NOT_ASSERTED
                found = (
                    f"the format {value!r}, which {'nothing asserts' if known else 'is unknown'}"
                )
                expected = f"one of: {', '.join(sorted(ASSERTED))}"
                meant = "" if known else closest(value, ASSERTED)
                here = (name, *location)
                yield source.problem(here, found, expected, suggestion=meant)


TASK_RULES: tuple[Rule[TaskFiles], ...] = (_formats_are_asserted,)
