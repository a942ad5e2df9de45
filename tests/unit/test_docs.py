"""The documents are fresh, keep one form, and name only what is there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.decision_index import FOLDER, FormatError, index_page, read_record

pytestmark = pytest.mark.shipped

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "benchmarks/*.md", "docs/**/*.md", "findings/*.md")
    for page in ROOT.glob(pattern)
)
SOURCES = sorted(
    path
    for area in ("pipeline_image", "cdk_app", "stacks", "lambdas", "local_aws", "tests", "scorers")
    for path in (ROOT / area).rglob("*.py")
)
RECORDS = sorted(file for file in FOLDER.glob("*.md") if file.name != "README.md")
FINDINGS = sorted(ROOT.glob("findings/*.sh"))

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MENTION = re.compile(r"(?<![!\w])docs/[\w/-]+\.md(?:#[\w-]+)?")
GLOSSARY_PLACE = re.compile(r"`([\w/]+\.py)`(?: \(`(\w+)`\))?")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose_of(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def problem_of(target: str, start: Path) -> str | None:
    """Why a link from the folder `start` leads nowhere, None where it leads somewhere."""
    path, _, anchor = target.partition("#")
    file = (start / path).resolve()
    if not file.exists():
        return f"{target}: there is no such file"
    if anchor and anchor not in anchors_of(file):
        return f"{target}: the page has no such heading"
    return None


def broken_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        relative = f"{page.name}{target}" if target.startswith("#") else target
        if problem := problem_of(relative, page.parent):
            yield problem


# --- Links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The page\n[whole](page.md#the-page) [here](#the-page) [far](https://example.com/x)\n"
        "[gone](other.md) [lost](page.md#elsewhere) [nowhere](#below)\n"
        "```\n# elsewhere\n[code](none.md)\n```\n"
    )
    assert list(broken_links(page)) == [
        "other.md: there is no such file",
        "page.md#elsewhere: the page has no such heading",
        "page.md#below: the page has no such heading",
    ]


def test_every_page_that_the_code_names_is_there() -> None:
    broken = [
        f"{name_of(path)}: {problem}"
        for path in SOURCES
        for mention in MENTION.findall(path.read_text("utf-8"))
        if (problem := problem_of(mention, ROOT))
    ]
    assert broken == []


def test_every_file_and_type_that_the_glossary_names_is_there() -> None:
    package = ROOT / "pipeline_image" / "prompt_hub"
    rows = GLOSSARY_PLACE.findall((ROOT / "docs" / "glossary.md").read_text("utf-8"))
    assert rows
    lost = []
    for path, kind in rows:
        files = [file for file in (ROOT / path, package / path) if file.is_file()]
        if not files or (kind and f"class {kind}" not in files[0].read_text("utf-8")):
            lost.append((path, kind))
    assert lost == []


# --- Decision records --------------------------------------------------------------------------


def test_the_index_of_decisions_is_fresh() -> None:
    assert (FOLDER / "README.md").read_text("utf-8") == index_page(FOLDER), "run `make docs`"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_every_record_has_the_form(record: Path) -> None:
    assert read_record(record.name, record.read_text("utf-8")).file == record.name


WHOLE = """\
# 0007: A title

- Status: accepted
- Date: 2026-11-27

## Context

One.

## Options

Two.

## Outcome

Three.

## Consequences

Four.
"""


def test_a_whole_record_is_read() -> None:
    record = read_record("0007-a-title.md", WHOLE)
    assert (record.number, record.title) == ("0007", "A title")
    assert (record.status, record.date) == ("accepted", "2026-11-27")


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        ("# 0007: A title", "# A title", "0007-a-title.md:1: found '# A title'"),
        ("# 0007", "# 0008", "its title has the number 0008"),
        ("- Status: accepted", "Status: accepted.", "expected '- Status: accepted |"),
        ("accepted", "superseded by 0008", "expected '- Status: accepted |"),
        ("accepted", "superseded by [0008](0009-other.md)", "expected '- Status: accepted |"),
        ("- Date: 2026-11-27", "- Date: today", "expected '- Date: YYYY-MM-DD'"),
        ("## Options\n\nTwo.\n\n", "", "found the sections ['Context', 'Outcome'"),
        ("Two.", "", "the section Options is empty"),
        ("\n## Context", "\nLoose.\n\n## Context", "found 'Loose.' before the first section"),
    ],
)
def test_a_record_of_another_form_is_refused(found: str, instead: str, message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        read_record("0007-a-title.md", WHOLE.replace(found, instead, 1))


def test_the_readme_states_the_bill_of_the_page_of_costs() -> None:
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    sentence = re.search(r"about (\d+) US dollars a month idle(.*?), which grow", readme)
    assert sentence is not None
    idle = (ROOT / "docs" / "costs.md").read_text("utf-8").partition("## Idle")[2]
    prices = re.findall(r"^\| .* \| \**([\d.]+)\** \|$", idle.partition("## ")[0], re.MULTILINE)
    *lines, total = (round(float(price)) for price in prices)
    stated = [int(figure) for figure in re.findall(r"\((\d+)\)", sentence[2])]
    assert int(sentence[1]) == total
    assert sorted(stated) == sorted(lines)[-len(stated) :]


# --- Findings ----------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.stem)
def test_a_finding_has_the_form_that_its_readme_states(finding: Path) -> None:
    text = finding.read_text("utf-8")
    assert text.startswith("#!/usr/bin/env bash\n# ")
    guess, seen = text.index("\n# Guess: "), re.search(r"\n# Seen, \d{4}-\d{2}-\d{2}: ", text)
    assert seen is not None
    assert guess < seen.start() < text.index("set -euo pipefail")
    pip = re.search(r"pip\" install (?:.*\\\n)?.*", text)
    assert pip is not None
    packages = [word for word in pip[0].split()[2:] if word != "\\" and not word.startswith("-")]
    assert packages
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", package) for package in packages)
    for npm in re.findall(r"npm install (?:.*\\\n)?.*", text):
        names = [word for word in npm.split()[2:] if re.match(r"[@a-z]", word)]
        assert names
        assert all(re.fullmatch(r"(@[\w-]+/)?[\w-]+@\d[\w.]*", name) for name in names)
    expected = re.search(r"<<'EXPECTED'.*\n((?:.*\n)*?)EXPECTED\n", text)
    assert expected is None or expected[1].strip(), "what it expects is missing"
    assert finding.stat().st_mode & 0o111, "it is run by its name"
    subprocess.run(["bash", "-n", str(finding)], check=True)
