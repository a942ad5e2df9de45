"""What `make up` says about the rollback: the one who asked is the one whom the ledger names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from local_aws import upgrade
from local_aws.countdown import Countdown
from local_aws.executions import Executions
from local_aws.lifecycle import Lifecycle, stayed_out
from local_aws.processes import LocalRunError
from local_aws.regression import in_order, not_before, told
from local_aws.run_report import Story
from local_aws.stack import LocalStack
from local_aws.stack_reader import Observer
from prompt_hub.core import aws_names
from tests.local_aws.checkout import small_stack
from triggers import Trigger, TriggerKind

if TYPE_CHECKING:
    from mypy_boto3_codepipeline.type_defs import ActionExecutionDetailTypeDef


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (TriggerKind.ROUND, "score watch's round"),
        (TriggerKind.ALARM, "alarm"),
        (TriggerKind.SWEEP, "sweep"),
    ],
)
def test_the_story_names_who_asked_for_the_rollback(kind: TriggerKind, asked: str) -> None:
    trigger = Trigger(kind=kind, task="brand", alarm="prompt-hub-dev-score-brand", at="")
    event = {"kind": "rolled-back", "reason": "it fell", "evidence": trigger.to_evidence()}
    assert told(event) == f"ledger: rolled-back, asked by the {asked}: it fell"


def test_a_local_run_differs_from_aws_in_endpoints_and_one_interval(tmp_path: Path) -> None:
    settings = '{"context": {"prompt-hub": {"region": "us-east-1"}}}'
    (tmp_path / "cdk.json").write_text(settings, encoding="utf-8")

    told_last = LocalStack(tmp_path, tmp_path / "state").overrides

    assert float(told_last[aws_names.ENV_POLL_SECONDS]) < aws_names.POLL_SECONDS
    assert set(told_last) - {aws_names.ENV_POLL_SECONDS} == {
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        aws_names.ENV_MODELS,
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION",
    }


def test_a_step_that_ends_red_on_purpose_is_marked_and_no_other(tmp_path: Path) -> None:
    story = Story("a run", Countdown(tmp_path / "seconds.json"))
    with story.step("before"):
        pass
    with story.step("red"):
        story.expected_red("a candidate was blocked")
    with story.step("after"):
        pass
    story.write(tmp_path / "run.json")
    steps = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["steps"]
    assert [step["status"] for step in steps] == ["ok", "expected-red", "ok"]
    assert [step["note"] for step in steps] == ["", "a candidate was blocked", ""]


def test_the_execution_that_ended_red_on_purpose_says_why(tmp_path: Path) -> None:
    story = Story("a run", Countdown(tmp_path / "seconds.json"))
    story.executions += [{"id": "first"}, {"id": "second"}]
    with story.step("red"):
        story.expected_red("a candidate was blocked")
    assert story.executions == [
        {"id": "first"},
        {"id": "second", "note": "a candidate was blocked"},
    ]


class _Ended(Observer):
    """Tells of an execution with one action, a build or none."""

    build = "prompt-hub-verdict:6f1c"

    def actions(self, execution: str) -> list[ActionExecutionDetailTypeDef]:
        at = datetime(2026, 11, 3, tzinfo=UTC)
        action: ActionExecutionDetailTypeDef = {
            "stageName": "Verdict",
            "actionName": "Verdict",
            "status": "Failed",
            "startTime": at,
            "lastUpdateTime": at + timedelta(seconds=3),
            "input": {
                "actionTypeId": {
                    "category": "Build",
                    "owner": "AWS",
                    "provider": "CodeBuild",
                    "version": "1",
                }
            },
            "output": {"executionResult": {"externalExecutionId": self.build}},
        }
        return [action]

    def status(self, execution: str) -> str:
        return "Failed"


@pytest.mark.parametrize(
    ("build", "log"),
    [
        ("prompt-hub-verdict:6f1c", "cloud/logs/codebuild/prompt-hub-verdict/6f1c.log"),
        ("prompt-hub-verdict:gone", None),
        ("a-change-set", None),
    ],
)
def test_an_action_leads_to_the_log_of_its_build(
    pushed: LocalStack, build: str, log: str | None
) -> None:
    kept = pushed.state / "cloud" / "logs" / "codebuild" / "prompt-hub-verdict" / "6f1c.log"
    kept.parent.mkdir(parents=True)
    kept.write_text("it said", encoding="utf-8")
    observer = _Ended(pushed)
    observer.build = build
    story = Story("a run", Countdown(pushed.state / "seconds.json"))
    Executions(pushed, observer, story).note_end("an execution")
    (execution,) = story.executions
    (action,) = cast("list[dict[str, object]]", execution["actions"])
    assert (action["log"], action["provider"], action["seconds"]) == (log, "CodeBuild", 3.0)


class _Waiting(Observer):
    """Tells of an execution that stands before a stage until a person lets it in."""

    def actions(self, execution: str) -> list[ActionExecutionDetailTypeDef]:
        action: ActionExecutionDetailTypeDef = {
            "actionExecutionId": "1",
            "stageName": "prod",
            "actionName": "Approve",
            "status": "InProgress",
            "startTime": datetime(2026, 11, 3, tzinfo=UTC),
            "input": {
                "actionTypeId": {
                    "category": "Approval",
                    "owner": "AWS",
                    "provider": "Manual",
                    "version": "1",
                }
            },
        }
        return [action]


def test_an_approval_that_waits_is_told_once(pushed: LocalStack) -> None:
    story = Story("a run", Countdown(pushed.state / "seconds.json"))
    executions = Executions(pushed, _Waiting(pushed), story)
    lines: list[str] = []
    shown: set[str] = set()
    for _ in range(2):
        executions._tell_actions("an execution", shown, lines, several=False)
    assert lines == [f"prod / Approve waits for somebody: {pushed.mail} has its token"]


@pytest.mark.parametrize(
    ("alarm", "shown"),
    [
        ("2026-11-03T09:30:05+00:00", "2026-11-03T09:30:05.200Z"),
        ("2026-11-03T09:30:06+00:00", "2026-11-03T09:30:06+00:00"),
        # One that rang long before is another one's.
        ("2026-11-03T09:30:01+00:00", "2026-11-03T09:30:01+00:00"),
    ],
)
def test_no_alarm_stands_before_the_sample_that_rang_it(alarm: str, shown: str) -> None:
    assert not_before(alarm, "2026-11-03T09:30:05.200Z") == shown


def test_a_step_that_breaks_after_it_was_marked_has_failed(tmp_path: Path) -> None:
    story = Story("a run", Countdown(tmp_path / "seconds.json"))

    def break_it() -> None:
        with story.step("red"):
            story.expected_red("a candidate was blocked")
            raise LocalRunError("broken")

    with pytest.raises(LocalRunError):
        break_it()
    story.write(tmp_path / "run.json")
    steps = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["steps"]
    assert [step["status"] for step in steps] == ["failed"]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (
            {"1.0.0": "active", "1.1.0": "quarantined"},
            "brand serves 1.0.0: quarantined and not back: 1.1.0",
        ),
        # A person has activated what was quarantined.
        ({"1.0.0": "active"}, "brand serves 1.0.0; none of its versions is quarantined here"),
    ],
)
def test_what_stays_out_is_what_the_ledger_calls_quarantined(
    states: dict[str, str], said: str
) -> None:
    assert stayed_out("brand", "1.0.0", states) == said


@pytest.fixture
def pushed(tmp_path: Path) -> LocalStack:
    """A local stack whose remote has one push of the lifecycle's author."""
    settings = '{"context": {"prompt-hub": {"region": "us-east-1", "branch": "main"}}}'
    files = {"cdk.json": settings, "brand.yaml": "threshold: 0.7\n"}
    stack = small_stack(LocalStack, tmp_path, files)
    stack.make_remote()
    clone = stack.clone(stack.demo)
    (clone / "brand.yaml").write_text("threshold: 0.8\n", encoding="utf-8")
    stack.push("Raise the threshold")
    return stack


def test_the_lifecycle_leaves_unfinished_work_of_an_author_alone(pushed: LocalStack) -> None:
    author = pushed.clone(pushed.author)
    (author / "notes.txt").write_text("unfinished", encoding="utf-8")
    (author / "brand.yaml").write_text("threshold: 0.8\n# to do\n", encoding="utf-8")

    (pushed.clone(pushed.demo) / "other.yaml").write_text("a: 1\n", encoding="utf-8")
    commit = pushed.push("Look at the metadata again")
    pushed.clone(pushed.author)

    assert commit is not None
    named = pushed.git("-C", str(pushed.remote), "show", "--name-only", "--format=", commit)
    assert named == "other.yaml"
    assert (author / "notes.txt").read_text(encoding="utf-8") == "unfinished"
    assert "# to do" in (author / "brand.yaml").read_text(encoding="utf-8")
    assert (author / "other.yaml").exists(), "the author's clone is up to date"


def test_unfinished_work_that_does_not_fit_what_was_pushed_is_said_and_kept(
    pushed: LocalStack,
) -> None:
    """Git ends with 0 there, and leaves conflict markers behind."""
    author = pushed.clone(pushed.author)
    (author / "brand.yaml").write_text("threshold: 0.9\n", encoding="utf-8")
    (pushed.clone(pushed.demo) / "brand.yaml").write_text("threshold: 0.85\n", encoding="utf-8")
    pushed.push("Another threshold")
    with pytest.raises(LocalRunError, match=r"does not fit what was pushed: .* `git stash list`"):
        pushed.clone(pushed.author)
    assert "threshold: 0.9" in pushed.git("-C", str(author), "stash", "show", "--patch")


class _Pushed(Observer):
    """Tells of executions, the newest of the commit `of`."""

    of = ""
    ended = False

    def executions(self) -> set[str]:
        return {"first", "newest"}

    def running(self, known: set[str]) -> dict[str, str]:
        return {"newest": "Succeeded" if self.ended else "InProgress", "first": "Succeeded"}

    def runs(self, execution: str, commit: str) -> bool:
        return not self.ended and (execution, commit) == ("newest", self.of)


@pytest.mark.parametrize("ended", [False, True])
def test_a_further_push_that_was_interrupted_is_waited_for(pushed: LocalStack, ended: bool) -> None:
    metadata = pushed.demo / "prompts" / "03-metadata" / "part-class.yaml"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("task: part-class\n", encoding="utf-8")
    commit = pushed.push("Look at the metadata again")
    lifecycle = Lifecycle(pushed)
    observer = _Pushed(pushed)
    observer.of, observer.ended = str(commit), ended
    lifecycle.observer = observer

    known = lifecycle.push_again([])

    newest = pushed.git("-C", str(pushed.remote), "rev-parse", "main")
    assert (newest == commit) is not ended
    assert known == ({"first", "newest"} if ended else {"first"})


def test_an_authors_first_push_is_not_rejected(pushed: LocalStack) -> None:
    where = str(pushed.clone(pushed.author))
    (pushed.author / "brand.yaml").write_text("threshold: 0.9\n", encoding="utf-8")
    pushed.git("-C", where, "commit", "--quiet", "--all", "--message", "Mine")
    pushed.git("-C", where, "push", "--quiet", "origin", "main")
    assert pushed.git("-C", str(pushed.remote), "log", "-1", "--format=%s", "main") == "Mine"


def commit_in(stack: LocalStack, name: str, text: str) -> str:
    """Commit a file in the checkout, as a merge of a newer release does; the commit."""
    where = str(stack.root)
    (stack.root / name).write_text(text, encoding="utf-8")
    stack.git("-C", where, "add", "--all")
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    stack.git(*identity, "-C", where, "commit", "--quiet", "--message", "A newer release")
    return stack.git("-C", where, "rev-parse", "HEAD")


def test_a_checkout_that_the_branch_has_all_of_is_not_pushed(pushed: LocalStack) -> None:
    assert upgrade.unreleased(pushed) is None


def test_a_newer_checkout_is_merged_with_what_was_pushed(pushed: LocalStack) -> None:
    newer = commit_in(pushed, "release.txt", "two\n")
    before = pushed.git("-C", str(pushed.demo), "rev-parse", "HEAD")
    assert upgrade.unreleased(pushed) == newer
    assert pushed.git("-C", str(pushed.demo), "rev-parse", "HEAD") == before
    merge = upgrade.push(pushed, newer)
    remote = str(pushed.remote)
    assert pushed.git("-C", remote, "rev-parse", "main") == merge
    assert pushed.git("-C", remote, "show", "main:brand.yaml") == "threshold: 0.8"
    assert pushed.git("-C", remote, "show", "main:release.txt") == "two"
    assert upgrade.unreleased(pushed) is None
    assert pushed.git("-C", str(pushed.root), "rev-parse", "HEAD") == newer


def test_a_first_run_of_before_that_has_no_clone_of_its_own_gets_one(pushed: LocalStack) -> None:
    shutil.rmtree(pushed.demo)
    newer = commit_in(pushed, "release.txt", "two\n")
    assert upgrade.unreleased(pushed) == newer


def test_what_does_not_merge_is_left_to_a_person_and_nothing_is_pushed(
    pushed: LocalStack,
) -> None:
    newer = commit_in(pushed, "brand.yaml", "threshold: 0.9\n")
    remote, demo = str(pushed.remote), str(pushed.demo)
    before = pushed.git("-C", remote, "rev-parse", "main")
    assert upgrade.unreleased(pushed) == newer
    with pytest.raises(LocalRunError) as raised:
        upgrade.push(pushed, newer)
    assert "brand.yaml changed on both sides" in str(raised.value)
    assert "git fetch" in str(raised.value)
    assert pushed.git("-C", remote, "rev-parse", "main") == before
    assert pushed.git("-C", demo, "status", "--porcelain") == ""
    assert upgrade.unreleased(pushed) == newer


def test_a_merge_by_hand_that_was_not_pushed_stays_as_it_was_made(pushed: LocalStack) -> None:
    where = str(pushed.clone(pushed.author))
    commit_in(pushed, "brand.yaml", "threshold: 0.9\n")
    pushed.git("-C", where, "fetch", "--quiet", str(pushed.root), "HEAD")
    merge = ("merge", "--quiet", "--strategy-option=ours", "FETCH_HEAD", "--message", "By hand")
    pushed.git("-C", where, *merge)
    made = pushed.git("-C", where, "rev-parse", "HEAD")
    (pushed.author / "notes.txt").write_text("unfinished", encoding="utf-8")

    pushed.clone(pushed.author)
    assert pushed.git("-C", where, "rev-parse", "HEAD") == made

    # What was pushed since stands in the way: that is said, and nothing is half done.
    (pushed.clone(pushed.demo) / "brand.yaml").write_text("threshold: 0.7\n", encoding="utf-8")
    pushed.push("Lower the threshold")
    (pushed.author / "brand.yaml").write_text("threshold: 0.5\n", encoding="utf-8")
    pushed.git("-C", where, "commit", "--quiet", "--all", "--message", "Mine")
    mine = pushed.git("-C", where, "rev-parse", "HEAD")
    with pytest.raises(LocalRunError, match="pull --quiet"):
        pushed.clone(pushed.author)
    assert pushed.git("-C", where, "rev-parse", "HEAD") == mine
    assert pushed.git("-C", where, "status", "--porcelain") == "?? notes.txt"


def test_a_merge_whose_push_was_refused_is_not_pushed_as_other_commits(pushed: LocalStack) -> None:
    newer = commit_in(pushed, "release.txt", "two\n")
    assert upgrade.unreleased(pushed) == newer
    refuse = pushed.remote / "hooks" / "pre-receive"
    refuse.parent.mkdir(exist_ok=True)
    refuse.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    refuse.chmod(0o755)
    with pytest.raises(LocalRunError, match="hook declined"):
        upgrade.push(pushed, newer)
    refuse.unlink()
    where = str(pushed.clone(pushed.author))
    pushed.git("-C", where, "commit", "--quiet", "--allow-empty", "--message", "Promotion")
    pushed.git("-C", where, "push", "--quiet", "origin", "HEAD:main")
    upgrade.push(pushed, newer)
    subjects = pushed.git("-C", str(pushed.remote), "log", "--format=%s", "main").split("\n")
    assert subjects.count("A newer release") == 1


def test_what_lies_staged_in_the_way_of_a_merge_stays(pushed: LocalStack) -> None:
    newer = commit_in(pushed, "brand.yaml", "threshold: 0.7 # two\n")
    assert upgrade.unreleased(pushed) == newer
    (pushed.demo / "brand.yaml").write_text("threshold: 0.6\n", encoding="utf-8")
    pushed.git("-C", str(pushed.demo), "add", "--all")
    with pytest.raises(LocalRunError, match="merge --quiet"):
        upgrade.push(pushed, newer)
    assert (pushed.demo / "brand.yaml").read_text(encoding="utf-8") == "threshold: 0.6\n"


def test_a_checkout_without_a_common_history_is_told_what_to_do(pushed: LocalStack) -> None:
    commit_in(pushed, "release.txt", "two\n")
    whole, root = pushed.root, pushed.root.with_name("shallow")
    pushed.git("clone", "--quiet", "--depth=1", whole.as_uri(), str(root))
    stack = LocalStack(root, pushed.state)
    newer = str(upgrade.unreleased(stack))
    with pytest.raises(LocalRunError, match="git fetch --unshallow"):
        upgrade.push(stack, newer)
    stack.git("-C", str(root), "fetch", "--quiet", "--unshallow")
    assert upgrade.unreleased(stack) == newer
    upgrade.push(stack, newer)
    assert upgrade.unreleased(stack) is None


def test_a_shell_is_pointed_at_the_local_aws_and_nowhere_else(tmp_path: Path) -> None:
    settings = '{"context": {"prompt-hub": {"region": "us-east-1"}}}'
    (tmp_path / "cdk.json").write_text(settings, encoding="utf-8")
    stack = LocalStack(tmp_path, tmp_path / "it's here")
    stack.state.mkdir()
    stack.shell_file.write_text(stack.shell_lines(), encoding="utf-8")

    printed = subprocess.run(
        ["sh", "-ec", '. "$1"; env; command -v python', "sh", str(stack.shell_file)],
        env={"PATH": os.environ["PATH"], "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "x"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    *lines, python = printed.splitlines()
    values = dict(line.split("=", 1) for line in lines)

    assert values["AWS_ENDPOINT_URL"] == stack.endpoint
    assert values[aws_names.ENV_MODELS] == str(tmp_path / "it's here" / "models.json")
    assert values["AWS_DEFAULT_REGION"] == "us-east-1"
    assert values["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & values.keys()
    assert python == str(Path(sys.executable).parent / "python")


def test_scores_before_and_after_a_rollback_stand_in_one_order() -> None:
    before = in_order({"1.1.0": 0.9, "1.0.0": 0.8}, ("1.1.0", "1.0.0"))
    after = in_order({"1.0.0": 0.8, "1.1.0": 0.2, "0.9.0": 0.1}, ("1.1.0", "1.0.0"))
    assert list(before) == ["1.1.0", "1.0.0"]
    assert list(after) == ["1.1.0", "1.0.0", "0.9.0"]
