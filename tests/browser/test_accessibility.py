"""What axe finds against the guidelines for accessible content, on every page, dark and light."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.pages import Open

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", ["evaluation", "catalogue", "lifecycle", "repair"])
def test_axe_finds_nothing(
    open_page: Open,
    report: Callable[..., Path],
    request: pytest.FixtureRequest,
    name: str,
    width: int,
    scheme: str,
) -> None:
    path = report(repeats=3, judged=True) if name == "evaluation" else request.getfixturevalue(name)
    viewport = {"width": width, "height": 900}
    # The checker is a script of its own, which the page's policy would rightly refuse.
    page = open_page(path, viewport=viewport, color_scheme=scheme, bypass_csp=True).page
    for summary in page.locator("summary").all()[:4]:
        summary.click()
    found = Axe().run(page, options=RULES).response
    lines = [
        f"{entry['id']}: {entry['help']}: {node['html'][:200]}"
        for entry in found["violations"]
        for node in entry["nodes"]
    ]
    assert not lines, "\n".join(lines[:12])
    assert "color-contrast" in {item["id"] for item in found["passes"]}
