"""One run of the score watch over all tasks of a stage, on a ledger in memory."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.inputs import scored
from prompt_hub.ledger.items import VersionRef, timestamp
from prompt_hub.ledger.rounds import WatchLease
from prompt_hub.ledger.transitions import Cause
from prompt_hub.monitoring.lease import LEASE_SECONDS, Lease
from prompt_hub.monitoring.monitor import NotMeasuredError
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import catalogue_answer
from tests.unit.monitoring.watch_stage import START, Stage


def test_a_task_with_nothing_active_has_a_heartbeat_and_no_failure(stage: Stage) -> None:
    stage.ledger.forget("brand")
    assert stage.due() == ExitCode.OK
    assert "brand: no version is active in dev, there is nothing to measure" in stage.said
    assert stage.metrics.tasks("Score") == ["part-class"]
    assert stage.metrics.tasks("WatchHeartbeat") == ["brand", "part-class"]
    assert asyncio.run(stage.watch.measure("brand")) == ExitCode.OK


def test_a_task_that_does_not_exist_is_a_usage_error_and_has_no_heartbeat(stage: Stage) -> None:
    with pytest.raises(
        PromptHubError, match=r"no task 'part-clas' \(known: brand, part-class\)"
    ) as refusal:
        asyncio.run(stage.watch.measure("part-clas"))
    assert refusal.value.exit_code == ExitCode.USAGE
    assert stage.metrics.data == []
    # The drill's own is in no repository of a user's, and has no pointer before its first drill.
    assert asyncio.run(stage.watch.measure(aws_names.DRILL_TASK)) == ExitCode.OK


def test_a_task_that_was_archived_is_known_where_it_was_active(stage: Stage) -> None:
    pointer = stage.ledger.pointer("brand")
    assert pointer is not None
    cause = Cause(by="pipeline", reason="archived in git", at=timestamp(START))
    stage.ledger.retire("brand", seen=pointer.revision, release=pointer.release, cause=cause)
    for layer in ("00-templates/{}.yaml", "03-metadata/{}.yaml", "01-examples/{}.jsonl"):
        (stage.folder.root / "prompts" / layer.format("brand")).unlink()
    assert "brand" not in stage.folder.repository.tasks()
    assert asyncio.run(stage.watch.measure("brand")) == ExitCode.OK
    assert stage.said == ["brand: retired in dev, there is nothing to measure"]


def test_a_retired_task_keeps_its_freshness_alarm_quiet(stage: Stage) -> None:
    pointer = stage.ledger.pointer("brand")
    assert pointer is not None
    cause = Cause(by="pipeline", reason="archived in git", at=timestamp(START))
    stage.ledger.retire("brand", seen=pointer.revision, release=pointer.release, cause=cause)
    assert stage.due() is ExitCode.OK
    assert stage.measured() == ["part-class"]
    assert "brand" in stage.metrics.tasks("WatchHeartbeat")
    assert "brand: retired in dev, there is nothing to measure" in stage.said


def test_an_active_version_that_cannot_be_measured_has_no_heartbeat(stage: Stage) -> None:
    stage.answer = lambda messages: None
    assert stage.due() == ExitCode.NOT_MEASURED
    assert stage.metrics.tasks("WatchHeartbeat") == []


def test_one_task_s_failure_holds_up_no_other_and_is_the_exit_code(stage: Stage) -> None:
    stage.answer = lambda messages: (
        None if "Title:" in messages[-1]["content"] else catalogue_answer(messages)
    )
    assert stage.due() == ExitCode.NOT_MEASURED
    assert stage.measured() == ["brand"]
    assert any(line.startswith("part-class: not measured, ") for line in stage.said)


def test_metadata_that_cannot_be_read_holds_up_no_other(stage: Stage) -> None:
    stage.folder.write("prompts/03-metadata/brand.yaml", "schema: no\n")
    assert stage.due() == ExitCode.BLOCKED
    assert stage.measured() == ["part-class"]


def test_an_error_that_nobody_foresaw_holds_up_no_other(stage: Stage) -> None:
    def answer(messages: list[dict[str, str]]) -> JsonObject:
        if "Title:" in messages[-1]["content"]:
            raise ZeroDivisionError
        return catalogue_answer(messages)

    stage.answer = answer
    assert stage.due() == ExitCode.UNEXPECTED
    assert stage.measured() == ["brand"]


def test_a_rollback_is_asked_for_also_where_no_metric_arrives(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an idle task the run begins with a metric, which must not be its end."""

    def away(**_: object) -> None:
        raise ConnectionError("CloudWatch is away")

    stage.ledger.forget("brand")
    monkeypatch.setattr(stage.metrics, "put_metric_data", away)
    assert stage.due() == ExitCode.UNEXPECTED
    assert [task for task, _, _ in stage.asked] == ["part-class"]
    assert len(stage.ledger.samples("part-class", 10)) == 1


def test_a_task_is_measured_once_in_each_interval_of_the_clock(stage: Stage) -> None:
    metadata = "prompts/03-metadata/brand.yaml"
    stage.folder.write(metadata, stage.folder.read(metadata) + "score_watch: {every_minutes: 60}\n")
    seen: Counter[str] = Counter()
    for minute in range(0, 8 * 60, 15):
        # A schedule does not keep the second: a run that begins a little early skips nothing.
        stage.now = START + timedelta(minutes=minute, seconds=-(minute % 7))
        assert stage.due() == ExitCode.OK
        seen.update(stage.measured())
    assert seen == {"part-class": 32, "brand": 8}


def test_a_pointer_that_moved_is_measured_at_once(stage: Stage) -> None:
    stage.due()
    stage.now += timedelta(seconds=40)
    stage.due()
    assert stage.measured() == []
    stage.move("part-class", "1.0.0")
    stage.due()
    assert stage.measured() == ["part-class"]


def set_frozen(stage: Stage, *, frozen: bool) -> None:
    pointer = stage.ledger.pointer("part-class")
    assert pointer is not None
    cause = Cause(by="Ann", reason="an outage", at=timestamp(stage.now))
    change = stage.ledger.freeze if frozen else stage.ledger.unfreeze
    change("part-class", seen=pointer.revision, cause=cause)


def test_freezing_a_task_is_no_move_and_measures_nothing(stage: Stage) -> None:
    stage.due()
    for frozen in (True, False):
        stage.now += timedelta(seconds=40)
        set_frozen(stage, frozen=frozen)
        stage.due()
        assert stage.measured() == []
        stage.now += timedelta(minutes=15)
        stage.due()
        assert "part-class" in stage.measured()
    set_frozen(stage, frozen=True)
    stage.move("part-class", "1.0.0")
    stage.due()
    assert stage.measured() == ["part-class"]


def test_a_version_that_left_and_came_back_is_measured_at_once(stage: Stage) -> None:
    stage.due()
    stage.measured()
    stage.now += timedelta(seconds=40)
    stage.move("part-class", "1.0.0")
    stage.move("part-class", "1.1.0")
    stage.due()
    assert stage.measured() == ["part-class"]


def test_a_task_that_freezes_during_its_round_is_not_measured_again(stage: Stage) -> None:
    def answer(messages: list[dict[str, str]]) -> JsonObject:
        stage.now += timedelta(seconds=1)
        if not frozen and "Title:" in messages[-1]["content"]:
            frozen.append(1)
            set_frozen(stage, frozen=True)
        return catalogue_answer(messages)

    frozen: list[int] = []
    stage.answer = answer
    stage.due()
    assert sorted(stage.measured()) == ["brand", "part-class"]


def test_a_round_that_an_earlier_release_noted_says_of_no_change_that_it_was_no_move(
    stage: Stage,
) -> None:
    stage.due()
    noted = stage.rounds.last()["part-class"]
    stage.now += timedelta(seconds=40)
    earlier = replace(noted, at=timestamp(stage.now), active=None)
    stage.rounds.note(earlier, before=noted)
    assert stage.rounds.last()["part-class"] == earlier
    stage.due()
    assert stage.measured() == []
    set_frozen(stage, frozen=True)
    stage.due()
    assert stage.measured() == ["part-class"]


def test_a_round_that_failed_waits_for_its_next_interval(stage: Stage) -> None:
    stage.answer = lambda messages: None
    stage.due()
    stage.answer = catalogue_answer
    stage.now += timedelta(minutes=1)
    stage.due()
    assert stage.measured() == []
    stage.now += timedelta(minutes=15)
    stage.due()
    assert sorted(stage.measured()) == ["brand", "part-class"]


def test_the_task_that_waits_longest_comes_first(stage: Stage) -> None:
    asyncio.run(stage.watch.measure("brand"))
    stage.now += timedelta(minutes=15)
    stage.due()
    assert stage.measured() == ["part-class", "brand"]


def test_two_runs_at_once_measure_each_task_once(stage: Stage) -> None:
    async def both() -> list[ExitCode]:
        return list(await asyncio.gather(stage.watch.measure_due(), stage.watch.measure_due()))

    assert asyncio.run(both()) == [ExitCode.OK, ExitCode.OK]
    assert sorted(stage.measured()) == ["brand", "part-class"]
    assert stage.said.count("dev: another run measures what is due") == 1


def test_what_moves_during_a_run_is_measured_by_it(stage: Stage) -> None:
    """The run that activation starts finds the lease taken and leaves: its work must not wait."""

    def answer(messages: list[dict[str, str]]) -> JsonObject:
        if not moved and "Title:" in messages[-1]["content"]:
            moved.append(1)
            stage.now += timedelta(seconds=30)
            stage.move("brand", "1.0.0")
        return catalogue_answer(messages)

    moved: list[int] = []
    asyncio.run(stage.watch.measure("brand"))
    stage.answer = answer
    stage.now += timedelta(seconds=30)
    assert stage.due() == ExitCode.OK
    assert stage.measured() == ["part-class", "brand"]


def test_a_run_that_died_is_replaced_when_its_lease_has_run_out(stage: Stage) -> None:
    release = stage.release.release
    dead = WatchLease(
        holder="dead", release=release, until=timestamp(START + timedelta(seconds=LEASE_SECONDS))
    )
    stage.rounds.hold(dead, before=None)
    stage.due()
    assert stage.said == ["dev: another run measures what is due"]
    stage.now += timedelta(seconds=LEASE_SECONDS)
    stage.due()
    assert sorted(stage.measured()) == ["brand", "part-class"]


def test_a_run_with_another_image_is_waited_for(stage: Stage) -> None:
    """It cannot measure what this release brought; leaving it all to it would lose that."""
    waits: list[float] = []
    until = timestamp(START + timedelta(seconds=LEASE_SECONDS))
    stage.rounds.hold(WatchLease(holder="old", release="r-0", until=until), before=None)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        stage.now += timedelta(seconds=seconds)

    lease = Lease(stage.rounds, "r-1", clock=lambda: stage.now, sleep=sleep)
    assert asyncio.run(lease.take())
    assert sum(waits) == LEASE_SECONDS


def test_a_run_whose_lease_was_taken_leaves_the_rest_to_the_other(stage: Stage) -> None:
    def answer(messages: list[dict[str, str]]) -> JsonObject:
        found = stage.rounds.lease()
        assert found is not None
        if found.holder != "other":
            stage.now += timedelta(seconds=LEASE_SECONDS + 1)
            until = timestamp(stage.now + timedelta(seconds=LEASE_SECONDS))
            other = WatchLease(holder="other", release=found.release, until=until)
            stage.rounds.hold(other, before=found)
        return catalogue_answer(messages)

    stage.answer = answer
    stage.due()
    assert len(stage.measured()) == 1
    assert stage.said[-1] == "dev: another run has taken over what is due"
    found = stage.rounds.lease()
    assert found is not None
    assert found.holder == "other", "what is another's is not given back"


def test_what_the_image_lacks_is_left_for_the_image_that_has_it(stage: Stage) -> None:
    stage.ledger.move(VersionRef(version="9.0.0", sha256="0" * 64), "brand")
    assert stage.due() == ExitCode.NOT_MEASURED
    assert stage.measured() == ["part-class"]
    assert "brand" not in stage.rounds.last()
    with pytest.raises(NotMeasuredError, match="does not carry brand"):
        asyncio.run(stage.watch.measure("brand"))


def test_a_day_s_calls_refuse_further_rounds_aloud(stage: Stage) -> None:
    planned = len(scored(stage.folder.repository.examples("brand")))
    metadata = "prompts/03-metadata/brand.yaml"
    stage.folder.write(
        metadata,
        stage.folder.read(metadata) + f"score_watch: {{calls_a_day: {2 * planned + 1}}}\n",
    )
    for expected in (["brand", "part-class"], ["brand", "part-class"], ["part-class"]):
        assert stage.due() == ExitCode.OK
        assert sorted(stage.measured()) == expected
        assert stage.metrics.tasks("WatchHeartbeat") == ["brand", "part-class"]
        stage.now += timedelta(minutes=15)
    assert stage.metrics.tasks("RoundsRefused") == ["", "brand"]
    (line,) = (line for line in stage.said if line.startswith("brand: "))
    assert line == (
        f"brand: {2 * planned} of {2 * planned + 1} model calls of 2026-11-03 (UTC) are used, and"
        f" a round takes {planned}: it is not measured again before midnight UTC"
    )
    stage.now = START + timedelta(days=1)
    stage.due()
    assert sorted(stage.measured()) == ["brand", "part-class"]


def test_every_call_of_a_round_counts_the_control_s_and_repeated_ones_too(stage: Stage) -> None:
    part_class = stage.release.tasks["part-class"]
    newer, older = part_class.version("1.1.0"), part_class.version("1.0.0")
    assert newer is not None
    assert older is not None
    stage.ledger.move(older.reference)
    pointer = stage.ledger.pointer("part-class")
    assert pointer is not None
    stage.ledger.activate(
        "part-class",
        newer.reference,
        seen=pointer.revision,
        release=pointer.release,
        cause=Cause(by="pipeline", reason="", at="2026"),
    )
    stage.answer = lambda messages: {"part_class": "banana"}
    asyncio.run(stage.watch.measure("part-class"))
    assert stage.rounds.last()["part-class"].calls == stage.provider.calls
    # Both fell: shown by the suspicious round, and three fresh ones of both versions.
    assert stage.provider.calls == 7 * len(scored(stage.folder.repository.examples("part-class")))


def test_a_fresh_round_that_fails_is_said_beside_what_was_published(stage: Stage) -> None:
    examples = len(scored(stage.folder.repository.examples("part-class")))
    stage.answer = lambda messages: (
        {"part_class": "banana"} if stage.provider.calls <= examples else None
    )
    assert asyncio.run(stage.watch.measure("part-class")) == ExitCode.OK
    assert "part-class: published the margin -0.700 of 1.1.0" in stage.said
    failed = "part-class: a fresh round failed, the rounds before it count: part-class 1.1.0 could"
    assert any(line.startswith(failed) for line in stage.said)


def test_the_details_lie_where_the_sample_says(stage: Stage) -> None:
    stage.due()
    (sample,) = stage.ledger.samples("brand", 5)
    kept = json.loads(stage.results.get(sample.evaluation) or "")
    assert kept["versions"][0]["score"] == sample.score
    assert kept["release"] == sample.release == stage.release.release


def test_a_rollback_is_asked_for_when_the_samples_are_there_and_before_the_metric(
    stage: Stage,
) -> None:
    assert stage.due() is ExitCode.OK
    a_task_s_metrics = 7
    assert stage.asked == [("brand", 1, 0), ("part-class", 1, a_task_s_metrics)]


def test_no_rollback_is_asked_for_where_there_is_no_sample(stage: Stage) -> None:
    stage.answer = lambda messages: None
    assert stage.due() is ExitCode.NOT_MEASURED
    assert stage.asked == []


def test_a_comparison_that_was_asked_for_leaves_a_sample_of_both_versions(stage: Stage) -> None:
    newer = stage.release.tasks["part-class"].version("1.1.0")
    older = stage.release.tasks["part-class"].version("1.0.0")
    assert newer is not None
    assert older is not None
    stage.move("part-class", "1.0.0")
    pointer = stage.ledger.pointer("part-class")
    assert pointer is not None
    cause = Cause(by="pipeline", reason="", at="2026")
    stage.ledger.activate(
        "part-class", newer.reference, seen=pointer.revision, release=pointer.release, cause=cause
    )
    asyncio.run(stage.watch.measure("part-class", compare=True))
    samples = stage.ledger.samples("part-class", 10)
    assert sorted(sample.version for sample in samples) == ["1.0.0", "1.1.0"]
    assert len({sample.evaluation for sample in samples}) == 1
    assert all(sample.evidence and sample.evidence.answers for sample in samples)
    assert stage.asked == [("part-class", 2, 0)]
