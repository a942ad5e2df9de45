"""Every branch of the rollback decision, on numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from decision import (
    RECOVERED_ROUNDS,
    Action,
    Alarm,
    AlarmContext,
    Window,
    decide,
    refusal,
    samples_wanted,
)
from prompt_hub.ledger.detector import Evidence
from prompt_hub.ledger.items import (
    Deployed,
    Event,
    EventKind,
    Notify,
    Pointer,
    ReleaseRef,
    ScoreSample,
    VersionRef,
    VersionState,
    timestamp,
)

WENT_OFF = datetime(2026, 11, 3, 9, 31, tzinfo=UTC)
RELEASE = ReleaseRef(release="r-2", made_at="2026-11-03T08:00:00.000000Z")
OLD = VersionRef(version="1.0.0", sha256="old")
NEW = VersionRef(version="1.1.0", sha256="new")

ALARM = Alarm(
    name="prompt-hub-dev-score-part-class",
    state="ALARM",
    namespace="PromptHub",
    metric="ScoreMargin",
    dimensions={"Stage": "dev", "Task": "part-class"},
    since="2026-11-03T09:31:00.000+0000",
)
POINTER = Pointer(
    task="part-class",
    active=NEW,
    previous=OLD,
    frozen=False,
    revision=7,
    changed_by="pipeline",
    reason="release r-2",
    at=RELEASE.made_at,
    release=RELEASE,
)


def sample(
    version: str, score: float, minutes_before: int = 1, threshold: float = 0.85
) -> ScoreSample:
    at = timestamp(WENT_OFF - timedelta(minutes=minutes_before))
    return ScoreSample(
        task="part-class",
        version=version,
        score=score,
        threshold=threshold,
        n=40,
        interval=(score - 0.1, score + 0.1),
        evaluation=f"round-{minutes_before}",
        at=at,
    )


CONTEXT = AlarmContext(
    task="part-class",
    window=Window(to_alarm=1, of_last=1),
    pointer=POINTER,
    states={"1.0.0": VersionState.SUPERSEDED, "1.1.0": VersionState.ACTIVE},
    samples=(sample("1.1.0", 0.55), sample("1.0.0", 0.9)),
    events=(),
    deployed=Deployed(
        release=RELEASE,
        commit="c0ffee",
        carries={"part-class": {"1.0.0": "old", "1.1.0": "new"}},
        at=RELEASE.made_at,
    ),
)


def test_a_breach_of_the_active_version_with_a_good_control_rolls_back() -> None:
    decision = decide(CONTEXT)
    assert (decision.action, decision.code) == (Action.ROLL_BACK, "below-threshold")
    assert "1.1.0 is below its threshold: 0.550 against 0.850 on 40 examples" in decision.reason
    assert "1.0.0 is better" in decision.reason
    assert set(decision.evidence) == {"active", "control"}


@pytest.mark.parametrize(
    ("change", "action", "code"),
    [
        ({"pointer": None}, Action.NOTHING, "nothing-active"),
        ({"samples": ()}, Action.NOTHING, "no-sample"),
        ({"samples": (sample("1.0.0", 0.2),)}, Action.NOTHING, "no-sample"),
        (
            {"samples": (sample("1.1.0", 0.9), sample("1.0.0", 0.2, 2))},
            Action.NOTHING,
            "active-passes",
        ),
        (
            {"samples": (sample("1.1.0", 0.86), sample("1.1.0", 0.2, 16))},
            Action.NOTHING,
            "active-passes",
        ),
        ({"pointer": replace(POINTER, previous=None)}, Action.PAGE, "no-way-back"),
        (
            {"states": {"1.0.0": VersionState.QUARANTINED}},
            Action.PAGE,
            "way-back-taken-out",
        ),
        (
            {"states": {"1.0.0": VersionState.DOWNGRADED}},
            Action.PAGE,
            "way-back-taken-out",
        ),
        (
            {"deployed": replace(CONTEXT.deployed, carries={"part-class": {"1.1.0": "new"}})},  # type: ignore[type-var]
            Action.PAGE,
            "way-back-not-carried",
        ),
        ({"samples": (sample("1.1.0", 0.55),)}, Action.PAGE, "no-control"),
        (
            {"samples": (sample("1.1.0", 0.55), sample("1.0.0", 0.9, 16))},
            Action.PAGE,
            "no-control",
        ),
        (
            {"samples": (sample("1.1.0", 0.55), sample("1.0.0", 0.5))},
            Action.FREEZE,
            "provider-or-data",
        ),
        (
            {
                "samples": (sample("1.1.0", 0.55), sample("1.0.0", 0.5)),
                "pointer": replace(POINTER, frozen=True),
            },
            Action.PAGE,
            "provider-or-data",
        ),
        ({"pointer": replace(POINTER, frozen=True)}, Action.ROLL_BACK, "below-threshold"),
        ({"deployed": None}, Action.ROLL_BACK, "below-threshold"),
    ],
)
def test_each_branch_says_why(change: dict[str, object], action: Action, code: str) -> None:
    decision = decide(replace(CONTEXT, **change))  # type: ignore[arg-type]
    assert (decision.action, decision.code) == (action, code)
    assert len(decision.reason) > 20


def test_exactly_at_the_threshold_is_not_below_it() -> None:
    decision = decide(replace(CONTEXT, samples=(sample("1.1.0", 0.85),)))
    assert decision.code == "active-passes"


def test_a_way_back_that_passes_its_own_threshold_but_is_no_better_calls_people() -> None:
    # This repository's registry on a first deployment: brand 1.0.0 and its way back 0.9.0.
    samples = (sample("1.1.0", 0.688, threshold=0.7), sample("1.0.0", 0.417, threshold=0.4))
    decision = decide(replace(CONTEXT, samples=samples))
    assert (decision.action, decision.code) == (Action.PAGE, "way-back-not-better")
    assert "no better on the same examples: 0.417" in decision.reason
    assert set(decision.evidence) == {"active", "control"}


def test_a_way_back_that_is_exactly_as_good_is_not_better() -> None:
    samples = (sample("1.1.0", 0.688, threshold=0.7), sample("1.0.0", 0.688, threshold=0.4))
    assert decide(replace(CONTEXT, samples=samples)).code == "way-back-not-better"


def test_what_was_measured_before_the_pointer_moved_decides_nothing() -> None:
    # Quarantined thirty days ago, restored by a person, not measured since.
    restored = replace(POINTER, at=timestamp(WENT_OFF))
    samples = (sample("1.1.0", 0.2, 30 * 24 * 60), sample("1.0.0", 0.9, 30 * 24 * 60))
    decision = decide(replace(CONTEXT, pointer=restored, samples=samples))
    assert (decision.action, decision.code) == (Action.NOTHING, "no-sample")
    assert f"since the pointer moved at {restored.at}" in decision.reason


def test_older_breaches_do_not_count_towards_m_of_n() -> None:
    pointer = replace(POINTER, at=timestamp(WENT_OFF - timedelta(minutes=10)))
    samples = [sample("1.0.0", 0.9), *(sample("1.1.0", 0.5, before) for before in (1, 16, 31))]
    window = Window(to_alarm=2, of_last=3)
    context = replace(CONTEXT, window=window, pointer=pointer, samples=samples)
    assert decide(context).code == "too-few-samples"


@pytest.mark.parametrize("of_last", [1, 25, 26, 96, 1440])
def test_every_alarm_that_can_be_set_reads_enough_to_roll_back(of_last: int) -> None:
    window = Window(to_alarm=of_last, of_last=of_last)
    samples = [
        reading
        for before in range(1, of_last + 1)
        for reading in (sample("1.1.0", 0.5, before), sample("1.0.0", 0.9, before))
    ]
    pointer = replace(POINTER, at=samples[-1].at)
    read = samples[: samples_wanted(window)]
    context = replace(CONTEXT, window=window, pointer=pointer, samples=read)
    assert decide(context).action is Action.ROLL_BACK


@pytest.mark.parametrize(
    ("scores", "action"),
    [
        ([0.5, 0.9, 0.5], Action.ROLL_BACK),
        ([0.5, 0.5, 0.9], Action.ROLL_BACK),
        ([0.5, 0.9, 0.9], Action.NOTHING),
        ([0.9, 0.5, 0.5], Action.NOTHING),
        ([0.5], Action.NOTHING),
    ],
)
def test_two_of_three_means_two_of_the_active_versions_own_three(
    scores: list[float], action: Action
) -> None:
    samples = [sample("1.0.0", 0.9, 1)]
    samples += [sample("1.1.0", score, 15 * i + 1) for i, score in enumerate(scores)]
    window = Window(to_alarm=2, of_last=3)
    assert decide(replace(CONTEXT, window=window, samples=samples)).action is action


def moved(kind: EventKind, reached: VersionRef, **changes: object) -> Event:
    return replace(
        Event(
            task="part-class",
            revision=7,
            kind=kind,
            left=None if kind is EventKind.SEEDED else OLD,
            reached=reached,
            by="pipeline",
            code="",
            reason="",
            at=RELEASE.made_at,
            notify=Notify.NOT_NEEDED,
        ),
        **changes,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("last", "code", "words"),
    [
        (moved(EventKind.ROLLED_BACK, NEW), "no-way-back", "a rollback is never rolled back"),
        (moved(EventKind.SEEDED, NEW), "no-way-back", "1.1.0 is the first version here"),
        (
            moved(EventKind.ACTIVATED, NEW, by="ann", code="by-hand"),
            "no-way-back",
            "ann went to 1.1.0 by hand",
        ),
        (moved(EventKind.DOWNGRADED, NEW, by="ann"), "no-way-back", "ann went to 1.1.0 by hand"),
        (
            moved(
                EventKind.ACTIVATED,
                NEW,
                evidence={
                    "no_way_back": {
                        "code": "way-back-not-carried",
                        "reason": "the image does not carry 1.0.0",
                    }
                },
            ),
            "way-back-not-carried",
            "the image does not carry 1.0.0",
        ),
    ],
)
def test_why_there_is_no_way_back_is_what_the_last_move_says(
    last: Event, code: str, words: str
) -> None:
    events = (replace(moved(EventKind.PAGED, NEW), revision=8), last, moved(EventKind.SEEDED, OLD))
    pointer = replace(POINTER, previous=None)
    decision = decide(replace(CONTEXT, pointer=pointer, events=events))
    assert (decision.action, decision.code) == (Action.PAGE, code)
    assert f"There is no version to go back to: {words}" in decision.reason


def notification(code: str, minutes_after: int, reached: VersionRef = NEW) -> Event:
    return Event(
        task="part-class",
        revision=8,
        kind=EventKind.PAGED,
        left=NEW,
        reached=reached,
        by="rollback",
        code=code,
        reason="",
        at=timestamp(WENT_OFF + timedelta(minutes=minutes_after)),
        notify=Notify.SENT,
    )


@pytest.mark.parametrize(
    ("event", "action"),
    [
        (notification("no-way-back", 1), Action.NOTHING),
        (notification("no-way-back", -60), Action.PAGE),
        (notification("no-control", 1), Action.PAGE),
        (notification("no-way-back", 1, reached=OLD), Action.PAGE),
    ],
)
def test_people_are_told_once_for_each_fall(event: Event, action: Action) -> None:
    good = (sample("1.1.0", 0.9, 17 + ago) for ago in range(RECOVERED_ROUNDS))
    context = replace(
        CONTEXT,
        pointer=replace(POINTER, previous=None),
        samples=(sample("1.1.0", 0.55), sample("1.1.0", 0.5, 16), *good),
        events=(event,),
    )
    assert decide(context).action is action


def pages(scores: Sequence[float], window: Window = CONTEXT.window) -> list[int]:
    """After which rounds people are paged, where each round asks at once and none has a control."""
    # Round by round, as the Lambda sees it: the newest samples that it reads, and its own history.
    context = replace(CONTEXT, pointer=replace(POINTER, previous=None), window=window)
    measured = [sample("1.1.0", score, -minute) for minute, score in enumerate(scores)]
    events: list[Event] = []
    paged = []
    for newest in range(len(scores)):
        samples = measured[newest::-1][: samples_wanted(window)]
        context = replace(context, samples=samples, events=events)
        decision = decide(context)
        if decision.action is Action.PAGE:
            paged.append(newest)
            events = [notification(decision.code, newest), *events]
    return paged


@pytest.mark.parametrize("window", [Window(to_alarm=1, of_last=1), Window(to_alarm=2, of_last=3)])
def test_a_version_that_is_good_and_bad_in_turn_pages_once(window: Window) -> None:
    assert len(pages([0.5, 0.9] * 150, Window(to_alarm=1, of_last=1))) == 1
    assert len(pages([0.5, 0.5, 0.9, 0.9, 0.9] * 60, window)) == 1


def test_people_are_paged_again_after_a_recovery() -> None:
    almost, recovered = [0.9] * (RECOVERED_ROUNDS - 1), [0.9] * RECOVERED_ROUNDS
    assert pages([0.5, *almost, 0.5, *recovered, 0.5, 0.5]) == [0, 17]


def test_people_are_paged_again_for_what_was_brought_back() -> None:
    """What was measured, and told, before the pointer's last move says nothing about now."""
    moved = timestamp(WENT_OFF - timedelta(minutes=10))
    context = replace(
        CONTEXT,
        pointer=replace(POINTER, previous=None, at=moved),
        samples=(sample("1.1.0", 0.55), sample("1.1.0", 0.5, 16)),
    )
    assert decide(replace(context, events=(notification("no-way-back", -15),))).action is (
        Action.PAGE
    )
    assert decide(replace(context, events=(notification("no-way-back", -1),))).action is (
        Action.NOTHING
    )


def test_a_task_that_a_person_unfroze_is_frozen_again_by_the_next_fall() -> None:
    """A freeze keeps releases away: it waits for no long recovery, as a page does."""
    good = sample("1.1.0", 0.9, 16)
    context = replace(
        CONTEXT,
        samples=(sample("1.1.0", 0.55), sample("1.0.0", 0.5), good, sample("1.1.0", 0.5, 31)),
        events=(notification("provider-or-data", -30),),
    )
    assert decide(context).action is Action.FREEZE
    frozen = replace(context, pointer=replace(POINTER, frozen=True))
    assert decide(frozen).code == "people-know"


def test_a_round_that_tells_before_the_alarm_goes_off_is_not_told_of_again_by_the_alarm() -> None:
    """The alarm's own time lies behind the page that a round has made: only samples know."""
    told = notification("no-way-back", -1)
    context = replace(
        CONTEXT,
        pointer=replace(POINTER, previous=None),
        samples=(sample("1.1.0", 0.55, 1), sample("1.1.0", 0.9, 16)),
        events=(replace(told, at=timestamp(WENT_OFF - timedelta(seconds=59))),),
    )
    assert (decide(context).action, decide(context).code) == (Action.NOTHING, "people-know")


def test_a_breach_by_some_of_many_lasts_over_a_good_sample_in_between() -> None:
    scores = (0.5, 0.9, 0.5, 0.5, 0.9, 0.9)
    samples = tuple(sample("1.1.0", score, 1 + 15 * ago) for ago, score in enumerate(scores))
    context = replace(
        CONTEXT,
        pointer=replace(POINTER, previous=None),
        window=Window(to_alarm=2, of_last=3),
        samples=samples,
    )
    at_the_second_bad_sample = notification("no-way-back", -30)
    assert decide(replace(context, events=(at_the_second_bad_sample,))).code == "people-know"
    assert decide(context).code == "no-way-back"


@pytest.mark.parametrize("action", [Action.FREEZE, Action.PAGE])
def test_what_people_heard_of_an_older_fall_does_not_silence_a_new_one(action: Action) -> None:
    """One run shows a fall, also where the alarm waits for three."""
    pointer = replace(POINTER, previous=OLD if action is Action.FREEZE else None)
    code = "provider-or-data" if action is Action.FREEZE else "no-way-back"
    run = Evidence(rounds=5, asked=200, earned=0, error=1e-5)
    bad, control = sample("1.1.0", 0.0), sample("1.0.0", 0.0)
    good = [sample("1.1.0", 0.9, 1 + 15 * ago) for ago in range(1, 90)]
    context = replace(
        CONTEXT,
        pointer=pointer,
        window=Window(to_alarm=3, of_last=3),
        samples=(replace(bad, evidence=run), replace(control, evidence=run), *good),
    )
    long_ago = notification(code, -20 * 24 * 60)
    assert decide(replace(context, events=(long_ago,))).action is action
    now = notification(code, 0)
    assert decide(replace(context, events=(now, long_ago))).code == "people-know"
    again = replace(sample("1.1.0", 0.0, minutes_before=-14), evidence=run)
    same = replace(sample("1.0.0", 0.0, minutes_before=-14), evidence=run)
    later = replace(context, samples=(again, same, *context.samples), events=(now, long_ago))
    assert decide(later).code == "people-know"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"state": "OK"}, "not-firing"),
        ({"state": "INSUFFICIENT_DATA"}, "not-firing"),
        ({"namespace": "AWS/ECS"}, "other-metric"),
        ({"metric": "Score"}, "other-metric"),
        ({"dimensions": {"Stage": "prod", "Task": "part-class"}}, "other-stage"),
        ({"dimensions": {"Task": "part-class"}}, "other-stage"),
        ({"dimensions": {"Stage": "dev"}}, "no-task"),
    ],
)
def test_an_alarm_that_is_none_of_ours_is_refused(change: dict[str, object], code: str) -> None:
    refused = refusal(replace(ALARM, **change), "dev")  # type: ignore[arg-type]
    assert refused is not None
    assert (refused.action, refused.code) == (Action.NOTHING, code)


def test_a_firing_score_alarm_of_the_stage_is_accepted() -> None:
    assert refusal(ALARM, "dev") is None
