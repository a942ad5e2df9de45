"""Moves of a stage by hand: seen before they are made, and waited for until they are served."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from prompt_hub.cli.ledger_moves import WAIT_SECONDS, await_served
from prompt_hub.cli.main import main
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.items import Deployed, ReleaseRef, ScoreSample, VersionRef
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.release.service_client import Client, Response, UnreachableServiceError
from tests.unit.ledger.fake_dynamodb import FakeLedger

TASK = "part-class"
OLD, NEW = (VersionRef(version=number, sha256=number) for number in ("1.0.0", "1.1.0"))
BY_ADA = ("--person", "Ada Lovelace", "--reason", "example 17 was labelled wrong")


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> FakeLedger:
    """A stage in which 1.1.0 was rolled back to 1.0.0."""
    made, release = FakeLedger(), ReleaseRef(release="exec-1", made_at="2026-11-03")
    first = Cause(by="pipeline", reason="first", at=release.made_at)
    made.seed(TASK, NEW, previous=OLD, release=release, cause=first)
    carried = {TASK: {each.version: each.sha256 for each in (OLD, NEW)}}
    made.deploy(
        Deployed(release=release, commit="c0ffee", carries=carried, at=first.at), by="pipeline"
    )
    sample = ScoreSample(
        task=TASK,
        version=NEW.version,
        score=0.25,
        threshold=0.85,
        n=48,
        interval=(0.1, 0.4),
        evaluation="samples/1",
        at="2026-11-03T10:00:00Z",
    )
    made.add_samples([sample])
    pointer = made.pointer(TASK)
    assert pointer is not None
    fallen = Cause(by="rollback (dev)", reason="it fell below its threshold", at="2026-11-03")
    made.roll_back(TASK, seen=pointer.revision, cause=fallen)
    monkeypatch.setattr(Ledger, "connect", lambda table, **_: made)
    return made


def command(*words: str) -> int:
    return main(["ledger", *words, "--stage", "dev", *BY_ADA])


def test_a_move_says_states_and_scores_before_it_is_made(
    ledger: FakeLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("activate", TASK, "--to", "1.1.0", "--no-watch") == ExitCode.OK
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "part-class: 1.0.0 -> 1.1.0"
    assert lines[1].startswith("1.0.0      active by rollback (dev)")
    assert lines[2] == "never measured here"
    assert lines[3] == ("1.1.0      quarantined by rollback (dev): it fell below its threshold")
    assert lines[4] == ("last score 0.250 of 0.850 at 2026-11-03T10:00:00Z, BELOW its threshold")
    assert lines[5].startswith("part-class: activated 1.0.0 -> 1.1.0 by Ada Lovelace")


def test_a_move_is_newer_than_what_it_answers_whatever_the_clock_of_this_machine_says(
    ledger: FakeLedger,
) -> None:
    """Git takes the newer word of two: an undo that seemed the older one never got there."""
    pointer = ledger.pointer(TASK)
    assert pointer is not None
    ahead = Cause(by="rollback (dev)", reason="both fell", at="2999-12-31T23:59:59.999999Z")
    ledger.freeze(TASK, seen=pointer.revision, cause=ahead)
    assert command("activate", TASK, "--to", "1.1.0", "--no-watch") == ExitCode.OK
    moved = ledger.pointer(TASK)
    assert moved is not None
    assert moved.at == ledger.versions(TASK)["1.1.0"].at == "3000-01-01T00:00:00.000000Z"


def test_a_dry_run_says_it_all_and_changes_nothing(
    ledger: FakeLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ledger.revision()
    assert command("activate", TASK, "--to", "1.1.0", "--dry-run") == ExitCode.OK
    out = capsys.readouterr().out
    assert "quarantined by rollback (dev)" in out
    assert out.endswith("it would be done; nothing was changed (--dry-run)\n")
    # What the ledger would refuse, a dry run refuses, too.
    assert command("downgrade", TASK, "--to", "1.1.0", "--dry-run") == ExitCode.BLOCKED
    assert "refused: " in capsys.readouterr().err
    assert ledger.revision() == before


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_downgrade_to_what_was_taken_out_says_what_brings_it_back(
    ledger: FakeLedger, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert command("downgrade", TASK, "--to", "1.1.0", *options) == ExitCode.BLOCKED
    told = capsys.readouterr().err
    assert "refused: version 1.1.0 of part-class is quarantined since" in told
    assert "prompt-hub ledger activate part-class --stage dev --to 1.1.0 --person" in told


def test_what_was_taken_out_of_a_task_that_is_retired_comes_back_by_hand_and_nothing_else(
    ledger: FakeLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release leaves it alone and says that it takes a named override: this is the one."""
    pointer = ledger.pointer(TASK)
    assert pointer is not None
    archived = Cause(by="pipeline", reason="release exec-2", at="2026-11-04")
    ledger.retire(TASK, seen=pointer.revision, release=pointer.release, cause=archived)

    assert command("activate", TASK, "--to", "1.0.0") == ExitCode.BLOCKED
    assert command("downgrade", TASK, "--to", "1.1.0") == ExitCode.BLOCKED
    assert command("freeze", TASK) == ExitCode.BLOCKED
    assert "no version of part-class is active in dev." in capsys.readouterr().err
    assert command("activate", TASK, "--to", "1.1.0", "--dry-run") == ExitCode.OK
    assert ledger.pointer(TASK) is None
    assert capsys.readouterr().out.startswith("part-class: nothing -> 1.1.0\n")
    assert command("activate", TASK, "--to", "1.1.0", "--no-watch") == ExitCode.OK
    assert "part-class: activated nothing -> 1.1.0 by Ada" in capsys.readouterr().out
    moved = ledger.pointer(TASK)
    assert moved is not None
    assert moved.version == "1.1.0"


def test_what_is_shown_of_a_task_has_the_newest_score_of_each_version(
    ledger: FakeLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "show", TASK, "--stage", "dev"]) == ExitCode.OK
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[2] == "part-class: 1.0.0 (way back: none)"
    assert lines[3].startswith("1.0.0      active       rollback (dev)")
    # What was never measured has no line.
    assert lines[4].startswith("1.1.0      quarantined  rollback (dev)")
    assert lines[5] == "last score 0.250 of 0.850 at 2026-11-03T10:00:00Z, BELOW its threshold"
    assert lines[6].startswith("#2 2026-11-03 rolled-back 1.1.0 -> 1.0.0")


def test_what_the_running_image_lacks_is_brought_back_by_git_first(
    ledger: FakeLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image that a rollback's own execution makes carries no longer what was rolled back."""
    later = ReleaseRef(release="exec-2", made_at="2026-11-04")
    carried = {TASK: {OLD.version: OLD.sha256}}
    ledger.deploy(
        Deployed(release=later, commit="c0ffee", carries=carried, at=later.made_at), by="pipeline"
    )
    before = ledger.revision()
    assert command("activate", TASK, "--to", "1.1.0") == ExitCode.BLOCKED
    said = capsys.readouterr().err
    assert "does not carry part-class 1.1.0 (it has: 1.0.0)." in said
    back = "git pull; prompt-hub promote downgrade part-class --to 1.1.0 --override"
    assert f"git first: {back}" in said
    assert said.endswith("and has not moved the task, give this command again.\n")
    # A number that the stage has never heard of is a wrong one: nothing brings it back.
    assert command("activate", TASK, "--to", "9.9.9") == ExitCode.BLOCKED
    assert capsys.readouterr().err.endswith("does not carry part-class 9.9.9 (it has: 1.0.0).\n")
    assert ledger.revision() == before


def test_a_service_that_cannot_be_waited_for_is_told_before_the_move(
    ledger: FakeLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ledger.revision()
    words = ("activate", TASK, "--to", "1.1.0", "--no-watch", "--wait", "localhost")
    assert command(*words) == ExitCode.USAGE
    assert "the address of the service" in capsys.readouterr().err
    assert ledger.revision() == before


@dataclass
class Service(Client):
    """A service that follows its ledger at the given look, and answers from another one on."""

    follows_at: int
    away_until: int = 0
    url: str = "http://service"
    looks: list[str] = field(default_factory=list)

    def ask(self, path: str, body: object = None) -> Response:
        self.looks.append(path)
        if len(self.looks) < self.away_until:
            raise UnreachableServiceError(self.url + path, "Connection refused")
        version = "1.1.0" if len(self.looks) >= self.follows_at else "1.0.0"
        tasks = [{"task": "brand", "version": "9.9.9"}, {"task": TASK, "version": version}]
        return Response(200, json.dumps({"tasks": tasks}).encode())


def test_it_waits_until_the_service_has_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(follows_at=3)
    await_served(service, TASK, "1.1.0", pause=lambda seconds: None)
    assert service.looks == ["/v1/tasks"] * 3


def test_a_service_that_is_replaced_meanwhile_is_waited_for() -> None:
    service = Service(follows_at=3, away_until=3)
    await_served(service, TASK, "1.1.0", pause=lambda seconds: None)
    assert len(service.looks) == 3


def test_a_service_that_never_answers_is_an_error_after_the_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 10_000, int(WAIT_SECONDS) // 3))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    service = Service(follows_at=10, away_until=10)
    with pytest.raises(PromptHubError) as raised:
        await_served(service, TASK, "1.1.0", pause=lambda seconds: None)
    assert len(service.looks) == 2
    assert raised.value.message == (
        "part-class 1.1.0 is not served after 60 s: http://service/v1/tasks does not answer:"
        " Connection refused."
    )
    assert raised.value.hint.startswith("The ledger has moved.")


def test_a_service_that_does_not_follow_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, int(WAIT_SECONDS) // 2))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    with pytest.raises(PromptHubError) as raised:
        await_served(Service(follows_at=10), TASK, "1.1.0", pause=lambda seconds: None)
    assert raised.value.message == (
        "part-class 1.1.0 is not served after 60 s: http://service serves 1.0.0."
    )
