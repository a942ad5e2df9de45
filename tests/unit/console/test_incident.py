"""What the page of an incident says: evidence in words, and the commands of a message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prompt_hub.console.incident import Step, read_evidence, read_steps
from prompt_hub.ledger.detector import Evidence
from prompt_hub.ledger.items import NO_WAY_BACK, Event, EventKind
from prompt_hub.ledger.messages import next_steps
from tests.unit.console.stages import event, sample

TASK = "part-fields"


def rolled_back(**evidence: object) -> Event:
    """A rollback that was decided on this evidence."""
    return replace(event(TASK, 3, EventKind.ROLLED_BACK, ("1.1.0", "1.0.0"), 10), evidence=evidence)


def test_each_command_of_a_message_stands_by_what_it_is_for() -> None:
    told = "To look,\nand to choose:\n  look t\n  choose t\nTo wait:\n  wait t"
    assert read_steps(told) == (
        Step(words="To look, and to choose:", commands=("look t", "choose t")),
        Step(words="To wait:", commands=("wait t",)),
    )


def test_no_line_of_a_real_message_is_left_out() -> None:
    for kind in EventKind:
        told = next_steps(event(TASK, 3, kind, ("1.1.0", "1.0.0"), 10), "dev")
        steps = read_steps(told)
        assert steps
        kept = [" ".join([step.words, *step.commands]) for step in steps]
        assert " ".join(" ".join(kept).split()) == " ".join(told.split())


def test_a_change_without_evidence_has_none() -> None:
    assert read_evidence(rolled_back()) is None


def test_samples_stand_beside_each_other_and_what_one_lacks_is_a_dash() -> None:
    found = Evidence(rounds=3, asked=48, earned=28, error=0.001, answers=48, broke=2)
    active = replace(sample(TASK, "1.1.0", 0.58, 9), evidence=found, answered_by=("small",))
    active = replace(active, judged_on=("large",))
    control = replace(sample(TASK, "1.0.0", 0.86, 9), evidence=replace(found, won=12.5, answers=0))
    view = read_evidence(
        rolled_back(active=active.to_attributes(), control=control.to_attributes())
    )
    assert view is not None
    assert view.versions == (("1.1.0", "active then"), ("1.0.0", "the way back"))
    rows = dict(view.rows)
    assert rows["score"] == ("0.580", "0.860")
    assert rows["threshold"] == ("below 0.800", "reaches 0.800")
    assert rows["interval of the score"] == ("0.530 to 0.630", "0.810 to 0.910")
    assert rows["rounds of questions"] == ("3", "3")
    assert rows["answers that broke the contract"] == ("2 of 48", "–")
    assert rows["more than the other, answer by answer"] == ("–", "12.5")
    assert rows["at the gate answered"] == ("large", "–")


@pytest.mark.parametrize(
    ("kind", "at", "told"),
    [
        ("round", "", "Looked at when a round of the score watch was over."),
        (
            "alarm",
            "2026-11-28T10:00:00.123+0000",
            "Looked at when the alarm a-score went off, at 2026-11-28 10:00:00 UTC.",
        ),
        (
            "sweep",
            "2026-11-28T11:00:00+01:00",
            "Looked at by the sweep of alarms: a-score was red since 2026-11-28 10:00:00 UTC.",
        ),
        ("alarm", "of old", "Looked at when the alarm a-score went off, at of old."),
    ],
)
def test_who_asked_is_a_sentence(kind: str, at: str, told: str) -> None:
    view = read_evidence(rolled_back(alarm="a-score", trigger={"kind": kind, "at": at}))
    assert view is not None
    assert view.sentences == (told,)


def test_calls_and_a_lost_way_back_are_sentences() -> None:
    calls = {
        "since": "2026-11-28T10:00:00Z",
        "active": {"calls": 1200, "broken": 40},
        "previous": {"calls": 9000, "broken": 1},
    }
    lost = {"code": "cannot-be-read", "reason": "the image cannot read 1.0.0"}
    view = read_evidence(rolled_back(calls=calls, **{NO_WAY_BACK: lost}))
    assert view is not None
    assert view.sentences == (
        "Live calls since 2026-11-28 10:00:00 UTC: 40 of 1,200 calls broke the contract.",
        "The version before, in its time: 1 of 9,000 calls broke the contract.",
        "There is no way back from here: the image cannot read 1.0.0",
    )


def test_what_another_release_wrote_otherwise_is_still_there_to_read() -> None:
    view = read_evidence(rolled_back(active={"score": 0.58}, calls={"active": 3}, rounds=3))
    assert view is not None
    assert (view.rows, view.sentences) == ((), ())
    assert '"rounds": 3' in view.raw
