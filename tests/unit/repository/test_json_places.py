"""Every value of a JSON text is found where it stands."""

from __future__ import annotations

import pytest

from prompt_hub.repository.json_positions import JsonScanner, LineIndex, PositionMap, position


def test_lines_and_columns_count_from_one_and_from_where_the_text_starts() -> None:
    text = '{\n  "a": [1,\n   22]}'
    assert PositionMap(text)["a", 1] == (3, 4)
    assert PositionMap(text, 10)["a", 1] == (12, 4)
    assert PositionMap(text, of_keys=True)[("a",)] == (2, 3)
    assert position("", 0) == (1, 1)


@pytest.mark.parametrize("text", ["", "\n", "a\nb\n\nc", "ab"])
def test_an_index_of_lines_says_what_counting_says(text: str) -> None:
    index = LineIndex(text, 7)
    for offset in range(len(text) + 1):
        assert index.position(offset) == position(text, offset, 7)


def test_all_that_json_should_not_say_is_found_at_once() -> None:
    scan = JsonScanner(
        '{"a": [NaN, -Infinity, 1e999, 1.5], "a": {"b": "\\ud800", "b": ' + "1" * 5000 + "}}"
    )
    assert [(anomaly.rule, anomaly.location) for anomaly in scan.oddities] == [
        ("not-finite", ("a", 0)),
        ("not-finite", ("a", 1)),
        ("not-finite", ("a", 2)),
        ("duplicate-key", ("a",)),
        ("surrogate", ("a", "b")),
        ("duplicate-key", ("a", "b")),
        ("not-finite", ("a", "b")),
    ]
