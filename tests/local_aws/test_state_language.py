"""What the local AWS takes of the Amazon States Language, and how strictly it reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ministack.services import stepfunctions

from local_aws import state_paths
from local_aws.state_language import PUBLISH, refusals
from local_aws.state_walk import StateError, delay, within_limit
from tests.local_aws.records_stand import definition

CONTEXT = {"Execution": {"Id": "e"}, "Map": {"Item": {"Value": {"shard": 7}}}}


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator's functions as the local AWS replaces them, for one test."""
    for name in ("_resolve_path", "_exec_intrinsic", "_evaluate_rule", "_error_matches"):
        monkeypatch.setattr(stepfunctions, name, getattr(stepfunctions, name))
    state_paths.install()


def refused(machine: dict[str, Any]) -> str:
    return " ".join(refusals(json.dumps(machine)))


def of_one(**state: Any) -> dict[str, Any]:
    return {"StartAt": "One", "States": {"One": state}}


def test_the_machine_of_the_contract_is_taken() -> None:
    assert refused(definition()) == ""
    assert refused({**definition(), "QueryLanguage": "JSONPath", "TimeoutSeconds": 60}) == ""


READER = definition()["States"]["Answers"]["ItemReader"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"ItemBatcher": {}}, "does not run ItemBatcher, which AWS would"),
        ({"ResultWriter": {}}, "does not run ResultWriter, which AWS would"),
        ({"ItemsPath": "$.a"}, "does not run ItemsPath, which AWS would"),
        ({"ItemReader": {**READER, "ReaderConfig": {"InputType": "MANIFEST"}}}, "MANIFEST"),
        ({"ItemReader": {**READER, "ReaderConfig": {"InputType": "JSON", "MaxItems": 1}}}, "MaxIt"),
        ({"ItemReader": {**READER, "Parameters": {"VersionId": "1"}}}, "does not run VersionId"),
        ({"MaxConcurrency": 0}, "without a MaxConcurrency AWS starts 10,000 children"),
        ({"ToleratedFailureCount": 1, "ResultPath": "$.all"}, "ResultPath has to be null"),
        ({"ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}}}, "of mode DISTRIBUTED"),
    ],
)
def test_a_map_that_would_run_otherwise_is_refused_by_its_name(
    changed: dict[str, Any], sentence: str
) -> None:
    found = refused(definition(**changed))
    assert "State Answers: " in found
    assert sentence in found


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (of_one(Type="Parallel", End=True), "State One: the type Parallel is not run here"),
        (of_one(Type="Wait", End=True), "State One: it needs either Seconds or SecondsPath"),
        (of_one(Type="Wait", SecondsPath="9", End=True), "SecondsPath is 9, which is no path"),
        (of_one(Type="Wait", Timestamp="", Seconds=1, End=True), "does not run Timestamp"),
        (of_one(Type="Pass", Assign={}, End=True), "State One: the local AWS does not run Assign"),
        (of_one(Type="Pass", QueryLanguage="JSONata", End=True), "State One: the local AWS does"),
        (of_one(Type="Pass", Next="Two"), "State One: there is no state Two to go on with"),
        (of_one(Type="Pass"), "State One: it needs either Next or End"),
        ({"StartAt": "Two", "States": {}}, "The state machine: StartAt names none of its states"),
        (
            of_one(Type="Task", Resource="arn:aws:states:::lambda:invoke", End=True),
            "not arn:aws:states:::lambda:invoke",
        ),
        (
            of_one(Type="Task", Resource=PUBLISH, Parameters={"PhoneNumber": "1"}, End=True),
            "State One: the local AWS does not run PhoneNumber in Parameters",
        ),
        (
            of_one(Type="Pass", Parameters={"a": {"b.$": "States.UUID()"}}, End=True),
            "State One: b.$ calls States.UUID, which the local AWS does not compute",
        ),
        (
            of_one(Type="Pass", Parameters={"a.$": "$.a[?(@.b > 1)]"}, End=True),
            "State One: a.$ is $.a[?(@.b > 1)], which is no path to one value",
        ),
        (
            of_one(Type="Pass", Parameters={"a.$": "States.Array($.a[*].b)"}, End=True),
            "State One: a.$ has a path with a wildcard",
        ),
        (of_one(Type="Pass", ResultPath="$['a']", End=True), "is not $ and names after dots"),
        (
            of_one(Type="Choice", Choices=[{"Variable": "$.a", "TimestampEquals": "", "Next": ""}]),
            "does not run TimestampEquals in Choices",
        ),
    ],
)
def test_what_else_would_run_otherwise_is_refused(machine: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(machine)


def test_a_retry_that_aws_refuses_is_refused() -> None:
    every = {"ErrorEquals": ["States.ALL"]}
    machine = definition(Retry=[every, {"ErrorEquals": ["States.Timeout"]}])
    assert "State Answers: Retry 1 names no error, or States.ALL not alone" in refused(machine)


@pytest.mark.parametrize(
    ("rule", "delays"),
    [
        ({}, [1, 2, 4]),
        ({"IntervalSeconds": 30, "BackoffRate": 2, "MaxDelaySeconds": 900}, [30, 60, 120]),
        ({"IntervalSeconds": 600, "BackoffRate": 2, "MaxDelaySeconds": 900}, [600, 900, 900]),
    ],
)
def test_retries_wait_longer_each_time_up_to_what_they_may(
    rule: dict[str, Any], delays: list[float]
) -> None:
    assert [delay(rule, retries) for retries in range(3)] == delays


def test_jitter_waits_no_longer_than_the_delay() -> None:
    rule = {"IntervalSeconds": 10, "JitterStrategy": "FULL"}
    assert all(0 <= delay(rule, 1) <= 20 for _ in range(100))


@pytest.mark.parametrize(
    ("names", "error", "matches"),
    [
        (["States.ALL"], "ECS.AccessDeniedException", True),
        (["States.ALL"], "States.Runtime", False),
        (["States.ALL"], "States.DataLimitExceeded", False),
        (["States.DataLimitExceeded"], "States.DataLimitExceeded", True),
        (["States.TaskFailed"], "ECS.AccessDeniedException", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.Timeout"], "States.Timeout", True),
    ],
)
def test_no_wildcard_means_the_errors_that_aws_excepts(
    names: list[str], error: str, matches: bool
) -> None:
    assert stepfunctions._error_matches(names, error) is matches


def test_the_functions_in_use_compute_what_aws_documents() -> None:
    event = {"key": "incoming/brand/a b.csv", "object": {"version-id": "v1"}}
    template = {
        "task.$": "States.ArrayGetItem(States.StringSplit($.key, '/'), 1)",
        "run.$": "States.Hash(States.Format('{} {}', $.key, $.object['version-id']), 'SHA-256')",
        "words.$": "States.Array('--shard', States.Format('{}', $$.Map.Item.Value.shard))",
        "parsed.$": "States.StringToJson(States.JsonToString($.object))",
    }
    assert stepfunctions._resolve_params_obj(template, event, CONTEXT) == {
        "task": "brand",
        # printf 'incoming/brand/a b.csv v1' | sha256sum
        "run": "c553060e3674d04c511cd57a6f746dada16151e38efc3d754e3f0fa23b1fb59c",
        "words": ["--shard", "7"],
        "parsed": {"version-id": "v1"},
    }


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("$.missing", "States.Runtime"),
        ("$$.Map.Missing", "States.Runtime"),
        ("$.list[3]", "States.Runtime"),
        ("$.text.deeper", "States.Runtime"),
        ("States.Format('{}', $.flag)", "States.IntrinsicFailure"),
        ("States.MathAdd($.score, 1)", "States.IntrinsicFailure"),
        ("States.StringToJson($.text)", "States.IntrinsicFailure"),
        ("States.ArrayGetItem($.list, 9)", "States.IntrinsicFailure"),
        ("States.Hash($.text, 'CRC')", "States.IntrinsicFailure"),
    ],
)
def test_what_leads_nowhere_is_an_error_and_not_null(template: str, error: str) -> None:
    data = {"text": "no json", "flag": True, "list": [1], "score": 0.7}
    with pytest.raises(StateError) as caught:
        stepfunctions._resolve_params_obj({"a.$": template}, data, CONTEXT)
    assert caught.value.error == error


@pytest.mark.parametrize(
    ("rule", "data", "holds"),
    [
        ({"Variable": "$.a", "IsPresent": True}, {"a": None}, True),
        ({"Variable": "$.a", "IsPresent": True}, {}, False),
        ({"Variable": "$.a", "IsPresent": False}, {}, True),
        ({"Not": {"Variable": "$.a.b", "IsPresent": True}}, {"a": 1}, True),
        ({"Variable": "$.key", "StringMatches": "*/"}, {"key": "incoming/brand/"}, True),
        ({"Variable": "$.key", "StringMatches": "*/"}, {"key": "incoming/brand/a"}, False),
    ],
)
def test_choices_see_what_is_there(rule: dict[str, Any], data: dict[str, Any], holds: bool) -> None:
    assert stepfunctions._evaluate_rule(rule, data, CONTEXT) is holds


def test_the_limit_counts_bytes_and_not_characters() -> None:
    assert within_limit("One", "x" * 262_142)
    with pytest.raises(StateError, match="The state/task 'One' returned a result with a size"):
        within_limit("One", "é" * 140_000)
