"""The page of all prompts; its script only narrows the list."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_hub.reporting import charts, pages
from prompt_hub.reporting.catalogue import CatalogueTask


def catalogue_page(tasks: Sequence[CatalogueTask], *, linked: bool = False) -> str:
    """Return the catalogue as HTML; every value in it is escaped.

    With `linked`, versions whose evaluation is kept link to its page, which lies beside this one.
    """
    return pages.page(
        "catalogue.html.j2",
        style="catalogue.css",
        script="catalogue.js",
        tasks=tasks,
        owners=sorted({task.owner for task in tasks}),
        sparklines={task.name: _sparkline(task) for task in tasks},
        linked=linked,
        evaluation_file=pages.evaluation_file,
    )


def _sparkline(task: CatalogueTask) -> tuple[charts.Spark, ...]:
    """Return the scores: what was never released is told from what was."""
    return charts.sparkline(
        [
            (
                score,
                "blocked"
                if not version.was_released
                else "candidate"
                if version is task.released
                else "earlier",
            )
            for score, version in task.scores
        ]
    )
