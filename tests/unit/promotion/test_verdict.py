"""What people hear of an execution that refused something, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.gate.types import Status
from prompt_hub.promotion.promoter import Outcome, Promotion, TaskOutcome
from tests.unit.building import RepositoryFolder

TOPIC = "arn:aws:sns:eu-central-1:000000000000:prompt-hub-failures"


class Topic:
    """SNS that keeps what is published, or that is away."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.away = False

    def publish(self, **message: str) -> None:
        if self.away:
            raise ConnectionError("no route to SNS")
        self.published.append(message)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch, healthy: RepositoryFolder) -> Topic:
    made = Topic()
    monkeypatch.setattr(boto3, "client", {"sns": made}.__getitem__)
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    monkeypatch.setenv(aws_names.ENV_TOPIC_ARN, TOPIC)
    for name in (aws_names.ENV_RESULTS_BUCKET, aws_names.ENV_PROMOTION_BRANCH):
        monkeypatch.delenv(name, raising=False)
    return made


def promoted(root: Path, **outcomes: TaskOutcome) -> None:
    promotion = Promotion(
        schema_="prompt-hub/promotion@1",
        execution="exec-1",
        commit="source",
        released_commit="released",
        tasks=outcomes,
        at=datetime(2026, 11, 3, 10, tzinfo=UTC),
    )
    results = FolderResults(root / ".prompt-hub" / "results")
    results.put(aws_names.promotion_key("exec-1"), promotion.model_dump_json(by_alias=True))


def outcome(
    outcome: Outcome, status: Status = Status.BLOCK, *, remembered: bool = False
) -> TaskOutcome:
    return TaskOutcome(
        outcome=outcome,
        version="1.1.0",
        status=status,
        remembered=remembered,
        reasons=("0.412 is below 0.700",),
    )


def verdict(*words: str) -> int:
    return main(["verdict", "--execution", "exec-1", *words])


def test_people_hear_at_once_and_the_release_goes_on(
    topic: Topic, healthy: RepositoryFolder
) -> None:
    promoted(healthy.root, brand=outcome("refused"), maker=outcome("promoted", Status.PASS))
    assert verdict("--tell") == 0
    (message,) = topic.published
    assert (message["TopicArn"], message["Subject"]) == (TOPIC, "prompt-hub: 1 blocked")
    assert "Execution exec-1 of prompt-hub did not release:" in message["Message"]
    assert "brand 1.1.0: refused, BLOCK: 0.412 is below 0.700" in message["Message"]
    assert "maker" not in message["Message"]
    # The last action still ends red, and tells nobody twice.
    assert verdict() == 1
    assert len(topic.published) == 1


def test_nobody_is_told_of_what_was_known_before(topic: Topic, healthy: RepositoryFolder) -> None:
    promoted(
        healthy.root,
        brand=outcome("refused", remembered=True),
        maker=outcome("promoted", Status.PASS),
    )
    assert verdict("--tell") == 0
    assert topic.published == []


def test_who_changed_it_is_named_with_the_commands_that_show_why(
    topic: Topic, healthy: RepositoryFolder
) -> None:
    ada = {"author": "Ada Lovelace <ada@example.com>", "champion": "1.0.0"}
    promoted(healthy.root, brand=outcome("refused").model_copy(update=ada))
    assert verdict("--tell") == 0
    (message,) = topic.published
    assert message["Subject"] == "prompt-hub: 1 blocked"
    assert "changed by Ada Lovelace <ada@example.com>" in message["Message"]
    assert "prompt-hub diff brand 1.0.0 candidate" in message["Message"]
    assert "prompt-hub report evaluation brand 1.1.0 --html brand.html" in message["Message"]


def test_the_record_of_a_refusal_comes_with_the_merge_where_promotion_waits_for_one(
    topic: Topic, healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(healthy.root, brand=outcome("refused"))
    assert verdict("--tell") == 0
    monkeypatch.setenv(aws_names.ENV_PROMOTION_BRANCH, aws_names.PROMOTION_BRANCH)
    assert verdict("--tell") == 0
    at_once, later = (message["Message"] for message in topic.published)
    assert "  in a clone, after `git pull`:\n" in at_once
    assert "  in a clone, when prompt-hub/promotion is merged, after `git pull`:\n" in later


@pytest.mark.parametrize(
    ("ending", "champion"),
    [("refused", "1.1.0"), ("champion changed", "1.0.0"), ("not allowed", "1.0.0")],
)
def test_no_command_shows_a_record_that_git_does_not_get(
    topic: Topic, healthy: RepositoryFolder, ending: Outcome, champion: str
) -> None:
    """A champion that falls short on another model keeps the record that says PASS."""
    ended = outcome(ending).model_copy(update={"champion": champion, "author": "Ada"})
    promoted(healthy.root, brand=ended)
    assert verdict("--tell") == 0
    (message,) = topic.published
    assert "changed by Ada" in message["Message"]
    assert "in a clone" not in message["Message"]
    assert "prompt-hub report" not in message["Message"]
    assert "prompt-hub diff" not in message["Message"]


def test_a_message_that_is_too_long_says_so_and_ends_as_ever(
    topic: Topic, healthy: RepositoryFolder
) -> None:
    many = {f"task-{number}": outcome("refused") for number in range(500)}
    promoted(healthy.root, **many)
    assert verdict("--tell") == 0
    (message,) = topic.published
    lines = message["Message"].splitlines()
    assert len(message["Message"].encode()) < 64 * 1024
    assert lines[-1].startswith("Everything else goes on through the stages")
    assert lines[-3] == "… and more, for which a mail has no room."
    assert lines[-4].startswith(("task-", "  "))


@pytest.mark.parametrize("missing", ["topic", "service"])
def test_where_nobody_can_be_told_the_release_goes_on_all_the_same(
    topic: Topic,
    healthy: RepositoryFolder,
    missing: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    promoted(healthy.root, brand=outcome("refused"))
    topic.away = True
    if missing == "topic":
        monkeypatch.delenv(aws_names.ENV_TOPIC_ARN)
    assert verdict("--tell") == 0
    assert "nobody was told" in capsys.readouterr().out


def test_what_was_refused_is_a_line_for_the_pipelines_own_page(
    topic: Topic, healthy: RepositoryFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(healthy.root, brand=outcome("refused"), maker=outcome("promoted", Status.PASS))
    line = tmp_path / "notes" / "blocked"
    assert verdict("--tell", "--summary", str(line)) == 0
    assert line.read_text(encoding="utf-8") == "brand 1.1.0: refused, BLOCK"
    promoted(healthy.root, maker=outcome("promoted", Status.PASS))
    assert verdict("--tell", "--summary", str(line)) == 0
    assert line.read_text(encoding="utf-8") == "nothing"


def test_the_page_of_a_blocked_prompt_is_named_where_there_is_a_bucket(
    topic: Topic, healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(healthy.root, brand=outcome("refused"))
    results = FolderResults(healthy.root / ".prompt-hub" / "results")
    monkeypatch.setattr("prompt_hub.cli.verdict.results_from_environment", lambda _: results)
    monkeypatch.setenv(aws_names.ENV_RESULTS_BUCKET, "kept")
    assert verdict("--tell") == 0
    (message,) = topic.published
    assert "the page of every example (kept of 20,000 at most):" in message["Message"]
    assert "aws s3 cp s3://kept/evaluations/exec-1/brand.html brand.html" in message["Message"]
