"""The page of a repair in a real browser: it narrows, it fits, and nothing runs in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from prompt_hub.reporting.repair_page import repair_page
from tests.browser.pages import POISON, Open
from tests.unit.reporting.repairs import tally, view


def written(folder: Path, records: int, title: str = "Schottky diode 30 V") -> Path:
    path = folder / "changes.html"
    path.write_text(repair_page(view(tally(records, title), reason=title)), encoding="utf-8")
    return path


def found(page: Page, text: str) -> None:
    expect(page.locator("#found")).to_have_text(text)


def test_records_are_listed_a_hundred_at_a_time(open_page: Open, tmp_path: Path) -> None:
    page = open_page(written(tmp_path, 500)).page
    found(page, "250 records")
    assert page.locator("#list > li").count() == 100
    more = page.locator("#more")
    expect(more).to_have_text("Show 100 more of 150 records")
    more.click()
    assert page.locator("#list > li").count() == 200


def test_a_change_in_the_table_leads_to_its_records(open_page: Open, tmp_path: Path) -> None:
    page = open_page(written(tmp_path, 100)).page
    link = page.locator("#fields tr", has_text="inductor").locator("a")
    n = link.inner_text().split()[0]
    link.click()
    found(page, f"{n} records of 50")
    assert set(page.locator("#list ins").all_inner_texts()) == {"inductor"}
    expect(page.locator("#only")).to_contain_text("Only resistor → inductor")
    page.locator("#every").click()
    found(page, "50 records")


def test_field_and_search_narrow_together(open_page: Open, tmp_path: Path) -> None:
    page = open_page(written(tmp_path, 100)).page
    page.locator("#field").select_option(label="error of the record")
    found(page, "1 record of 50")
    expect(page.locator("#list .change", has_text="error")).to_contain_text("the answer is empty")
    page.locator("#field").select_option(label="any")
    page.locator("#words").fill("p-4 ")
    # P-4 and P-40 to P-48, the even ones.
    found(page, "6 records of 50")
    page.locator("#words").fill("no such part")
    found(page, "0 records of 50")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_every_screen(open_page: Open, tmp_path: Path, width: int, scheme: str) -> None:
    path = written(tmp_path, 40, "unbreakable" * 40)
    page = open_page(path, viewport={"width": width, "height": 800}, color_scheme=scheme).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="the whole input").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_a_record_smuggles_in_does_not_run(open_page: Open, tmp_path: Path) -> None:
    page = open_page(written(tmp_path, 20, POISON)).page
    expect(page.locator("#list .input").first).to_contain_text("window.hacked = 1")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#list img, #list svg").count() == 0


def test_without_a_script_everything_but_the_list_is_there(open_page: Open, tmp_path: Path) -> None:
    page = open_page(written(tmp_path, 100), java_script_enabled=False).page
    expect(page.locator("#without")).to_be_visible()
    expect(page.locator("#fields")).to_contain_text("capacitor")
