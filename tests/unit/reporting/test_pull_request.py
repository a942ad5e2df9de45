"""What is said under a pull request: every task that was evaluated, its cost, its prompt's diff."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.gate.types import Status
from prompt_hub.reporting import words
from prompt_hub.reporting.evaluation import ArmView, EvaluationView
from prompt_hub.reporting.markdown import fenced
from prompt_hub.reporting.prompt_diff import Difference, Run
from prompt_hub.reporting.pull_request import LONGEST_DIFF, pull_request_summary
from prompt_hub.scoring.scorers.injection import InjectionSettings
from tests.unit.reporting.evaluations import Builder, Built, view_of

GITHUBS_LIMIT = 65_536


def remembered(view: EvaluationView) -> EvaluationView:
    record = view.evaluation.record.model_copy(update={"remembered": True})
    return replace(view, evaluation=replace(view.evaluation, record=record))


def test_it_says_verdict_power_cost_and_what_the_prompt_says_now(evaluated: Builder) -> None:
    view = view_of(evaluated())
    message = pull_request_summary([view])
    assert message.startswith("## Prompts\n\n1 task changed. Cost of the model calls: $")
    assert "### ✅ part-fields 1.3.0: PASS" in message
    assert "- power: with these 48 examples a drop of 0.09 would be seen" in message
    places = len(view.changes)
    assert f"<summary>The prompt differs in {places} place" in message
    removed = [run.text for change in view.changes for run in change.runs if run.kind == "removed"]
    assert removed
    assert all(f"[-{text.strip()}" in message for text in removed)


def test_a_remembered_verdict_costs_nothing_and_says_so(evaluated: Builder) -> None:
    message = pull_request_summary([remembered(view_of(evaluated()))])
    assert "Cost of the model calls: $0.00; 1 verdict remembered, without a call." in message
    assert "Remembered: the same inputs were judged before." in message


def test_a_model_without_a_price_is_no_cost_of_nothing(evaluated: Builder) -> None:
    unpriced, priced = view_of(evaluated(priced=False)), view_of(evaluated())
    assert "Cost of the model calls: unknown." in pull_request_summary([unpriced])
    both = pull_request_summary([unpriced, priced])
    assert "2 tasks changed" in both
    assert ", and that of models without a price." in both


def without_answers(view: EvaluationView, *, champion: ArmView | None) -> EvaluationView:
    """A view whose candidate answered nothing."""
    assert view.candidate is not None
    nothing = {"usd": None, "tokens_in": 0, "tokens_out": 0}
    silent = replace(view.candidate, arm=view.candidate.arm.model_copy(update=nothing))
    return replace(view, candidate=silent, champion=champion)


def test_a_model_that_gave_no_answer_is_no_model_without_a_price(evaluated: Builder) -> None:
    view = view_of(evaluated())
    assert view.champion is not None
    message = pull_request_summary([without_answers(view, champion=view.champion)])
    known = words.money(view.champion.arm.usd)
    assert f"1 task changed. Cost of the model calls: {known}.\n" in message
    message = pull_request_summary([without_answers(view, champion=None)])
    assert "1 task changed. Cost of the model calls: $0.00.\n" in message


def test_what_was_asked_once_for_every_round_is_paid_once(evaluated: Builder) -> None:
    view = view_of(evaluated())
    assert view.champion is not None
    once = {"usd": 0.9, "repeats": 3, "parameters": {"temperature": 0}}
    greedy = replace(view.champion, arm=view.champion.arm.model_copy(update=once))
    message = pull_request_summary([without_answers(view, champion=greedy)])
    assert "1 task changed. Cost of the model calls: $0.30.\n" in message
    assert " × 3 | $0.30 |" in message


def test_what_is_left_of_an_evaluation_whose_judge_failed_was_not_free(evaluated: Builder) -> None:
    view = without_answers(view_of(evaluated(judged=True)), champion=None)
    assert "1 task changed. Cost of the model calls: unknown.\n" in pull_request_summary([view])


def test_what_judges_and_attacks_cost_is_said_to_be_left_out(evaluated: Builder) -> None:
    left_out = ", and that of judges and attacks, which no record counts"
    plain, judged = view_of(evaluated()), view_of(evaluated(judged=True))
    assert left_out not in pull_request_summary([plain])
    assert f"{left_out}." in pull_request_summary([plain, judged])
    assert plain.metadata is not None
    injection = InjectionSettings(type="injection", fields=("title",))
    scorers = (*plain.metadata.scorers, injection)
    attacked = replace(plain, metadata=plain.metadata.model_copy(update={"scorers": scorers}))
    assert f"{left_out}." in pull_request_summary([attacked])
    assert left_out not in pull_request_summary([remembered(judged)])


def test_nothing_evaluated_is_a_sentence() -> None:
    message = pull_request_summary([])
    assert message == "## Prompts\n\nNo task was evaluated: none has changed.\n"


def test_an_evaluation_that_broke_off_does_not_say_that_nothing_has_changed(
    evaluated: Builder,
) -> None:
    told = "The evaluation broke off"
    assert pull_request_summary([], broken_off=True).startswith(f"## Prompts\n\n{told}")
    view = view_of(evaluated())
    message = pull_request_summary([view], broken_off=True)
    assert told in message
    assert message.replace(message.split("\n\n")[1] + "\n\n", "", 1) == pull_request_summary([view])


def test_it_fits_into_a_comment_and_loses_no_verdict(evaluated: Builder) -> None:
    view = view_of(evaluated())
    runs = (Run("removed", "old " * LONGEST_DIFF), Run("added", "new " * LONGEST_DIFF))
    long = replace(view, changes=(Difference("messages[0]", runs),))
    message = pull_request_summary([long] * 50)
    assert len(message) < GITHUBS_LIMIT - 20_000, "permissions stand beside it"
    shown = message.count("### ✅ part-fields 1.3.0")
    assert 0 < shown < 50
    assert message.count("- part-fields 1.3.0: PASS") == 50 - shown
    assert "… (prompt-hub diff shows the rest)" in message


def test_a_thousand_verdicts_fit_too_and_those_that_block_are_named(evaluated: Builder) -> None:
    passed = view_of(evaluated())
    record = passed.evaluation.record
    verdict = record.verdict.model_copy(update={"status": Status.BLOCK})
    blocking = record.model_copy(update={"version": "9.9.9", "verdict": verdict})
    blocked = replace(passed, evaluation=replace(passed.evaluation, record=blocking))
    message = pull_request_summary([*([passed] * 1000), blocked])
    assert len(message) < GITHUBS_LIMIT - 20_000
    assert "- part-fields 9.9.9: BLOCK\n" in message
    named = message.count("part-fields 1.3.0: PASS")
    assert f"- … and {1000 - named} more: {1000 - named} PASS\n" in message


def test_a_prompt_cannot_end_the_block_that_shows_it() -> None:
    assert fenced("a\n````\n# b", "diff") == ["`````diff", "a", "````", "# b", "`````"]


def test_the_command_tells_of_this_execution_alone(
    here: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "comment.md"
    assert main(["report", "pull-request", "--markdown", str(file)]) == ExitCode.OK
    assert "### ✅ part-fields 1.3.0: PASS" in file.read_text(encoding="utf-8")
    capsys.readouterr()
    monkeypatch.setenv(aws_names.ENV_EXECUTION, "another")
    assert main(["report", "pull-request"]) == ExitCode.OK
    assert capsys.readouterr().out == pull_request_summary([])
