"""The site: built without a warning, whole, and nothing of it comes from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from docs.diagrams import IMAGES, LEAST_SCALE, PAGE_WIDTH, picture_of, sources
from prompt_hub.cli.main import COMMANDS
from prompt_hub.loader import __all__ as public_names

pytestmark = pytest.mark.shipped

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""What a browser fetches by itself, and by which attribute."""
LEADING = {"search", "index", "next", "prev"}
"""Links that a browser only knows of."""


class Page(HTMLParser):
    """What a page of the site fetches, where its links lead, and which anchors it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if FETCHED.get(tag) in given and given.get("rel") not in {
            "search",
            "index",
            "next",
            "prev",
        }:
            self.fetched.append(given[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, from nothing."""
    folder = tmp_path_factory.mktemp("site")
    words = ["--quiet", "--fail-on-warning", "--keep-going", "--conf-dir", "docs/site"]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, "--doctree-dir", folder / "read", ".", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_of_the_repository_is_there(site: Path) -> None:
    sources = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    assert len(sources) > 100
    made = [(site / path.relative_to(ROOT)).with_suffix(".html") for path in sources]
    assert [page.name for page in made if not page.is_file()] == []


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    fetched = {target for page in pages.values() for target in page.fetched}
    assert len(fetched) > 3
    assert [target for target in fetched if re.match(r"(?:[a-z]+:)?//", target)] == []
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", sheet.read_text("utf-8"))


def test_every_diagram_is_drawn_as_its_page_has_it_now(site: Path, pages: dict[Path, Page]) -> None:
    wanted = {picture_of(source) for source in sources()}
    assert len(wanted) > 5
    # `make diagrams` draws them.
    assert {path.name for path in IMAGES.glob("diagram-*.svg")} == wanted
    shown = {Path(target).name for page in pages.values() for target in page.fetched}
    assert wanted <= shown
    for name in wanted:
        text = (IMAGES / name).read_text("utf-8")
        assert "<script" not in text
        assert set(re.findall(r"https?://[^\s\"'<)]+", text)) <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }


def test_every_diagram_fits_its_page_and_can_be_read_there() -> None:
    for path in IMAGES.glob("diagram-*.svg"):
        head = path.read_text("utf-8").partition(">")[0]
        width = re.search(r' width="([\d.]+)"', head)
        drawn = re.search(r'viewBox="\S+ \S+ ([\d.]+) ', head)
        assert width is not None
        assert drawn is not None
        assert float(width[1]) <= PAGE_WIDTH, path.name
        # Words of a diagram that was made smaller than this are not read: draw it otherwise.
        assert float(width[1]) >= LEAST_SCALE * float(drawn[1]), path.name


def words_on_arrows(
    node: ElementTree.Element, left: float = 0.0, top: float = 0.0
) -> Iterator[tuple[str, float, float, float, float]]:
    """Text, left, top, right and bottom of what stands on arrows; groups are moved in groups."""
    moved = re.match(r"translate\(([-\d.]+)(?:, *([-\d.]+))?\)", node.get("transform", ""))
    if moved:
        left, top = left + float(moved[1]), top + float(moved[2] or 0)
    box = next(
        (part for part in node.iter(f"{SVG}rect") if part.get("class") == "background"), None
    )
    if node.get("class") != "edgeLabel" or box is None:
        for part in node:
            yield from words_on_arrows(part, left, top)
        return
    inner = re.search(r"translate\(([-\d.]+), *([-\d.]+)\)", node[0].get("transform", ""))
    x, y = left + float(box.get("x", 0)), top + float(box.get("y", 0))
    if inner:
        x, y = x + float(inner[1]), y + float(inner[2])
    width, height = float(box.get("width", 0)), float(box.get("height", 0))
    yield "".join(node.itertext()), x, y, x + width, y + height


def test_no_word_of_a_diagram_lies_upon_another() -> None:
    counts = []
    for path in sorted(IMAGES.glob("diagram-*.svg")):
        words = [*words_on_arrows(ElementTree.parse(path).getroot())]
        counts.append(len(words))
        upon = [
            (path.name, one[0], other[0])
            for one, other in combinations(words, 2)
            if one[1] < other[3] and other[1] < one[3] and one[2] < other[4] and other[2] < one[4]
        ]
        assert upon == []
    assert max(counts) > 10, "the words of arrows are drawn otherwise: mend the rule"


def test_every_link_inside_leads_somewhere(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:|//", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = (path.parent / name).resolve() if name else path
            if not target.exists() or (anchor and anchor not in pages[target].anchors):
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_the_reference_has_every_command_and_every_public_name(site: Path) -> None:
    commands = (site / "docs/site/commands.html").read_text("utf-8")
    assert [name for name in COMMANDS if f"usage: prompt-hub {name} " not in commands] == []
    names = (site / "docs/site/loader-api.html").read_text("utf-8")
    assert [name for name in public_names if f'id="prompt_hub.loader.{name}"' not in names] == []


def test_it_can_be_searched_without_a_server(site: Path) -> None:
    assert (site / "search.html").is_file()
    index = (site / "searchindex.js").read_text("utf-8")
    assert "rollback" in index
    assert "README.html" in (site / "index.html").read_text("utf-8")
