"""What a rule is, and the tables of all of them: `docs/rules.md` is made from these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import cleandoc
from typing import Generic, TypeVar

from prompt_hub.prompts.documents import Problem
from prompt_hub.validate.tree import TaskFiles, Tree

SubjectT = TypeVar("SubjectT")
Check = Callable[[SubjectT], Iterator[Problem]]


@dataclass(frozen=True)
class Rule(Generic[SubjectT]):
    """A rule: its id, a line of documentation, how to mend what breaks it, and the check."""

    id: str
    documentation: str
    mend: str
    check: Check[SubjectT]


TASK_RULES: list[Rule[TaskFiles]] = []
TREE_RULES: list[Rule[Tree]] = []


def task_rule(identifier: str) -> Callable[[Check[TaskFiles]], Check[TaskFiles]]:
    """Register a rule about one task; its docstring is a line, and a paragraph on mending."""
    return _into(TASK_RULES, identifier)


def tree_rule(identifier: str) -> Callable[[Check[Tree]], Check[Tree]]:
    """Register a rule about the whole tree; its docstring is a line, and one on mending."""
    return _into(TREE_RULES, identifier)


def _into(
    rules: list[Rule[SubjectT]], identifier: str
) -> Callable[[Check[SubjectT]], Check[SubjectT]]:
    def register(check: Check[SubjectT]) -> Check[SubjectT]:
        documentation, _, mend = cleandoc(check.__doc__ or "").partition("\n")
        rules.append(Rule(identifier, documentation, " ".join(mend.split()), check))
        return check

    return register
