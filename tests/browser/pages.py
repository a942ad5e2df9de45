"""The browser, and pages opened in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, Request

ENV_BROWSER = "PROMPT_HUB_BROWSER"


NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


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
    found = [path for name in ([named] if named else NAMES) if (path := shutil.which(name))]
    if not found:
        pytest.fail(
            f"no browser: {named or 'chromium'} is not on the PATH; install it"
            f" (on Debian: apt-get install -y chromium) or name one in {ENV_BROWSER}.",
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
