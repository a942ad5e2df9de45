"""The browser, and pages opened in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Request

from local_aws.prepare import BROWSERS

ENV_BROWSER = "PROMPT_HUB_BROWSER"
SIZES = (1440, 390)
THEMES = ("light", "dark")
AXE = "axe"
"""Name of the property in which a test reports what axe found: page, width, theme, number."""
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]},
    # Of all else one element a rule is described: a page has thousands that pass.
    "resultTypes": ["violations"],
}

FLAGS = (
    # A root user has no sandbox; the pages are our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


POISON = (
    "</script><script>window.hacked = 1</script>"
    "<img src=x onerror='window.hacked = 2'><svg onload='window.hacked = 3'>"
)


def executable() -> str:
    """Where Chromium is; fails in one sentence where it is not: a skipped test proves nothing."""
    named = os.environ.get(ENV_BROWSER)
    found = [path for name in ([named] if named else BROWSERS) if (path := shutil.which(name))]
    if not found:
        pytest.fail(
            f"no browser: {named or BROWSERS[0]} is not on the PATH; install it"
            f" (on Debian: apt-get install -y {BROWSERS[0]}) or name one in {ENV_BROWSER}.",
            pytrace=False,
        )
    return found[0]


@dataclass
class Opened:
    """A page in the browser, and what it asked for or complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


def refused(opened: Opened, request: Request) -> None:
    """A request that the page's own policy stopped was never made: a complaint, no request."""
    if request.failure == "csp":
        opened.requests.remove(request.url)
        opened.complaints.append(f"refused by the policy: {request.url}")


Report = Callable[[str, object], None]


def assert_accessible(page: Page, name: str, report: Report) -> None:
    """Axe finds nothing, and no page is wider than the window, in both sizes and themes."""
    lines = []
    for width in SIZES:
        for theme in THEMES:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            found = Axe().run(page, options=RULES).response
            nodes = [(entry, node) for entry in found["violations"] for node in entry["nodes"]]
            report(AXE, (name, width, theme, len(nodes)))
            lines += [
                f"{width} {theme} {entry['id']}: {entry['help']}: {node['html'][:200]}"
                for entry, node in nodes
            ]
            assert "color-contrast" in {item["id"] for item in found["passes"]}
            wide = page.evaluate("document.documentElement.scrollWidth")
            lines += [f"{width} {theme}: {wide} pixels wide"] if wide > width else []
    assert not lines, "\n".join(lines[:12])
