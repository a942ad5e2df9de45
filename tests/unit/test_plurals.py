"""No text says "1 records": whatever is counted gets its noun from `core/wording.py`.

Read from the syntax trees, for nobody renders every message with one of everything.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREES = ("pipeline_image/prompt_hub", "lambdas", "cdk_app")
NOUNS = (
    "action|alias|answer|arm|attempt|batch|byte|call|cell|character|column|digit|entry|event|example|"
    "execution|field|file|finding|fraction|grade|label|line|look|message|minute|model|pair|part|problem|"
    "prompt|question|record|request|round|row|rule|run|sample|score|second|set|shard|shot|stage|task|"
    "test|text|time|token|try|verdict|version|vote|warning|word|worker"
)
PLURAL = re.compile(
    rf"^ (?:more |other |shared )?(?:{NOUNS})(?:s|es)\b|^ (?:aliases|entries|tries)\b"
)
FOLLOWED = re.compile(rf"\}}\}}(?:<[^>]*>)* (?:{NOUNS})s\b")
"""What stands behind a value on a page."""
VERBS = {
    "activate.py": ("runs the image", "runs release"),
    "client.py": ("answers, then",),
    "ecs_task.py": ("runs",),
    "ledger.py": ("answers with",),
    "lifecycle.py": ("scores", "answers:"),
    "live.py": ("scores less",),
    "score_alarm.py": ("scores below",),
    "scorers.py": ("calls the same",),
    "service_health.py": ("answers",),
    "smoke_test.py": ("answers, not",),
    "soak.py": ("runs",),
}
"""By file, what something does, not how many there are: a version scores, a stage runs."""
ALWAYS_MANY = {
    "documents.py": ("bytes",),
    "evaluation.py": ("answers are too many",),
    "html.py": ("examples left out", "characters; the whole"),
    "json_positions.py": ("digits",),
    "json_strict.py": ("digits",),
    "prompts.py": ("more examples)",),
    "repair.py": ("runs begin with",),
    "repair_page.py": ("characters; the whole",),
    "replay.py": ("times",),
    "report.py": ("answers are too many",),
    "run_page.py": ("actions of CloudFormation",),
    "settings.py": ("characters of JSON",),
    "stage_settings.py": ("characters; IAM",),
    "template_filters.py": ("characters; at most",),
    "templates.py": ("characters",),
    "transitions.py": ("answers behind",),
}
"""By file, what stands behind a number that is never 1 there: a limit that was passed."""


def told(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Line, what is counted and the words behind it, of every text that is put together."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, words in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(words, ast.Constant):
                yield node.lineno, ast.unparse(value.value), str(words.value)


def faults(file: Path) -> Iterator[str]:
    for line, value, words in told(ast.parse(file.read_text(encoding="utf-8"))):
        allowed = (*VERBS.get(file.name, ()), *ALWAYS_MANY.get(file.name, ()))
        is_limit = value.rpartition(".")[2].isupper()
        if PLURAL.match(words) and not is_limit and not words.startswith(allowed, 1):
            yield f"{file.name}:{line}: {{{value}}}{words[:40]}"


def test_what_is_counted_in_code_says_one_and_many() -> None:
    files = [file for tree in TREES for file in sorted((ROOT / tree).rglob("*.py"))]
    assert len(files) > 300, "the code has moved: mend the rule"
    assert [fault for file in files for fault in faults(file)] == []


def test_what_is_counted_on_pages_says_one_and_many() -> None:
    pages = sorted((ROOT / "pipeline_image").rglob("*.j2"))
    assert len(pages) > 10, "the pages have moved: mend the rule"
    found = [
        f"{page.name}: {text}"
        for page in pages
        for text in FOLLOWED.findall(page.read_text(encoding="utf-8"))
    ]
    # Of looks, said from two on.
    assert found == ["evaluation.html.j2: }} times"]


@pytest.mark.parametrize("code", ['f"{len(found)} records"', 'f"{n:,} more examples left"'])
def test_a_count_without_the_helper_is_found(tmp_path: Path, code: str) -> None:
    (tmp_path / "a.py").write_text(code)
    assert len(list(faults(tmp_path / "a.py"))) == 1
    (tmp_path / "a.py").write_text("f\"{count(n, 'record')} of {task} names\"")
    assert list(faults(tmp_path / "a.py")) == []
