"""A real browser, without a network, and the pages that it opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, sync_playwright

from prompt_hub.reporting.catalogue import read_catalogue
from prompt_hub.reporting.catalogue_page import catalogue_page
from prompt_hub.reporting.evaluation import read_view
from prompt_hub.reporting.formats.html import render as evaluation_page
from prompt_hub.reporting.repair_page import repair_page
from prompt_hub.reporting.run_model import RunReport
from prompt_hub.reporting.run_page import run_page
from tests.browser.pages import (
    AXE,
    FLAGS,
    POISON,
    SIZES,
    THEMES,
    Open,
    Opened,
    executable,
    refused,
)
from tests.unit.reporting.evaluations import Spec, build
from tests.unit.reporting.history import TASK
from tests.unit.reporting.repairs import tally
from tests.unit.reporting.repairs import view as repair_view
from tests.unit.reporting.runs import run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what axe found, each page in each size and theme; tests ran in several processes."""
    found: dict[str, dict[tuple[int, str], int]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == AXE:
                    page, width, theme, violations = value
                    found.setdefault(page, {})[width, theme] = violations
    if found:
        columns = [(width, theme) for width in SIZES for theme in THEMES]
        terminalreporter.section("violations that axe found")
        titles = "".join(f"{f'{width} {theme}':>12}" for width, theme in columns)
        terminalreporter.line(f"{'page':<28}{titles}")
        for page, counts in sorted(found.items()):
            cells = "".join(f"{counts.get(column, '-'):>12}" for column in columns)
            terminalreporter.line(f"{page:<28}{cells}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window, closed with its file.

    As long as it is open an event loop runs in this process, in which later tests start their own.
    """
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable(), args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open a file; at the end, assert that it asked for nothing else and complained of nothing."""
    all_opened: list[Opened] = []

    def open_(path: Path, *, hash_: str = "", **options: object) -> Opened:
        # The viewport of a desktop unless the test says another.
        settings = {"viewport": {"width": 1280, "height": 900}, **options}
        context = browser.new_context(**settings)  # type: ignore[arg-type]
        opened = Opened(context.new_page())
        all_opened.append(opened)

        def decide(route: Route) -> None:
            if route.request.url.startswith("file://"):
                route.continue_()
            else:
                route.abort()

        context.route("**/*", decide)
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("requestfailed", lambda request: refused(opened, request))
        opened.page.on(
            "console", lambda message: opened.complaints.append(f"{message.type}: {message.text}")
        )
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        url = path.as_uri() + hash_
        opened.page.goto(url)
        # A page without a script is ready when it is loaded.
        if opened.page.locator("script").count() and options.get("java_script_enabled", True):
            opened.page.wait_for_selector("html[data-ready]")
        return opened

    yield open_
    for opened in all_opened:
        assert len(opened.requests) == 1, opened.requests
        assert opened.complaints == []
        opened.page.context.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The page of an evaluation built to a specification, written once."""
    kept: dict[Spec, Path] = {}

    def get(**options: object) -> Path:
        spec = Spec(**options)  # type: ignore[arg-type]
        if spec not in kept:
            folder = tmp_path_factory.mktemp("report")
            evaluations = build(folder / "repository", spec).evaluations
            kept[spec] = folder / "report.html"
            view = read_view(evaluations, evaluations.find(TASK))
            kept[spec].write_text(evaluation_page(view), encoding="utf-8")
        return kept[spec]

    return get


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue page of a repository with poison among its texts."""
    folder = tmp_path_factory.mktemp("catalogue")
    built = build(folder / "repository", Spec(examples=4))
    registry = built.root / "prompt_registry.yaml"
    text = registry.read_text(encoding="utf-8")
    poisoned = text.replace("owner: catalogue-team", f'owner: "{POISON}"')
    registry.write_text(poisoned, encoding="utf-8")
    other = poisoned.replace("  part-fields:\n", "  shop-category:\n").split("tasks:\n")[1]
    registry.write_text(f"{poisoned}{other}".replace("part-fields/", "x/"), encoding="utf-8")
    path = folder / "catalogue.html"
    path.write_text(catalogue_page(read_catalogue(built.evaluations)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def repair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a repair."""
    path = tmp_path_factory.mktemp("repair") / "changes.html"
    path.write_text(repair_page(repair_view(tally(100))), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def lifecycle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of the lifecycle."""
    path = tmp_path_factory.mktemp("run") / "run.html"
    path.write_text(run_page(RunReport.model_validate(run())), encoding="utf-8")
    return path
