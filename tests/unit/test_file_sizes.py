"""No file of ours grows past what one sitting reads, unless it says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 450
REASON = "Longer than a file should be: "
"""How a file begins the line that says why it stays in one piece."""
AREAS = (
    "pipeline_image",
    "lambdas",
    "cdk_app",
    "stacks",
    "local_aws",
    "benchmarks",
    "tests",
    "docs",
)
SUFFIXES = {".py", ".js", ".css", ".html"}


def written_by_us(root: Path) -> list[Path]:
    """Every source file of the areas; what is installed or made there is not ours."""
    foreign = {"node_modules", "build", "cdk.out", "fixtures"}
    found: list[Path] = []
    for area in AREAS:
        for folder, folders, files in os.walk(root / area):
            folders[:] = sorted(set(folders) - foreign)
            found += [Path(folder, name) for name in sorted(files) if Path(name).suffix in SUFFIXES]
    return found


def too_long(root: Path) -> list[str]:
    found = []
    for path in written_by_us(root):
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        _, _, reason = text.partition(REASON)
        if lines > MOST_LINES and len(reason.split("\n")[0]) < 20:
            found.append(f"{path.relative_to(root)}: {lines} lines; at most {MOST_LINES}")
    return found


def test_no_file_of_ours_is_too_long_without_a_reason_in_it() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in written_by_us(ROOT)} == set(AREAS)
    assert too_long(ROOT) == []


@pytest.mark.parametrize(
    ("head", "lines", "found"),
    [
        ("", MOST_LINES, False),
        ("", MOST_LINES + 1, True),
        (f"# {REASON}one table that is looked up as a whole.\n", MOST_LINES, False),
        (f"# {REASON}big.\n", MOST_LINES, True),
    ],
    ids=["short enough", "too long", "with a reason", "with no real reason"],
)
def test_one_line_more_is_found_and_a_reason_is_heard(
    tmp_path: Path, head: str, lines: int, found: bool
) -> None:
    path = tmp_path / "local_aws" / "module.py"
    path.parent.mkdir()
    path.write_text(head + "x = 1\n" * lines)
    assert bool(too_long(tmp_path)) is found
