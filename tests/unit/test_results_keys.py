"""The page for operations has every key of the results bucket, and no other."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from prompt_hub.core import aws_names

ROOT = Path(__file__).resolve().parents[2]
SECTION = "## What lies in the results bucket"

pytestmark = pytest.mark.shipped


def keys_of_the_code() -> set[str]:
    """Every key of the bucket, its parts named as the function's parameters are."""
    source = inspect.getsource(aws_names)
    section = source.split("# --- Keys in the results bucket")[1].split("\n# --- ")[0]
    names = re.findall(r"^def (\w+)\(", section, re.MULTILINE)
    found = set()
    for name in names:
        function = getattr(aws_names, name)
        found.add(function(*(part.upper() for part in inspect.signature(function).parameters)))
    return found


def test_every_key_stands_in_the_table() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.split(SECTION)[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(keys_of_the_code())
