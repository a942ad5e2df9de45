"""Live calls that break their contract: what they ask for, what they decide, and what they do not.

Every branch that does nothing says why.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handler import IncompleteInvocationError
from prompt_hub.ledger.detector import Evidence, error_of_a_run
from prompt_hub.ledger.items import ScoreSample, VersionState, timestamp
from prompt_hub.ledger.transitions import Cause
from tests.lambdas.world import OLD, ROUND, World, recorded

SIZE = 48
ERROR = error_of_a_run(0.01, 15)
ALARM = recorded("contract_alarm")
MANY, FEW = (40, 10), (4_100, 2)


@pytest.fixture
def world() -> World:
    """A stage in which a quarter of the active version's calls break their contract."""
    made = World()
    made.alarms.calls = {"1.1.0": MANY, "1.0.0": FEW}
    return made


def compared(
    world: World,
    *,
    broke: int,
    kept: float = 0.0,
    lapsed: float = 0.0,
    score: float = 0.9,
    control: float | None = 0.9,
    ago: timedelta = timedelta(minutes=1),
    fresh: int = 4,
    paired: tuple[float, float] | None = None,
    asked: bool = False,
) -> None:
    """Add what a comparison by the score watch leaves: four fresh rounds of both versions.

    A run that a score has asked for may leave fewer, and so does a comparison that was `asked` for
    and broke off.
    """

    def sample(version: str, score: float, evidence: Evidence) -> ScoreSample:
        return ScoreSample(
            task="part-class",
            version=version,
            score=score,
            threshold=0.85,
            n=SIZE,
            interval=(score, score),
            evaluation=f"compared-{ago}",
            at=timestamp(world.now - ago),
            evidence=evidence,
        )

    def evidence(rounds: int, score: float) -> Evidence:
        answers = rounds * SIZE
        return Evidence(
            rounds=rounds,
            asked=answers,
            earned=answers * score,
            error=ERROR,
            answers=answers,
            compared=asked,
        )

    samples = [sample("1.1.0", score, replace(evidence(1 + fresh, score), broke=broke))]
    if control is not None:
        ahead = (control - score) * fresh * SIZE
        found = replace(evidence(fresh, control), kept=kept, lapsed=lapsed, broke=round(lapsed))
        won, lost = paired or (max(ahead, 0) + 5, max(-ahead, 0) + 5)
        found = replace(found, won=won, lost=lost)
        samples.append(sample("1.0.0", control, found))
    world.ledger.add_samples(samples)


def asked_to_compare(world: World) -> list[dict[str, Any]]:
    return [
        json.loads(entry["Detail"])
        for entry in world.bus.entries
        if entry["DetailType"] == "PromptToCompare"
    ]


def reason(world: World, event: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    world.invoke(event)
    (line,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    return str(line["reason"])


def test_calls_that_break_their_contract_move_no_pointer_and_ask_for_a_comparison_now(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.pointer(), world.ledger.events("part-class")
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]
    assert (world.pointer(), world.ledger.events("part-class")) == before
    assert asked_to_compare(world) == [{"stage": "dev", "task": "part-class"}]
    (line,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert line["reason"] == (
        "1.1.0 broke its contract in 10 of 40 calls since 2026-11-03T08:31:00.000000Z, and 1.0.0 in"
        " 2 of 4,100 calls of the week before it was replaced. The score watch is asked to measure"
        " both on the same examples now."
    )
    assert (line["action"], line["decided"]) == ("compare", 1)


def test_each_version_s_calls_are_those_of_its_own_time(world: World) -> None:
    world.invoke(ALARM)
    hour, day = timedelta(hours=1), timedelta(days=1)
    # The pointer moved at eight.
    eight = datetime(2026, 11, 3, 8, tzinfo=UTC)
    assert world.alarms.asked == [
        ("1.1.0", world.now - hour, world.now),
        ("1.0.0", eight - 7 * day, eight + hour),
    ]
    world.now = eight + timedelta(minutes=5, seconds=7)
    world.alarms.asked.clear()
    world.invoke(ALARM)
    assert world.alarms.asked[0] == ("1.1.0", eight, world.now)


def test_the_sweep_looks_at_contract_alarms_too(world: World) -> None:
    world.alarms.firing = {"prompt-hub-dev-contract-part-class": "part-class"}
    assert world.invoke(recorded("sweep")) == [("part-class", "calls-break-contract")]


def test_a_comparison_that_shows_it_rolls_back_though_the_score_passes(world: World) -> None:
    compared(world, broke=48, kept=38)
    assert world.invoke(ROUND) == [("part-class", "breaks-its-contract")]
    assert (world.pointer().version, world.pointer().previous) == ("1.0.0", None)
    assert world.ledger.version_states("part-class")["1.1.0"] is VersionState.QUARANTINED
    evidence = world.ledger.events("part-class")[0].evidence
    assert evidence["alarm"] == "prompt-hub-dev-contract-part-class"
    assert evidence["calls"] == {
        "since": "2026-11-03T08:31:00.000000Z",
        "active": {"calls": 40, "broken": 10},
        "previous": {"calls": 4_100, "broken": 2},
    }
    (message,) = world.topic.published
    assert message["Subject"] == "[prompt-hub dev] part-class: rolled back 1.1.0 -> 1.0.0"
    assert "1.1.0 broke its contract in 10 of 40 calls since" in message["Message"]
    assert "On the same examples it broke 48 of 240 and 1.0.0 0 of 192" in message["Message"]
    # Its way back is gone: a rollback is never rolled back.
    world.alarms.calls = {"1.0.0": MANY}
    assert world.invoke(ALARM) == [("part-class", "calls-no-way-back")]
    # The one version that is left was taken out: what refuses it is not all that the page names.
    back = "  prompt-hub ledger activate part-class --stage dev --to VERSION --person"
    assert back in world.topic.published[1]["Message"]


@pytest.mark.parametrize("event", [ROUND, ALARM], ids=["round", "alarm"])
def test_whoever_comes_after_the_comparison_decides_the_same(
    world: World, event: dict[str, Any]
) -> None:
    compared(world, broke=48, kept=38)
    assert world.invoke(event) == [("part-class", "breaks-its-contract")]


def test_what_the_examples_do_not_show_is_for_people_and_rolls_nothing_back(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    compared(world, broke=1, kept=1)
    assert world.invoke(ROUND) == [("part-class", "calls-not-reproduced")]
    assert world.pointer().version == "1.1.0"
    (message,) = world.topic.published
    assert message["Subject"] == "[prompt-hub dev] part-class: needs a person, 1.1.0 stays active"
    assert "it broke 1 of 240 and 1.0.0 0 of 192" in message["Message"]
    assert "Callers may send what the examples have nothing of" in message["Message"]
    # Once a day, however often the sweep looks.
    assert world.invoke(ALARM) == [("part-class", "people-know")]
    assert "people were told within a day" in reason(world, ALARM, capsys)
    world.now += timedelta(days=1, minutes=1)
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]


def test_a_run_that_a_score_has_asked_for_is_no_comparison_of_contracts(world: World) -> None:
    compared(world, broke=20, kept=10, fresh=1)
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]
    assert len(asked_to_compare(world)) == 1
    # One that shows it all the same need not go on.
    compared(world, broke=96, kept=48, fresh=1, ago=timedelta())
    assert world.invoke(ALARM) == [("part-class", "breaks-its-contract")]


def test_calls_that_have_just_begun_to_break_are_seen_beside_an_hour_of_good_ones(
    world: World,
) -> None:
    world.alarms.calls["1.1.0"] = (400, 7)
    assert world.invoke(ALARM) == [("part-class", "calls-hold")]
    world.alarms.lately["1.1.0"] = (40, 10)
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]


def test_a_score_that_waits_for_evidence_says_more_than_calls_that_hold(world: World) -> None:
    world.alarms.calls = {"1.1.0": (300, 0), "1.0.0": FEW}
    compared(world, broke=0, score=0.2, paired=(5, 4))
    assert world.invoke(ROUND) == [("part-class", "not-better-yet")]


def test_a_provider_that_breaks_the_contracts_of_both_is_for_people(world: World) -> None:
    compared(world, broke=60, kept=6, lapsed=7)
    assert world.invoke(ROUND) == [("part-class", "calls-not-reproduced")]
    assert world.pointer().version == "1.1.0"


def test_a_way_back_that_keeps_its_contract_and_scores_less_is_for_people(world: World) -> None:
    compared(world, broke=48, kept=38, score=0.95, control=0.88)
    assert world.invoke(ROUND) == [("part-class", "calls-way-back-scores-less")]
    assert world.pointer().version == "1.1.0"


def test_scores_of_the_newest_run_are_told_as_such(world: World) -> None:
    compared(world, broke=0, score=0.95, control=0.88, ago=timedelta(minutes=30))
    compared(world, broke=48, kept=38, score=0.86, control=0.88)
    assert world.invoke(ROUND) == [("part-class", "calls-way-back-scores-less")]
    (message,) = world.topic.published
    words = "But 1.0.0 scores less there, answer by answer; the newest run has 0.880 and 0.860."
    assert words in message["Message"]


@pytest.mark.parametrize(
    ("score", "control", "words"),
    [
        (0.86, 0.8, "0.800 against 0.850 on 48 examples; 1.1.0 has 0.860"),
        (0.82, 0.845, "0.845 against 0.850 on 48 examples; 1.1.0 has 0.820"),
        (0.84, 0.84, "0.840 against 0.850 on 48 examples; 1.1.0 has 0.840"),
    ],
)
def test_a_way_back_below_its_own_threshold_is_none(
    world: World, score: float, control: float, words: str
) -> None:
    compared(world, broke=48, kept=38, score=score, control=control)
    assert world.invoke(ROUND) == [("part-class", "calls-way-back-below-threshold")]
    (message,) = world.topic.published
    assert f"But 1.0.0 is below its own threshold there: {words}." in message["Message"]
    assert "scores less" not in message["Message"]


def test_a_comparison_without_its_way_back_is_for_people(world: World) -> None:
    compared(world, broke=48, control=None)
    assert world.invoke(ALARM) == [("part-class", "calls-without-control")]
    assert asked_to_compare(world) == []


@pytest.mark.parametrize(
    ("fresh", "control", "code", "words"),
    [
        (2, 0.9, "calls-comparison-broke-off", "broke off after 2 of 4 fresh rounds"),
        (4, 0.9, "calls-not-reproduced", "does not show that 1.0.0 would do better"),
        (0, None, "calls-without-control", "1.0.0 could not be measured"),
        (3, None, "calls-without-control", "1.0.0 could not be measured"),
    ],
)
def test_a_comparison_that_was_asked_for_is_told_by_its_round_and_asked_for_once(
    world: World, fresh: int, control: float | None, code: str, words: str
) -> None:
    """A provider that fails now and then would else be asked without a pause."""
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]
    compared(world, broke=3, kept=2, fresh=fresh, control=control, asked=True)
    assert world.invoke(ROUND) == [("part-class", code)]
    (message,) = world.topic.published
    assert words in message["Message"]
    for event in (ROUND, ALARM):
        assert world.invoke(event) == [("part-class", "people-know")]
    assert len(asked_to_compare(world)) == 1
    world.now += timedelta(minutes=150)
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]


@pytest.mark.parametrize(("fresh", "control", "broke"), [(4, 0.9, 1), (2, 0.9, 1), (4, None, 48)])
def test_who_is_told_of_a_comparison_that_shows_nothing_is_told_how_to_repeat_it(
    world: World, fresh: int, control: float | None, broke: int
) -> None:
    """Nothing asks for another one by itself for hours, though the model may be back at once."""
    compared(world, broke=broke, fresh=fresh, control=control, asked=True)
    world.invoke(ROUND)
    (message,) = world.topic.published
    command = "  prompt-hub watch part-class --compare --now --wait --stage dev"
    assert command in message["Message"].splitlines()
    assert "A comparison speaks for 10 runs of the schedule" in message["Message"]


def test_a_page_on_anything_else_asks_for_no_comparison(world: World) -> None:
    world.measured("part-class", 0.55, None)
    world.invoke(ROUND)
    assert "--compare" not in world.topic.published[0]["Message"]


def test_a_comparison_that_broke_off_after_it_had_shown_it_rolls_back(world: World) -> None:
    compared(world, broke=96, kept=48, fresh=1, asked=True)
    assert world.invoke(ROUND) == [("part-class", "breaks-its-contract")]


def test_a_comparison_speaks_for_ten_runs_of_the_schedule(world: World) -> None:
    # Ten runs of the schedule are longer: so few comparisons are counted in what a run may err.
    compared(world, broke=1, kept=1, ago=timedelta(minutes=1))
    world.now += timedelta(minutes=148)
    assert world.invoke(ALARM) == [("part-class", "calls-not-reproduced")]
    world.now += timedelta(minutes=2)
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]


@pytest.mark.parametrize(
    ("active", "previous", "code", "words"),
    [
        ((4, 4), FEW, "calls-hold", "fewer than 5 or 5 %"),
        ((1_000, 49), FEW, "calls-hold", "what broke was another version's, or is over"),
        ((0, 0), (40, 40), "calls-hold", "0 of 0 calls"),
        (MANY, (400, 100), "calls-not-worse", "do not show that 1.1.0 does worse"),
        (MANY, (0, 0), "calls-not-worse", "0 of 0 calls of the week before"),
    ],
)
def test_calls_that_show_nothing_come_to_nothing_and_say_why(
    world: World,
    active: tuple[int, int],
    previous: tuple[int, int],
    code: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.alarms.calls = {"1.1.0": active, "1.0.0": previous}
    compared(world, broke=48, kept=38)
    for event in (ALARM, ROUND):
        assert world.invoke(event) == [("part-class", code)]
    assert words in reason(world, ALARM, capsys)
    assert asked_to_compare(world) == []
    assert world.pointer().version == "1.1.0"


def test_a_good_round_reads_no_calls(world: World) -> None:
    world.measured("part-class", 0.95, None)
    assert world.invoke(ROUND) == [("part-class", "active-passes")]
    assert world.alarms.asked == []


def test_a_fall_of_the_score_is_decided_without_calls(world: World) -> None:
    world.measured("part-class", 0.55, 0.9)
    world.alarms.broken = True
    assert world.invoke(ALARM) == [("part-class", "below-threshold")]


def test_calls_that_cannot_be_read_are_read_again(world: World) -> None:
    world.alarms.broken = True
    with pytest.raises(IncompleteInvocationError, match="CloudWatch is out of order"):
        world.invoke(ALARM)
    world.alarms.broken = False
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]


def test_a_request_that_nobody_hears_is_made_again(world: World) -> None:
    world.bus.refuses = True
    with pytest.raises(IncompleteInvocationError, match="EventBridge refused the event"):
        world.invoke(ALARM)
    world.bus.refuses = False
    assert world.invoke(ALARM) == [("part-class", "calls-break-contract")]
    assert len(asked_to_compare(world)) == 1


def test_what_a_person_moved_is_never_undone(world: World) -> None:
    pointer = world.pointer()
    by_ada = Cause(by="Ada", reason="it leaks its canary", at=timestamp(world.now))
    world.ledger.downgrade("part-class", OLD, seen=pointer.revision, cause=by_ada)
    assert world.pointer().version == "1.0.0"
    world.alarms.calls = {"1.0.0": MANY, "1.1.0": FEW}
    assert world.invoke(ALARM) == [("part-class", "calls-no-way-back")]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"stage": "prod", "task": "part-class"}, "other-stage"),
        ({"stage": "dev"}, "no-task"),
    ],
)
def test_an_alarm_on_calls_of_something_else_is_not_acted_on(
    world: World, change: dict[str, str], code: str
) -> None:
    event = recorded("contract_alarm")
    for query in event["alarmData"]["configuration"]["metrics"][1:]:
        query["metricStat"]["metric"]["dimensions"] = change
    assert world.invoke(event) == [(None, code)]
    assert world.alarms.asked == []


def test_an_alarm_on_two_metrics_is_none_of_ours(world: World) -> None:
    event = recorded("contract_alarm")
    event["alarmData"]["configuration"]["metrics"][2]["metricStat"]["metric"]["name"] = "seconds"
    assert world.invoke(event) == [(None, "other-metric")]
