"""Answers that outlive the local model's process, and what keeps them apart."""

from __future__ import annotations

from pathlib import Path

from local_aws.kept_answers import KeptAnswers, digest

FIRST, SECOND = digest("first"), digest("second")


def answers(folder: Path, computed_by: object = "llama 1", at_most: int = 10) -> KeptAnswers:
    return KeptAnswers(folder, computed_by, at_most=at_most)


def test_an_answer_is_there_after_a_restart_and_for_the_same_computation_only(
    tmp_path: Path,
) -> None:
    answers(tmp_path).add(FIRST, {"text": "Ω\u2028\n"})

    assert answers(tmp_path).get(FIRST) == {"text": "Ω\u2028\n"}
    assert answers(tmp_path).get(SECOND) is None
    assert answers(tmp_path, "llama 2").get(FIRST) is None


def test_a_line_that_a_kill_left_torn_costs_that_answer_alone(tmp_path: Path) -> None:
    kept = answers(tmp_path)
    kept.add(FIRST, {"text": "one"})
    kept.add(SECOND, {"text": "two"})
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])

    torn = answers(tmp_path)
    assert (torn.get(FIRST), torn.get(SECOND)) == ({"text": "one"}, None)
    torn.add(SECOND, {"text": "two"})
    assert answers(tmp_path).get(SECOND) == {"text": "two"}


def test_lines_that_are_no_answers_are_passed_over(tmp_path: Path) -> None:
    answers(tmp_path).add(FIRST, {"text": "one"})
    (file,) = tmp_path.iterdir()
    with file.open("a", encoding="utf-8") as more:
        more.write(f'\n[]\n3\n{{"request": "{SECOND}"}}\n{{"request": 1, "answer": {{}}}}')

    assert len(answers(tmp_path)) == 1


def test_no_more_are_kept_than_asked_for_and_none_where_none_are_wanted(tmp_path: Path) -> None:
    few = answers(tmp_path, at_most=1)
    few.add(FIRST, {"text": "one"})
    few.add(SECOND, {"text": "two"})
    assert (few.get(SECOND), len(answers(tmp_path, at_most=1))) == (None, 1)

    none = answers(tmp_path / "none", at_most=0)
    none.add(FIRST, {"text": "one"})
    assert none.get(FIRST) is None
    assert not (tmp_path / "none").exists()
    assert answers(tmp_path, at_most=0).get(FIRST) is None


def test_an_answer_that_cannot_be_written_is_an_answer_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = answers(tmp_path / "file")
    kept.add(FIRST, {"text": "one"})
    assert kept.get(FIRST) == {"text": "one"}
