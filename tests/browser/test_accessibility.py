"""What axe finds against the guidelines for accessible content, on every self-contained page.

`test_console.py` asks the same of the console's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_hub.reporting.pages import TEMPLATES
from tests.browser.pages import Open, Report, assert_accessible

PAGES = {"evaluation": "report", "catalogue": "catalogue", "run": "lifecycle", "repair": "repair"}
"""Every template of a page, and the fixture that makes one."""


def test_every_page_is_looked_at() -> None:
    pages = {
        path.name.partition(".")[0]
        for path in TEMPLATES.glob("*.html.j2")
        if "{% extends" in path.read_text("utf-8")
    }
    assert pages == PAGES.keys()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(
    open_page: Open,
    request: pytest.FixtureRequest,
    record_property: Report,
    name: str,
) -> None:
    made: Path | Callable[..., Path] = request.getfixturevalue(PAGES[name])
    path = made if isinstance(made, Path) else made(repeats=3, judged=True)
    # The checker is a script of its own, which the page's policy would rightly refuse.
    page = open_page(path, bypass_csp=True).page
    for summary in page.locator("summary").all()[:4]:
        summary.click()
    assert_accessible(page, name, record_property)
