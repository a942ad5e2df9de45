"""The console in a real browser: what it shows live, by keyboard, on a phone, and to axe."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from playwright.sync_api import Browser, Page, Route, expect

from prompt_hub.authoring.labels import read_labels
from prompt_hub.cli.console import _listen
from prompt_hub.console import clone, pages
from prompt_hub.console.app import create_app
from prompt_hub.console.stage import Execution
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import RESULTS_DIR
from prompt_hub.reporting.evaluation import EvaluationView
from prompt_hub.repository.reader import evaluation_path
from tests.browser.pages import Report, assert_accessible
from tests.unit.console.stages import (
    EXECUTION,
    PORT,
    TOKEN,
    FakeStage,
    action,
    add_judge,
    at,
    lived_stage,
)
from tests.unit.reporting.evaluations import Spec
from tests.unit.reporting.history import TASK

EVALUATION = f"evaluation/{TASK}/execution/local"
PAGES = {
    "now": "/",
    "pipeline": "/pipeline",
    "log": f"/pipeline/{EXECUTION}/log/id-Tests",
    "task": f"/task/{TASK}?from=1.0.0&to=1.2.0",
    "incident": f"/incident/{TASK}/12",
    "evaluation": f"/evaluation/{TASK}/execution/local",
    "evaluation in git": f"/evaluation/{TASK}/version/1.3.0",
    "gone": "/task/none",
    "labels": "/label",
    "label": f"/label/{TASK}",
    "label for a judge": f"/label/brand-judge?from={EVALUATION}",
}


@dataclass
class Served:
    """A console that answers on this machine, and the stage that it shows."""

    url: str
    stage: FakeStage
    root: Path
    elsewhere: list[str] = field(default_factory=list)
    """What a page asked of anybody else."""
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def served(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    monkeypatch.setattr(pages, "NOW_SECONDS", 0.2)
    monkeypatch.setattr(pages, "PIPELINE_SECONDS", 0.2)
    root = tmp_path_factory.mktemp("console")
    console = lived_stage(root, Spec(examples=120))
    evaluated = root / RESULTS_DIR / aws_names.evaluation_key("local", TASK)
    logged = root / "prompts" / evaluation_path(TASK, "1.3.0")
    logged.parent.mkdir(parents=True)
    for suffix in (".json", ".jsonl"):
        shutil.copy(evaluated.with_suffix(suffix), logged.with_suffix(suffix))
    add_judge(root)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ann")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ann@example.com")
    # Answers are kept for seconds: no test waits for that.
    console._asker._clock = iter(range(0, 10**9, 10)).__next__
    listener = _listen(0)
    port = listener.getsockname()[1]
    app = create_app(console, token=TOKEN, port=port)
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    assert isinstance(console.stage, FakeStage)
    yield Served(f"http://127.0.0.1:{port}", console.stage, root)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Visit]:
    """Open a page of the console; at the end, assert that it asked nobody else for anything."""
    opened: list[Page] = []

    def open_(path: str, **options: object) -> Page:
        settings = {"viewport": {"width": 1440, "height": 900}, **options}
        context = browser.new_context(**settings)  # type: ignore[arg-type]
        page = context.new_page()
        opened.append(page)

        def decide(route: Route) -> None:
            if route.request.url.startswith(f"{served.url}/"):
                route.continue_()
            else:
                served.elsewhere.append(route.request.url)
                route.abort()

        context.route("**/*", decide)
        page.on("console", lambda message: served.complaints.append(message.text))
        page.on("pageerror", lambda error: served.complaints.append(str(error)))
        joint = "&" if "?" in path else "?"
        page.goto(f"{served.url}{path}{joint}token={TOKEN}")
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html[data-ready]")
        return page

    yield open_
    for page in opened:
        page.context.close()
    assert served.elsewhere == []
    assert [text for text in served.complaints if "404" not in text] == []


def test_every_page_that_the_console_has_is_looked_at(tmp_path: Path) -> None:
    guard = create_app(lived_stage(tmp_path), token=TOKEN, port=PORT)
    app = guard._app
    assert isinstance(app, FastAPI)
    served = [
        route
        for route in app.routes
        if isinstance(route, APIRoute)
        and "GET" in route.methods
        and route.response_class is HTMLResponse
    ]
    addresses = [urlsplit(address).path for address in PAGES.values()]
    forgotten = [
        route.path
        for route in served
        if not any(route.path_regex.match(address) for address in addresses)
    ]
    assert forgotten == []
    assert len(served) > 5


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_cut_off(
    visit: Visit, name: str, record_property: Report
) -> None:
    # The checker is a script of its own, which the page's policy would rightly refuse.
    assert_accessible(visit(PAGES[name], bypass_csp=True), f"console: {name}", record_property)


def test_an_evaluation_that_takes_long_to_read_is_shown_once_it_is_read(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, record_property: Report
) -> None:
    go_on, read_view = threading.Event(), clone.read_view

    def read_late(*words: Any, **more: Any) -> EvaluationView:
        assert go_on.wait(60)
        return read_view(*words, **more)

    monkeypatch.setattr(clone, "read_view", read_late)
    monkeypatch.setattr(clone.Clone, "patience", 0.01)
    try:
        page = visit(PAGES["evaluation"], bypass_csp=True)
        expect(page.locator("h1")).to_have_text("The evaluation is being read")
        assert_accessible(page, "console: being read", record_property)
    finally:
        go_on.set()
    expect(page.locator("h1")).to_have_text(f"{TASK} 1.3.0")
    expect(page.locator("#state")).to_have_text("read only")
    expect(page.locator(".examples tbody tr")).to_have_count(50)


def test_the_token_leaves_the_address(visit: Visit) -> None:
    page = visit("/")
    assert TOKEN not in page.url
    page.get_by_role("link", name=TASK).click()
    expect(page.locator("h1")).to_have_text(TASK)


def test_what_happens_appears_by_itself(visit: Visit, served: Served) -> None:
    page = visit("/pipeline")
    expect(page.locator("#state")).to_have_text("live, read only")
    expect(page.locator("#live")).not_to_contain_text("Drill")
    served.stage.done.append(action("Drill", "InProgress"))
    expect(page.locator("#live")).to_contain_text("Drill")
    served.stage.runs.insert(
        0, Execution(id="n3w", status="Failed", started=at(120), revision="new")
    )
    expect(page.locator("#chosen")).to_have_text("Execution n3w")


def test_news_waits_for_who_types_and_keeps_the_focus(visit: Visit, served: Served) -> None:
    page = visit("/")
    typed = page.locator("#search")
    typed.press_sequentially("part")
    asked = served.stage.asked["pointers"]
    served.stage.usd = {TASK: 0.99}
    while served.stage.asked["pointers"] < asked + 4:
        page.evaluate("1")
    assert typed.input_value() == "part"
    link = page.get_by_role("link", name="what happened")
    link.focus()
    expect(page.locator("#live")).to_contain_text("$0.99")
    expect(link).to_be_focused()


def test_everything_is_reached_by_keyboard(visit: Visit) -> None:
    page = visit("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == f"/task/{TASK}":
            break
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(TASK)


def test_examples_are_narrowed_without_a_script(visit: Visit, browser: Browser) -> None:
    page = visit(PAGES["evaluation"])
    page.get_by_label("Show").select_option("lost")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("show=lost"))
    shown = page.locator(".examples tbody tr")
    expect(shown.first).to_contain_text("lost")
    page.get_by_label("Search").fill("no such words")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("status").last).to_contain_text("0 examples")


def test_answers_are_graded_by_keyboard_alone(visit: Visit) -> None:
    page = visit(PAGES["label for a judge"])
    expect(page.get_by_role("status").last).to_contain_text("0 of ")
    asked = page.url
    page.keyboard.press("4")
    expect(page.get_by_label("4", exact=True)).to_be_checked()
    # A reason may be left out; what is typed into it is one, digits and all.
    page.get_by_role("textbox").press_sequentially("s 2 u")
    expect(page.get_by_label("a value")).to_be_checked()
    page.get_by_label("left out").check()
    expect(page.get_by_role("textbox")).to_have_value("")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").last).to_contain_text("1 of ")
    second = page.url
    listening = page.locator("html[data-ready]")
    expect(listening).to_be_attached()
    page.keyboard.press("s")
    expect(page).not_to_have_url(second)
    expect(listening).to_be_attached()
    page.keyboard.press("u")
    expect(page).to_have_url(asked)
    expect(page.get_by_role("status").last).to_contain_text("0 of ")


def test_what_is_marked_of_several_choices_is_the_value(visit: Visit, served: Served) -> None:
    judge = served.root / "prompts" / "00-templates" / "brand-judge.yaml"
    faults = "faults: {type: array, items: {type: string, enum: [spelling, another brand]}}"
    judge.write_text(judge.read_text("utf-8").replace("reason: {type: string}", faults), "utf-8")
    page = visit(PAGES["label for a judge"])
    fault, left_out = page.get_by_label("another brand"), page.get_by_label("left out")
    page.get_by_label("2", exact=True).check()
    expect(left_out).to_be_checked()
    fault.check()
    expect(page.get_by_label("a value")).to_be_checked()
    left_out.check()
    expect(fault).not_to_be_checked()
    fault.check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").last).to_contain_text("1 of ")
    (grade,) = read_labels(served.root, "brand-judge").pending.values()
    assert grade.expected == {"grade": 2, "faults": ["another brand"]}


def test_the_way_back_shows_what_was_graded(visit: Visit) -> None:
    page = visit(PAGES["label for a judge"])
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").last).to_contain_text("1 of ")
    page.go_back()
    expect(page.get_by_text("Graded by Ann <ann@example.com>")).to_be_visible()
    chosen = page.get_by_label("3", exact=True)
    expect(chosen).to_be_checked()
    # Not the first of the choices: a press of the space bar would change what was graded.
    expect(chosen).to_be_focused()


def test_a_label_is_graded_and_written_without_a_script(visit: Visit) -> None:
    page = visit(PAGES["label"], java_script_enabled=False)
    page.get_by_label("brand").fill("Another <brand>")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="not in the file yet").click()
    page.get_by_role("button", name="Write 1 grade").click()
    expect(page.locator("main")).to_contain_text("1 corrected, 0 added, 0 confirmed")
