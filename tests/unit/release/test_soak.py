"""Whether a release has held in a stage: what ends a soak, what it waits for, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prompt_hub.cli.soak import wait_until_held
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.items import (
    Deployed,
    ReleaseRef,
    ScoreSample,
    VersionRef,
    timestamp,
)
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.release.manifest import CarriedTask, CarriedVersion, Release
from prompt_hub.repository.registry import RegisteredModel, VersionState
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on

START = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
HASH = "0" * 64
OLD = VersionRef(version="1.0.0", sha256=HASH)
NEW = VersionRef(version="1.1.0", sha256=HASH)


def release(name: str = "exec-2", champion: str | None = "1.1.0") -> Release:
    version = CarriedVersion(
        version="1.1.0",
        sha256=HASH,
        state=VersionState.RELEASED,
        threshold=0.8,
        score=0.9,
        model=RegisteredModel(alias="catalogue-pinned", identity="openai:small"),
        decided_at=START,
    )
    return Release(
        schema_="prompt-hub/release@1",
        release=name,
        commit="c0ffee",
        made_at=START,
        tasks={"brand": CarriedTask(champion=champion, versions=(version,))},
    )


class Stage:
    """A ledger on which `brand` was activated at minute 0, and a clock that only sleep moves."""

    def __init__(self) -> None:
        self.now = START
        self.ledger: Ledger = ledger_on(FakeDynamoDB())
        before = ReleaseRef(release="exec-1", made_at=self.at(-60))
        self.ledger.seed(
            "brand", OLD, previous=None, release=before, cause=self.cause("pipeline", -60)
        )
        self.deploy(release())
        self.ledger.activate(
            "brand",
            NEW,
            seen=1,
            release=release().reference,
            cause=self.cause("pipeline", 0),
        )
        self.later: dict[int, list[float]] = {}

    def at(self, minute: float) -> str:
        return timestamp(START + timedelta(minutes=minute))

    def cause(self, by: str, minute: float) -> Cause:
        return Cause(by=by, reason="a test", at=self.at(minute))

    def deploy(self, item: Release) -> None:
        deployed = Deployed(
            release=item.reference, commit="c", carries=item.carries(), at=self.at(0)
        )
        self.ledger.deploy(deployed, by="pipeline")

    def sample(
        self,
        minute: float,
        score: float,
        version: str = "1.1.0",
        release: str | None = "exec-2",
    ) -> None:
        self.ledger.add_samples(
            [
                ScoreSample(
                    task="brand",
                    version=version,
                    score=score,
                    threshold=0.8,
                    n=48,
                    interval=(0.1, 1.0),
                    evaluation="round",
                    at=self.at(minute),
                    release=release,
                )
            ]
        )

    def soak(self, rounds: int = 2, minutes: int = 0, item: Release | None = None) -> float:
        """Wait for at most an hour; the minutes that it took."""
        begin = self.now

        def sleep(seconds: float) -> None:
            self.now += timedelta(seconds=seconds)
            minute = int((self.now - START).total_seconds() // 60)
            for score in self.later.pop(minute, []):
                self.sample(minute, score)

        wait_until_held(
            self.ledger,
            item or release(),
            stage="dev",
            rounds=rounds,
            least=timedelta(minutes=minutes),
            limit=timedelta(minutes=60),
            clock=lambda: self.now,
            sleep=sleep,
        )
        return (self.now - begin).total_seconds() / 60


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_it_waits_for_so_many_good_rounds_in_a_row(stage: Stage) -> None:
    stage.later = {5: [0.9], 10: [0.7], 15: [0.9], 30: [0.9]}
    assert stage.soak(rounds=2) == 30


def test_it_waits_for_so_many_minutes_since_the_activation(stage: Stage) -> None:
    assert stage.soak(rounds=0, minutes=20) == 20
    assert stage.soak(rounds=0, minutes=20) == 0, "a retry does not wait anew"


def test_rounds_from_before_the_activation_and_of_other_versions_do_not_count(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.sample(-30, 0.9)
    stage.sample(1, 0.9, version="1.0.0")
    with pytest.raises(PromptHubError) as gave_up:
        stage.soak(rounds=1)
    assert gave_up.value.exit_code is ExitCode.NOT_MEASURED
    assert "1.1.0 has 0 of 1 good rounds in a row" in str(gave_up.value)
    assert stage.now - START == timedelta(minutes=60)
    said = capsys.readouterr().out.splitlines()
    assert said == ["waiting brand: 1.1.0 has 0 of 1 good rounds in a row"], "said once"


def test_a_task_that_scores_badly_is_told_as_such(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was frozen before the release was activated once more, so that no event ends the soak."""
    stage.ledger.freeze("brand", seen=2, cause=stage.cause("rollback", 1))
    again = replace_at(stage, minute=2)
    again.later = {5: [0.5], 20: [0.5]}
    with pytest.raises(PromptHubError) as gave_up:
        again.soak(rounds=1)
    bad = "its newest round is below its threshold, 0.500 against 0.800"
    assert f"1.1.0 has 0 of 1 good rounds in a row; {bad}; the task is frozen by rollback" in str(
        gave_up.value
    )
    assert "prompt-hub ledger show --stage dev" in str(gave_up.value.hint)
    assert capsys.readouterr().out.splitlines() == [
        "waiting brand: 1.1.0 has 0 of 1 good rounds in a row; the task is frozen by rollback: "
        "a test",
        f"waiting brand: 1.1.0 has 0 of 1 good rounds in a row; {bad}; the task is frozen by "
        "rollback: a test",
    ]


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_bad_round_that_a_good_one_has_followed_is_no_news(
    stage: Stage, rounds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.sample(-1, 0.5)
    stage.sample(1, 0.5, release="exec-1")
    stage.sample(2, 0.5)
    stage.sample(3, 0.9)
    stage.later = {5: [0.9], 20: [0.9]}
    stage.soak(rounds=rounds)
    assert "below" not in capsys.readouterr().out


@pytest.mark.parametrize("change", ["roll_back", "freeze", "page", "downgrade", "activate"])
def test_what_happens_to_the_task_since_ends_it_at_once(stage: Stage, change: str) -> None:
    stage.sample(1, 0.9)
    cause = stage.cause("somebody", 2)
    seen = 2
    if change == "downgrade":
        stage.ledger.downgrade("brand", OLD, seen=seen, cause=cause)
    elif change == "activate":
        stage.ledger.activate(
            "brand", OLD, seen=seen, release=release().reference, cause=cause, override=True
        )
    else:
        getattr(stage.ledger, change)("brand", seen=seen, cause=cause)
    with pytest.raises(PromptHubError, match="has not held in stage dev: brand: ") as refused:
        stage.soak(rounds=1)
    assert refused.value.exit_code is ExitCode.BLOCKED
    assert "by somebody" in str(refused.value)
    assert stage.now == START


def test_what_happened_before_the_activation_does_not(stage: Stage) -> None:
    """A stage that is retried as a whole soaks without what it has taken out."""
    stage.ledger.roll_back("brand", seen=2, cause=stage.cause("rollback", 2))
    again = replace_at(stage, minute=3)
    assert again.soak(rounds=2) == 0


def replace_at(stage: Stage, minute: float) -> Stage:
    """Activate the release once more, later."""
    deployed = stage.ledger.deployed()
    assert deployed is not None
    stage.ledger.deploy(replace(deployed, at=stage.at(minute)), by="pipeline")
    stage.now = START + timedelta(minutes=minute)
    return stage


def test_a_release_that_is_activated_again_holds_by_the_rounds_it_had(stage: Stage) -> None:
    stage.sample(1, 0.9)
    stage.sample(2, 0.9)
    again = replace_at(stage, minute=3)
    assert again.soak(rounds=2) == 0
    assert again.soak(rounds=0, item=release(champion=None)) == 0


@pytest.mark.parametrize("measured_by", ["exec-2", None])
def test_rounds_of_another_releases_image_do_not_count(
    stage: Stage, measured_by: str | None
) -> None:
    """The next release leaves the task alone and brings another image, which nobody has seen run.

    A round of the old image that ends after the activation is one of the old image all the same,
    and an image from before rounds said it is an older one.
    """
    newer = release("exec-3")
    stage.deploy(newer)
    for minute in (-1, 1, 2):
        stage.sample(minute, 0.9, release=measured_by)
    with pytest.raises(PromptHubError, match=r"1\.1\.0 has 0 of 1 good rounds"):
        stage.soak(rounds=1, item=newer)
    stage.sample(61, 0.9, release="exec-3")
    assert stage.soak(rounds=1, item=newer) == 0


def test_a_bad_round_of_another_image_does_not_break_the_row(stage: Stage) -> None:
    for minute, score, measured_by in ((1, 0.9, "exec-2"), (2, 0.7, "exec-1"), (3, 0.9, "exec-2")):
        stage.sample(minute, score, release=measured_by)
    assert stage.soak(rounds=2) == 0


def test_the_drill_is_rolled_back_on_purpose(stage: Stage) -> None:
    tasks = {**release().tasks, aws_names.DRILL_TASK: release().tasks["brand"]}
    stage.ledger.seed(
        aws_names.DRILL_TASK,
        NEW,
        previous=OLD,
        release=release().reference,
        cause=stage.cause("drill", 1),
    )
    stage.ledger.roll_back(aws_names.DRILL_TASK, seen=3, cause=stage.cause("rollback", 2))
    assert stage.soak(rounds=0, item=release().model_copy(update={"tasks": tasks})) == 0


def test_another_release_in_the_stage_ends_it(stage: Stage) -> None:
    with pytest.raises(PromptHubError, match="stage dev runs exec-2, not exec-3"):
        stage.soak(item=release("exec-3"))
