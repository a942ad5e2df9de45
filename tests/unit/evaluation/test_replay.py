"""A record is made again from its details: the same bytes, or the input that has changed."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prompt_hub.cli import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.replay import replay
from prompt_hub.evaluation.store import read_evaluation
from prompt_hub.gate.types import Status
from prompt_hub.promotion.transitions import promote
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.transaction import apply
from prompt_hub.validation.check import check
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.evaluation.evaluated import TASK, Evaluated
from tests.unit.judging import add_judge, always_five, sensible, use_judge

METADATA = "prompts/03-metadata/part-class.yaml"
GATE = "gate: {margin: 0.5, confidence: 0.9}"

Backend = Callable[[list[dict[str, str]]], JsonObject | str | None]


def mostly_right(messages: list[dict[str, str]]) -> JsonObject | str:
    """Right but for the last diode, where it breaks the output contract."""
    return "certainly!" if "BAT54" in messages[-1]["content"] else catalogue_answer(messages)


def no_answer(messages: list[dict[str, str]]) -> JsonObject | None:
    return None


def graded(messages: list[dict[str, str]]) -> JsonObject:
    """Right, and as a judge what people say."""
    question = messages[-1]["content"]
    return sensible(question) if question.startswith("JUDGE") else catalogue_answer(messages)


@pytest.fixture
def evaluated(healthy: RepositoryFolder) -> Evaluated:
    return Evaluated(healthy, mostly_right)


def test_a_record_comes_out_byte_for_byte(evaluated: Evaluated) -> None:
    again = evaluated.replayed()
    assert again.verdict.status is evaluated.record.verdict.status
    assert again.candidate is not None
    assert again.candidate.score == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("answer", "task", "status"),
    [
        (no_answer, TASK, Status.NOT_MEASURED),
        (lambda messages: {"part_class": "resistor"}, TASK, Status.BLOCK),
        (catalogue_answer, "brand", Status.UNCHANGED),
    ],
)
def test_every_kind_of_verdict_can_be_made_again(
    healthy: RepositoryFolder, answer: Backend, task: str, status: Status
) -> None:
    assert Evaluated(healthy, answer, task).replayed().verdict.status is status


def test_repeats_and_looks_are_made_again(healthy: RepositoryFolder) -> None:
    healthy.edit(METADATA, GATE, "gate: {margin: 0.01, confidence: 0.9, repeats: 3}")
    healthy.edit("prompts/00-templates/part-class.yaml", "temperature: 0,", "temperature: 0.7,")
    evaluated = Evaluated(healthy, mostly_right)
    assert evaluated.record.candidate is not None
    assert evaluated.record.candidate.repeats == 3
    assert evaluated.record.verdict.looks == 3
    assert evaluated.replayed().verdict.status is Status.INCONCLUSIVE


def test_a_champion_that_qualified_on_another_model_is_made_again(
    healthy: RepositoryFolder,
) -> None:
    registry = healthy.read("prompt_registry.yaml")
    healthy.write("prompt_registry.yaml", registry.replace("openai:latest", "openai:other"))
    evaluated = Evaluated(healthy, catalogue_answer, "brand")
    assert evaluated.record.champion is None
    assert evaluated.record.champion_sha256 is not None
    verdict = evaluated.replayed().verdict
    assert verdict.status is Status.PASS
    assert "no other released version was measured beside it" in verdict.reasons


def test_a_record_without_a_champion_that_could_be_asked_is_made_again(
    healthy: RepositoryFolder,
) -> None:
    healthy.rename_field("title", "name")
    evaluated = Evaluated(healthy, catalogue_answer)
    assert evaluated.record.champion is None
    assert evaluated.replayed().verdict.status is Status.INCONCLUSIVE


def test_a_promoted_record_is_made_again_from_04_evals(healthy: RepositoryFolder) -> None:
    healthy.promote(TASK)
    path = healthy.path("prompts/04-evals/part-class/1.2.0.json")
    stored = read_evaluation(path)
    assert replay(healthy.repository, stored).record.to_json() == stored.text


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        ("prompts/01-examples/part-class.jsonl", "Diodes Incorporated", "Diodes", "examples"),
        (METADATA, "threshold: 0.7", "threshold: 0.6", "metadata"),
        (METADATA, GATE, f"{GATE}\nlimits: {{seconds_p95: 9}}", "metadata"),
        ("prompts/00-templates/catalogue-role.txt", "You sort", "You put", "candidate"),
    ],
)
def test_the_changed_input_is_named(
    evaluated: Evaluated, file: str, old: str, new: str, what: str
) -> None:
    evaluated.folder.edit(file, old, new)
    assert what in evaluated.changed()


def test_a_champion_that_is_gone_is_named(evaluated: Evaluated) -> None:
    evaluated.folder.path("prompts/02-production/part-class.yaml").unlink()
    assert evaluated.changed()["champion"].endswith("is in no layer")


def test_other_scorers_are_named(evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_hub.evaluation.replay.SCORERS_VERSION", "next")
    assert evaluated.changed()["scorers"].startswith("5 then, next now: this version")


def of_earlier_scorers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score as version 2 did: texts in Unicode's form NFKC, in which 10³ is 103."""

    def normalise(text: str) -> str:
        return " ".join(unicodedata.normalize("NFKC", text).casefold().split())

    monkeypatch.setattr("prompt_hub.evaluation.inputs.SCORERS_VERSION", "2")
    monkeypatch.setattr("prompt_hub.scoring.comparison.normalise", normalise)


def test_a_record_of_earlier_scorers_is_the_same_where_todays_agree(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        of_earlier_scorers(then)
        evaluated = Evaluated(healthy, mostly_right)
    assert evaluated.replayed().scorers_version == "2"


def test_the_majority_guess_of_earlier_scorers_is_made_again(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    attack = "{type: injection, fields: [title], share: 0.5}"
    healthy.edit(METADATA, "scorers:\n", f"scorers:\n  - {attack}\n")
    # A third is guessed right; of six examples three are attacked.
    for version, guess in (("3", 2 / 3), ("4", 0.5)):
        with monkeypatch.context() as then:
            then.setattr("prompt_hub.evaluation.inputs.SCORERS_VERSION", version)
            again = Evaluated(healthy, catalogue_answer).replayed()
        assert (again.scorers_version, again.baseline) == (version, pytest.approx(guess))


def test_an_answer_that_earlier_scorers_judged_otherwise_is_told(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy.edit("prompts/01-examples/brand.jsonl", '"Murata"', '"Murata 103"')
    healthy.bump("brand", "1.0.0", "1.1.0")
    healthy.stamp("brand")

    def raised(messages: list[dict[str, str]]) -> JsonObject:
        answer = catalogue_answer(messages)
        return {"brand": "Murata 10³"} if answer["brand"] == "Murata" else answer

    with monkeypatch.context() as then:
        of_earlier_scorers(then)
        evaluated = Evaluated(healthy, raised, "brand")
    assert evaluated.record.candidate is not None
    assert evaluated.record.candidate.score == 1.0
    changed = evaluated.changed()
    assert changed["scorers"].startswith("2 then, 5 now: since 3, a superscript")
    assert [*map(changed["scorers"].count, ("; since 4, `par", "; since 5, `quan"))] == [1, 1]
    assert changed["candidate.score"].startswith("1.0 in the record, 0.")


def test_a_missing_answer_is_named(evaluated: Evaluated) -> None:
    lines = evaluated.details.read_text(encoding="utf-8").splitlines(keepends=True)
    evaluated.details.write_text("".join(lines[1:]), encoding="utf-8")
    name = json.loads(lines[0])["id"]
    how = evaluated.changed()["details"]
    assert how == f"there is no answer of the candidate to {name}"
    evaluated.details.unlink()
    with pytest.raises(PromptHubError, match=r"has no details: part-class\.jsonl is not beside it"):
        evaluated.replayed()


def test_an_answer_too_many_is_named(evaluated: Evaluated) -> None:
    text = evaluated.details.read_text(encoding="utf-8")
    extra = json.dumps({**json.loads(text.splitlines()[0]), "repeat": 1})
    evaluated.details.write_text(f"{text}{extra}\n", encoding="utf-8")
    assert "1 answer more than were asked for" in evaluated.changed()["details"]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"arm": "nobody"}', '{"arm": "candidate", "id": "x", "score": 7}']
)
def test_broken_details_are_named_with_their_line(evaluated: Evaluated, line: str) -> None:
    text = evaluated.details.read_text(encoding="utf-8")
    evaluated.details.write_text(f"{text}{line}\n", encoding="utf-8")
    with pytest.raises(InvalidDocumentsError) as refused:
        evaluated.replayed()
    (problem,) = refused.value.problems
    assert (problem.file, problem.line) == (str(evaluated.details), len(text.splitlines()) + 1)


def test_an_answer_that_was_touched_is_found_by_scoring_it_again(evaluated: Evaluated) -> None:
    text = evaluated.details.read_text(encoding="utf-8")
    first = json.loads(text.splitlines()[0])
    other = next(item for item in ("diode", "resistor") if item not in first["answer"])
    forged = json.dumps({**first, "answer": json.dumps({"part_class": other})})
    evaluated.details.write_text(
        "\n".join([forged, *text.splitlines()[1:]]) + "\n", encoding="utf-8"
    )
    assert "candidate.score" in evaluated.changed()


def test_a_forged_verdict_is_found(evaluated: Evaluated) -> None:
    stored = json.loads(evaluated.path.read_text(encoding="utf-8"))
    stored["candidate"]["score"] = 1.0
    evaluated.path.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    how = evaluated.changed()["candidate.score"]
    assert how.startswith("1.0 in the record, 0.83")


def test_another_format_of_the_same_record_is_not_the_same_bytes(evaluated: Evaluated) -> None:
    stored = json.loads(evaluated.path.read_text(encoding="utf-8"))
    evaluated.path.write_text(json.dumps(stored), encoding="utf-8")
    assert "formatted by another program" in evaluated.changed()["record"]


# --- the command ------------------------------------------------------------------------------


def command(folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(folder.root))
    return main.main(["replay", *words])


def test_the_command_replays_a_folder_and_calls_no_model(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(aws_names.ENV_MODELS, raising=False)
    folder = evaluated.path.parent
    (folder / "._1.2.0.json").write_bytes(b"\x00\x05\x16\x07")  # as macOS leaves one
    (folder / "other.json").write_text('{"schema": "prompt-hub/promotion@1"}', encoding="utf-8")
    assert command(evaluated.folder, monkeypatch, str(folder)) == ExitCode.OK
    assert "part-class 1.2.0 PASS, the same, byte for byte" in capsys.readouterr().out
    evaluated.folder.edit(METADATA, "threshold: 0.7", "threshold: 0.6")
    assert command(evaluated.folder, monkeypatch, "--json", str(folder)) == ExitCode.BLOCKED
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["same"], result["changes"][0]["what"]) == (False, "metadata")
    assert command(evaluated.folder, monkeypatch, str(folder)) == ExitCode.BLOCKED
    assert f"made at commit {COMMIT}: look there" in capsys.readouterr().out


def test_where_the_inputs_of_a_record_of_a_machine_are_is_said(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Git ignores what lies outside `prompts/`: it has no commit of that."""
    evaluated.path.write_text(evaluated.path.read_text("utf-8").replace('"e1"', '"local"'), "utf-8")
    evaluated.folder.edit(METADATA, "threshold: 0.7", "threshold: 0.6")
    folder = evaluated.path.parent
    assert command(evaluated.folder, monkeypatch, str(folder)) == ExitCode.BLOCKED
    told = capsys.readouterr().out
    assert f"on top of commit {COMMIT}" in told
    assert f"run prompt-hub evaluate {TASK} again" in told
    assert "git log" not in told
    folder = folder.rename(evaluated.folder.path("prompts/04-evals/more"))
    assert command(evaluated.folder, monkeypatch, str(folder)) == ExitCode.BLOCKED
    assert f"git log --diff-filter=A -- {folder}/" in capsys.readouterr().out


def test_nothing_to_replay_is_said(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert command(evaluated.folder, monkeypatch, str(tmp_path / "nowhere")) == ExitCode.USAGE
    (tmp_path / "empty").mkdir()
    assert command(evaluated.folder, monkeypatch, str(tmp_path / "empty")) == ExitCode.USAGE


@pytest.mark.parametrize("damage", [b"\xff", b'{"schema": "prompt-hub/evaluation@1", "task"'])
def test_a_damaged_record_is_named_and_the_others_are_replayed(
    evaluated: Evaluated,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: bytes,
) -> None:
    damaged_record = evaluated.path.with_name("brand.json")
    damaged_record.write_bytes(damage)
    folder = str(evaluated.path.parent)
    assert command(evaluated.folder, monkeypatch, folder) == ExitCode.BLOCKED
    message = capsys.readouterr().out
    assert f"{damaged_record}: cannot be made again\n  record: {damaged_record}:1:" in message
    assert "part-class 1.2.0 PASS, the same, byte for byte" in message


def test_a_line_separator_inside_an_answer_ends_no_line(healthy: RepositoryFolder) -> None:
    answer = "a\u2028b"
    evaluated = Evaluated(healthy, lambda messages: answer)
    assert answer in evaluated.details.read_text(encoding="utf-8")
    assert evaluated.replayed().verdict.status is Status.BLOCK


def test_a_record_is_written_anew_under_another_gate(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated.folder.edit(METADATA, GATE, "gate: {margin: 0.6, confidence: 0.9}")
    assert command(evaluated.folder, monkeypatch, str(evaluated.path)) == ExitCode.BLOCKED
    assert command(evaluated.folder, monkeypatch, "--write", str(evaluated.path)) == ExitCode.OK
    assert command(evaluated.folder, monkeypatch, str(evaluated.path)) == ExitCode.OK
    again = evaluated.replayed()
    assert again.metadata_sha256 != evaluated.record.metadata_sha256
    assert again.started_at == evaluated.record.started_at
    assert again.verdict.status is evaluated.record.verdict.status


def test_a_record_is_not_written_anew_from_other_inputs(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = evaluated.path.read_bytes()
    examples = "prompts/01-examples/part-class.jsonl"
    evaluated.folder.edit(examples, "Diodes Incorporated", "Diodes")
    assert command(evaluated.folder, monkeypatch, "--write", str(evaluated.path)) == 1
    assert "examples:" in capsys.readouterr().out
    assert evaluated.path.read_bytes() == before


def test_a_promotion_is_not_rewritten_into_a_refusal(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = evaluated.path.read_bytes()
    evaluated.folder.edit(METADATA, GATE, "gate: {margin: 0.01, confidence: 0.9}")
    assert command(evaluated.folder, monkeypatch, "--write", str(evaluated.path)) == 1
    assert "verdict: PASS then, INCONCLUSIVE today" in capsys.readouterr().out
    assert evaluated.path.read_bytes() == before


def test_what_a_judge_said_counts_as_the_metadata_say_where_a_record_is_written_anew(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_judge(healthy)
    use_judge(healthy)
    evaluated = Evaluated(healthy, graded)
    healthy.edit(METADATA, "{type: judge}", "{type: exact}\n  - {type: judge, weight: 3}")
    assert command(healthy, monkeypatch, "--write", str(evaluated.path)) == ExitCode.OK
    lines = [json.loads(line) for line in evaluated.details.read_text("utf-8").splitlines()]
    parts = {tuple((part["scorer"], part["weight"]) for part in line["parts"]) for line in lines}
    assert parts == {(("exact", 1.0), ("judge", 3.0))}
    assert evaluated.replayed().verdict.status is Status.PASS


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "votes: 3}",
            "votes: 5}",
            "judge: part-judge 1.0.0 with 3 votes graded then, part-judge 1.0.0 with 5 votes today",
        ),
        (
            "{type: judge}",
            "{type: judge}\n  - {type: injection, fields: [title]}",
            "scorers: today's ask models something else about",
        ),
    ],
)
def test_what_models_were_not_asked_is_not_made_up(
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    words: str,
) -> None:
    add_judge(healthy)
    use_judge(healthy)
    evaluated = Evaluated(healthy, graded)
    before = evaluated.path.read_bytes()
    healthy.edit(METADATA, old, new)
    assert command(healthy, monkeypatch, "--write", str(evaluated.path)) == ExitCode.BLOCKED
    assert words in capsys.readouterr().out
    assert evaluated.path.read_bytes() == before


def test_a_record_whose_judge_might_not_gate_has_nothing_to_make_again(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_judge(healthy, grade=always_five)
    use_judge(healthy, "floor: 0.5")
    evaluated = Evaluated(healthy, catalogue_answer)
    assert evaluated.record.candidate is None
    assert command(healthy, monkeypatch, str(evaluated.path)) == ExitCode.NOT_MEASURED
    assert "part-class 1.2.0 was not measured: the judge part-judge" in capsys.readouterr().out


def test_a_registered_record_made_anew_is_sealed_again(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = Evaluated(healthy, catalogue_answer)
    details = evaluated.details.read_text(encoding="utf-8")
    apply(healthy.root, promote(healthy.repository, evaluated.record, details, datetime.now(UTC)))
    healthy.write(METADATA, healthy.read(METADATA).replace("margin: 0.5", "margin: 0.6"))
    registry = healthy.read("prompt_registry.yaml")
    path = healthy.path(f"prompts/04-evals/{TASK}/{evaluated.record.version}.json")
    assert command(healthy, monkeypatch, "--write", str(path)) == ExitCode.OK
    assert healthy.read("prompt_registry.yaml") != registry
    _, findings = check(healthy.repository)
    assert [str(finding.problem) for finding in findings] == []
