"""The page of all prompts; its script only narrows the list."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_hub.reporting import charts, pages
from prompt_hub.reporting.catalogue import CatalogueTask

SPARKLINE = 24
"""Height of a sparkline, in its own units."""


def catalogue_page(tasks: Sequence[CatalogueTask]) -> str:
    """Return the catalogue as HTML; every value in it is escaped."""
    return pages.page(
        "catalogue.html.j2",
        style="catalogue.css",
        script="catalogue.js",
        tasks=tasks,
        height=SPARKLINE,
        sparklines={task.name: charts.sparkline(task.scores, SPARKLINE) for task in tasks},
    )
