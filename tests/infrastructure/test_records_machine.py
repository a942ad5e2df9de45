"""The state machine of records: the way of a dropped file, told by the commands that it runs."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_aws.state_language import refusals
from prompt_hub.core import aws_names
from prompt_hub.ledger.items import Event, EventKind, Notify, VersionRef
from tests.infrastructure.state_machine import (
    EXECUTION,
    StoppedError,
    Way,
    definition_of,
    states_of,
)
from tests.infrastructure.synthesised import CONTEXT, ROOT, Assembly, Json

KEY, VERSION = "incoming/part-class/May, 'all' parts {1}.csv", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
RUN = hashlib.sha256(f"{KEY} {VERSION}".encode()).hexdigest()
OF_RUN = ["--task", "part-class", "--run", RUN]
PLAN = [
    *("prompt-hub", "records", "plan", "--key", KEY, f"--version-id={VERSION}"),
    *("--run", RUN, "--execution", EXECUTION, "--children", "4"),
]
MERGE = ["prompt-hub", "records", "merge", *OF_RUN]
SHARDS = [{"shard": 0, "first": 1, "records": 10_000}, {"shard": 1, "first": 10_001, "records": 7}]
OBJECTS = {f"runs/part-class/{RUN}/shards.json": SHARDS}
ANSWERS = [
    ["prompt-hub", "records", "answer", *OF_RUN, "--shard", str(item["shard"])] for item in SHARDS
]


def dropped(key: str = KEY, version: str = VERSION) -> Json:
    """The event of S3, as its user guide shows it."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2021-11-12T00:00:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:s3:::prompt-hub-dev-records-111122223333"],
        "detail": {
            "version": "0",
            "bucket": {"name": "prompt-hub-dev-records-111122223333"},
            "object": {
                "key": key,
                "size": 5,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "version-id": version,
                "sequencer": "617f08299329d189",
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        },
    }


def rolled_back() -> Json:
    """The event of the rollback function, made of what the ledger says of the task."""
    event = Event(
        task="part-class",
        revision=7,
        kind=EventKind.ROLLED_BACK,
        left=VersionRef(version="1.1.0", sha256="b" * 64),
        reached=VersionRef(version="1.0.0", sha256="a" * 64),
        by="rollback",
        code="below-threshold",
        reason="its score fell",
        at="2026-11-03T09:30:00.000000Z",
        notify=Notify.TOLD,
    )
    return {
        "version": "0",
        "detail-type": aws_names.EVENT_ROLLED_BACK,
        "source": aws_names.event_source(),
        "detail": {"stage": "dev", "task": event.task, **event.to_attributes()},
    }


def stopped(*exit_codes: int | None) -> StoppedError:
    """Step Functions' words on a task whose containers ended so; None is one that never ran."""
    containers = [{"ExitCode": code} if code is not None else {} for code in exit_codes]
    task = {
        "Containers": [{"LastStatus": "STOPPED", "Name": "?", **part} for part in containers],
        "LastStatus": "STOPPED",
        "StopCode": "EssentialContainerExited",
    }
    return StoppedError("States.TaskFailed", json.dumps(task, separators=(",", ":")))


class Containers:
    """Remembers the commands of containers, and lets the first ones fail where it is told to."""

    def __init__(self, *failures: StoppedError | None, deaf: bool = False) -> None:
        self.commands: list[list[str]] = []
        self.messages: list[Json] = []
        self._failures = list(failures)
        self._deaf = deaf

    def __call__(self, parameters: Json) -> None:
        if "TopicArn" in parameters:
            if self._deaf:
                raise StoppedError("SNS.NotFoundException", "no topic")
            self.messages.append(parameters)
            return
        (container,) = parameters["Overrides"]["ContainerOverrides"]
        self.commands.append(container["Command"])
        if self._failures and (failure := self._failures.pop(0)):
            raise failure


@pytest.fixture(scope="module")
def four_children(synthesise: Callable[..., Assembly]) -> Assembly:
    stage = {**CONTEXT["prompt-hub"]["stages"][0], "records": {"max_children": 4}}
    return synthesise({"stages": [stage]})


@pytest.fixture(scope="module")
def definition(four_children: Assembly) -> Json:
    return definition_of(four_children)


def test_a_dropped_file_is_planned_answered_shard_by_shard_and_merged(definition: Json) -> None:
    containers = Containers()
    Way(containers, OBJECTS).go(definition, dropped())
    assert containers.commands == [PLAN, *ANSWERS, MERGE]


def test_what_a_container_is_told_survives_every_state_before_it(definition: Json) -> None:
    """Results of tasks and shards would take its place, and grow beyond what a state may hold."""
    output = Way(Containers(), OBJECTS).go(definition, dropped())
    assert output == {
        **{"key": KEY, "version": VERSION, "task": "part-class", "run": RUN},
        "execution": EXECUTION,
        "tries": {"pause": 0},
    }
    for state in states_of(definition["States"]["Answer"]["ItemProcessor"]).values():
        assert state["Type"] != "Task" or state["OutputPath"] is None


def test_a_file_dropped_again_is_another_run(definition: Json) -> None:
    containers = Containers(stopped(1))
    Way(containers, {}).go(definition, dropped(version="another"))
    (plan,) = containers.commands
    assert plan[plan.index("--run") + 1] == hashlib.sha256(f"{KEY} another".encode()).hexdigest()


def test_a_folder_that_the_console_makes_is_no_file(definition: Json) -> None:
    containers = Containers()
    Way(containers, {}).go(definition, dropped("incoming/part-class/"))
    assert containers.commands == []


@pytest.mark.parametrize("codes", [(1,), (0, 1), (None, 1), (1, None)])
def test_a_refused_file_is_no_failure_and_is_not_planned_again(
    definition: Json, codes: tuple[int | None, ...]
) -> None:
    """Agents that AWS adds to a task stand before or behind our container."""
    containers = Containers(stopped(*codes))
    way = Way(containers, OBJECTS)
    way.go(definition, dropped())
    assert containers.commands == [PLAN]
    assert way.names[-1] == "Refused"


BROKEN = [
    stopped(137),
    stopped(3),
    stopped(None),
    stopped(),
    StoppedError("AmazonECS.Unknown", "RESOURCE:MEMORY"),
    StoppedError("ECS.ThrottlingException", "Rate exceeded."),
    StoppedError("States.TaskFailed", "no JSON"),
]


@pytest.mark.parametrize("failure", BROKEN)
def test_a_plan_that_died_is_made_again(definition: Json, failure: StoppedError) -> None:
    containers = Containers(failure)
    Way(containers, OBJECTS).go(definition, dropped())
    assert containers.commands == [PLAN, PLAN, *ANSWERS, MERGE]


@pytest.mark.parametrize("failure", BROKEN)
def test_a_shard_that_died_is_answered_again(definition: Json, failure: StoppedError) -> None:
    containers = Containers(None, failure)
    Way(containers, OBJECTS).go(definition, dropped())
    assert containers.commands == [PLAN, ANSWERS[0], *ANSWERS, MERGE]


def test_a_shard_that_a_release_refuses_fails_at_once(definition: Json) -> None:
    """A redrive begins with a state that asks the release of then."""
    containers = Containers(None, stopped(1), stopped(1))
    way = Way(containers, OBJECTS)
    with pytest.raises(StoppedError):
        way.go(definition, dropped())
    assert containers.commands == [PLAN, ANSWERS[0], ANSWERS[0]]
    last = states_of(definition)[way.names[-1]]
    assert (last["Type"], last.get("Retry"), last.get("Catch")) == ("Task", None, None)


def test_a_shard_that_fails_for_good_fails_in_the_state_that_a_redrive_begins_with(
    definition: Json,
) -> None:
    states = states_of(definition)
    assert {name for name, state in states.items() if state["Type"] == "Fail"} == {"Not planned"}
    caught = {"Plan", "Answer a shard", "Tell people"}
    assert {name for name in states if "Catch" in states[name]} == caught
    retried = {name: state["Retry"] for name, state in states.items() if "Retry" in state}
    last = "Answer a shard: the last attempt"
    assert retried.keys() == {last, "Merge", "Repair", "Tell people"}
    assert all(rule["ErrorEquals"] == ["States.ALL"] for (rule,) in retried.values())
    way = Way(Containers(None, *[stopped(137)] * 100), OBJECTS)
    with pytest.raises(StoppedError):
        way.go(definition, dropped())
    assert way.names[-1] == last


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("failure", [stopped(137), StoppedError("ECS.Busy", "RESOURCE:MEMORY")])
def test_a_plan_that_dies_each_time_ends_with_a_sentence_and_people_hear_of_which_file(
    definition: Json, failure: StoppedError, *, deaf: bool
) -> None:
    containers = Containers(*[failure] * 100, deaf=deaf)
    with pytest.raises(StoppedError) as ended:
        Way(containers, OBJECTS).go(definition, dropped())
    assert containers.commands == [PLAN] * 7
    assert ended.value.error == aws_names.NOT_PLANNED
    sentence = (
        "its container ended 7 times and left no plan. Nothing was asked. The log group"
        " /prompt-hub/dev/service says why; when that is mended, drop the file again."
    )
    assert ended.value.cause == f"The file was not planned: {sentence}"
    told = [(each["Subject"], each["Message"]) for each in containers.messages]
    message = f"s3://prompt-hub-dev-records-AWS::AccountId/{KEY}: {sentence}"
    assert told == ([] if deaf else [("prompt-hub: records not planned", message)])


@pytest.mark.parametrize("died", [1, 2, 4, 6])
def test_what_is_refused_at_a_later_attempt_is_not_tried_again(definition: Json, died: int) -> None:
    containers = Containers(*[stopped(137)] * died, stopped(1))
    way = Way(containers, OBJECTS)
    way.go(definition, dropped())
    assert containers.commands == [PLAN] * (died + 1)
    assert containers.messages == []
    assert way.names[-1] == "Refused"
    containers = Containers(None, *[stopped(137)] * died, stopped(1), stopped(1))
    with pytest.raises(StoppedError):
        Way(containers, OBJECTS).go(definition, dropped())
    # The last one fails in the state that a redrive begins with.
    assert containers.commands == [PLAN, *[ANSWERS[0]] * (died + 2)]


def test_a_rollback_has_the_records_of_the_version_made_again_that_was_left(
    definition: Json,
) -> None:
    containers = Containers()
    Way(containers, {}).go(definition, rolled_back())
    assert containers.commands == [
        ["prompt-hub", "repair", "part-class", "--version", "1.1.0", "--after-rollback"]
    ]


def test_rollbacks_of_this_stage_alone_start_the_machine(four_children: Assembly) -> None:
    rules = four_children.resources("dev-service", "AWS::Events::Rule")
    patterns = [rule.get("EventPattern") for rule in rules.values()]
    assert {
        "source": ["prompt-hub.rollback"],
        "detail-type": ["PromptRolledBack"],
        "detail": {"stage": ["dev"]},
    } in patterns


def test_a_shard_is_tried_for_hours_and_what_asks_no_model_for_minutes(definition: Json) -> None:
    def seconds(name: str) -> int:
        (rule,) = states_of(definition)[name]["Retry"]
        waits = (rule["IntervalSeconds"] * rule["BackoffRate"] ** n for n in range(100))
        return sum(min(next(waits), rule["MaxDelaySeconds"]) for _ in range(rule["MaxAttempts"]))

    def pauses(*before: None) -> list[int]:
        way = Way(Containers(*before, *[stopped(3)] * 100), OBJECTS)
        with pytest.raises(StoppedError):
            way.go(definition, dropped())
        return way.pauses

    assert pauses() == [*range(0, 6 * 60, 60)]
    assert pauses(None) == [*range(0, 20 * 60, 60)]
    assert 3.5 < seconds("Repair") / 3600 < 4.5
    for name in ("Answer a shard: the last attempt", "Merge", "Tell people"):
        assert 5 < seconds(name) / 60 < 10


def test_shards_run_as_many_at_once_as_the_stage_says(definition: Json) -> None:
    answer = definition["States"]["Answer"]
    assert answer["MaxConcurrency"] == 4
    assert answer["ToleratedFailurePercentage"] == 0
    mode = answer["ItemProcessor"]["ProcessorConfig"]
    assert mode == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert not {"ItemBatcher", "ResultWriter"} & answer.keys()


def test_containers_are_of_the_newest_revision_with_a_role_of_their_own(definition: Json) -> None:
    tasks = [state for state in states_of(definition).values() if state["Type"] == "Task"]
    containers = [state for state in tasks if "TopicArn" not in state["Parameters"]]
    assert (len(tasks), len(containers)) == (7, 6)
    for state in containers:
        assert state["Resource"] == "arn:aws:states:::ecs:runTask.sync"
        parameters = state["Parameters"]
        assert parameters["TaskDefinition"] == parameters["Cluster"] == "prompt-hub-dev"
        assert parameters["PropagateTags"] == "TASK_DEFINITION"
        assert parameters["Overrides"]["TaskRoleArn"].endswith(":role/prompt-hub-dev-records")
        (container,) = parameters["Overrides"]["ContainerOverrides"]
        given = {item["Name"]: item["Value"] for item in container["Environment"]}
        assert given.keys() == {"PROMPT_HUB_RECORDS_BUCKET", "PROMPT_HUB_TOPIC_ARN"}
        assert given["PROMPT_HUB_RECORDS_BUCKET"].startswith("prompt-hub-dev-records-")
        assert given["PROMPT_HUB_TOPIC_ARN"].endswith(":prompt-hub-dev-notifications")


def test_a_run_ends_before_what_it_reads_expires(definition: Json) -> None:
    assert definition["TimeoutSeconds"] == 14 * 24 * 3600


def valid(definition: Json, folder: Path) -> subprocess.CompletedProcess[str]:
    """Ask the validator of the Amazon States Language."""
    path = folder / "definition.json"
    path.write_text(json.dumps(definition), encoding="utf-8")
    return subprocess.run(
        [ROOT / "node_modules" / ".bin" / "asl-validator", "--json-path", path],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_definition_is_valid(definition: Json, tmp_path: Path) -> None:
    done = valid(definition, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_local_aws_runs_each_of_its_states(definition: Json) -> None:
    assert refusals(json.dumps(definition)) == []


def wrong(definition: Json) -> Iterator[tuple[str, Json]]:
    """Yield copies with one thing wrong, each with what it is."""

    def copied() -> tuple[Json, Json]:
        whole = copy.deepcopy(definition)
        return whole, whole["States"]

    whole, states = copied()
    states["Plan"]["Next"] = "Nowhere"
    yield "a state that is not there", whole
    whole, states = copied()
    states["Lost"] = {"Type": "Succeed"}
    yield "a state that nothing leads to", whole
    whole, states = copied()
    states["Name the run"]["Parameters"]["run.$"] = "States.Hash($.key, 'SHA-256'"
    yield "a function without its end", whole
    whole, states = copied()
    states["Answer"]["ItemProcessor"]["States"]["Answer a shard"].pop("End")
    yield "a shard without an end", whole


def test_the_validator_finds_what_is_wrong(definition: Json, tmp_path: Path) -> None:
    for what, whole in wrong(definition):
        assert valid(whole, tmp_path).returncode == 1, what


def test_names_with_hyphens_stand_in_brackets_and_in_no_function(definition: Json) -> None:
    """After a dot, or in a function, Step Functions takes the hyphen for something else."""
    values = json.dumps(definition["States"]["Read the event"]["Parameters"])
    assert "['version-id']" in values
    assert ".version-id" not in json.dumps(definition)
    assert "States." not in values
