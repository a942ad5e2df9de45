"""What is said of attempts at a task, one beside the other."""

from __future__ import annotations

from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.reporting.attempts import LISTED, Attempt, in_words, keep_verdict, moves_in_words
from tests.unit.reporting.evaluations import build


def test_examples_are_named_until_there_are_too_many() -> None:
    lost = [f"e{number}" for number in range(LISTED + 2)]
    assert [*moves_in_words([], lost)] == ["  lost 7: e0, e1, e2, e3, e4, and 2 more"]


def test_control_characters_of_a_name_do_not_reach_a_terminal() -> None:
    assert [*moves_in_words(["a\x1b[2J\nb"], [])] == ["  won  1: a [2J b"]


def test_an_attempt_says_when_it_was_judged_and_by_which_clock(tmp_path: Path) -> None:
    record = build(tmp_path).record
    line, *_ = in_words([Attempt(record, (), ())])
    assert line.startswith(f"{record.finished_at:%Y-%m-%d %H:%M} UTC  {record.version}")


def test_a_verdict_without_its_answers_is_not_kept(tmp_path: Path) -> None:
    there, judged = FolderResults(tmp_path / "there"), build(tmp_path / "tree").record
    there.put(aws_names.verdict_key(judged.digest), judged.to_json())
    keep_verdict(tmp_path, there, judged)
    assert [*tmp_path.glob(".prompt-hub/**/*.json*")] == []

    there.put(aws_names.verdict_details_key(judged.digest), "answers")
    keep_verdict(tmp_path, there, judged)
    assert len([*tmp_path.glob(".prompt-hub/**/*.json*")]) == 2
