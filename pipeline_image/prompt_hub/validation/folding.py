"""Findings of one kind as a few lines: one mistake in a schema is found in every example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from prompt_hub.validation.tree import Finding

SHOWN = 3
"""Findings of a kind that are shown before the rest is counted."""


def folded(findings: Sequence[Finding]) -> Iterator[tuple[Finding, tuple[Finding, ...]]]:
    """Yield the findings that are shown, each with those that it stands for.

    Of findings of one rule in one file that expect the same of the same field the first few are
    shown, and where they found the same, too, the first one.
    """
    kinds: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(_kind(finding), []).append(finding)
    shown = {kind: _shown(alike) for kind, alike in kinds.items()}
    met: Counter[tuple[str, str, str, str]] = Counter()
    for finding in findings:
        kind = _kind(finding)
        met[kind] += 1
        if met[kind] <= shown[kind]:
            yield finding, tuple(kinds[kind][met[kind] :]) if met[kind] == shown[kind] else ()


def _shown(alike: Sequence[Finding]) -> int:
    """Return how many of a kind are shown; what is left is never a single one."""
    if len({finding.problem.found for finding in alike}) == 1:
        return 1
    return SHOWN if len(alike) > SHOWN + 1 else len(alike)


def _kind(finding: Finding) -> tuple[str, str, str, str]:
    problem = finding.problem
    return finding.rule, problem.file, problem.field, problem.expected
