"""The drill as it looks on: which link of the chain is broken, and how long a whole one took."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from pydantic import JsonValue

from prompt_hub.cli import activate as cli_activate
from prompt_hub.cli import drill as cli_drill
from prompt_hub.core.aws_names import DRILL_TASK
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.ledger.drill import DrillLedger
from prompt_hub.ledger.items import Deployed, ReleaseRef, ScoreSample, VersionRef, timestamp
from prompt_hub.ledger.transitions import Cause
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, drill_model
from prompt_hub.llm.providers.registry import all_providers
from prompt_hub.monitoring.drill import Drill, run_drill
from prompt_hub.monitoring.monitor import ScoreMonitor
from prompt_hub.promotion.write_back import read_words
from prompt_hub.release.drill_repository import BAD_VERSION, GOOD_VERSION, drill_repository
from prompt_hub.release.manifest import carried_for_drills, load
from prompt_hub.release.plan import StageState, plan
from prompt_hub.release.service_client import Client, Response
from prompt_hub.validation.check import check
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

START = datetime(2026, 11, 3, 9, 30, tzinfo=UTC).timestamp()
RELEASE = ReleaseRef(release="r", made_at="2026")


@dataclass
class Service:
    """Answers with what the ledger points to; `stuck` keeps the first version for ever."""

    ledger: DrillLedger
    stuck: bool = False
    asked: list[JsonValue] = field(default_factory=list)
    first: str = ""

    def ask(self, path: str, body: Mapping[str, JsonValue] | None = None) -> Response:
        assert path == f"/v1/tasks/{DRILL_TASK}/run"
        assert body is not None
        self.asked.append(body["fields"])
        pointer = self.ledger.pointer(DRILL_TASK)
        assert pointer is not None
        self.first = self.first or pointer.version
        version = self.first if self.stuck else pointer.version
        return Response(200, f'{{"version": "{version}", "valid": true}}'.encode())


class Stage:
    """A stage whose clock moves as the drill waits; after `rollback_after` seconds it acts."""

    def __init__(self, *, rollback_after: float | None, samples: bool = True) -> None:
        self.ledger = DrillLedger(cast("DynamoDBClient", FakeDynamoDB()), "ledger")
        self.service = Service(self.ledger)
        self.now = START
        self._rollback_after = rollback_after
        self._samples = samples
        self._bad_at: float | None = None
        bad, good = (VersionRef(version=v, sha256=v) for v in (BAD_VERSION, GOOD_VERSION))
        self.revision = self.ledger.begin(
            bad=bad, good=good, release=RELEASE, cause=self._cause("drill")
        ).revision

    def _cause(self, by: str) -> Cause:
        return Cause(by=by, reason="below", at=timestamp(datetime.fromtimestamp(self.now, UTC)))

    async def measure(self) -> None:
        self.now += 1
        self._bad_at = self.now
        if self._samples:
            sample = ScoreSample(
                task=DRILL_TASK,
                version=BAD_VERSION,
                score=0.0,
                threshold=0.9,
                n=48,
                interval=(0.0, 0.1),
                evaluation="k",
                at=timestamp(datetime.fromtimestamp(self.now, UTC)),
            )
            self.ledger.add_samples([sample])

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = self._rollback_after is not None and self._bad_at is not None
        if due and self.now >= cast(float, self._bad_at) + cast(float, self._rollback_after):
            self.ledger.roll_back(DRILL_TASK, seen=self.revision, cause=self._cause("rollback"))
            self._rollback_after = None

    def drill(self, within: float = 60.0) -> Drill:
        return asyncio.run(
            run_drill(
                self.ledger,
                cast(Client, self.service),
                self.measure,
                stage="dev",
                release="r",
                within=within,
                clock=lambda: self.now,
                sleep=self.sleep,
            )
        )


def test_a_whole_chain_says_how_long_it_took() -> None:
    stage = Stage(rollback_after=2.0)
    found = stage.drill()
    assert found.ok
    assert (found.to_rollback, found.to_good_answer) == (2.0, 2.0)
    assert (found.reason, found.problems, found.revision) == ("below", (), stage.revision)
    assert stage.service.asked[0] == {"word": "word-01"}


def test_nothing_that_rolls_back_is_named() -> None:
    found = Stage(rollback_after=None).drill(within=10)
    assert not found.ok
    assert found.problems == ("nothing rolled the bad version back in time.",)
    assert found.to_rollback is None


def test_a_rollback_that_comes_too_late_is_none() -> None:
    assert not Stage(rollback_after=11.0).drill(within=10).ok


def test_a_service_that_does_not_follow_is_named() -> None:
    stage = Stage(rollback_after=1.0)
    stage.service.stuck = True
    found = stage.drill(within=10)
    assert not found.ok
    assert found.to_rollback == 1.0
    assert found.problems == ("the service did not answer with 1.0.0 in time: 2.0.0.",)


def test_a_watch_that_leaves_no_sample_is_named() -> None:
    found = Stage(rollback_after=1.0, samples=False).drill()
    assert found.problems == ("the score watch left no bad sample of 2.0.0.",)


def test_another_decision_than_a_rollback_is_named() -> None:
    stage = Stage(rollback_after=None)

    async def measure() -> None:
        await Stage.measure(stage)
        stage.ledger.freeze(DRILL_TASK, seen=stage.revision, cause=stage._cause("rollback"))

    stage.measure = measure  # type: ignore[method-assign]
    (problem,) = stage.drill().problems
    assert problem == "the ledger says frozen by rollback instead of a rollback: below."


@pytest.mark.parametrize("rolled_back", [False, True])
@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("measured", [False, True])
def test_another_drill_or_an_activation_beside_it_is_no_fault_of_the_stage(
    measured: bool, begins: bool, rolled_back: bool
) -> None:
    stage = Stage(rollback_after=None)

    async def disturbed() -> None:
        if measured:
            await Stage.measure(stage)
        if rolled_back:
            seen = stage.revision
            stage.ledger.roll_back(DRILL_TASK, seen=seen, cause=stage._cause("rollback"))
        stage.ledger.put_back(stage._cause("drill"))
        if begins:
            bad, good = (VersionRef(version=v, sha256=v) for v in (BAD_VERSION, GOOD_VERSION))
            cause = stage._cause("drill")
            stage.ledger.begin(bad=bad, good=good, release=RELEASE, cause=cause)

    stage.measure = disturbed  # type: ignore[method-assign]
    with pytest.raises(PromptHubError, match="this drill says nothing about the stage") as raised:
        stage.drill(within=10)
    assert raised.value.exit_code == ExitCode.INCONCLUSIVE


class Command:
    """`prompt-hub drill` whose container, in place of looking on, does what `inside` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.ledger = DrillLedger(cast("DynamoDBClient", FakeDynamoDB()), "ledger")
        self.inside: Callable[[], int] = lambda: 0
        self.results = FolderResults(tmp_path)
        carries = {DRILL_TASK: {BAD_VERSION: "b", GOOD_VERSION: "g"}}
        deployed = Deployed(release=RELEASE, commit="c", carries=carries, at="2026")
        self.ledger.deploy(deployed, by="pipeline")
        for module in (cli_drill, cli_activate):
            monkeypatch.setattr(module, "drill_ledger_of", lambda _: self.ledger)
        monkeypatch.setattr(cli_drill, "ledger_of", lambda _: self.ledger)
        monkeypatch.setattr(cli_drill, "_results", lambda: self.results)
        monkeypatch.setattr(
            cli_drill, "start_in_stage", lambda *_, **__: lambda: int(self.inside())
        )

    def run(self) -> ExitCode:
        parser = argparse.ArgumentParser()
        cli_drill.configure(parser)
        return cli_drill.run(parser.parse_args(["--stage", "dev"]))


def test_a_drill_that_another_one_took_over_leaves_that_one_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = Command(monkeypatch, tmp_path)

    def inside() -> int:
        cli_activate.put_back("dev")
        cli_drill._begin("dev", command.ledger.deployed())
        return 1

    command.inside = inside
    with pytest.raises(PromptHubError, match="another drill or an activation moved"):
        command.run()
    assert command.ledger.pointer(DRILL_TASK) is not None


def test_a_drill_whose_container_ends_without_a_word_is_put_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = Command(monkeypatch, tmp_path)
    command.inside = lambda: 137
    with pytest.raises(PromptHubError, match="ended with exit code 137 and left no result"):
        command.run()
    assert command.ledger.pointer(DRILL_TASK) is None


def test_what_was_not_prepared_is_not_drilled() -> None:
    stage = Stage(rollback_after=None)
    stage.ledger.put_back(stage._cause("drill"))
    with pytest.raises(PromptHubError, match="no drill is prepared in dev"):
        stage.drill()


def test_the_drill_s_versions_need_no_model_and_score_all_and_nothing(
    healthy: RepositoryFolder,
) -> None:
    release = load(healthy.root)
    carried = carried_for_drills()
    release = release.model_copy(update={"tasks": {**release.tasks, DRILL_TASK: carried}})
    bad, good = (carried.version(version) for version in (BAD_VERSION, GOOD_VERSION))
    assert bad is not None
    assert good is not None
    ledger = DrillLedger(cast("DynamoDBClient", FakeDynamoDB()), "ledger")
    ledger.begin(
        bad=bad.reference,
        good=good.reference,
        release=RELEASE,
        cause=Cause(by="drill", reason="", at="2026"),
    )
    pointer = ledger.pointer(DRILL_TASK)
    assert pointer is not None
    monitor = ScoreMonitor(
        drill_repository(), release, ModelClient(ModelAliases({})), DRILL_TASK, say=lambda _: None
    )
    found = asyncio.run(monitor.round(pointer))
    assert found.control is not None
    assert (found.active.score, found.control.score) == (0.0, 1.0)


def test_no_alias_of_a_user_s_may_be_scripted() -> None:
    assert drill_model().provider not in all_providers()
    with pytest.raises(PromptHubError, match="there is no provider 'scripted'"):
        ModelAliases.parse('{"mine": {"provider": "scripted", "model": "drill"}}')


def test_a_release_that_is_activated_leaves_the_drill_s_task_alone(
    healthy: RepositoryFolder,
) -> None:
    release = load(healthy.root)
    tasks = {**release.tasks, DRILL_TASK: carried_for_drills()}
    release = release.model_copy(update={"tasks": tasks})
    empty = StageState(pointers={}, retired={}, versions={}, models={})
    assert DRILL_TASK not in {step.task for step in plan(release, empty)}


def test_git_learns_nothing_of_a_drill_that_goes_on() -> None:
    stage = Stage(rollback_after=None)
    stage.ledger.roll_back(DRILL_TASK, seen=stage.revision, cause=stage._cause("rollback"))
    assert read_words("dev", stage.ledger) == []


def test_a_task_of_people_s_may_not_have_its_name(healthy: RepositoryFolder) -> None:
    metadata = healthy.read("prompts/03-metadata/brand.yaml")
    healthy.write(f"prompts/03-metadata/{DRILL_TASK}.yaml", metadata)
    (finding,) = (
        found for found in check(healthy.repository, None)[1] if found.rule == "reserved-task"
    )
    assert "another name: the product has such a task" in str(finding.problem)
