"""The site of the documentation: every page of the repository, and a reference made from the code.

`make docs` builds it. Nothing of it is fetched by a browser from elsewhere, and it searches without
a server. Why so: docs/decisions/1940-one-site-of-the-pages-as-they-are.md.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "pipeline_image"), str(ROOT)]

from docs.diagrams import BLOCK, IMAGES, picture_of  # noqa: E402  (found only now)

project = "Prompt Hub"
html_title = project
root_doc = "README"
"""The home page is the one that people see first anyway."""
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = ["*.md", "benchmarks/*.md", "docs/*.md", "docs/**/*.md", "findings/*.md"]
exclude_patterns = [".*", "node_modules", "cdk.out", "build", "tests"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
templates_path: list[str] = []

# Anchors as GitHub makes them, so that one link is right in both places.
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autoclass_content = "both"

CONTENTS = {
    "Start": ["docs/first-hour", "docs/glossary", "docs/architecture"],
    "Prompts": [
        "docs/prompts",
        "docs/authoring",
        "docs/coming-from-elsewhere",
        "docs/rules",
        "docs/scorers",
        "docs/schemas",
    ],
    "Evaluation": ["docs/gate", "docs/model-calls", "docs/reports", "docs/provenance"],
    "Use": ["docs/http-api", "docs/loader", "docs/records"],
    "Operation": [
        "docs/deployment",
        "docs/settings",
        "docs/operations",
        "docs/console",
        "docs/watch",
        "docs/states",
        "docs/permissions",
        "docs/costs",
        "docs/performance",
        "docs/upgrading",
    ],
    "Reference": ["docs/site/commands", "docs/site/loader-api"],
    "Project": [
        "CONTRIBUTING",
        "docs/testing",
        "docs/local-aws",
        "docs/pull-requests",
        "docs/decisions/README",
        "findings/README",
        "benchmarks/README",
        "SECURITY",
        "CHANGELOG",
    ],
}
"""The pages by what people are at; a page that stands nowhere ends the build."""


def command_pages() -> Iterator[str]:
    """Yield what `--help` says, of every command and of each of its own commands."""
    from prompt_hub.cli.main import COMMANDS, load

    os.environ["COLUMNS"] = "100"
    for name in COMMANDS:
        _, parser = load(name)
        yield f"## prompt-hub {name}\n"
        yield from _help(parser)
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, below in action.choices.items():
                    yield f"### prompt-hub {name} {word}\n"
                    yield from _help(below)


def _help(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"```text\n{parser.format_help()}```\n"


def add_what_is_made(app: Sphinx, page: str, source: list[str]) -> None:
    """Complete a page as it is read: the contents of the site, the commands."""
    source[0] = BLOCK.sub(_drawn, source[0])
    if page == root_doc:
        source[0] += "".join(_contents(name, pages) for name, pages in CONTENTS.items())
    elif re.match(r"docs/decisions/\d", page):
        # Their index leads to them: the contents beside every page would be twice as long to make.
        source[0] = f"---\norphan: true\n---\n\n{source[0]}"
    elif page == "docs/site/commands":
        source[0] += "\n" + "\n".join(command_pages())


def _drawn(block: re.Match[str]) -> str:
    """Return the picture of a diagram, and its source for whoever cannot see it.

    One that nobody has drawn yet is read: `make diagrams` needs a browser, the site does not.
    """
    text = f"```text\n{block[1]}```\n"
    name = picture_of(block[1])
    if not (IMAGES / name).exists():
        return text
    picture = f"![The diagram that stands below as text](/docs/images/{name})"
    return f"{picture}\n\n<details><summary>As text</summary>\n\n{text}\n</details>\n"


def _contents(name: str, pages: list[str]) -> str:
    options = [f":caption: {name}", ":hidden:", ":titlesonly:"]
    return "\n".join(["\n\n```{toctree}", *options, "", *pages, "```\n"])


def write_code_as_code(
    app: Sphinx, what: str, name: str, found: object, options: object, lines: list[str]
) -> None:
    """Double the quotes around code, of which docstrings have one, as in Markdown."""
    lines[:] = [re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line) for line in lines]


def keep_sentences(
    app: Sphinx, what: str, name: str, found: object, options: object, lines: list[str]
) -> None:
    """Keep what stands before a colon: napoleon takes it for the type of a property."""
    if what in {"property", "attribute"} and (text := getattr(found, "__doc__", None)):
        lines[:] = [*inspect.cleandoc(text).splitlines(), ""]
        write_code_as_code(app, what, name, found, options, lines)


def write_index(app: Sphinx, error: Exception | None) -> None:
    """Lead whoever opens the folder to the home page."""
    if error is None:
        refresh = f'<meta http-equiv="refresh" content="0; url={root_doc}.html">'
        text = f'<!doctype html><html lang="en"><title>{project}</title>{refresh}</html>\n'
        (Path(app.outdir) / "index.html").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Tell Sphinx what is made while it reads and when it has written."""
    app.connect("source-read", add_what_is_made)
    # Before napoleon takes the lines apart.
    app.connect("autodoc-process-docstring", write_code_as_code, priority=100)
    app.connect("autodoc-process-docstring", keep_sentences, priority=900)
    app.connect("build-finished", write_index)
