"""A stage whose ledger, manifests and records the previous tree has written."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from prompt_hub.ledger.outbox import marked
from prompt_hub.release.smoke_test import SmokeTest
from tests.unit.batch.servers import completion, serving
from tests.unit.building import catalogue_answer
from tests.unit.compatibility.cloud import Cloud
from tests.unit.compatibility.conftest import Hub
from tests.unit.compatibility.previous_tree import (
    FOLDER,
    Copy,
    Json,
    kind_of,
    ledger_items,
    models_at,
    read_json,
    shape,
)
from tests.unit.ledger.fake_dynamodb import ledger_on

BY_ADA = ("--person", "Ada Lovelace", "--reason", "the audit of the suppliers")
LAMBDA = Path(__file__).resolve().parents[3] / "lambdas" / "rollback" / "handler.py"


def shown(hub: Hub, stage: str = "dev") -> Json:
    """What the ledger says of each task."""
    tasks: Json = json.loads(hub("ledger", "show", "--stage", stage, "--json"))["tasks"]
    return tasks


def test_the_fixture_has_items_of_every_kind() -> None:
    items = [*ledger_items("dev"), *ledger_items("prod")]
    assert {kind_of(item) for item in items} == {
        *("HEAD", "ACTIVE", "RELEASE", "VERSION", "EVENT", "SCORE")
    }
    assert {item["state"]["S"] for item in items if kind_of(item) == "VERSION"} == {
        *("released", "active", "superseded", "downgraded", "quarantined", "retired")
    }
    events = [item for item in items if kind_of(item) == "EVENT"]
    assert {item["kind"]["S"] for item in events} == {
        *("seeded", "activated", "rolled-back", "downgraded"),
        *("frozen", "unfrozen", "retired", "paged"),
    }
    assert {item["notify"]["S"] for item in events} == {"not-needed", "pending", "told", "sent"}
    pointers = [item for item in items if kind_of(item) == "ACTIVE"]
    assert {item["frozen"]["BOOL"] for item in pointers} == {True, False}
    assert {item["retired"]["BOOL"] for item in pointers} == {True, False}
    assert {next(iter(item["previous"])) for item in pointers} == {"NULL", "M"}


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_ledger_is_shown_as_it_was(hub: Hub, cloud: Cloud, stage: str) -> None:
    message = json.loads(hub("ledger", "show", "--stage", stage, "--json"))
    assert message == read_json(FOLDER / "ledger" / f"{stage}-shown.json")


def test_events_and_the_deployed_release_are_written_as_they_were_read(cloud: Cloud) -> None:
    """During a deployment the service of then still runs and reads what this tree writes."""
    for stage in ("dev", "prod"):
        ledger = ledger_on(cloud.tables[f"prompt-hub-{stage}-ledger"])
        for item in ledger_items(stage):
            # Marked as what it is already: written whole, under the condition that it is there.
            if kind_of(item) == "EVENT":
                task = item["pk"]["S"].removeprefix("TASK#")
                (event,) = (
                    entry
                    for entry in ledger.events(task)
                    if str(entry.revision) == item["revision"]["N"]
                )
                ledger._write(marked(event, event.notify))
        deployed = ledger.deployed()
        assert deployed is not None
        ledger.deploy(deployed, by="pipeline")
        assert [*cloud.items(stage).values()] == ledger_items(stage)


def test_samples_are_read(cloud: Cloud, previous: Copy) -> None:
    ledger = ledger_on(cloud.tables["prompt-hub-dev-ledger"])
    samples = [current for task in ("maker", "part-class") for current in ledger.samples(task, 50)]
    items = [item for item in ledger_items("dev") if kind_of(item) == "SCORE"]
    assert len(samples) == len(items) == 5
    assert {element.evaluation for element in samples} == {
        item["evaluation"]["S"] for item in items
    }
    for sample in samples:
        kept = read_json(previous.results / sample.evaluation)
        (version,) = (entry for entry in kept["versions"] if entry["version"] == sample.version)
        assert (sample.score, sample.threshold, sample.n) == (
            *(version["score"], version["threshold"]),
            version["n"],
        )
        assert list(sample.interval) == version["interval"]
        assert sample.at == kept["at"]
        assert sample.below_threshold == (version["score"] < version["threshold"])


def test_people_move_the_ledger_on(hub: Hub, cloud: Cloud) -> None:
    before = dict(cloud.items("dev"))
    hub("ledger", "downgrade", "part-class", "--to", "1.1.0", *BY_ADA)
    hub("ledger", "activate", "part-class", "--to", "1.3.0", "--no-watch", *BY_ADA)
    hub("ledger", "unfreeze", "maker", *BY_ADA)
    # 1.3.0 was taken out in that ledger, and comes back by name only.
    hub("ledger", "downgrade", "part-class", "--to", "1.4.0", *BY_ADA, code=1)
    tasks = shown(hub)
    assert tasks["part-class"]["version"] == "1.3.0"
    assert tasks["part-class"]["versions"] == {
        "1.0.0": "superseded",
        "1.1.0": "superseded",
        "1.2.0": "quarantined",
        "1.3.0": "active",
        "1.4.0": "downgraded",
    }
    assert not tasks["maker"]["frozen"]
    after = cloud.items("dev")
    changed = [item for key, item in after.items() if before.get(key) != item]
    assert sorted(kind_of(item) for item in changed) == sorted(
        ["HEAD", "ACTIVE", "ACTIVE", *["EVENT"] * 3, *["VERSION"] * 3]
    )
    # A service of the previous tree may still read them: the names of then are all there.
    names = {kind_of(item): item.keys() for item in before.values()}
    assert [item for item in changed if names[kind_of(item)] - item.keys()] == []


def test_a_release_of_then_is_activated(hub: Hub, cloud: Cloud) -> None:
    words = ("activate", "--stage", "prod", "--release", "execution-7", "--no-watch")
    before = shown(hub, "prod")
    hub(*words)
    assert shown(hub, "prod") == before  # the one task that could move is frozen
    hub("ledger", "unfreeze", "part-class", "--stage", "prod", *BY_ADA)
    hub(*words)
    moved = shown(hub, "prod")["part-class"]
    assert (moved["version"], moved["release"]["release"]) == ("1.4.0", "execution-7")
    assert moved["previous"]["version"] == "1.0.0"
    assert moved["versions"]["1.3.0"] == "released"


def test_what_a_stage_runs_is_recorded_from_the_files_of_then(
    previous: Copy, hub: Hub, cloud: Cloud
) -> None:
    for release in ("execution-6", "execution-7"):
        hub("record", "--release", release)
        then = read_json(FOLDER / f"state/results/releases/{release}/dev.json")
        now = read_json(previous.results / f"releases/{release}/dev.json")
        moved_since = {name: then[name] for name in ("at", "revision", "pointers")}
        assert {**now, **moved_since} == then
        assert shape(now["pointers"]["part-class"]) == shape(then["pointers"]["part-class"])


def test_the_result_of_a_smoke_test_is_read_and_written_the_same() -> None:
    """It is written inside the stage and read outside, perhaps by another release."""
    path = FOLDER / "state/results/releases/execution-6/dev-smoke.json"
    then = path.read_text("utf-8")
    test = SmokeTest.model_validate_json(then)
    assert [check.ok for check in test.checks] == [True] * 4
    assert test.model_dump_json(indent=2) + "\n" == then


def test_the_outcome_of_an_execution_is_read(hub: Hub) -> None:
    assert "RED part-class 1.5.0: refused, BLOCK" in hub(
        "verdict", "--execution", "execution-7", code=1
    )
    assert "RED" not in hub("verdict", "--execution", "execution-6")


def test_the_score_watch_measures_what_the_image_of_then_carries(
    previous: Copy, hub: Hub, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(path: str, sent: Json) -> tuple[int, object]:
        return 200, completion(json.dumps(catalogue_answer(sent["messages"])))

    folder = previous.results / "samples/dev/maker"
    (then,) = folder.iterdir()
    with serving(respond) as url:
        monkeypatch.setenv("PROMPT_HUB_MODELS", models_at(url))
        hub("watch", "maker")
    (now,) = (path for path in folder.iterdir() if path != then)
    assert shape(read_json(now)) == shape(read_json(then))
    items = {key: item for key, item in cloud.items("dev").items() if key[0] == "SCORE#maker"}
    old, new = sorted(items.values(), key=lambda item: str(item["sk"]))
    # An image from before the detector wrote no evidence, and did not say which image measured.
    # What answered at the gate, the manifest of then does not say.
    assert new.keys() == {*old.keys(), "evidence", "release", "answered_by"}
    assert new["evaluation"]["S"] == f"samples/dev/maker/{now.name}"
    assert (old["score"]["N"], new["score"]["N"]) == ("0.5", "1.0")


@pytest.fixture
def rollback(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The rollback Lambda, imported as Lambda does it: anew, with its environment."""
    monkeypatch.setenv("PROMPT_HUB_TOPIC_ARN", "arn:aws:sns:eu-central-1:111122223333:people")
    spec = importlib.util.spec_from_file_location("rollback_of_this_tree", LAMBDA)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_people_hear_the_news_that_was_pending(rollback: ModuleType, cloud: Cloud) -> None:
    context = SimpleNamespace(
        invoked_function_arn="arn:aws:lambda:eu-central-1:111122223333:function:rollback"
    )
    quiet = {"alarmName": "prompt-hub-dev-score-maker", "state": {"value": "OK"}}
    event = {"source": "aws.cloudwatch", "accountId": "111122223333", "alarmData": quiet}
    rollback.handler(event, context)
    assert [subject.partition(":")[0] for subject in cloud.subjects] == [
        f"[prompt-hub dev] {task}" for task in ("maker", "part-class", "part-class", "maker")
    ]
    # Of the rollback people knew, but not the bus.
    (emitted,) = cloud.events
    detail = json.loads(emitted["Detail"])
    assert (emitted["DetailType"], detail["task"]) == ("PromptRolledBack", "part-class")
    assert (detail["left"]["version"], detail["reached"]["version"]) == ("1.2.0", "1.1.0")
    assert detail["evidence"]["active"]["version"] == "1.2.0"
    waiting = {
        item["notify"]["S"] for item in cloud.items("dev").values() if kind_of(item) == "EVENT"
    }
    assert waiting == {"sent", "not-needed"}
