"""What a rule is: a check that says what it asks and how to mend what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import cleandoc
from typing import Generic, TypeVar

from prompt_hub.repository.documents import Problem, Severity
from prompt_hub.validation.tree import TaskFiles, Tree

SubjectT = TypeVar("SubjectT")
Check = Callable[[SubjectT], Iterator[Problem]]


@dataclass(frozen=True)
class Rule(Generic[SubjectT]):
    """A rule: its id, a line of documentation, how to mend what breaks it, and the check.

    What breaks a rule of severity `warning` is told, and blocks nothing.
    """

    id: str
    documentation: str
    mend: str
    check: Check[SubjectT]
    severity: Severity = "error"


def task_rule(
    identifier: str, severity: Severity = "error"
) -> Callable[[Check[TaskFiles]], Rule[TaskFiles]]:
    """Make a rule about one task of a check: its docstring is a line, and one on mending."""
    return lambda check: _rule(identifier, check, severity)


def tree_rule(identifier: str) -> Callable[[Check[Tree]], Rule[Tree]]:
    """Make a rule about the whole tree of a check: its docstring is a line, and one on mending."""
    return lambda check: _rule(identifier, check)


def _rule(identifier: str, check: Check[SubjectT], severity: Severity = "error") -> Rule[SubjectT]:
    documentation, _, mend = cleandoc(check.__doc__ or "").partition("\n")
    return Rule(identifier, documentation, " ".join(mend.split()), check, severity)
