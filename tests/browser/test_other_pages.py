"""The catalogue and the page of a run in a real browser."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import expect

from prompt_hub.reporting.catalogue import read_catalogue
from prompt_hub.reporting.catalogue_page import catalogue_page
from tests.browser.pages import Open
from tests.unit.reporting.evaluations import Spec, build

PHONE = {"width": 360, "height": 740}


def test_the_catalogue_is_searched(open_page: Open, catalogue: Path) -> None:
    page = open_page(catalogue).page
    expect(page.locator("#found")).to_have_text("2 tasks")
    page.locator("#words").fill("shop cat")
    expect(page.locator("#found")).to_have_text("1 of 2 tasks")
    assert page.locator("#tasks > li:visible h2").all_inner_texts() == ["shop-category"]
    page.locator("#words").fill("")
    expect(page.locator("#tasks > li:visible")).to_have_count(2)


def test_the_catalogue_is_narrowed_to_an_owner_by_its_address(
    open_page: Open, catalogue: Path
) -> None:
    page = open_page(catalogue, hash_="#words=shop+cat&owner=nobody").page
    # An owner who has nothing narrows nothing; the search stands as it was written.
    expect(page.locator("#words")).to_have_value("shop+cat")
    page.locator("#words").fill("shop")
    expect(page.locator("#found")).to_have_text("1 of 2 tasks")
    owner = page.locator("#owner option").nth(1).inner_text()
    page.locator("#owner").select_option(owner)
    expect(page.locator("#found")).to_have_text("1 of 2 tasks")
    again = open_page(catalogue, hash_=page.evaluate("location.hash")).page
    expect(again.locator("#words")).to_have_value("shop")
    expect(again.locator("#owner")).to_have_value(owner)


def test_every_version_is_one_key_away(open_page: Open, catalogue: Path) -> None:
    page = open_page(catalogue).page
    page.locator("#tasks > li > details > summary").first.focus()
    page.keyboard.press("Enter")
    versions = page.locator("#tasks > li > details").first
    expect(versions.locator("tbody tr")).to_have_count(4)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(versions.locator("ins").first).to_be_visible()


def test_a_large_catalogue_keeps_its_versions_until_somebody_opens_them(
    open_page: Open, tmp_path: Path
) -> None:
    (task,) = read_catalogue(build(tmp_path / "repository", Spec(examples=4)).evaluations)
    tasks = [replace(task, name=f"task-{number:03}") for number in range(101)]
    path = tmp_path / "catalogue.html"
    path.write_text(catalogue_page(tasks), encoding="utf-8")
    page = open_page(path).page
    assert page.locator("#tasks > li table").count() == 0
    page.locator("#words").fill("task-100")
    expect(page.locator("#found")).to_have_text("1 of 101 tasks")
    page.locator("#tasks > li:visible > details > summary").click()
    expect(page.locator("#tasks > li:visible tbody tr")).to_have_count(4)
    # Without a script all of them are there.
    whole = open_page(path, java_script_enabled=False).page
    assert whole.locator("#tasks > li table").count() == 101


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
    # Playwright's own evaluation works without the page's scripts, too.
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_page_of_a_run_is_complete_without_a_script(open_page: Open, lifecycle: Path) -> None:
    page = open_page(lifecycle).page
    expect(page.locator("h1")).to_have_text("Prompt Hub: the whole lifecycle on this machine")
    expect(page.locator(".step")).to_have_count(10)
    expect(page.locator(".series")).to_be_visible()
    expect(page.get_by_text("The execution ends red, as designed").first).to_be_visible()


@pytest.mark.parametrize("width", [390, 1440])
def test_no_number_in_a_plot_hides_another(open_page: Open, lifecycle: Path, width: int) -> None:
    page = open_page(lifecycle, viewport={"width": width, "height": 900}).page
    boxes = [mark.bounding_box() for mark in page.locator(".series circle.number").all()]
    assert len(boxes) == 5
    for one, other in combinations(boxes, 2):
        assert one is not None
        assert other is not None
        apart = abs(one["x"] - other["x"]) >= 14 or abs(one["y"] - other["y"]) >= 14
        assert apart, (one, other)
