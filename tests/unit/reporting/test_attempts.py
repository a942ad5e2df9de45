"""What is said of attempts at a task, one beside the other."""

from __future__ import annotations

from prompt_hub.reporting.attempts import LISTED, moves_in_words


def test_examples_are_named_until_there_are_too_many() -> None:
    lost = [f"e{number}" for number in range(LISTED + 2)]
    assert [*moves_in_words([], lost)] == ["  lost 7: e0, e1, e2, e3, e4, and 2 more"]


def test_control_characters_of_a_name_do_not_reach_a_terminal() -> None:
    assert [*moves_in_words(["a\x1b[2J\nb"], [])] == ["  won  1: a [2J b"]
