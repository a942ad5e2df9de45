"""`make up` again: what it may find of an author's own pushes, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_aws.executions import Executions
from local_aws.lifecycle import TASK, Lifecycle
from local_aws.processes import LocalRunError
from local_aws.stack import LocalStack
from local_aws.stack_reader import Observer


class _Told(Observer):
    """Tells what the push came to: one task, a candidate of it, judged by so many calls."""

    calls = 0
    known: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset({"first"})
    serves = "1.0.0"

    def await_service(self) -> None:
        return

    def executions(self) -> set[str]:
        return set(self.before)

    def remembered(self) -> set[str]:
        return set(self.known)

    def version_states(self, task: str) -> dict[str, str]:
        return {"1.0.0": "active", "1.1.0": "quarantined"}

    def task_names(self) -> list[str]:
        return [TASK]

    def tasks(self) -> dict[str, dict[str, object]]:
        return {TASK: {"version": self.serves}}

    def record(self, execution: str, task: str) -> dict[str, object]:
        return {
            "version": "1.2.0",
            "digest": "ab12",
            "remembered": not self.calls,
            "candidate": {"n": self.calls, "version": "1.2.0", "model": "m", "score": 0.75},
            "champion": None,
            "verdict": {"status": "BLOCK"},
            "threshold": 0.8,
            "baseline": None,
        }


class _Blocked(Executions):
    """Each execution has ended, with nothing red in it but the verdict."""

    def await_execution(self, known: set[str], lines: list[str]) -> str:
        return "newest"

    def require_green(self, execution: str, *, or_blocked: bool = False) -> bool:
        if not or_blocked:
            raise LocalRunError("the action Verdict / Verdict failed")
        return False

    def _evaluation_page(self, execution: str, task: str) -> str:
        return f"evaluation-{task}.html"


class _Again(Lifecycle):
    """A lifecycle that has been told already; `told` is what its observer says."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        self.told = _Told(stack)
        self.observer = self.told
        self.executions = _Blocked(stack, self.told, self.story)

    def push_again(self, lines: list[str]) -> set[str]:
        return {"first"}


@pytest.fixture
def again(tmp_path: Path) -> _Again:
    settings = '{"context": {"prompt-hub": {"region": "us-east-1", "branch": "main"}}}'
    (tmp_path / "cdk.json").write_text(settings, encoding="utf-8")
    return _Again(LocalStack(tmp_path, tmp_path))


def test_it_judges_what_an_author_pushed_while_nothing_ran(
    again: _Again, capsys: pytest.CaptureFixture[str]
) -> None:
    again.told.calls = 48
    again._further_push()
    said = capsys.readouterr().out
    assert f"{TASK} 1.2.0: BLOCK, 48 model calls" in said
    # Where a judge or a function of one's own scores, nobody knows what a constant answer would.
    assert "score 0.750 · threshold 0.800 · released none not measured · majority guess unk" in said


def test_it_pays_for_no_verdict_that_was_remembered(again: _Again) -> None:
    again.told.known = frozenset({"ab12"})
    again._further_push()
    again.told.calls = 48
    with pytest.raises(LocalRunError, match="evaluated again with unchanged inputs"):
        again._further_push()


def test_an_execution_that_was_under_way_has_paid_for_what_it_remembers_itself(
    again: _Again,
) -> None:
    again.told.known = frozenset({"ab12"})
    again.told.before = frozenset({"first", "newest"})
    again.told.calls = 48
    again._further_push()


def test_it_may_move_a_task_and_not_to_what_was_quarantined(again: _Again) -> None:
    again.told.serves = "1.2.0"
    again._further_push()
    again.told.serves = "1.1.0"
    with pytest.raises(LocalRunError, match=r"serves 1\.1\.0 again, which was quarantined"):
        again._further_push()


def test_of_a_set_that_lies_in_s3_there_is_nothing_to_ask_the_service_about(tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_text('{"context": {"prompt-hub": {}}}', encoding="utf-8")
    examples = tmp_path / "prompts" / "01-examples" / "mine.jsonl"
    examples.parent.mkdir(parents=True)
    examples.write_text('{"schema": "prompt-hub/examples@1", "uri": "s3://a/b"}\n', "utf-8")
    with pytest.raises(LocalRunError, match=r"mine\.jsonl has no scored example to ask about"):
        Observer(LocalStack(tmp_path, tmp_path / "state")).ask("mine")
