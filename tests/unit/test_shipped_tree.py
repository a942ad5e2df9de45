"""Tests of our own prompts and pages are left out in a tree whose prompts are somebody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shipped_tree import SETTINGS, is_shipped


@pytest.mark.parametrize(
    ("text", "shipped"),
    [
        ('{"context": {"prompt-hub": {"repository": "example/ours"}}}', True),
        ('{"context": {"prompt-hub": {"repository": "team/theirs"}}}', False),
        ('{"context": {}}', True),
        ("{", True),
    ],
)
def test_a_tree_is_somebody_elses_where_it_names_another_repository(
    tmp_path: Path, text: str, shipped: bool
) -> None:
    (tmp_path / "docs").mkdir()
    example = json.dumps({SETTINGS: {"repository": "example/ours"}})
    (tmp_path / "docs" / "example_context.json").write_text(example, encoding="utf-8")
    (tmp_path / "cdk.json").write_text(text, encoding="utf-8")
    assert is_shipped(tmp_path) is shipped
