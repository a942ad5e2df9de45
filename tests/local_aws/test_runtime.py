"""A stage's life by its own commands: activate, serve, smoke test, watch, roll back, undo.

Real processes of the command line against the emulator's DynamoDB, S3, CloudWatch, SNS and ECS; the
model is a small real server that is told what to think.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.ledger.items import VersionState
from prompt_hub.release.manifest import load_manifest
from prompt_hub.repository.registry import VersionState as InGit
from tests.local_aws.emulator import LocalAws, eventually
from tests.local_aws.stage_commands import RECORD, Stage, catalogue_stage, newer_is_wrong

STAGE = "dev"


@pytest.fixture(scope="module")
def stage(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with catalogue_stage(aws, tmp_path_factory.mktemp("tree")) as made:
        yield made


def test_a_stage_lives_by_its_commands(stage: Stage) -> None:
    stage.promoted("exec-1")
    with stage.serving() as process:
        instance = _seed_and_smoke(stage)
        _watch_finds_it_good(stage)
        _an_older_release_that_is_not_deployed_changes_nothing(stage)
        _rolled_back_by_the_alarm(stage, instance)
        _not_brought_back_by_the_next_release(stage)
        _an_older_release_that_is_deployed_again_is_what_the_ledger_says(stage)
        _brought_back_by_a_person(stage)
        assert process.poll() is None
        assert stage.get("/v1/tasks")["instance"] == instance
    log = (stage.folder.root / "serve.log").read_text(encoding="utf-8")
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events[-1] == "stopped"
    assert RECORD["part_number"] not in log


def _seed_and_smoke(stage: Stage) -> object:
    assert stage.served() == {}
    message = stage.run("activate", "--no-watch")
    assert "part-class: 1.1.0 is active, the first here (way back: 1.0.0)" in message
    assert "brand: 1.0.0 is active" in message
    eventually(lambda: stage.served() == {"part-class": "1.1.0", "brand": "1.0.0"})
    assert stage.ask()["output"] == {"part_class": "capacitor"}

    assert "stage dev serves release exec-1" in stage.run("smoke-test", "--inside")
    stage.run("record")
    record = json.loads(stage.results.get(aws_names.release_key("exec-1", STAGE)) or "")
    assert record["pointers"]["part-class"]["version"] == "1.1.0"
    assert record["smoke_test"]["ok"] is True
    assert "active already" in stage.run("activate", "--no-watch")
    return stage.get("/v1/tasks")["instance"]


def _watch_finds_it_good(stage: Stage) -> None:
    stage.put_alarm()
    assert "published the margin +0.300 of 1.1.0" in stage.run("watch", "part-class")
    (sample,) = stage.ledger.samples("part-class", 10)
    assert (sample.version, sample.score, sample.threshold) == ("1.1.0", 1.0, 0.7)
    assert stage.results.get(sample.evaluation) is not None

    stage.provider.status = 400
    assert "could not be measured" in stage.run("watch", "part-class", code=3)
    stage.provider.status = 200
    assert len(stage.ledger.samples("part-class", 10)) == 1


def _older(stage: Stage) -> str:
    """A release that was made before the others, when `part-class` had 1.0.0 only."""
    manifest = load_manifest(stage.results, "exec-1")
    task = manifest.tasks["part-class"]
    first = task.versions[-1].model_copy(update={"state": InGit.RELEASED})
    older = manifest.model_copy(
        update={
            "release": "exec-0",
            "made_at": manifest.made_at - timedelta(hours=1),
            "tasks": {
                **manifest.tasks,
                "part-class": task.model_copy(
                    update={"champion": first.version, "versions": (first,)}
                ),
            },
        }
    )
    stage.results.put(aws_names.manifest_key("exec-0"), older.to_json())
    return "exec-0"


def _an_older_release_that_is_not_deployed_changes_nothing(stage: Stage) -> None:
    """Its Activate is retried alone, or run by hand: the rollback below still finds its way."""
    before = stage.ledger.deployed()
    message = stage.run("activate", "--no-watch", "--release", _older(stage), code=1)
    assert "stage dev runs the image of release exec-1, not of exec-0" in message
    after = stage.ledger.deployed()
    assert before is not None
    assert after == replace(before, at=after.at if after else "")


def _an_older_release_that_is_deployed_again_is_what_the_ledger_says(stage: Stage) -> None:
    def noted() -> str:
        deployed = stage.ledger.deployed()
        return deployed.release.release if deployed else ""

    pointers = stage.ledger.pointers()
    stage.deploy("exec-1")
    message = stage.run("activate", "--no-watch", "--release", "exec-1")
    assert "stage dev runs release exec-1, made at" in message
    assert "; the ledger had exec-2, made at" in message
    assert noted() == "exec-1"

    # A stage that CodePipeline rolls back belongs to a new execution, which built no image.
    message = stage.run("activate", "--no-watch", "--release", "exec-8", code=1)
    assert "stage dev runs the image of release exec-1, not of exec-8" in message
    assert noted() == "exec-1"

    stage.deploy(_older(stage))
    message = stage.run("activate", "--no-watch", "--release", "exec-0")
    assert "part-class: left alone, 1.0.0 is active already" in message
    assert noted() == "exec-0"
    assert stage.ledger.pointers() == pointers

    stage.deploy("exec-2")
    stage.run("activate", "--no-watch")
    assert noted() == "exec-2"


def _rolled_back_by_the_alarm(stage: Stage, instance: object) -> None:
    stage.provider.thinks = newer_is_wrong
    assert "published the margin -0." in stage.run("watch", "part-class")
    eventually(lambda: stage.alarm() == "ALARM", what="the score alarm")

    brand = stage.ledger.pointer("brand")
    outcome = stage.rolled_back_when_shown("part-class")
    assert [item["code"] for item in outcome["outcomes"]] == ["below-threshold"]
    assert outcome["told"] == [3]
    eventually(lambda: stage.served()["part-class"] == "1.0.0")
    assert stage.ask()["output"] == {"part_class": "capacitor"}
    assert stage.get("/v1/tasks")["instance"] == instance
    assert stage.ledger.pointer("brand") == brand


def _not_brought_back_by_the_next_release(stage: Stage) -> None:
    stage.promoted("exec-2")
    message = stage.run("activate", "--no-watch")
    assert "part-class: left alone, 1.1.0 is quarantined since" in message
    shown = stage.run("ledger", "show", "part-class")
    assert "part-class: 1.0.0 (way back: none)" in shown
    assert "rolled-back 1.1.0 -> 1.0.0 by rollback" in shown


def _brought_back_by_a_person(stage: Stage) -> None:
    by_ann = ["--person", "ann", "--reason"]
    activate = ["ledger", "activate", "part-class", "--no-watch", *by_ann, "labels wrong", "--to"]
    assert "does not carry part-class 9.9.9" in stage.run(*activate, "9.9.9", code=1)
    assert "1.0.0 -> 1.1.0 by ann" in stage.run(*activate, "1.1.0")
    eventually(lambda: stage.served()["part-class"] == "1.1.0")

    stage.deploy("exec-0")
    for _ in range(2):
        message = stage.run("activate", "--no-watch", "--release", "exec-0", code=1)
        assert "its image lacks part-class 1.1.0 active: what is missing is not served" in message
    stage.deploy("exec-2")
    stage.run("activate", "--no-watch")

    stage.run("ledger", "downgrade", "part-class", "--to", "1.0.0", *by_ann, "bad after all")
    eventually(lambda: stage.served()["part-class"] == "1.0.0")
    assert stage.ledger.version_states("part-class")["1.1.0"] is VersionState.DOWNGRADED
    assert "left alone, 1.1.0 is downgraded" in stage.run("activate", "--no-watch")

    stage.run("ledger", "freeze", "brand", *by_ann, "long holidays")
    shown = json.loads(stage.run("ledger", "show", "--json"))
    assert shown["tasks"]["brand"]["frozen"] is True
    stage.run("ledger", "unfreeze", "brand", *by_ann, "holidays over")
    again = ["ledger", "unfreeze", "brand", *by_ann, "holidays over"]
    assert "is not frozen." in stage.run(*again, code=1)


def test_commands_outside_a_stage_say_what_is_missing(stage: Stage, tmp_path: Path) -> None:
    message = stage.run("activate", "--release", "exec-9", "--stage", "prod", code=70)
    assert "stage prod runs no service" in message
    stage.deploy("exec-9")
    assert "has no manifest" in stage.run("activate", "--release", "exec-9", code=2)
    for words in (["ledger", "show"], ["drill"], ["watch", "part-class", "--now"]):
        message = stage.run(*words, "--stage", "prod", code=2)
        assert "there is no table prompt-hub-prod-ledger. Look at --stage" in message
