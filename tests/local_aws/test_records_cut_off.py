"""`make records` after one that was ended halfway, or that an author's push overtook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_aws.executions import Executions
from local_aws.processes import LocalRunError
from local_aws.records_run import REASON, RecordsRun
from local_aws.regression import TASK
from local_aws.stack import STAGE, LocalStack
from local_aws.stack_reader import Json, Observer
from tests.local_aws.checkout import small_stack

SETTINGS = {"prompt-hub": {"branch": "main", "region": "x", "stages": [{"name": STAGE}]}}


class _Told(Observer):
    """Tells of one execution, and of two versions, as a run that was ended has left them."""

    execution = "Succeeded"
    states: dict[str, str]
    reason = REASON

    def running(self, known: set[str]) -> dict[str, str]:
        return {"first": self.execution}

    def version_states(self, task: str) -> dict[str, str]:
        return self.states

    def pointer(self, task: str) -> Json:
        return {"reason": self.reason}


class _Run(RecordsRun):
    """A run whose commands are kept."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack)
        self.told = self.observer = _Told(stack)
        self.commands: list[tuple[str, ...]] = []

    def _hub(self, *words: str) -> str:
        self.commands.append(words)
        return ""


@pytest.fixture
def stack(tmp_path: Path) -> LocalStack:
    """A local stack whose remote has one push, and whose stage answers no files of records."""
    files = {"cdk.json": json.dumps({"context": SETTINGS})}
    stack = small_stack(LocalStack, tmp_path, files)
    stack.make_remote()
    stack.clone(stack.demo)
    stack.push("First")
    return stack


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Of each wait for executions, those that were not waited for."""
    known: list[set[str]] = []

    def await_execution(_: Executions, before: set[str], lines: list[str]) -> str:
        known.append(before)
        return "newest"

    monkeypatch.setattr(Executions, "await_execution", await_execution)
    monkeypatch.setattr(Executions, "require_green", lambda *_, **__: True)
    monkeypatch.setattr(Executions, "note_end", lambda *_: None)
    return known


def in_remote(stack: LocalStack) -> bool:
    return "records" in stack.git("-C", str(stack.remote), "show", "main:cdk.json")


@pytest.mark.parametrize("at", ["commit", "push"])
def test_what_an_ended_run_has_not_pushed_is_pushed(
    stack: LocalStack, waited: list[set[str]], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def cut_off(stack: LocalStack, *arguments: str) -> str:
        if at in arguments:
            raise LocalRunError("rejected: an author was first")
        return git(stack, *arguments)

    git = LocalStack.git
    with monkeypatch.context() as patched:
        patched.setattr(LocalStack, "git", cut_off)
        with pytest.raises(LocalRunError):
            _Run(stack)._switch_on()
    assert not in_remote(stack)

    _Run(stack)._switch_on()

    assert in_remote(stack)
    assert waited == [{"first"}]


def test_the_execution_that_brings_it_is_waited_for(
    stack: LocalStack, waited: list[set[str]]
) -> None:
    _Run(stack)._switch_on()
    again = _Run(stack)
    again.told.execution = "InProgress"

    again._switch_on()

    assert waited == [{"first"}, set()]
    _Run(stack)._switch_on()
    assert len(waited) == 2, "nothing goes on, and nothing is waited for"


@pytest.mark.parametrize(
    ("states", "reason", "brought"),
    [
        ({"1.0.0": "active", "1.1.0": "downgraded"}, REASON, ["1.1.0"]),
        ({"1.0.0": "active", "1.1.0": "downgraded"}, "bad", []),
        ({"1.0.0": "superseded", "1.1.0": "active"}, REASON, []),
    ],
)
def test_a_version_that_an_ended_run_has_taken_back_comes_back(
    stack: LocalStack, states: dict[str, str], reason: str, brought: list[str]
) -> None:
    run = _Run(stack)
    run.told.states, run.told.reason = states, reason

    run._bring_back()

    assert [words[:2] for words in run.commands] == [("ledger", "activate") for _ in brought]
    assert [words[words.index("--to") + 1] for words in run.commands] == brought
    assert all(TASK in words for words in run.commands)
