"""`docs/rules.md`: every rule, what it asks, and how to mend what breaks it."""

from __future__ import annotations

from collections.abc import Iterable

from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.documents import closest
from prompt_hub.validation import check
from prompt_hub.validation.rules.base import Rule, SubjectT
from prompt_hub.validation.rules.reading import READING_RULES

_HEAD = """\
# Rules of the prompt repository

Written by `make docs`; do not edit. `prompt-hub validate` finds everything that
breaks a rule, in all files at once, and ends every line with the rule's id.
What is marked as a warning is told and blocks nothing.
"""


def rules_page() -> str:
    """Return the page as Markdown."""
    tree = [(rule.id, _asked(rule), rule.mend) for rule in check.TREE_RULES]
    task = [(rule.id, _asked(rule), rule.mend) for rule in check.TASK_RULES]
    reading = [(name, *texts) for name, texts in READING_RULES.items()]
    return "\n".join(
        [
            _HEAD,
            *_section("Reading a file", reading),
            *_section("The whole tree", tree),
            *_section("One task", task),
        ]
    )


def rule_texts() -> dict[str, tuple[str, str]]:
    """Return what every rule asks, by its id, and how to mend what breaks it."""
    tree = {rule.id: (rule.documentation, rule.mend) for rule in check.TREE_RULES}
    task = {rule.id: (rule.documentation, rule.mend) for rule in check.TASK_RULES}
    return {**READING_RULES, **tree, **task}


def explained(rule: str) -> str:
    """Return what a rule asks and how to mend it; raises `PromptHubError` for no rule of ours."""
    texts = rule_texts()
    if rule not in texts:
        meant = closest(rule, texts)
        hint = f"Did you mean {meant!r}? " if meant else ""
        raise PromptHubError(
            f"there is no rule {rule!r}.", hint=f"{hint}`prompt-hub validate --rules` lists them."
        )
    documentation, mend = texts[rule]
    return f"{rule}: {documentation}\n{mend}"


def _asked(rule: Rule[SubjectT]) -> str:
    return rule.documentation if rule.severity == "error" else f"(Warning) {rule.documentation}"


def _section(title: str, rules: Iterable[tuple[str, str, str]]) -> Iterable[str]:
    yield f"## {title}\n\n| id | rule | mend |\n|---|---|---|"
    for identifier, documentation, mend in rules:
        yield f"| `{identifier}` | {_cell(documentation)} | {_cell(mend)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
