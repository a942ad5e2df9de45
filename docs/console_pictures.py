"""Draw the console while a version is rolled back, for docs/console.md: `make console-pictures`.

It needs `make up` first: the page of the pipeline is that of its run, the only one with a pipeline.
The stage of all other pictures is that of the drills (`benchmarks.rollback`): ledger, alarms and
function as the CDK deploys them on a local AWS, the service, the score watch, and a model that
begins to be wrong. A picture is taken when a page of the console says by itself what the picture is
about.
"""

from __future__ import annotations

import base64
import html
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.pages.stage import console
from benchmarks.rollback.model import DrillModel
from benchmarks.rollback.repository import NEW, build
from benchmarks.rollback.stage import DrillStage
from docs.page_pictures import IMAGES, MARGIN, browser_path
from docs.palette import with_few_colours

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Page

TASK, OTHERS = "part-class", ("brand", "package")
GOOD_ROUNDS = 3
POLL_SECONDS, PATIENCE_SECONDS = 1.0, 300.0
STRIP = IMAGES / "console-rollback.png"
LARGEST = 300_000
"""Bytes of the picture: git keeps every version of it."""
WIDTH, HEIGHT = 1000, 900
TALLEST = 1000
"""Pixels that one page may have in the strip."""
ROW = f"li:has(h2 a[href='/task/{TASK}'])"
INCIDENT_LINK = f"{ROW} a[href^='/incident/']"
STYLE = """
  body { margin: 0; padding: 14px; width: 1000px; font: 15px system-ui, sans-serif; color: #222;
    background: #e9ebee; }
  figure { margin: 0 0 14px; border: 1px solid #c5c9cf; border-radius: 6px; overflow: hidden;
    background: #fff; }
  figcaption { padding: 8px 14px; background: #2b3440; color: #fff; }
  figcaption span { float: right; color: #cdd5de; font-variant-numeric: tabular-nums; }
  img { display: block; width: 1000px; }
"""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A part of a page, what it shows, and when it was taken, in seconds since 1970."""

    caption: str
    at: float | None
    """None where it is of another run."""
    png: bytes


def main() -> int:
    """Roll a version back, look at it, and write the strip; returns the exit code."""
    from playwright.sync_api import sync_playwright

    from local_aws.stack import LocalStack

    local = LocalStack(Path.cwd(), Path.cwd() / ".local")
    if not local.is_up:
        raise SystemExit("the page of the pipeline is that of `make up`: run it first.")
    with TemporaryDirectory() as name, DrillModel() as model:
        folder = Path(name)
        # Playwright runs an event loop in this thread, and promotion wants one of its own.
        release = build(folder / "repository", (TASK, *OTHERS), model.models)
        with DrillStage(folder, folder / "repository", model.models, POLL_SECONDS) as stage:
            stage.serve(release)
            with (
                console(folder / "repository", folder, stage.environment) as address,
                sync_playwright() as playwright,
            ):
                # A root user has no sandbox; the pages are our own.
                browser = playwright.chromium.launch(
                    executable_path=browser_path(), args=["--no-sandbox"]
                )
                pictures, at = _watch(browser, address, stage, model)
                pictures.append(_pipeline(browser, local.console_url))
                size = len(_strip(browser, pictures, at))
                browser.close()
    print(f"{STRIP}: {size / 1000:.0f} kB")
    return 1 if size > LARGEST else 0


def _watch(
    browser: Browser, address: str, stage: DrillStage, model: DrillModel
) -> tuple[list[Picture], float]:
    """Return the pictures in order, and when the version was rolled back."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
    pictures: list[Picture] = []

    def open_(path: str) -> Page:
        page = context.new_page()
        page.goto(address.replace("/?", f"{path}?"))
        page.wait_for_selector("html[data-ready]")
        return page

    def take(page: Page, caption: str, first: str, last: str) -> None:
        pictures.append(Picture(caption=caption, at=time.time(), png=_shown(page, first, last)))

    def measure(task: str) -> None:
        if stage.measure(task, by_alarm_alone=False).wait(PATIENCE_SECONDS):
            raise SystemExit(f"a round of {task} failed")

    for name in (*OTHERS, *(TASK for _ in range(GOOD_ROUNDS))):
        measure(name)
    now, task = open_("/"), open_(f"/task/{TASK}")
    _until(lambda: now.locator(f"{ROW} circle.score").count() >= GOOD_ROUNDS)
    take(now, "Now: before", ROW, ROW)
    model.wavering.add(f"{TASK} {NEW}")
    measure(TASK)
    now.wait_for_selector(f"{ROW} .badge:text-is('ALARM')")
    _until(lambda: now.locator(f"{ROW} circle.below").count() > 0)
    take(now, "Now: a bad score, the alarm rings; it may be noise, so nothing is done", ROW, ROW)
    model.degraded.add(f"{TASK} {NEW}")
    measure(TASK)
    now.wait_for_selector(INCIDENT_LINK)
    take(now, "Now: rolled back, and what needs somebody", ROW, ROW)
    when = now.locator(f"{ROW} p:has(a[href^='/incident/']) time").get_attribute("datetime")
    incident = open_(str(now.locator(INCIDENT_LINK).get_attribute("href")))
    take(incident, "The incident, as the message links it", ".kicker", _section("What you can do"))
    task.wait_for_selector("table.stack .badge:text-is('quarantined')")
    take(
        task,
        "The task, and why each version is where it is",
        _section("Versions"),
        _section("Versions"),
    )
    measure(TASK)
    _until(lambda: now.locator(f"{ROW} circle.score").count() > GOOD_ROUNDS)
    take(now, "Now: what was restored is measured", ROW, ROW)
    return pictures, datetime.fromisoformat(str(when)).timestamp()


def _pipeline(browser: Browser, address: str) -> Picture:
    """Return the page of the pipeline of `make up`: what its rollback started."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto(address)
    page.goto(f"{address.partition('/?')[0]}/pipeline")
    page.wait_for_selector("#chosen")
    caption = "The pipeline: the rollback has started an execution, which wrote it into git"
    return Picture(caption=caption, at=None, png=_shown(page, "h1", ".beside"))


def _section(heading: str) -> str:
    return f"section:has(> h2:text-is('{heading}'))"


def _until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not there():
        if time.monotonic() > deadline:
            raise SystemExit("the console does not show what has happened")
        time.sleep(0.5)


def _shown(page: Page, first: str, last: str) -> bytes:
    top, end = (page.locator(place).first.bounding_box() for place in (first, last))
    assert top is not None
    assert end is not None
    height = end["y"] + end["height"] - top["y"] + 2 * MARGIN
    clip: FloatRect = {
        "x": 0,
        "y": max(top["y"] - MARGIN, 0),
        "width": WIDTH,
        "height": min(height, TALLEST),
    }
    return page.screenshot(full_page=True, clip=clip)


def _strip(browser: Browser, pictures: list[Picture], at: float) -> bytes:
    """Write the strip of all pictures; returns its bytes."""
    figures = []
    for number, picture in enumerate(pictures, start=1):
        said = "in a run of make up" if picture.at is None else _from(picture.at - at)
        data = base64.b64encode(picture.png).decode()
        figures.append(
            f"<figure><figcaption>{number} · {html.escape(picture.caption)}"
            f"<span>{said}</span></figcaption>"
            f'<img alt="" src="data:image/png;base64,{data}"></figure>'
        )
    page = browser.new_page(viewport={"width": WIDTH + 28, "height": HEIGHT})
    page.set_content(f"<!doctype html><style>{STYLE}</style>{''.join(figures)}")
    strip = with_few_colours(page, page.locator("body").screenshot())
    STRIP.write_bytes(strip)
    return strip


def _from(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'before' if seconds < 0 else 'after'} the rollback"


if __name__ == "__main__":
    sys.exit(main())
