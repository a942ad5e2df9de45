"""The page about upgrades lists every format that the code reads or writes, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORMAT = r"prompt-hub/[a-z-]+@\d+"

pytestmark = pytest.mark.shipped


def test_the_page_lists_the_formats_of_the_code() -> None:
    code: set[str] = set()
    for area in ("pipeline_image/prompt_hub", "lambdas", "cdk_app", "stacks"):
        for path in (ROOT / area).rglob("*.py"):
            code |= set(re.findall(FORMAT, path.read_text(encoding="utf-8")))
    page = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    listed = re.findall(rf"^\| `({FORMAT})` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(code)
