"""Details that are too large for git: a line names them, and they are read answer by answer."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from prompt_hub.cli import replay as replay_command
from prompt_hub.cli import report
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.slots import Slots
from prompt_hub.evaluation import large_details
from prompt_hub.evaluation.large_details import LargeDetails, large_details_in
from prompt_hub.evaluation.record import RESTORE
from prompt_hub.evaluation.replay import ReplayError, replay
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.store import Evaluation, evaluation_by
from prompt_hub.promotion import transitions
from prompt_hub.promotion.states import NotAllowedError
from prompt_hub.reporting.attempts import Attempt, in_words
from prompt_hub.reporting.diff import compare
from prompt_hub.reporting.evaluation import read_view
from prompt_hub.reporting.formats import report_formats
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository import examples as example_files
from prompt_hub.repository import many_examples
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.many_examples import pick
from prompt_hub.repository.schema import Example
from prompt_hub.scoring import tally
from prompt_hub.scoring.tally import Tally
from tests.unit.building import COMMIT, MADE_AT, RepositoryFolder, catalogue_answer
from tests.unit.providers import FunctionProvider

TASK = "part-class"


def evaluate(folder: RepositoryFolder, execution: str) -> Evaluation:
    results = FolderResults(folder.root / ".prompt-hub/results")
    evaluator = Evaluator(
        folder.repository,
        FunctionProvider(catalogue_answer).caller(),
        results,
        execution=execution,
        commit=COMMIT,
        say=lambda line: None,
    )
    asyncio.run(evaluator.evaluate(TASK))
    found = evaluation_by(results, execution, TASK)
    assert found is not None
    return found


@pytest.fixture
def small(healthy: RepositoryFolder) -> Evaluation:
    """An evaluation whose details lie beside its record."""
    return evaluate(healthy, "small")


@pytest.fixture
def large(
    small: Evaluation, healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> Evaluation:
    """The same, measured again, with details that are too large."""
    monkeypatch.setattr(large_details, "MAX_GROWING_BYTES", 100)
    monkeypatch.setattr(example_files, "FEW", 0)
    results = FolderResults(healthy.root / ".prompt-hub/results")
    for key in (aws_names.verdict_key, aws_names.verdict_details_key):
        (healthy.root / ".prompt-hub/results" / key(small.record.digest)).unlink()
        assert results.get(key(small.record.digest)) is None
    return evaluate(healthy, "large")


def named(large: Evaluation) -> LargeDetails:
    assert large.large is not None
    return large.large


def kept(folder: RepositoryFolder, large: Evaluation) -> Path:
    return folder.root / ".prompt-hub/results" / named(large).uri


def test_a_line_stands_for_details_that_lie_under_their_hash_once(
    healthy: RepositoryFolder, small: Evaluation, large: Evaluation
) -> None:
    reference = named(large)
    lines = kept(healthy, large).read_text(encoding="utf-8").splitlines()
    assert reference.uri == aws_names.details_key(reference.sha256)
    assert (reference.count, reference.size) == (len(lines), kept(healthy, large).stat().st_size)
    assert [json.loads(line)["id"] for line in lines] == [
        json.loads(line)["id"] for line in small.details_text.splitlines()
    ]
    assert large.details_text == reference.line()
    again = evaluate(healthy, "again")
    assert again.record.remembered
    assert again.details_text == large.details_text


NAMED = "0123456789abcdef" * 4
LINE = LargeDetails(
    schema_="prompt-hub/details@1",
    uri=f"s3://results/{aws_names.details_key(NAMED)}",
    sha256=NAMED,
    size=60_000_000,
    count=7,
).line()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LINE[:-60], "1.0.0.jsonl:1:"),
        (LINE[:40], "1.0.0.jsonl:1:"),
        (LINE + LINE, "1.0.0.jsonl:2:1: found more"),
        (LINE.replace(f'"sha256":"{NAMED}"', f'"sha256":"{NAMED[::-1]}"'), "a name that is its"),
        (LINE.replace('"count":7', '"count":7,"count":8'), "count"),
        (LINE.replace("60000000", "NaN"), "NaN"),
    ],
)
def test_a_line_that_is_torn_or_contradicts_itself_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidDocumentsError, match=said) as caught:
        large_details_in(text, "1.0.0.jsonl")
    assert caught.value.hint == RESTORE


def test_a_record_is_made_again_from_answers_that_are_read_one_by_one(
    healthy: RepositoryFolder, large: Evaluation
) -> None:
    replayed = replay(healthy.repository, large)
    assert replayed.record.to_json() == large.text
    assert replayed.details == kept(healthy, large).read_text(encoding="utf-8")


def test_what_is_not_what_the_line_names_is_refused(
    healthy: RepositoryFolder, large: Evaluation
) -> None:
    file = kept(healthy, large)
    file.write_text(file.read_text(encoding="utf-8").replace("0.0", "0.1"), encoding="utf-8")
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(InvalidDocumentsError, match=f"{named(large).uri}.* sha256: ") as changed:
        replay(healthy.repository, large)
    assert changed.value.hint is not None
    assert "part-class.json lie nowhere else" in changed.value.hint
    file.unlink()
    with pytest.raises(PromptHubError, match="lie on the machine that measured them") as caught:
        replay(healthy.repository, large)
    assert caught.value.exit_code == ExitCode.NOT_MEASURED


@pytest.mark.parametrize(("change", "said"), [(1, "there is no answer"), (-1, "1 answer more")])
def test_answers_that_are_missing_or_too_many_are_told(
    healthy: RepositoryFolder, large: Evaluation, change: int, said: str
) -> None:
    lines = kept(healthy, large).read_text(encoding="utf-8").splitlines(keepends=True)
    more = [lines[0].replace('"id":"', '"id":"another-')]
    monkey = [*lines[1:]] if change > 0 else [*lines, *more]
    results = FolderResults(healthy.root / ".prompt-hub/results")
    large_details.put_details(results, ["x.jsonl"], (line.rstrip("\n") for line in monkey))
    text = results.get("x.jsonl")
    assert text is not None
    with pytest.raises(ReplayError, match=said):
        replay(healthy.repository, replace(large, large=large_details_in(text, "x.jsonl")))


def test_git_takes_the_line_of_answers_that_others_can_read(
    healthy: RepositoryFolder, large: Evaluation
) -> None:
    with pytest.raises(NotAllowedError, match=r"too large for git .* lie on this machine alone"):
        transitions.promote(healthy.repository, large.record, large.details_text, MADE_AT)
    uri = f"s3://results/{named(large).uri}"
    line = named(large).model_copy(update={"uri": uri}).line()
    changes = transitions.promote(healthy.repository, large.record, line, MADE_AT)
    version = large.record.version
    assert changes[f"prompts/04-evals/{TASK}/{version}.jsonl"] == line


def test_reports_say_what_they_leave_out(healthy: RepositoryFolder, large: Evaluation) -> None:
    results = FolderResults(healthy.root / ".prompt-hub/results")
    view = read_view(Evaluations(healthy.repository, results, "large"), large)
    left_out = "answers are too many to be shown: examples, losses and how calls are spread are"
    for name in ("html", "markdown"):
        text = report_formats()[name].render(view)
        assert left_out in text
        assert named(large).uri in text
        # What nobody has counted is not said to be nothing.
        assert "No example scores otherwise" not in text
        assert "0 won, 0 lost" not in text
    # And what the record sums up is there all the same.
    assert "tokens sent" in report_formats()["html"].render(view)


def test_versions_are_not_said_to_be_alike_where_no_answers_are_compared(
    healthy: RepositoryFolder, large: Evaluation
) -> None:
    results = FolderResults(healthy.root / ".prompt-hub/results")
    evaluations = Evaluations(healthy.repository, results, "large")
    found = compare(evaluations, TASK, "champion", "candidate")
    assert found.examples == ()
    assert found.notes == (f"{large.name}: its answers are too many to be compared one by one.",)


def test_of_a_large_set_a_report_reads_what_was_asked(
    healthy: RepositoryFolder, small: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = FolderResults(healthy.root / ".prompt-hub/results")
    evaluations = Evaluations(healthy.repository, results, "small")
    whole = read_view(evaluations, small)
    assert small.record.candidate is not None
    assert len(whole.examples) == small.record.candidate.n
    monkeypatch.setattr(example_files, "FEW", 0)
    kept = set[str]()

    def few(examples: Sequence[Example], places: Iterable[int]) -> Sequence[Example]:
        found = pick(examples, places)
        kept.update(example.id for example in found)
        return found

    monkeypatch.setattr(many_examples, "pick", few)
    asked = {result.id for result in small.details["candidate"][:5]}
    some = {arm: tuple(r for r in found if r.id in asked) for arm, found in small.details.items()}
    view = read_view(evaluations, replace(small, details=some))
    assert kept == asked
    assert view.examples == tuple(each for each in whole.examples if each.id in asked)


@pytest.mark.processes
def test_a_junit_file_of_them_is_refused(
    healthy: RepositoryFolder,
    large: Evaluation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    monkeypatch.setenv(aws_names.ENV_EXECUTION, "large")
    parser = argparse.ArgumentParser()
    report.configure(parser)
    target = tmp_path / "junit.xml"
    with pytest.raises(PromptHubError, match="too many for a JUnit file"):
        report.run(parser.parse_args(["evaluation", TASK, "--junit", str(target)]))
    assert not target.exists()


def test_they_are_not_written_anew(
    healthy: RepositoryFolder,
    large: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    parser = argparse.ArgumentParser()
    replay_command.configure(parser)
    record = healthy.root / ".prompt-hub/results" / large.name
    assert replay_command.run(parser.parse_args([str(record)])) == ExitCode.OK
    assert replay_command.run(parser.parse_args(["--write", str(record)])) == ExitCode.BLOCKED
    assert f"its answers lie at {named(large).uri}" in capsys.readouterr().out


def test_what_cannot_be_read_now_holds_up_no_other_record(
    healthy: RepositoryFolder,
    small: Evaluation,
    large: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A record is not said to be different because its answers cannot be fetched."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    results = healthy.root / ".prompt-hub/results"
    command = ["replay", *(str(results / each.name) for each in (large, small))]
    assert main(command) == ExitCode.OK
    kept(healthy, large).unlink()
    capsys.readouterr()
    assert main(command) == ExitCode.NOT_MEASURED
    said = capsys.readouterr().out
    assert f"{large.name}: not looked at" in said
    assert "its answers lie on the machine that measured them" in said
    assert "Replay it there, or evaluate again" in said
    assert "small/part-class.json: part-class 1.2.0 PASS, the same, byte for byte" in said
    assert said.endswith("1 of 2 records could not be looked at\n")
    assert main([*command, "--json"]) == ExitCode.NOT_MEASURED
    listed = json.loads(capsys.readouterr().out)
    assert [entry["same"] for entry in listed] == [None, True]
    assert "lie on the machine that measured" in listed[0]["unread"]
    healthy.write(f".prompt-hub/results/{small.name}", small.text.replace('"n":', '"m":'))
    assert main(command) == ExitCode.BLOCKED, "a record that differs is known to"


def test_answers_that_are_others_than_the_line_names_hold_up_no_other_record(
    healthy: RepositoryFolder,
    small: Evaluation,
    large: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    with kept(healthy, large).open("a", encoding="utf-8") as answers:
        answers.write("\n")
    results = healthy.root / ".prompt-hub/results"
    assert (
        main(["replay", *(str(results / each.name) for each in (large, small))]) == ExitCode.BLOCKED
    )
    said = capsys.readouterr().out
    assert f"{large.name}: cannot be made again" in said
    assert "the same, byte for byte" in said


def test_the_history_says_where_answers_lie_that_are_too_large_for_it(
    healthy: RepositoryFolder,
    large: Evaluation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    healthy.write("prompts/00-templates/catalogue-role.txt", "Second try.\n")
    second = evaluate(healthy, "second")
    assert main(["history", TASK]) == ExitCode.OK
    *_, why, where = capsys.readouterr().out.splitlines()
    count = named(second).count
    assert why == (
        f"  won and lost are not listed: {count} answers are too large for git and for this list"
    )
    assert where == (
        f"  they lie on the machine that measured: .prompt-hub/results/{named(second).uri}"
    )
    assert main(["history", TASK, "--json"]) == ExitCode.OK
    listed = json.loads(capsys.readouterr().out)
    assert listed[0]["large_answers"] is None, "the first attempt is held against none"
    assert listed[-1]["large_answers"] == named(second).uri


def test_the_history_says_how_answers_in_s3_are_fetched(large: Evaluation) -> None:
    shared = named(large).model_copy(update={"uri": f"s3://results/{named(large).uri}"})
    *_, where = in_words([Attempt(large.record, (), (), shared)])
    assert where == f"  they lie in S3: aws s3 cp {shared.uri} ."


@pytest.mark.parametrize("few", [0, 3])
def test_a_tally_sums_up_what_a_dict_does(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MANY", few)
    found, sums = Tally(), dict[object, float]()
    for number in range(1000):
        key, weight = (number * 7919 % 123, "x"), 0.1 * (1 + number % 3)
        found.add(key, weight)
        sums[key] = sums.get(key, 0.0) + weight
    assert {key: found[key] for key in sums} == sums
    assert found["never"] == 0.0


def test_slots_know_what_a_dict_knows() -> None:
    slots, known = Slots(), dict[int, float]()
    for number in range(2000):
        key = hash(("x", number % 700)) if number % 2 else number % 64 << 32
        slots[key] = known[key] = number + 1.0
    assert {key: slots[key] for key in known} == known
    assert len(slots) == len(known)
    assert slots[-5] == 0
