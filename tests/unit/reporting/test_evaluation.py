"""The view of an evaluation: counts that add up, and what the repository no longer knows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import fmean

import pytest

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults
from prompt_hub.evaluation.store import Evaluation, read_evaluation
from prompt_hub.promotion.registry_writer import registry_text
from prompt_hub.reporting.answers import Answers, Change, Outcome, by_example, change
from prompt_hub.reporting.evaluation import read_view
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.example_sets import ExampleSet
from prompt_hub.scoring import ScorerResult
from tests.unit.building import RepositoryFolder
from tests.unit.llm.batch_server import batch_server
from tests.unit.reporting.evaluations import Builder, Built, log, view_of
from tests.unit.reporting.history import FIELDS, TASK


def call(
    score: float | None, *parts: ScorerResult, repeat: int = 0, error: str | None = None
) -> ExampleResult:
    return ExampleResult(id="a", score=score, parts=parts, repeat=repeat, error=error)


def test_the_counts_of_a_view_add_up(evaluated: Builder) -> None:
    view = view_of(evaluated(examples=500, repeats=3, judged=True))
    assert len(view.examples) == 500
    assert sum(view.outcomes.values()) == sum(view.compared.values()) == 500
    assert view.compared[Change.WON] > view.compared[Change.LOST] > 0
    assert view.candidate is not None
    assert len(view.candidate.calls) == 1500
    scores = [answers.score for answers in view.candidate.answers.values()]
    assert view.candidate.arm.score == pytest.approx(fmean(s for s in scores if s is not None))
    assert len(view.worst) == view.outcomes[Outcome.WRONG]
    assert view.worst[0].change is Change.LOST
    assert view.notes == ()


def test_fields_and_tags_are_the_records_own(evaluated: Builder) -> None:
    built = evaluated()
    view = view_of(built)
    assert [row.name for row in view.fields] == list(FIELDS)
    arm = built.record.candidate
    assert arm is not None
    assert {row.name: row.candidate for row in view.fields} == arm.fields
    assert {row.name: row.candidate for row in view.tags} == arm.tags
    least = {row.name: row.least for row in view.tags if row.least is not None}
    assert least == {"connector": 0.7, "inductor": 0.99}
    assert all(row.difference is not None for row in view.tags)


def test_the_history_has_every_version_and_marks_this_one(evaluated: Builder) -> None:
    history = view_of(evaluated()).history
    assert [past.version for past in history] == ["1.3.0", "1.2.0", "1.1.0", "1.0.0", "0.9.0"]
    assert [past.here for past in history] == [True, False, False, False, False]
    assert [past.state for past in history][:3] == ["candidate", "released", "blocked"]


def test_the_history_says_when_versions_were_judged_and_not_when_they_were_moved(
    copied: Built,
) -> None:
    for days, version in enumerate(("1.0.0", "1.2.0", "1.1.0")):
        judged = copied.record.finished_at - timedelta(days=9 - days)
        log(copied, version, finished_at=judged)
    registry = copied.evaluations.repository.registry()
    versions = registry.tasks[TASK].versions
    # What was judged first is released again: by hand, or by a rollback.
    moved = copied.record.finished_at - timedelta(days=1)
    versions["1.0.0"] = versions["1.0.0"].model_copy(update={"at": moved})
    (copied.root / "prompt_registry.yaml").write_text(registry_text(registry), encoding="utf-8")
    history = sorted(view_of(copied).history, key=lambda past: past.at)
    # Of 0.9.0 no evaluation is kept: when it was decided is all that is known of it.
    assert [past.version for past in history] == ["0.9.0", "1.0.0", "1.2.0", "1.1.0", "1.3.0"]
    assert moved not in {past.at for past in history}


@pytest.mark.parametrize(("of_this_text", "state"), [(True, "blocked"), (False, "candidate")])
def test_the_state_of_the_text_that_was_mended_is_not_that_of_this_one(
    copied: Built, of_this_text: bool, state: str
) -> None:
    arm = copied.record.candidate
    assert arm is not None
    registry = copied.evaluations.repository.registry()
    versions = registry.tasks[TASK].versions
    sha256 = arm.sha256 if of_this_text else "e" * 64
    versions["1.3.0"] = versions["1.1.0"].model_copy(update={"sha256": sha256})
    (copied.root / "prompt_registry.yaml").write_text(registry_text(registry), encoding="utf-8")
    newest = view_of(copied).history[0]
    assert (newest.version, newest.here, newest.state) == ("1.3.0", True, state)


def test_a_history_that_is_cut_off_still_has_this_version(
    evaluated: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_hub.reporting.evaluation.LONGEST_HISTORY", 2)
    built = evaluated()
    versions = [past.version for past in view_of(built).history]
    assert versions == ["1.3.0", "1.2.0"]
    record = built.record.model_copy(update={"version": "0.9.0"})
    evaluation = replace(read_evaluation(built.record_path), record=record)
    history = read_view(built.evaluations, evaluation).history
    assert [(past.version, past.here) for past in history] == [
        ("1.2.0", False),
        ("1.1.0", False),
        ("0.9.0", True),
    ]


def test_the_prompts_are_rendered_as_they_were_sent(evaluated: Builder) -> None:
    view = view_of(evaluated())
    assert view.candidate is not None
    example = view.examples[0].example
    assert example is not None
    messages = view.candidate.messages(example)
    assert messages is not None
    assert messages[0]["content"].startswith("Read the record of an electronic part and state")
    assert str(example.input["title"]) in messages[-1]["content"]


def test_what_has_moved_on_is_said(copied: Built) -> None:
    root = copied.root / "prompts"
    examples = root / "01-examples" / f"{TASK}.jsonl"
    lines = examples.read_text(encoding="utf-8").splitlines(keepends=True)
    examples.write_text("".join(lines[1:]), encoding="utf-8")
    metadata = root / "03-metadata" / f"{TASK}.yaml"
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(text.replace("threshold: 0.8", "threshold: 0.9"), encoding="utf-8")
    (root / "00-templates" / f"{TASK}.yaml").write_text("broken: [", encoding="utf-8")
    view = view_of(copied)
    assert len(view.notes) == 3
    message = " ".join(view.notes)
    assert "The examples have changed since" in message
    assert "The metadata has changed since" in message
    assert "The text of 1.3.0" in message
    assert len(view.examples) == 12
    assert view.examples[-1].example is None
    assert view.candidate is not None
    assert view.candidate.prompt is None
    assert view.changes == ()


def name_a_set(built: Built) -> Path:
    """Have git name a set in S3 in place of the examples; return the file that does."""
    file = built.root / "prompts" / "01-examples" / f"{TASK}.jsonl"
    sha256 = "5" * 64
    uri = f"s3://bucket/examples/{sha256}.jsonl"
    named = ExampleSet(schema_="prompt-hub/examples@1", uri=uri, sha256=sha256, size=9, count=1)
    file.write_text(named.line(), encoding="utf-8")
    return file


def test_examples_that_nobody_may_read_are_not_said_to_be_gone(
    copied: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = name_a_set(copied)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with batch_server(missing=403) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.port}")
        view = view_of(copied)
    (note,) = view.notes
    assert note.startswith(
        "The examples cannot be read, so inputs and expected outputs are left out:"
        f" prompts/01-examples/{TASK}.jsonl: s3://bucket/examples/{'5' * 64}.jsonl cannot be read:"
        " 403"
    )
    assert view.unreadable in note
    assert len(view.examples) == 12
    file.write_text("{\n" * 9, encoding="utf-8")
    (note,) = view_of(copied).notes
    assert f"{TASK}.jsonl:1:" in note
    assert "\n" not in note


def test_examples_that_the_file_no_longer_has_stand_as_they_were_asked(copied: Built) -> None:
    file = copied.root / f"prompts/01-examples/{TASK}.jsonl"
    asked = [example.id for example in view_of(copied).examples]
    file.write_text(file.read_text("utf-8").splitlines(keepends=True)[5], encoding="utf-8")
    assert [example.id for example in view_of(copied).examples] == [
        asked[5],
        *asked[:5],
        *asked[6:],
    ]


def test_a_record_that_no_repository_knows_can_still_be_read(copied: Built, tmp_path: Path) -> None:
    (tmp_path / "bare" / "prompts").mkdir(parents=True)
    evaluations = copied.evaluations
    bare = type(evaluations)(
        type(evaluations.repository)(tmp_path / "bare"), evaluations.results, "local"
    )
    view = read_view(bare, read_evaluation(copied.record_path))
    assert len(view.examples) == 12
    assert view.unreadable == ""
    assert view.metadata is None
    assert [past.version for past in view.history] == ["1.3.0"]


# --- one example -----------------------------------------------------------------------------


def test_an_example_with_one_failed_repeat_is_not_measured() -> None:
    answers = Answers((call(1.0), call(None, repeat=1, error="429")))
    assert answers.score is None
    assert answers.outcome is Outcome.UNMEASURED
    assert answers.errors == ("429",)
    assert change(answers, Answers((call(1.0),))) is None


def test_repeats_are_averaged_and_their_losses_said_once() -> None:
    part = ScorerResult("text:brand", 0.0, 1.0, "expected 'TDK', got 'Tdk Corp'")
    lost = call(0.0, part)
    answers = by_example([lost, call(1.0, repeat=2), replace(lost, repeat=1)])["a"]
    assert [result.repeat for result in answers.calls] == [0, 1, 2]
    assert answers.score == pytest.approx(1 / 3)
    assert answers.losses == ("expected 'TDK', got 'Tdk Corp'",)
    assert answers.wrong_fields == ("brand",)


def test_a_loss_names_its_scorer_where_there_are_several() -> None:
    parts = [
        ScorerResult("exact", 0.0, 1.0, "differs"),
        ScorerResult("judge", 0.5, 1.0, "judged 3 of 5"),
    ]
    answers = Answers((call(0.25, *parts),))
    assert answers.losses == ("exact: differs", "judge: judged 3 of 5")


def test_a_field_that_was_given_though_not_wanted_is_wrong() -> None:
    part = ScorerResult(
        "json_fields", 0.5, 1.0, fields={"a": (1.0, 1, 1), "b": (0.0, 1, 0), "c": (0, 0, 0)}
    )
    assert Answers((call(0.5, part),)).wrong_fields == ("b",)


# --- finding and reading ---------------------------------------------------------------------


def test_the_newest_evaluation_is_the_one_made_here_then_the_highest_version_logged(
    copied: Built,
) -> None:
    for version in ("1.2.0", "1.10.0", "1.9.0"):
        log(copied, version)
    evaluations = copied.evaluations
    assert evaluations.find(TASK).name == "evaluations/local/part-fields.json"
    assert evaluations.find(TASK, "1.9.0").name == "prompts/04-evals/part-fields/1.9.0.json"
    copied.record_path.unlink()
    assert evaluations.find(TASK).record.version == "1.10.0"


def test_of_a_version_that_was_judged_here_and_elsewhere_the_later_is_taken(copied: Built) -> None:
    own, logged = "evaluations/local/part-fields.json", "prompts/04-evals/part-fields/1.3.0.json"
    log(copied, "1.3.0", finished_at=copied.record.finished_at + timedelta(hours=1))
    assert copied.evaluations.find(TASK, "1.3.0").name == logged
    assert copied.evaluations.find(TASK).name == own
    log(copied, "1.3.0", finished_at=copied.record.finished_at - timedelta(hours=1))
    assert copied.evaluations.find(TASK, "1.3.0").name == own
    nothing = copied.record.model_copy(update={"candidate": None, "champion": None})
    copied.record_path.write_text(nothing.to_json(), encoding="utf-8")
    assert copied.evaluations.find(TASK, "1.3.0").name == logged


def test_an_evaluation_that_was_never_made_is_said_with_those_there_are(copied: Built) -> None:
    log(copied, "1.0.0")
    with pytest.raises(PromptHubError) as refused:
        copied.evaluations.find(TASK, "2.0.0")
    assert "no evaluation of part-fields 2.0.0 (in 04-evals: 1.0.0)" in str(refused.value)
    assert refused.value.exit_code is ExitCode.NOT_MEASURED


def test_what_the_evaluator_writes_is_what_a_report_reads(healthy: RepositoryFolder) -> None:
    evaluations = Evaluations(healthy.repository, FolderResults(healthy.root / RESULTS_DIR), "test")
    view = read_view(evaluations, evaluations.find("part-class"))
    assert view.evaluation.record.version == "1.1.0"
    assert len(view.examples) == 6
    assert view.outcomes == {Outcome.RIGHT: 6}
    assert view.compared == {Change.SAME: 6}
    assert view.candidate is not None
    assert view.candidate.prompt is not None
    assert view.candidate.seconds
    assert view.candidate.tokens == [12.0] * 6


def test_other_files_beside_records_are_no_versions(copied: Built) -> None:
    log(copied, "1.0.0")
    folder = copied.root / "prompts" / "04-evals" / TASK
    (folder / "1.0.0.review.json").write_text("{}", encoding="utf-8")
    (folder / "notes.json").write_text("{}", encoding="utf-8")
    assert copied.evaluations.logged(TASK) == ["1.0.0"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"arm":"candidate","id":"a"}', "1: score: found nothing; expected this field"),
        ('{"arm":"judge","id":"a","score":1}', "8: arm: found 'judge'; expected one of: candidate"),
        (
            '{"arm":"candidate","id":"a","score":1.5}',
            "37: score: found 1.5; expected a number from 0 to 1",
        ),
        ('{"arm":"candidate","id":"a","score":1,"colour":1}', "39: colour: found the key 'colour'"),
        ("[]", "1: arm: found nothing"),
        ("{", "2: found the end; expected a key in double quotes"),
    ],
)
def test_details_of_another_shape_are_refused_in_one_sentence(
    copied: Built, line: str, expected: str
) -> None:
    copied.details_path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(PromptHubError) as refused:
        copied.evaluations.find(TASK)
    assert f"evaluations/local/part-fields.jsonl:1:{expected}" in str(refused.value)
    assert "Evaluate the task again" in str(refused.value)
    assert ("a newer release" in str(refused.value)) == ("colour" in line)
    assert "\n" not in str(refused.value)


def test_a_record_without_its_details_is_refused(copied: Built) -> None:
    copied.details_path.unlink()
    with pytest.raises(PromptHubError, match=r"has no details: part-fields\.jsonl"):
        copied.evaluations.find(TASK)


def test_a_record_of_an_unchanged_candidate_needs_no_details(copied: Built) -> None:
    data = json.loads(copied.record.to_json()) | {"candidate": None, "champion": None}
    data["verdict"] |= {"status": "UNCHANGED", "looks": 0, "comparison": None, "power": None}
    text = EvaluationRecord.model_validate(data).to_json()
    view = read_view(copied.evaluations, Evaluation.of("record.json", text, None))
    assert view.arms == view.examples == ()
    assert view.history[0].version == "1.2.0"
