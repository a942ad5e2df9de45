"""The difference of a repair: counted, bounded, and written so that nothing in it is markup."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

from prompt_hub.batch.changes import MOST_SHOWN
from prompt_hub.reporting.repair_page import (
    LARGEST_PAGE,
    repair_json,
    repair_markdown,
    repair_page,
)
from tests.unit.reporting.repairs import line, tally, view

POISON = "</script><script>alert(1)</script>'\"&"


def payload(html: str) -> dict[str, Any]:
    found = re.search(r'<script id="data"[^>]*>([^<]*)</script>', html)
    assert found is not None
    data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(found[1])))
    return data


def test_the_page_says_how_many_of_how_many_and_the_commonest_change_first() -> None:
    html = repair_page(view(tally(100)))
    assert "50 of 100" in html
    assert "107 records in the output; 7 that other versions answered stay as they were" in html
    assert "1 had an error and has an output now" in html
    assert html.index("<del>resistor</del>") < html.index('<span class="soft">nothing</span>')
    shown = payload(html)
    assert shown["fields"] == ["part_class", "error of the record", "mount"]
    assert shown["records"][0] == {
        "record": 2,
        "input": {"part_number": "P-2", "title": "Schottky diode 30 V"},
        "changes": [{"field": 0, "pair": 0, "before": "resistor", "after": "capacitor"}],
    }


def test_a_hundred_thousand_changes_make_a_page_that_says_what_it_leaves_out() -> None:
    html = repair_page(view(tally(200_000)))
    assert len(html.encode()) < LARGEST_PAGE
    assert len(payload(html)["records"]) <= MOST_SHOWN
    assert re.search(r"The list below has [\d,]+ of 100,000 changed records", html)
    assert "All are in changes.jsonl" in html


def test_long_texts_are_cut_before_records_are_left_out() -> None:
    noise = "".join(chr(0x4E00 + place * 7919 % 20_000) for place in range(20_000))
    html = repair_page(view(tally(600, noise)))
    assert len(html.encode()) < LARGEST_PAGE
    assert len(payload(html)["records"]) == 300
    assert "300 texts cut after" in html


def test_nothing_of_a_record_is_markup() -> None:
    found = tally(4, POISON)
    found.add(line(5, POISON, POISON), line(5, POISON, f"{POISON}{POISON}"))
    html = repair_page(view(found, reason=POISON))
    assert "alert(1)</script>" not in html
    assert "&lt;/script&gt;" in html
    markdown = repair_markdown(view(found, reason=POISON))
    assert "<script>" not in markdown


def test_a_repair_without_a_change_has_no_list() -> None:
    html = repair_page(view(tally(1)))
    assert "0 of 1" in html
    assert 'id="list"' not in html


def test_summaries_have_the_same_numbers() -> None:
    shown = view(tally(100))
    summary = repair_json(shown)
    assert (summary["made_again"], summary["changed"], summary["mended"]) == (100, 50, 1)
    fields = summary["fields"]
    assert isinstance(fields, list)
    assert [entry["changed"] for entry in fields if isinstance(entry, dict)] == [50, 1, 1]
    markdown = repair_markdown(shown)
    assert "50 of 100 records made again came out otherwise" in markdown
    assert "| 10 | <code>resistor</code> | <code>capacitor</code> |" in markdown
