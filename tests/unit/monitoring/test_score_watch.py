"""One round of the score watch on a real small repository and a model that is told what to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from prompt_hub.ledger.items import Pointer, ReleaseRef, VersionRef
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.monitoring import samples
from prompt_hub.monitoring.metrics import metric_data
from prompt_hub.monitoring.monitor import MonitorRun, NotMeasuredError, ScoreMonitor
from prompt_hub.release.manifest import load
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import RepositoryFolder, catalogue_answer
from tests.unit.providers import ALIASES, FunctionProvider

TEMPLATE = "prompts/00-templates/part-class.yaml"

Answer = Callable[[list[dict[str, str]]], JsonObject | str | None]


def newer_version(messages: list[dict[str, str]]) -> bool:
    return "for a catalogue" in messages[0]["content"]


def newer_is_wrong(messages: list[dict[str, str]]) -> JsonObject:
    return {"part_class": "banana"} if newer_version(messages) else catalogue_answer(messages)


def both_are_wrong(messages: list[dict[str, str]]) -> JsonObject:
    return {"part_class": "banana"}


def newer_is_wrong_older_is_away(messages: list[dict[str, str]]) -> JsonObject | None:
    return {"part_class": "banana"} if newer_version(messages) else None


def away(messages: list[dict[str, str]]) -> None:
    return None


def away_after(newer: int, older: int) -> Answer:
    """Let a version be away once it has answered so many rounds of six; the newer one is wrong."""
    left = {True: 6 * newer, False: 6 * older}

    def answer(messages: list[dict[str, str]]) -> JsonObject | None:
        left[newer_version(messages)] -= 1
        return newer_is_wrong(messages) if left[newer_version(messages)] >= 0 else None

    return answer


def measured(
    folder: RepositoryFolder,
    answer: Answer,
    *,
    versions: tuple[str, str] = ("1.1.0", "1.0.0"),
    way_back: bool = True,
    sha256: str | None = None,
    aliases: ModelAliases = ALIASES,
    compare: bool = False,
) -> MonitorRun:
    release = load(folder.root)
    newer, older = (release.tasks["part-class"].version(version) for version in versions)
    assert newer is not None
    assert older is not None
    active = VersionRef(version=newer.version, sha256=sha256 or newer.sha256)
    pointer = Pointer(
        task="part-class",
        active=active,
        previous=older.reference if way_back else None,
        frozen=False,
        revision=1,
        changed_by="pipeline",
        reason="",
        at="2026",
        release=ReleaseRef(release="r", made_at="2026"),
    )
    watch = ScoreMonitor(
        folder.repository,
        release,
        ModelClient(aliases, FunctionProvider(answer)),
        "part-class",
        say=lambda _: None,
    )
    return asyncio.run(watch.round(pointer, compare=compare))


def test_a_good_active_version_is_measured_alone(healthy: RepositoryFolder) -> None:
    found = measured(healthy, catalogue_answer)
    assert found.active.score == 1.0
    assert found.active.margin == pytest.approx(0.3)
    assert found.control is None
    assert found.no_control is None
    # Six examples: the two shots are never scored.
    assert found.active.arm.n == 6


def test_a_bad_active_version_brings_its_way_back_as_control(healthy: RepositoryFolder) -> None:
    found = measured(healthy, newer_is_wrong)
    assert (found.active.carried.version, found.active.score) == ("1.1.0", 0.0)
    assert found.control is not None
    assert (found.control.carried.version, found.control.score) == ("1.0.0", 1.0)

    at = "2026-11-03T09:30:00.000000Z"
    active, control = found.samples(evaluation="round-1", at=at, release="exec-1")
    assert (active.below_threshold, control.below_threshold) == (True, False)
    assert active.evaluation == control.evaluation
    assert active.release == control.release == "exec-1"
    assert active.key != control.key


def test_a_control_can_be_bad_too(healthy: RepositoryFolder) -> None:
    found = measured(healthy, both_are_wrong)
    assert found.control is not None
    assert found.control.score == 0.0


def test_without_a_way_back_there_is_no_control(healthy: RepositoryFolder) -> None:
    found = measured(healthy, newer_is_wrong, way_back=False)
    assert found.control is None
    assert found.no_control == "there is no version to go back to"


def test_a_control_that_cannot_be_measured_leaves_the_active_score(
    healthy: RepositoryFolder,
) -> None:
    found = measured(healthy, newer_is_wrong_older_is_away)
    assert found.active.score == 0.0
    assert found.control is None
    assert found.no_control is not None
    assert "1.0.0 could not be measured" in found.no_control


@pytest.mark.parametrize(
    ("answer", "way_back", "rounds"),
    [(newer_is_wrong, False, 1), (newer_is_wrong_older_is_away, True, 2)],
)
def test_without_a_control_fresh_rounds_end_when_the_fall_is_shown(
    healthy: RepositoryFolder, answer: Answer, way_back: bool, rounds: int
) -> None:
    """Who decides can only call people, and does so at once: further rounds change nothing."""
    examples = "prompts/01-examples/part-class.jsonl"
    lines = [json.loads(line) for line in healthy.read(examples).splitlines()]
    lines += [{**line, "id": f"{line['id']}-{more}"} for line in lines for more in range(7)]
    healthy.write(examples, "".join(json.dumps(line) + "\n" for line in lines))
    found = measured(healthy, answer, way_back=way_back)
    assert (found.control, found.active.evidence.rounds) == (None, rounds)


@pytest.mark.parametrize(
    ("newer", "older", "rounds", "failed"), [(5, 1, (5, 1), "1.0.0"), (2, 5, (2, 1), "1.1.0")]
)
def test_a_later_fresh_round_that_fails_takes_nothing_from_the_ones_before(
    healthy: RepositoryFolder, newer: int, older: int, rounds: tuple[int, int], failed: str
) -> None:
    found = measured(healthy, away_after(newer, older))
    assert found.control is not None
    assert (found.active.evidence.rounds, found.control.evidence.rounds) == rounds
    assert found.no_control is None
    assert f"{failed} could not be measured" in (found.cut_short or "")
    kept = json.loads(found.details(stage="dev", release="exec-1", at="2026"))
    assert (kept["no_control"], kept["cut_short"]) == (None, found.cut_short)


@pytest.mark.parametrize(
    ("way_back", "no_control"),
    [
        (True, "there is no fresh round to compare it with"),
        (False, "there is no version to go back to"),
    ],
)
def test_the_first_fresh_round_can_fail_as_well(
    healthy: RepositoryFolder, way_back: bool, no_control: str
) -> None:
    found = measured(healthy, away_after(1, 5), way_back=way_back)
    assert (found.active.evidence.rounds, found.control, found.no_control) == (1, None, no_control)
    assert "1.1.0 could not be measured" in (found.cut_short or "")


def test_a_way_back_whose_alias_the_stage_no_longer_has_leaves_the_active_score(
    healthy: RepositoryFolder,
) -> None:
    healthy.edit(TEMPLATE, "alias: catalogue-pinned", "alias: catalogue-latest")
    healthy.promote("part-class")
    retired = ModelAliases({"catalogue-latest": ALIASES.resolve("catalogue-latest")})

    found = measured(healthy, both_are_wrong, versions=("1.2.0", "1.1.0"), aliases=retired)
    assert (found.active.score, found.control) == (0.0, None)
    assert found.no_control is not None
    assert "'catalogue-pinned' is not configured here" in found.no_control


def test_a_way_back_that_cannot_be_rendered_on_a_later_example_leaves_the_active_score(
    healthy: RepositoryFolder,
) -> None:
    healthy.edit(TEMPLATE, "required: [part_number, title]", "required: [part_number]")
    healthy.edit(
        TEMPLATE, "Title: {{ title }}", "{% if title is defined %}Title: {{ title }}{% endif %}"
    )
    healthy.promote("part-class")
    examples = "prompts/01-examples/part-class.jsonl"
    later = {
        "id": "BAV99",
        "input": {"part_number": "BAV99"},
        "expected": {"part_class": "diode"},
        "split": "eval",
    }
    healthy.write(examples, healthy.read(examples) + json.dumps(later) + "\n")

    found = measured(healthy, both_are_wrong, versions=("1.2.0", "1.1.0"))
    assert (found.active.score, found.active.arm.n) == (0.0, 7)
    assert found.control is None
    assert found.no_control is not None
    assert "1.1.0 cannot be asked today's examples: BAV99: the input of" in found.no_control


def test_an_active_version_that_todays_examples_do_not_fit_is_not_measured(
    healthy: RepositoryFolder,
) -> None:
    healthy.rename_field("title", "name")
    with pytest.raises(NotMeasuredError, match=r"1\.1\.0 cannot be asked today's examples"):
        measured(healthy, both_are_wrong)


def test_a_version_that_answers_under_another_name_than_todays_is_not_measured(
    healthy: RepositoryFolder,
) -> None:
    healthy.rename_field("part_class", "kind")
    with pytest.raises(NotMeasuredError, match=r"1\.1\.0 cannot be scored .*: the output of"):
        measured(healthy, catalogue_answer)

    metadata = "prompts/03-metadata/part-class.yaml"
    person = "override: {person: ann, reason: callers read the new name, version: 1.2.0}\n"
    healthy.write(metadata, healthy.read(metadata) + person)
    healthy.promote("part-class", lambda messages: {"kind": "diode"})
    found = measured(healthy, both_are_wrong, versions=("1.2.0", "1.1.0"))
    assert (found.active.score, found.control) == (0.0, None)
    assert "1.1.0 cannot be scored by today's examples: the output of" in (found.no_control or "")


def test_a_model_that_is_away_is_no_score(healthy: RepositoryFolder) -> None:
    with pytest.raises(NotMeasuredError, match=r"1\.1\.0 could not be measured: .*no connection"):
        measured(healthy, away)


def test_one_answer_that_is_missing_is_no_score(healthy: RepositoryFolder) -> None:
    def moody(messages: list[dict[str, str]]) -> JsonObject | None:
        return None if "BAT54" in messages[-1]["content"] else catalogue_answer(messages)

    with pytest.raises(NotMeasuredError, match=r"1 of 6 answers of 1\.1\.0 are missing\."):
        measured(healthy, moody)


@pytest.mark.parametrize(("calls", "asked"), [(11, 0), (12, 12)])
def test_a_round_beyond_the_budget_is_not_begun(
    healthy: RepositoryFolder, calls: int, asked: int
) -> None:
    """Six examples, each attacked once."""
    metadata = "prompts/03-metadata/part-class.yaml"
    fields = "{type: json_fields, fields: {part_class: 1.0}}"
    healthy.edit(metadata, fields, f"{fields}\n  - {{type: injection, fields: [title]}}")
    healthy.edit(metadata, "gate: {", f"gate: {{budget: {{calls: {calls}}}, ")
    questions: list[object] = []

    def answer(messages: list[dict[str, str]]) -> JsonObject:
        questions.append(messages)
        return catalogue_answer(messages)

    if asked:
        assert measured(healthy, answer).active.score == 1.0
    else:
        refusal = r"1\.1\.0 is not asked: a round takes up to 12 calls, gate\.budget allows 11\."
        with pytest.raises(NotMeasuredError, match=refusal):
            measured(healthy, answer)
    assert len(questions) == asked


def test_a_version_that_the_image_lacks_is_no_score(healthy: RepositoryFolder) -> None:
    with pytest.raises(NotMeasuredError, match="does not carry part-class"):
        measured(healthy, catalogue_answer, sha256="0" * 64)


def test_the_alarm_sees_the_active_version_only(healthy: RepositoryFolder) -> None:
    data = metric_data(measured(healthy, newer_is_wrong), "dev")
    by_task = [element for element in data if len(element["Dimensions"]) == 2]
    by_version = [entry for entry in data if len(entry["Dimensions"]) == 3]

    assert {datum["MetricName"]: datum["Value"] for datum in by_task} == {
        "Score": 0.0,
        "Threshold": 0.7,
        "ScoreMargin": -0.7,
    }
    margins = {
        item["Dimensions"][2]["Value"]: item["Value"]
        for item in by_version
        if item["MetricName"] == "ScoreMargin"
    }
    assert margins == {"1.1.0": -0.7, "1.0.0": pytest.approx(0.3)}


def test_a_score_that_equals_its_threshold_misses_by_nothing(healthy: RepositoryFolder) -> None:
    run = measured(healthy, newer_is_wrong)
    assert run.control is not None
    assert replace(run.control, score=0.7).margin == 0
    assert 0.6 - 0.7 != -0.1
    assert replace(run.control, score=0.6).margin == -0.1


def test_details_keep_every_answer(healthy: RepositoryFolder) -> None:
    found = measured(healthy, newer_is_wrong)
    details = json.loads(found.details(stage="dev", release="exec-1", at="2026"))
    roles = [(detail["role"], detail["version"]) for detail in details["versions"]]
    assert roles == [("active", "1.1.0"), ("control", "1.0.0")]
    # The suspicious round and four fresh ones.
    assert len(details["versions"][0]["examples"]) == 5 * 6
    assert details["versions"][0]["examples"][0]["answer"] == '{"part_class": "banana"}'


def test_only_fresh_rounds_compare_the_versions(healthy: RepositoryFolder) -> None:
    found = measured(healthy, newer_is_wrong)
    assert found.control is not None
    active, control = found.active.evidence, found.control.evidence
    # One suspicious round, chosen for being bad; then both are asked the same, equally often.
    assert (active.rounds, control.rounds) == (5, 4)
    assert (active.asked, active.earned) == (30, 0)
    assert (control.asked, control.earned) == (24, 24)
    assert (control.won, control.lost) == (24, 0)
    (kept, _) = found.samples(evaluation="round", at="2026", release="exec-1")
    assert kept.evidence == active


def test_a_good_round_keeps_its_evidence_and_asks_nothing_more(healthy: RepositoryFolder) -> None:
    evidence = measured(healthy, catalogue_answer).active.evidence
    assert (evidence.rounds, evidence.asked, evidence.earned) == (1, 6, 6)
    # 0.01 false rollbacks in 30 days of a round every 15 minutes.
    # Nine tenths of them by scores, and a tenth more runs where calls ask for them.
    assert evidence.error == pytest.approx(0.9 * 0.01 / (1.1 * 2880))
    assert (evidence.answers, evidence.broke) == (6, 0)


def newer_breaks_its_contract_once(messages: list[dict[str, str]]) -> JsonObject | str:
    if newer_version(messages) and "BAT54" in messages[-1]["content"]:
        return "I would say that this is a diode."
    return catalogue_answer(messages)


def test_a_comparison_counts_the_contracts_of_both_versions_though_the_score_passes(
    healthy: RepositoryFolder,
) -> None:
    alone = measured(healthy, newer_breaks_its_contract_once)
    assert (alone.control, alone.active.evidence.compared) == (None, False)
    found = measured(healthy, newer_breaks_its_contract_once, compare=True)
    assert found.active.margin > 0
    assert found.control is not None
    active, control = found.active.evidence, found.control.evidence
    assert (active.rounds, active.answers, active.broke) == (5, 30, 5)
    assert (control.rounds, control.answers, control.broke) == (4, 24, 0)
    # The first round is no part of it, as it is none where scores are compared.
    assert (control.kept, control.lapsed) == (4, 0)
    assert (control.won, control.lost) == (4, 0)
    assert (active.compared, control.compared) == (True, True)


def test_a_comparison_ends_as_soon_as_it_has_shown_that_the_way_back_keeps_its_contract(
    healthy: RepositoryFolder,
) -> None:
    def always_broken(messages: list[dict[str, str]]) -> JsonObject | str:
        return "no" if newer_version(messages) else catalogue_answer(messages)

    examples = "prompts/01-examples/part-class.jsonl"
    lines = [json.loads(line) for line in healthy.read(examples).splitlines()]
    lines += [{**line, "id": f"{line['id']}-{more}"} for line in lines for more in range(5)]
    healthy.write(examples, "".join(json.dumps(line) + "\n" for line in lines))
    healthy.edit("prompts/03-metadata/part-class.yaml", "threshold: 0.7", "threshold: 0.0")
    found = measured(healthy, always_broken, compare=True)
    assert found.active.evidence.rounds == 2


def test_a_comparison_without_a_way_back_asks_no_fresh_round(healthy: RepositoryFolder) -> None:
    found = measured(healthy, catalogue_answer, compare=True, way_back=False)
    assert (found.active.evidence.rounds, found.control) == (1, None)
    assert found.active.evidence.compared
    assert found.no_control == "there is no version to go back to"


def test_a_round_asks_a_part_and_a_suspicious_one_is_followed_by_all(
    healthy: RepositoryFolder,
) -> None:
    healthy.edit(
        "prompts/03-metadata/part-class.yaml", "score_watch: {", "score_watch: {part: 0.3, "
    )
    good = measured(healthy, catalogue_answer)
    assert (good.active.evidence.asked, good.active.arm.n) == (2, 2)
    drawn = {
        tuple(detail.id for detail in measured(healthy, catalogue_answer).active.details)
        for _ in range(12)
    }
    assert len(drawn) > 1

    bad = measured(healthy, newer_is_wrong)
    assert bad.control is not None
    assert bad.active.evidence.asked == 2 + 4 * 6
    assert (bad.control.evidence.asked, bad.control.evidence.won) == (24, 24)


def test_a_round_of_a_large_set_asks_a_sample_and_the_control_the_same_one(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MOST_ASKED", 2)
    good = measured(healthy, catalogue_answer)
    assert (good.active.evidence.asked, good.active.arm.n) == (2, 2)
    bad = measured(healthy, newer_is_wrong)
    assert bad.control is not None
    assert (bad.active.evidence.asked, bad.control.evidence.asked) == (5 * 2, 4 * 2)
    assert bad.control.evidence.won == 8
    asked = [(detail.id, detail.repeat) for detail in bad.active.details]
    compared = [(detail.id, detail.repeat + 1) for detail in bad.control.details]
    assert sorted(asked[2:]) == sorted(compared)
    assert len({name for name, _ in asked}) > 2


def test_heavier_examples_count_more(healthy: RepositoryFolder) -> None:
    examples = "prompts/01-examples/part-class.jsonl"
    lines = [json.loads(line) for line in healthy.read(examples).splitlines()]
    for line in lines:
        line["weight"] = 4.0 if line["id"] == "BAT54" else 1.0
    healthy.write(examples, "".join(json.dumps(line) + "\n" for line in lines))
    found = measured(healthy, catalogue_answer)
    assert found.active.evidence.asked == pytest.approx(1 + 5 / 4)
    assert found.active.evidence.earned == pytest.approx(1 + 5 / 4)


def test_a_sample_says_which_models_answered_now_and_at_the_gate(healthy: RepositoryFolder) -> None:
    moved = ModelAliases(
        {model.alias: model.model_copy(update={"model": "weaker-model"}) for model in ALIASES}
    )
    found = measured(healthy, newer_is_wrong, aliases=moved)
    active, control = found.samples(evaluation="round", at="2026", release="exec-1")
    for sample in (active, control):
        assert sample.answered_by == ("weaker-model",)
        assert sample.judged_on == ("small-model-2026-01",)
        assert sample.answered_by_others
