"""Draw the diagrams of the pages as SVG, for the site: `make diagrams`.

GitHub and editors draw Mermaid themselves. The site may load nothing from elsewhere and a set-up
should not bring 70 MB, so Mermaid's own script draws in Chromium, once for each change of a
diagram, and what it drew is kept. A picture is named after its source: it cannot be out of date.
"""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = Path(__file__).parent / "images"
SCRIPTS = ROOT / ".local" / "mermaid"
MERMAID = "11.17.2"
INTEGRITY = (
    "sha512-V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleB"
    "Bg=="
)
"""Of the package, as npm's registry has it."""
BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FINE = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")
"""Fractions of a pixel that nobody sees: most of a picture's bytes."""
PAGES = ("*.md", "docs/*.md")
PAGE_WIDTH = 816.0
"""Pixels between the edges of the card in which the site shows a picture: static/site.css."""
LEAST_SCALE = 0.8
"""Of what was drawn, with words of 15 pixels: smaller ones are not read."""
DRAW = """async ([source, name]) => {
  mermaid.initialize({
    startOnLoad: false, securityLevel: "strict", theme: "neutral", look: "classic",
    htmlLabels: false, themeVariables: {fontSize: "15px"},
    flowchart: {htmlLabels: false, nodeSpacing: 24, rankSpacing: 28},
    fontFamily: "system-ui, sans-serif", deterministicIds: true, deterministicIDSeed: name,
  });
  return (await mermaid.render(name, source)).svg;
}"""


def picture_of(source: str) -> str:
    """Return the name of the file that shows a diagram."""
    return f"diagram-{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def sources() -> Iterator[str]:
    """Yield the source of every diagram of the pages."""
    for pattern in PAGES:
        for page in sorted(ROOT.glob(pattern)):
            yield from BLOCK.findall(page.read_text("utf-8"))


def main() -> int:
    """Draw what has no picture yet, and remove the pictures that no page has any more."""
    wanted = {picture_of(source): source for source in sources()}
    missing = {name: source for name, source in wanted.items() if not (IMAGES / name).exists()}
    for old in IMAGES.glob("diagram-*.svg"):
        if old.name not in wanted:
            old.unlink()
    if missing:
        _draw(missing, _script())
    print(f"{len(missing)} of {len(wanted)} diagrams were drawn")
    return 0


def _draw(missing: dict[str, str], script: Path) -> None:
    from playwright.sync_api import sync_playwright

    from docs.page_pictures import browser_path

    with sync_playwright() as playwright:
        # A root user has no sandbox; the pages are our own.
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        page = browser.new_page()
        page.add_script_tag(path=script)
        for name, source in missing.items():
            drawn: str = page.evaluate(DRAW, [source, name.removesuffix(".svg")])
            (IMAGES / name).write_text(_finished(drawn), encoding="utf-8")
        browser.close()


def _finished(drawn: str) -> str:
    """Return a picture in whole tenths of a pixel, as wide as it was drawn, or as the page is."""
    text = _FINE.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), drawn)
    box = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', text)
    assert box is not None
    wide, tall = float(box[1]), float(box[2])
    scale = min(1.0, PAGE_WIDTH / wide)
    size = f'width="{wide * scale:.1f}" height="{tall * scale:.1f}"'
    return text.replace('width="100%"', size, 1) + "\n"


def _script() -> Path:
    """Return Mermaid's script, brought by npm once; raises `SystemExit` if it is another one."""
    kept = SCRIPTS / f"mermaid-{MERMAID}.min.js"
    if kept.exists():
        return kept
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    subprocess.run(["npm", "pack", "--silent", f"mermaid@{MERMAID}"], cwd=SCRIPTS, check=True)
    package = SCRIPTS / f"mermaid-{MERMAID}.tgz"
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        raise SystemExit(f"mermaid {MERMAID} is not the one that was looked at: sha512-{digest}")
    with tarfile.open(package) as archive:
        found = archive.extractfile("package/dist/mermaid.min.js")
        assert found is not None
        kept.write_bytes(found.read())
    package.unlink()
    return kept


if __name__ == "__main__":
    sys.exit(main())
