"""`python -m benchmarks.pages`: milliseconds to first paint and to a filter, in Chromium.

The console and the self-contained pages of 500 tasks with 20 versions each, and of an evaluation of
20,000 examples. First paint is the browser's own First Contentful Paint, since the address was
opened; a filter is the time until the narrowed list is painted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.eval.measuring import MeasurementError
from benchmarks.pages.stage import console, local_aws
from benchmarks.pages.tree import (
    EXAMPLES,
    LARGE,
    NEWEST,
    TASKS,
    VERSIONS,
    make_tree,
    task_names,
    touch_registry,
)
from benchmarks.results import ROOT, Ratio, record
from docs.page_pictures import browser_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = ROOT / ".local" / "bench-pages"
TREE = FOLDER / "tree"
RUNS = 5
PAINT_MS, FILTER_MS, READ_MS = 1_000.0, 100.0, 4_000.0
RELOAD_MS = 200.0
"""A filter of the console is a page of the server's, made, sent and painted anew."""
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
FIRST_PAINT = """() => new Promise((done) => {
  const look = () => {
    const [painted] = performance.getEntriesByName("first-contentful-paint");
    if (painted) done(painted.startTime);
    else requestAnimationFrame(look);
  };
  look();
})"""
NARROW = """([selector, words]) => new Promise((done) => {
  const field = document.querySelector(selector);
  const began = performance.now();
  field.value = words;
  field.dispatchEvent(new Event("input", {bubbles: true}));
  requestAnimationFrame(() => {
    const painted = new MessageChannel();
    painted.port1.onmessage = () => done(performance.now() - began);
    painted.port2.postMessage(null);
  });
})"""
"""What is sent in a frame's callback arrives when the frame is drawn."""
Figures = dict[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections and record their ratios; 2 where something cannot be measured."""
    from playwright.sync_api import Error, sync_playwright

    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    sections = {"console": _console, "files": _files}
    parser.add_argument("--only", nargs="*", choices=[*sections], default=[*sections])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--dry-run", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args(argv)
    try:
        _make_tree()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
            ratios = [
                ratio
                for name, section in sections.items()
                if name in arguments.only
                for ratio in section(browser, arguments.runs)
            ]
            browser.close()
    except (MeasurementError, Error) as error:
        print(f"bench-pages: {error}", file=sys.stderr)
        return 2
    if arguments.dry_run:
        for ratio in ratios:
            print(f"{ratio.name}: {ratio.measured} ({ratio.outcome})")
        return 0 if all(ratio.kept for ratio in ratios) else 1
    return record("pages", ratios)


def _make_tree() -> None:
    if (FOLDER / "ready").exists():
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    make_tree(TREE)
    (FOLDER / "ready").touch()


# --- the console -------------------------------------------------------------------------------


def _console(browser: Browser, runs: int) -> Iterator[Ratio]:
    """Measure a console that has just started, each time, and what it does when it is warm."""
    measured: list[Figures] = []
    shutil.rmtree(FOLDER / "cloud", ignore_errors=True)
    with local_aws(FOLDER, task_names()) as environment:
        for _ in range(runs):
            with console(TREE, FOLDER, environment) as address:
                measured.append(_visit(browser, address))
    now, evaluation = f"*now* of {TASKS} tasks", f"an evaluation of {EXAMPLES:,} examples"
    limits = {
        "now": (f"{now}, first paint", PAINT_MS),
        "found": (f"{now}, narrowed by a search", RELOAD_MS),
        "task": (f"a task of {VERSIONS} versions, first paint", PAINT_MS),
        "opened": (f"{evaluation}, first paint of the first look", PAINT_MS),
        "read": (f"{evaluation}, until its examples are there at the first look", READ_MS),
        "again": (f"{evaluation}, first paint of a later look", PAINT_MS),
        "wrong": (f"{evaluation}, narrowed to what is wrong", RELOAD_MS),
        "searched": (f"{evaluation}, the first search", PAINT_MS),
        "searched again": (f"{evaluation}, a later search", RELOAD_MS),
        "changed": (f"{now}, first paint while a changed registry is read", PAINT_MS),
    }
    return _ratios("console: ", limits, measured)


def _visit(browser: Browser, address: str) -> Figures:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    start, _, token = address.partition("/?")
    # Who comes again has the cookie: what is measured is the page, not the way in.
    page.request.get(f"{start}/console.css?{token}")
    evaluation = f"{start}/evaluation/{LARGE}/version/{NEWEST}"
    found = {"now": _first_paint(page, f"{start}/")}
    page.get_by_label("Search").fill(f"catalogue-{TASKS - 2}")
    found["found"] = _painted_by(page, lambda: page.get_by_role("button", name="Search").click())
    found["task"] = _first_paint(page, f"{start}/task/catalogue-007")
    found["opened"] = _first_paint(page, evaluation)
    page.wait_for_selector(".examples tbody tr")
    found["read"] = float(page.evaluate("performance.now()"))
    found["again"] = _first_paint(page, evaluation)

    def apply() -> None:
        page.get_by_role("button", name="Apply").click()

    page.get_by_label("Show").select_option("wrong")
    found["wrong"] = _painted_by(page, apply)
    for name, words in (("searched", "ceramic"), ("searched again", "murata 50 v")):
        page.get_by_label("Search").fill(words)
        found[name] = _painted_by(page, apply)
    touch_registry(TREE)
    found["changed"] = _first_paint(page, f"{start}/")
    context.close()
    return found


def _painted_by(page: Page, act: Callable[[], None]) -> float:
    with page.expect_navigation():
        act()
    return float(page.evaluate(FIRST_PAINT))


def _first_paint(page: Page, url: str) -> float:
    page.goto(url, wait_until="commit")
    return float(page.evaluate(FIRST_PAINT))


# --- pages that are one file -------------------------------------------------------------------


def _files(browser: Browser, runs: int) -> Iterator[Ratio]:
    """Measure the pages that `prompt-hub report` writes, opened from the disk."""
    catalogue, evaluation, run = (
        FOLDER / f"{name}.html" for name in ("catalogue", "evaluation", "run")
    )
    _hub("report", "catalogue", "--html", str(catalogue))
    _hub("report", "evaluation", LARGE, NEWEST, "--html", str(evaluation))
    (FOLDER / "run.json").write_text(json.dumps(_run()), "utf-8")
    _hub("report", "run", str(FOLDER / "run.json"), "--html", str(run))
    measured = []
    for _ in range(runs):
        found = {}
        for name, path, narrow in (
            ("catalogue", catalogue, ("#words", "catalogue-49")),
            ("evaluation", evaluation, ("#words", "murata")),
            ("run", run, None),
        ):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            found[name] = _first_paint(page, path.as_uri())
            page.wait_for_load_state()
            if narrow is not None:
                page.wait_for_selector("html[data-ready]")
                found[f"{name} narrowed"] = float(page.evaluate(NARROW, list(narrow)))
            context.close()
        measured.append(found)
    size = {path.stem: f"{path.stat().st_size / 1e6:.1f} MB" for path in (catalogue, evaluation)}
    all_tasks = f"catalogue of {TASKS} tasks, {VERSIONS} versions each ({size['catalogue']})"
    large = f"evaluation of {EXAMPLES:,} examples ({size['evaluation']})"
    limits = {
        "catalogue": (f"{all_tasks}, first paint", PAINT_MS),
        "catalogue narrowed": (f"{all_tasks}, narrowed by a search", FILTER_MS),
        "evaluation": (f"{large}, first paint", PAINT_MS),
        "evaluation narrowed": (f"{large}, narrowed by a search", FILTER_MS),
        "run": (f"run of {TASKS} tasks, first paint", PAINT_MS),
    }
    return _ratios("page: ", limits, measured)


def _run() -> dict[str, object]:
    """Return a run in which every task was measured and is served."""
    began = datetime(2026, 11, 28, tzinfo=UTC)
    names = task_names()
    return {
        "schema": "prompt-hub/run@1",
        "title": f"{len(names)} tasks",
        "started_at": began.isoformat(),
        "finished_at": (began + timedelta(minutes=20)).isoformat(),
        "steps": [
            {
                "name": f"Step {number}",
                "started_at": (began + timedelta(minutes=number)).isoformat(),
                "seconds": 60.0,
                "status": "ok",
                "detail": "\n".join(names[:50]),
            }
            for number in range(20)
        ],
        "versions": [
            {
                "task": name,
                "version": NEWEST,
                "model": "openai:local",
                "score": 0.9,
                "threshold": 0.8,
                "baseline": 0.25,
                "verdict": "PASS",
                "n": 48,
                "champion_score": 0.88,
            }
            for name in names
        ],
        "pointers": [{"task": name, "version": NEWEST, "reason": "released"} for name in names],
    }


def _hub(*words: str) -> None:
    command = [sys.executable, "-m", "prompt_hub.cli", *words]
    environment = {**os.environ, "PROMPT_HUB_ROOT": str(TREE)}
    done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise MeasurementError(f"prompt-hub {' '.join(words[:2])}: {' '.join(said)}")


def _ratios(
    before: str, limits: dict[str, tuple[str, float]], measured: Sequence[Figures]
) -> Iterator[Ratio]:
    for name, (what, limit) in limits.items():
        found = median(figures[name] for figures in measured)
        yield Ratio(
            name=f"{before}{what}, of the limit",
            value=found / limit,
            limit=1.0,
            at_most=True,
            measured=f"{found:,.0f} ms",
            beside=f"limit: {limit:,.0f} ms",
            runs=len(measured),
        )


if __name__ == "__main__":
    sys.exit(main())
