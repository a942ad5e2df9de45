"""What `evaluate` says after a verdict: the worst losses, and the commands that lead on."""

from __future__ import annotations

from prompt_hub.core.foreign_text import one_line
from prompt_hub.gate.types import Status
from prompt_hub.promotion.release_check import changed_since
from prompt_hub.reporting.next_steps import SHOWN, losses, next_steps
from prompt_hub.reporting.words import LONGEST_LINE
from tests.unit.reporting.evaluations import Builder, view_of
from tests.unit.reporting.history import TASK


def test_the_worst_losses_stand_first_with_what_was_asked_expected_and_answered(
    evaluated: Builder,
) -> None:
    view = view_of(evaluated())
    heading, *lines = losses(view.worst)
    assert heading == f"  the worst of {len(view.worst)} examples without the full score:"
    told = [line.split()[0] for line in lines if not line.startswith("      ")]
    assert told == [example.id for example in view.worst[:SHOWN]]
    worst = view.worst[0]
    assert worst.candidate is not None
    assert worst.champion is not None
    assert lines[0].strip() == (
        f"{worst.id}  {worst.candidate.score:.3f}, champion {worst.champion.score:.3f}"
    )
    names = [line.split()[0] for line in lines[1:4]]
    assert names == ["input", "expected", "answer"]
    assert all(len(line) < 150 for line in lines)


def test_of_repeated_answers_one_that_lost_is_told(evaluated: Builder) -> None:
    view = view_of(evaluated(repeats=3))
    late = [one for one in view.worst if one.candidate and one.candidate.calls[0].score == 1]
    assert late[0].candidate is not None
    lost = late[0].candidate.worst
    assert lost is not None
    told = [line for line in losses(late[:1]) if line.startswith("      answer")]
    assert told == [f"      answer    {one_line(lost.answer or '', LONGEST_LINE)}"]


def test_the_report_of_every_example_is_one_command_away(evaluated: Builder) -> None:
    built = evaluated()
    first, *_ = next_steps(built.record)
    assert first.strip() == f"every example: prompt-hub report evaluation {TASK} --html {TASK}.html"


def test_a_version_that_was_raised_since_is_not_the_candidate_that_was_judged(
    evaluated: Builder,
) -> None:
    built = evaluated()
    repository, record = built.evaluations.repository, built.record
    assert changed_since(repository, record) is None
    older = record.model_copy(update={"version": "1.2.9"})
    assert changed_since(repository, older) == "candidate"


def test_an_open_verdict_names_the_ways_out_and_a_decided_one_does_not(evaluated: Builder) -> None:
    record = evaluated().record
    undecided = record.verdict.model_copy(update={"status": Status.INCONCLUSIVE})
    message = "\n".join(next_steps(record.model_copy(update={"verdict": undecided})))
    assert "label more examples" in message
    assert "wider gate.margin" in message
    assert f"prompt-hub promote override {TASK} --person" in message
    # Shorter ones are refused.
    assert '--reason "WHY, in 10 characters or more"' in message
    passed = record.verdict.model_copy(update={"status": Status.PASS})
    assert "override" not in "\n".join(next_steps(record.model_copy(update={"verdict": passed})))


def test_what_cannot_be_compared_is_not_told_to_label_more(evaluated: Builder) -> None:
    """Its input is another one: with any number of examples, at any margin, it stays open."""
    record = evaluated(champion=False, status=Status.INCONCLUSIVE).record
    message = "\n".join(next_steps(record))
    assert "keep the released input" in message
    assert f"prompt-hub promote override {TASK} --person" in message
    assert "label more examples" not in message
    assert "gate.margin" not in message


def test_whom_a_person_has_released_needs_no_way_out(evaluated: Builder) -> None:
    record = evaluated(status=Status.INCONCLUSIVE).record
    by_name = record.verdict.model_copy(update={"overridden_by": "Ada Lovelace"})
    message = "\n".join(next_steps(record.model_copy(update={"verdict": by_name})))
    assert "commit and push" in message
    assert "promote override" not in message


def test_who_passed_is_told_what_releases_it_and_nobody_else(evaluated: Builder) -> None:
    record = evaluated().record
    for status in Status:
        verdict = record.verdict.model_copy(update={"status": status})
        message = "\n".join(next_steps(record.model_copy(update={"verdict": verdict})))
        assert ("commit and push" in message) is (status is Status.PASS)
