"""The report of an evaluation in a real browser: it works, it is readable, nothing runs in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from prompt_hub.gate.types import Status
from tests.browser.pages import POISON, Open

PHONE = {"width": 360, "height": 740}
Report = Callable[..., Path]


def shown(page: Page) -> int:
    """How many examples the list holds."""
    return page.locator("#list > li").count()


def show(page: Page, what: str) -> None:
    page.locator(f"label:has(input[value={what}])").click()


def found(page: Page, text: str) -> None:
    """Wait until the count beside the search says `text`."""
    expect(page.locator("#found")).to_have_text(text)


def test_all_examples_are_listed_fifty_at_a_time(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=2000)).page
    found(page, "2,000 examples")
    assert shown(page) == 50
    more = page.locator("#more")
    expect(more).to_have_text("Show 50 more of 1,950 examples")
    more.click()
    assert shown(page) == 100
    # The keyboard goes on where the new examples begin.
    focused = page.evaluate(
        "[...document.querySelectorAll('#list summary')].indexOf(document.activeElement)"
    )
    assert focused == 50


def test_filters_leave_exactly_what_they_promise(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=48)).page
    for what, n in (("wrong", 30), ("won", 14), ("lost", 2)):
        expect(page.locator(f"label:has(input[value={what}]) b")).to_have_text(str(n))
        show(page, what)
        found(page, f"{n} examples of 48")
        assert shown(page) == n
    assert page.locator("#list .change.lost").count() == 2
    show(page, "all")
    found(page, "48 examples")


def test_tag_field_and_search_narrow_together(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=48)).page
    page.locator("#tag").select_option("connector")
    found(page, "14 examples of 48")
    page.locator("#field").select_option("value")
    found(page, "5 examples of 48")
    page.locator("#words").fill("murata")
    found(page, "2 examples of 48")
    names = page.locator("#list .id").all_inner_texts()
    assert [name.split("-")[0] for name in names] == ["murata", "murata"]
    page.locator("#words").fill("no such part at all")
    found(page, "0 examples of 48")
    assert shown(page) == 0


def test_search_finds_inputs_answers_and_reasons(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=48)).page
    page.locator("#words").fill("got 'yageo corporation'")
    expect(page.locator("#list > li")).not_to_have_count(48)
    wrong = page.locator("#list .candidate .wrong").filter(has_text="brand: Yageo Corporation")
    expect(wrong).to_have_count(shown(page))
    assert 0 < shown(page) < 20


def test_the_worst_can_come_first(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=48)).page
    expect(page.locator("#order")).to_have_value("file")
    page.locator("#order").select_option("worst")
    expect(page.locator("#list .value").first).to_have_text("0.400")
    scores = [float(text) for text in page.locator("#list .value").all_inner_texts()]
    lost = page.locator("#list .change.lost").count()
    assert lost == 2
    assert page.locator("#list > li:nth-child(-n+2) .change.lost").count() == lost
    assert scores[lost:] == sorted(scores[lost:])


@pytest.mark.parametrize(
    ("status", "order"),
    [(Status.BLOCK, "worst"), (Status.INCONCLUSIVE, "worst"), (Status.UNCHANGED, "file")],
)
def test_of_what_was_not_released_the_worst_come_first(
    open_page: Open, report: Report, status: Status, order: str
) -> None:
    page = open_page(report(status=status)).page
    expect(page.locator("#order")).to_have_value(order)
    assert (page.locator("#list .change").first.inner_text()[:6] == "▼ lost") is (order == "worst")


def test_a_row_shows_input_expected_and_both_answers(open_page: Open, report: Report) -> None:
    page = open_page(report(status=Status.BLOCK)).page
    row = page.locator("#list > li").first
    expect(row.locator(".asked")).to_contain_text("Murata")
    expect(row.locator(".wanted")).to_contain_text("part_class: ")
    wrong = row.locator(".candidate .wrong").first.inner_text()
    assert wrong.removeprefix("≠ ").startswith("part_class: ")
    expect(row.locator(".champion .line").first).not_to_have_class(re.compile("wrong"))
    heads = page.locator("#heads").inner_text().split("\n")
    assert [head for head in heads if head.strip()] == [
        "example and input", "expected", "candidate 1.3.0", "champion 1.2.0", "score",
    ]  # fmt: skip


def test_what_its_scorer_counts_as_the_same_is_not_marked(open_page: Open, report: Report) -> None:
    page = open_page(report(spelled=True)).page
    marked = page.locator("#list .candidate .wrong")
    assert 0 < marked.filter(has_text="value: ").count() < marked.count()
    right = page.locator("#list > li").filter(has=page.locator(".outcome.right"))
    assert right.count() > 0
    expect(right.locator(".candidate .wrong")).to_have_count(0)
    right.first.locator("summary").first.click()
    table = right.first.locator(".answers")
    expect(table).to_be_visible()
    expect(table.locator("tr.differs")).to_have_count(0)
    expect(table.locator("[data-label=candidate] :is(ins, del)")).to_have_count(0)


def test_without_a_champion_scores_stand_at_the_edge(open_page: Open, report: Report) -> None:
    page = open_page(report(champion=False)).page
    edges = page.evaluate(
        """() => ['.scored', ''].map((inner) =>
          document.querySelector(`#list > li ${inner}`.trim()).getBoundingClientRect().right)"""
    )
    assert edges[0] == edges[1]
    expect(page.locator("#prompt details")).to_have_attribute("open", "")
    expect(page.locator("#prompt pre").first).to_contain_text("Read the record")


def address(page: Page) -> str:
    return str(page.evaluate("decodeURIComponent(location.hash)"))


def test_a_view_can_be_shared(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=48)).page
    show(page, "wrong")
    page.locator("#tag").select_option("connector")
    page.locator("#words").fill("connector pins")
    page.locator("#order").select_option("worst")
    found(page, "8 examples of 48")
    page.locator("#list summary").nth(1).click()
    name = page.locator("#list .id").nth(1).inner_text()
    wanted = f"#words=connector pins&tag=connector&order=worst&example={name}&show=wrong"
    expect(page).to_have_url(re.compile("#.*example="))
    assert sorted(address(page)[1:].split("&")) == sorted(wanted[1:].split("&"))
    other = open_page(report(examples=48), hash_=page.evaluate("location.hash")).page
    found(other, "8 examples of 48")
    assert (
        other.locator("#list .id").all_inner_texts() == page.locator("#list .id").all_inner_texts()
    )
    assert other.locator("#list details[open] .id").all_inner_texts() == [name]
    other.locator("#list summary").nth(1).click()
    expect(other).not_to_have_url(re.compile("#.*example="))


def test_an_address_that_means_nothing_here_shows_all(open_page: Open, report: Report) -> None:
    hash_ = '#show="]nothing&tag=none&order=x&example=gone'
    page = open_page(report(examples=48), hash_=hash_).page
    found(page, "48 examples")
    assert page.locator("#list details[open]").count() == 0


def test_a_link_in_a_table_shows_its_examples(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=48)).page
    row = page.locator("#fields tr", has_text="brand")
    row.locator("a").click()
    n = row.locator("a").inner_text().split()[0]
    found(page, f"{n} examples of 48")
    expect(page.locator("#field")).to_have_value("brand")


def test_an_opened_example_shows_everything_about_it(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=48, repeats=3, judged=True)).page
    show(page, "lost")
    page.locator("#list summary").first.click()
    body = page.locator("#list .body").first
    for heading in ("Input", "Answers", "Why the candidate lost", "Calls"):
        expect(body.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    *head, candidate, champion = body.locator(".answers thead th").all_inner_texts()
    assert head == ["field", "expected"]
    assert champion.startswith("champion, call ")
    # Of several answers the worst is the one to look at.
    calls = body.locator(".calls tbody tr").all()
    scores = {
        row.locator("td").first.inner_text(): float(row.locator("td").nth(1).inner_text())
        for row in calls
    }
    assert scores[candidate] == min(scores[f"candidate, call {n}"] for n in (1, 2, 3))
    assert body.locator(".answers tr.differs").count() >= 1
    assert body.locator("del, ins").count() >= 1
    assert len(calls) == 6
    assert "judge's votes" in body.locator(".calls thead").inner_text()
    prompt = body.locator("details", has_text="candidate's prompt, 4 messages")
    prompt.locator("summary").click()
    messages = prompt.locator("pre").all_inner_texts()
    assert len(messages) == 4
    title = body.locator("tr", has_text="title").locator("td").inner_text()
    assert title in messages[3]


def test_an_address_opens_its_example(open_page: Open, report: Report) -> None:
    page = open_page(report(examples=500), hash_="#example=murata-mtta493-52m-31").page
    assert page.locator("#list details[open] .id").all_inner_texts() == ["murata-mtta493-52m-31"]
    expect(page.locator("#list details[open] > summary")).to_be_in_viewport()
    # The search is the reader's.
    expect(page.locator("#words")).to_have_value("")
    found(page, "500 examples")


def test_from_an_example_far_down_one_goes_on_in_both_directions(
    open_page: Open, report: Report
) -> None:
    page = open_page(report(examples=500)).page
    page.locator("#more").click()
    page.locator("#more").click()
    far = page.locator("#list .id").nth(120).inner_text()
    page = open_page(report(examples=500), hash_=f"#example={far}").page
    assert page.locator("#list .id").first.inner_text() == far
    assert shown(page) == 50
    earlier = page.locator("#earlier")
    expect(earlier).to_have_text("Show 50 before, of 120 examples")
    earlier.click()
    expect(earlier).to_have_text("Show 50 before, of 70 examples")
    assert page.locator("#list .id").nth(50).inner_text() == far
    focused = page.evaluate(
        "[...document.querySelectorAll('#list > li')].indexOf(document.activeElement.closest('li'))"
    )
    assert focused == 49
    earlier.click()
    earlier.click()
    expect(earlier).to_be_hidden()
    assert shown(page) == 170
    expect(page.locator("#more")).to_have_text("Show 50 more of 330 examples")


def test_an_example_opens_though_a_filter_of_its_address_excludes_it(
    open_page: Open, report: Report
) -> None:
    hash_ = "#show=unmeasured&example=murata-mtta493-52m-31"
    page = open_page(report(examples=500), hash_=hash_).page
    assert page.locator("#list details[open] .id").all_inner_texts() == ["murata-mtta493-52m-31"]


def test_what_was_not_measured_can_be_picked_out(open_page: Open, report: Report) -> None:
    page = open_page(report(failing=3)).page
    show(page, "unmeasured")
    found(page, "3 examples of 48")
    page.locator("#list summary").first.click()
    expect(page.locator("#list .body").first).to_contain_text("503 after 5 attempts")


@pytest.mark.parametrize("what", ["text", "page"])
def test_what_a_record_smuggles_in_does_not_run(open_page: Open, report: Report, what: str) -> None:
    page = open_page(report(examples=12, text=POISON)).page
    for summary in page.locator("#list > li > details > summary").all():
        summary.click()
    for summary in page.locator("#list .body summary").all():
        summary.click()
    if what == "page":
        expect(page.locator("#list img, #list script, #list svg")).to_have_count(0)
    else:
        expect(page.locator("#list .body").first).to_contain_text("window.hacked = 1")
    assert page.evaluate("window.hacked") is None


def test_even_markup_that_got_in_could_not_run(open_page: Open, report: Report) -> None:
    opened = open_page(report(examples=12))
    opened.page.evaluate(
        """() => {
          const script = document.createElement('script');
          const policy = trustedTypes.createPolicy('test', { createScript: (text) => text });
          script.text = policy.createScript('window.hacked = 1');
          document.body.append(script);
          const image = document.createElement('img');
          image.src = 'https://example.invalid/x.png';
          document.body.append(image);
        }"""
    )
    assert opened.page.evaluate("window.hacked") is None
    opened.page.wait_for_timeout(200)
    refused = " ".join(opened.complaints)
    assert "script-src" in refused
    assert "https://example.invalid/x.png" in refused
    opened.complaints.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_and_light_follow_the_reader(open_page: Open, report: Report, scheme: str) -> None:
    page = open_page(report(), color_scheme=scheme).page
    ground, text = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (ground, text)]
    assert (brightness[0] > brightness[1]) is (scheme == "light")


@pytest.mark.parametrize(
    "spec", [{}, {"examples": 48, "repeats": 3, "judged": True}, {"text": "x" * 300}]
)
def test_a_phone_needs_no_sideways_scrolling(
    open_page: Open, report: Report, spec: dict[str, object]
) -> None:
    page = open_page(report(**spec), viewport=PHONE).page
    for summary in page.locator("#list > li > details > summary").all()[:6]:
        summary.click()
    for summary in page.locator("#list .body summary").all():
        summary.click()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


def test_the_keyboard_reaches_every_control(open_page: Open, report: Report) -> None:
    page = open_page(report()).page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#examples")).to_be_focused()
    reached = []
    for _ in range(7):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(({ id, name, tagName }) => id || name || tagName)(document.activeElement)"
            )
        )
    assert reached == ["words", "show", "tag", "field", "order", "SUMMARY", "SUMMARY"]
    page.locator("#list summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#list details").first).to_have_attribute("open", "")
    page.locator("input[value=all]").focus()
    page.keyboard.press("ArrowRight")
    found(page, "30 examples of 48")


def test_focus_can_be_seen(open_page: Open, report: Report) -> None:
    page = open_page(report()).page
    page.locator("#words").focus()
    page.keyboard.press("Tab")
    outline = page.evaluate(
        "getComputedStyle(document.querySelector('fieldset :checked + span')).outlineStyle"
    )
    assert outline == "solid"


def test_the_summary_needs_no_script(open_page: Open, report: Report) -> None:
    page = open_page(report(), java_script_enabled=False).page
    expect(page.locator("h1")).to_have_text("part-fields 1.3.0")
    expect(page.locator("#verdict-word")).to_contain_text("PASS")
    expect(page.locator("#fields tbody tr")).to_have_count(4)
    expect(page.get_by_text("needs JavaScript")).to_be_visible()
    expect(page.locator("#filter")).to_be_hidden()


def test_a_browser_that_cannot_unpack_says_so(open_page: Open, report: Report) -> None:
    opened = open_page(report(examples=4))
    opened.page.add_init_script("delete window.DecompressionStream")
    opened.page.reload()
    opened.requests.pop()
    expect(opened.page.get_by_role("alert")).to_contain_text("cannot be shown by this browser")


def test_printing_leaves_out_the_controls(open_page: Open, report: Report) -> None:
    page = open_page(report()).page
    page.emulate_media(media="print")
    expect(page.locator("#filter")).to_be_hidden()
    expect(page.locator("nav")).to_be_hidden()
    expect(page.locator("#scores")).to_be_visible()
    assert len(page.pdf()) > 20_000
