"""The catalogue and the page of a run in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.pages import Open

PHONE = {"width": 360, "height": 740}


def test_the_catalogue_is_searched(open_page: Open, catalogue: Path) -> None:
    page = open_page(catalogue).page
    expect(page.locator("#found")).to_have_text("2 tasks")
    page.locator("#words").fill("shop cat")
    expect(page.locator("#found")).to_have_text("1 of 2 tasks")
    assert page.locator("#tasks > li:visible h2").all_inner_texts() == ["shop-category"]
    page.locator("#words").fill("")
    expect(page.locator("#tasks > li:visible")).to_have_count(2)


def test_every_version_is_one_key_away(open_page: Open, catalogue: Path) -> None:
    page = open_page(catalogue).page
    page.locator("#tasks summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#tasks details").first.locator("tbody tr")).to_have_count(4)


def test_nothing_in_the_registry_runs(open_page: Open, catalogue: Path) -> None:
    page = open_page(catalogue).page
    expect(page.locator("#tasks")).to_contain_text("window.hacked = 1")
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("name", ["catalogue", "lifecycle"])
@pytest.mark.parametrize("scripts", [True, False])
def test_a_phone_needs_no_sideways_scrolling(
    open_page: Open, request: pytest.FixtureRequest, name: str, scripts: bool
) -> None:
    path = request.getfixturevalue(name)
    page = open_page(path, viewport=PHONE, java_script_enabled=scripts).page
    for summary in page.locator("summary").all():
        summary.click()
    # Playwright's own evaluation works without the page's scripts, too.
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_page_of_a_run_is_complete_without_a_script(open_page: Open, lifecycle: Path) -> None:
    page = open_page(lifecycle).page
    expect(page.locator("h1")).to_have_text("Prompt Hub: the whole lifecycle on this machine")
    expect(page.locator(".step")).to_have_count(10)
