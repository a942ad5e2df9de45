"""Draw the pages that `prompt-hub demo` writes, for the README: `make pictures`."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from local_aws.prepare import BROWSERS
from prompt_hub.authoring.demo.lifecycle import PAGE, TASK, Demo

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect

IMAGES = Path(__file__).parent / "images"
PICTURES = {
    "demo.png": (PAGE, ("Versions and scores", "The rollback")),
    "demo-evaluation.png": (f"{TASK}-0.2.0.html", ("Scores", "What changed from 0.1.0")),
}
"""Page of each picture, and the first and the last heading of what it shows of it."""
WIDTH, MARGIN = 1000, 16
LARGEST = 150_000
"""Bytes of a picture: git keeps every version of it."""


def main() -> int:
    """Write the pictures; returns the exit code."""
    from playwright.sync_api import sync_playwright

    too_large = 0
    with TemporaryDirectory() as folder:
        root = Path(folder)
        asyncio.run(Demo(root, say=lambda line: None).run())
        with sync_playwright() as playwright:
            # A root user has no sandbox; the pages are our own.
            browser = playwright.chromium.launch(
                executable_path=browser_path(), args=["--no-sandbox"]
            )
            for name, (source, headings) in PICTURES.items():
                page = browser.new_page(viewport={"width": WIDTH, "height": 900})
                page.goto((root / source).as_uri())
                first, last = (
                    page.locator("section", has=page.get_by_role("heading", name=text, exact=True))
                    for text in headings
                )
                top, end = first.bounding_box(), last.bounding_box()
                assert top is not None
                assert end is not None
                clip: FloatRect = {
                    "x": 0,
                    "y": top["y"] - MARGIN,
                    "width": WIDTH,
                    "height": end["y"] + end["height"] - top["y"] + 2 * MARGIN,
                }
                size = len(page.screenshot(path=IMAGES / name, full_page=True, clip=clip))
                print(f"{IMAGES / name}: {size / 1000:.0f} kB")
                too_large += size > LARGEST
            browser.close()
    if too_large:
        print(f"a picture may have {LARGEST / 1000:.0f} kB: show less of its page", file=sys.stderr)
    return 1 if too_large else 0


def browser_path() -> str | None:
    """Return where Chromium is; None where Playwright is to look for its own."""
    named = os.environ.get("PROMPT_HUB_BROWSER")
    return next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)


if __name__ == "__main__":
    sys.exit(main())
