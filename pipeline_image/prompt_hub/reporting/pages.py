"""Self-contained pages: one HTML file each, which asks no network for anything.

Styles and scripts are files of this package and are put into the page as they are. The page's own
policy allows these by their hash, an icon in the page itself, and nothing else: what a catalogue
record smuggles in cannot run.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from prompt_hub.core import wording
from prompt_hub.reporting import words

TEMPLATES = Path(__file__).parent / "templates"
ICON = "icon.svg"
"""The icon of every page, the console's too."""
LONGEST_TEXT = 8_000
"""Characters of one text that are shown; a page that takes seconds to open helps nobody."""


def page(template: str, *, style: str, script: str | None = None, **values: object) -> str:
    """Return a page from a template; every value in it is escaped.

    Args:
        template: file of the template.
        style: file of the page's own style, which follows `base.css`.
        script: file of its script, None for a page without.
        values: what the template shows.
    """
    styles = f"\n{asset('base.css')}{asset(style)}"
    scripts = f"\n{asset(script)}" if script else ""
    policy = ["default-src 'none'", f"style-src {_hash(styles)}", "img-src data:"]
    policy += ["base-uri 'none'", "form-action 'none'"]
    if scripts:
        policy += [f"script-src {_hash(scripts)}", "require-trusted-types-for 'script'"]
    return (
        environment()
        .get_template(template)
        .render(
            **values,
            policy="; ".join(policy),
            style=styles,
            script=scripts,
            icon=_icon(),
        )
    )


def short(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return a text of bearable length, saying how much of it was left out."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}\n… and {wording.count(len(text) - longest, 'more character')}"


def folded(text: str, around: int = 160) -> str:
    """Return an unchanged text between changes: its ends, which say where the changes are."""
    if len(text) <= 2 * around + 40:
        return text
    left_out = len(text) - 2 * around
    return (
        f"{text[:around]} [… {wording.count(left_out, 'character')} unchanged …] {text[-around:]}"
    )


def evaluation_file(task: str, version: str) -> str:
    """Return the name of the page of a version's evaluation, where all pages lie beside another."""
    return f"{task}-{version}.html"


def clock(at: datetime) -> str:
    """Return the time of day of a moment."""
    return f"{at:%H:%M:%S}"


def day(at: datetime) -> str:
    """Return the date of a moment."""
    return f"{at.day} {at:%B %Y}"


def percent(fraction: float) -> str:
    """Return a fraction as a length on an axis of 100."""
    return f"{100 * fraction:.2f}"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _icon() -> str:
    """Return the page's icon as an address of its own: a browser would ask for one otherwise."""
    encoded = base64.b64encode(asset(ICON).encode("utf-8")).decode("ascii")
    return f"data:image/svg+xml;base64,{encoded}"


@cache
def asset(name: str) -> str:
    """Return a style or script of this package."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def environment(folder: Path = TEMPLATES) -> Environment:
    """Return what makes pages of the templates in a folder, with the filters that say numbers."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clock": clock,
        "count": wording.count,
        "noun": wording.noun,
        "day": day,
        "duration": words.duration,
        "folded": folded,
        "latency": words.latency,
        "money": words.money,
        "number": words.number,
        "pct": percent,
        "score": words.score,
        "short": short,
        "signed": words.signed,
        "tone": words.tone,
    }
    return made
