"""docs/performance.md: the newest result of every benchmark, and each ratio by commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.eval.printing import table
from benchmarks.results import RESULTS, ROOT, Ratio, Run, load
from prompt_hub.core.generated_page import replace_generated_part

PAGE = ROOT / "docs" / "performance.md"
SOURCE = "benchmarks/results"
TREND = 8
"""How many runs of a benchmark the trend shows: what fits beside each other on a page."""


def write_page(order: Sequence[str], page: Path = PAGE, folder: Path = RESULTS) -> None:
    """Write the generated part of `page` anew from the results in `folder`.

    Args:
        order: benchmarks in the order of the page; those without a result are named as such.
        page: Markdown with the two comments that enclose the part.
        folder: where `benchmarks.results.record` keeps results.
    """
    results = load(folder)
    named = [*order, *(name for name in results if name not in order)]
    parts = [_section(name, results.get(name, [])) for name in named]
    page.write_text(
        replace_generated_part(page.read_text("utf-8"), SOURCE, "\n\n".join(parts)), "utf-8"
    )


def _section(name: str, runs: Sequence[Run]) -> str:
    if not runs:
        return f"## {name}\n\nNot measured yet."
    parts = [f"## {name}"]
    shown: set[str] = set()
    for run in reversed(runs):
        # A run of some sections leaves the others at what was measured before.
        ratios = [ratio for ratio in run.ratios if ratio.name not in shown]
        if ratios:
            shown |= {ratio.name for ratio in ratios}
            parts += [f"{run.at}, commit {run.commit}, {run.machine}.", _table(ratios)]
    return "\n\n".join([*parts, *_trend(runs)])


def _table(ratios: Sequence[Ratio]) -> str:
    header = ("what", "ratio", "promise", "", "ours", "beside", "runs")
    rows = [
        [
            ratio.name,
            ratio.found,
            ratio.promise,
            ratio.outcome,
            ratio.measured or "—",
            ratio.beside or "—",
            str(ratio.runs),
        ]
        for ratio in ratios
    ]
    return table(header, rows)


def _trend(runs: Sequence[Run]) -> list[str]:
    """Return a table of each ratio by commit, oldest first; nothing while there is one run."""
    if len(runs) < 2:
        return []
    shown = runs[-TREND:]
    found = [{ratio.name: ratio.found for ratio in run.ratios} for run in shown]
    names = dict.fromkeys(name for ratios in reversed(found) for name in ratios)
    rows = [[name, *(ratios.get(name, "—") for ratios in found)] for name in names]
    return ["By commit:", table(["", *(f"{run.commit}" for run in shown)], rows)]
