"""All rules of the prompt repository, and the check that applies them.

A rule looks at one task or at the whole tree, and never raises for what a file holds. Files that
could not be read are reported by the reading itself; a rule that needs one of them stays silent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.documents import Problem
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.validation import secrets
from prompt_hub.validation.rules import (
    contracts,
    examples,
    metadata,
    prompts,
    released,
    scorers,
    tree,
)
from prompt_hub.validation.rules.base import Rule, SubjectT
from prompt_hub.validation.tree import Finding, TaskFiles, Tree
from prompt_hub.validation.tree_reader import read_tree

TREE_RULES = (*prompts.TREE_RULES, *tree.TREE_RULES)
TASK_RULES = (
    *examples.TASK_RULES,
    *prompts.TASK_RULES,
    *contracts.TASK_RULES,
    *released.TASK_RULES,
    *scorers.TASK_RULES,
    *metadata.TASK_RULES,
)


def check(
    repository: PromptRepository,
    task: str | None = None,
    *,
    proposed: Mapping[str, str] | None = None,
    models: ModelAliases | None = None,
) -> tuple[Tree, list[Finding]]:
    """Every finding in the repository, or those about `task`, in the order of files and lines.

    `proposed` are texts of files that are looked at as if they lay in the repository already,
    `models` is what aliases mean here.
    Nothing that looks like a key is repeated in a finding.
    """
    of_tasks: list[Finding] = []
    aliases = configured_aliases(repository.root)

    def look_at(files: TaskFiles) -> None:
        files = replace(files, models=models, aliases=aliases)
        for rule in TASK_RULES:
            found = rule.check(files)
            of_tasks.extend(Finding(_of(rule, problem), files.task) for problem in found)

    tree = read_tree(repository, look_at, proposed)
    findings = list(tree.unreadable)
    for whole in TREE_RULES:
        findings += (Finding(_of(whole, problem)) for problem in whole.check(tree))
    findings += of_tasks
    if task is not None:
        findings = [finding for finding in findings if tree.touches(task, finding)]
    unique = dict.fromkeys(replace(item, problem=_redacted(item.problem)) for item in findings)
    return tree, sorted(unique, key=_place)


def configured_aliases(root: Path) -> frozenset[str] | None:
    """Return the aliases that `cdk.json` gives a meaning; None where it does not say."""
    try:
        content = json.loads((root / aws_names.CONTEXT_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    match content:
        case {"context": {aws_names.CONTEXT_KEY: {"models": dict() as models}}}:
            return frozenset(map(str, models))
    return None


def _of(rule: Rule[SubjectT], problem: Problem) -> Problem:
    if problem.rule:
        return problem
    return replace(problem, rule=rule.id, severity=rule.severity)


def _redacted(problem: Problem) -> Problem:
    return replace(
        problem,
        field=secrets.redacted(problem.field),
        found=secrets.redacted(problem.found),
        expected=secrets.redacted(problem.expected),
        suggestion=secrets.redacted(problem.suggestion),
    )


def _place(finding: Finding) -> tuple[str, int, int, str]:
    problem = finding.problem
    return problem.file, problem.line, problem.column, finding.rule
