"""Take every page of a running `make up`, in each size and theme, to look at: `make page-pictures`.

Pages of the console are found as a person finds them, by the links of other pages; the others are
the files that the run has written. The pictures lie in the folder of the run and are not kept.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from docs.page_pictures import browser_path

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from local_aws.stack import LocalStack

FOLDER = "page-pictures"
SIZES = (1440, 390)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
CONSOLE = {
    "now": r"/",
    "pipeline": r"/pipeline",
    "execution": r"/pipeline\?execution=.+",
    "log": r"/pipeline/[^/]+/log/.+",
    "task": r"/task/[^/?#]+",
    "incident": r"/incident/.+",
    "evaluation": r"/evaluation/[^/]+/execution/.+",
    "evaluation-in-git": r"/evaluation/[^/]+/version/.+",
    "labels": r"/label",
    "label": r"/label/[^/?]+",
    "label-what-both-miss": r"/label/[^/?]+\?from=.+",
}
"""Each kind of page that is linked, and its addresses."""
MORE = {"gone": "/task/none", "no-execution": "/pipeline?execution=none"}
"""Pages to which no link leads."""
LARGEST = 30_000
"""Pixels of height that are drawn of one page."""


def main() -> int:
    """Take the pictures; returns 1 where a page is wider than its window, or was not found."""
    parser = argparse.ArgumentParser(prog="python -m docs.every_page", description=__doc__)
    parser.add_argument("state", type=Path, help="folder of the local run, such as .local")
    parser.add_argument("--only", default="", help="part of the name of a page")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from local_aws.stack import LocalStack

    stack = LocalStack(Path.cwd(), arguments.state.resolve())
    folder = stack.state / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    wrong = []
    with sync_playwright() as playwright:
        # A root user has no sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        page = browser.new_page()
        addresses = dict(_console(page, stack)) | dict(_files(stack))
        wrong += [f"no page was found: {name}" for name in CONSOLE if name not in addresses]
        for name, address in addresses.items():
            if arguments.only in name:
                wrong += _take(page, name, address, folder)
        browser.close()
    print(*wrong, f"pictures: {folder}", sep="\n")
    return 1 if wrong else 0


def _console(page: Page, stack: LocalStack) -> Iterator[tuple[str, str]]:
    """Yield a page of each kind, the first that links lead to."""
    home = stack.console_url.partition("/?")[0]
    page.goto(stack.console_url)
    waiting, found = ["/"], set[str]()
    while waiting:
        target = waiting.pop(0)
        kinds = (name for name, pattern in CONSOLE.items() if re.fullmatch(pattern, target))
        kind = next(kinds, None)
        if kind is None or kind in found:
            continue
        found.add(kind)
        yield kind, home + target
        page.goto(home + target)
        page.wait_for_selector("html[data-ready]")
        links = page.locator("a[href^='/']").all()
        waiting += [str(link.get_attribute("href")) for link in links]
        if kind == "task":
            page.get_by_role("button", name="Compare").click()
            yield "difference", page.url
    yield from ((name, home + target) for name, target in MORE.items())


def _files(stack: LocalStack) -> Iterator[tuple[str, str]]:
    """Yield the pages that the run has written: of itself, of evaluations, of a repair."""
    for path in sorted(stack.state.glob("*.html")):
        yield f"file-{path.stem}", path.as_uri()


def _take(page: Page, name: str, address: str, folder: Path) -> Iterator[str]:
    """Write the pictures of one page; yield what is wider than its window."""
    for width in SIZES:
        for theme in THEMES:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=theme)
            page.goto(address)
            page.wait_for_load_state()
            if page.locator("script").count():
                page.wait_for_selector("html[data-ready]")
            wide = int(page.evaluate("document.documentElement.scrollWidth"))
            tall = int(page.evaluate("document.documentElement.scrollHeight"))
            page.screenshot(
                path=folder / f"{name}-{width}-{theme}.png",
                full_page=True,
                clip={"x": 0, "y": 0, "width": width, "height": min(tall, LARGEST)},
            )
            if wide > width:
                yield f"{name} is {wide} pixels wide at {width}"


if __name__ == "__main__":
    sys.exit(main())
