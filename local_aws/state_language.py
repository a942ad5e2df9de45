"""Which state machines the local AWS runs: those of which it runs every field as AWS does.

Pure: a definition in, sentences out. What is not named here is refused when the machine is made:
a field that is overlooked makes an execution green that AWS would not even start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ministack.services import stepfunctions

Json = Mapping[str, Any]
"""A part of a definition in the Amazon States Language."""

RUN_TASK = "arn:aws:states:::ecs:runTask.sync"
PUBLISH = "arn:aws:states:::sns:publish"
GET_OBJECT = "arn:aws:states:::s3:getObject"

_STATE = {"Type", "Comment", "InputPath", "OutputPath"}
_RESULT = {*_STATE, "Next", "End", "ResultSelector", "ResultPath", "Retry", "Catch"}
STATES: Mapping[str, Collection[str]] = {
    "Pass": {*_STATE, "Next", "End", "Parameters", "Result", "ResultPath"},
    "Task": {*_RESULT, "Resource", "Parameters", "TimeoutSeconds"},
    "Map": {
        *(*_RESULT, "Label", "ItemReader", "ItemSelector", "ItemProcessor", "MaxConcurrency"),
        *("ToleratedFailureCount", "ToleratedFailurePercentage"),
    },
    "Choice": {*_STATE, "Choices", "Default"},
    "Wait": {*_STATE, "Next", "End", "Seconds", "SecondsPath"},
    "Succeed": _STATE,
    "Fail": {"Type", "Comment", "Error", "ErrorPath", "Cause", "CausePath"},
}
"""The types of states, and the fields that each may have."""

_MACHINE = {"Comment", "StartAt", "States", "TimeoutSeconds", "Version"}
TASKS: Mapping[str, Collection[str]] = {
    RUN_TASK: {
        *("Cluster", "TaskDefinition", "LaunchType", "PlatformVersion", "NetworkConfiguration"),
        *("Overrides", "Group", "Tags", "PropagateTags", "EnableExecuteCommand"),
        "CapacityProviderStrategy",
    },
    PUBLISH: {"TopicArn", "Subject", "Message"},
}
"""What a task may call, and the parameters that each may have."""
_RETRY = {
    *("ErrorEquals", "IntervalSeconds", "BackoffRate", "MaxAttempts", "MaxDelaySeconds"),
    *("JitterStrategy", "Comment"),
}
_TESTS = {
    *("And", "Or", "Not", "IsPresent", "IsNull", "BooleanEquals", "StringEquals", "StringMatches"),
    *("NumericEquals", "NumericGreaterThan", "NumericGreaterThanEquals", "NumericLessThan"),
    "NumericLessThanEquals",
}
_INTRINSICS = {
    *("States.Array", "States.ArrayGetItem", "States.Format", "States.Hash"),
    *("States.MathAdd", "States.JsonToString", "States.StringSplit", "States.StringToJson"),
}
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'")
_RESULT_PATH = re.compile(r"\$(\.\w+)*")


def refusals(text: str) -> list[str]:
    """Return why the local AWS does not run a definition, a sentence each; empty if it does."""
    try:
        definition = json.loads(text)
    except ValueError as problem:
        return [f"The definition is no JSON: {problem}."]
    return list(_machine("The state machine", definition, _MACHINE))


def _machine(place: str, machine: Json, fields: Collection[str]) -> Iterator[str]:
    yield from _unknown(place, {**machine, **_plain_paths(machine)}, {*fields, "QueryLanguage"})
    states = machine.get("States") or {}
    if machine.get("StartAt") not in states:
        yield f"{place}: StartAt names none of its states."
    for name, state in states.items():
        if state.get("Type") not in STATES:
            known = ", ".join(STATES)
            yield f"State {name}: the type {state.get('Type')} is not run here; {known} are."
            continue
        yield from _state(f"State {name}", state, states)


def _plain_paths(part: Json) -> Json:
    """Take out the query language that is the default anyway."""
    return {} if part.get("QueryLanguage", "JSONPath") == "JSONPath" else {"QueryLanguage of it": 0}


def _state(place: str, state: Json, states: Json) -> Iterator[str]:
    kind = state["Type"]
    yield from _unknown(place, {**state, **_plain_paths(state)}, {*STATES[kind], "QueryLanguage"})
    following = [state.get("Next"), state.get("Default")]
    following += [part.get("Next") for part in (*state.get("Catch", ()), *state.get("Choices", ()))]
    for target in following:
        if target is not None and target not in states:
            yield f"{place}: there is no state {target} to go on with."
    if kind in {"Pass", "Task", "Map", "Wait"} and bool(state.get("End")) == ("Next" in state):
        yield f"{place}: it needs either Next or End."
    if kind == "Wait" and ("Seconds" in state) == ("SecondsPath" in state):
        yield f"{place}: it needs either Seconds or SecondsPath."
    for field in ("InputPath", "OutputPath", "ErrorPath", "CausePath", "SecondsPath"):
        yield from _path(place, field, state.get(field))
    if not _RESULT_PATH.fullmatch(state.get("ResultPath") or "$"):
        yield f"{place}: ResultPath {state['ResultPath']} is not $ and names after dots."
    for field in ("Parameters", "ResultSelector", "ItemSelector"):
        yield from _template(place, state.get(field))
    yield from _retries(place, state)
    if kind == "Task":
        yield from _task(place, state)
    elif kind == "Map":
        yield from _map(place, state)
    for choice in state.get("Choices", ()):
        yield from _choice(place, choice, {*_TESTS, "Variable", "Next", "Comment"})


def _unknown(place: str, part: Json, fields: Collection[str], suffix: str = "") -> Iterator[str]:
    for field in sorted(part.keys() - fields):
        yield f"{place}: the local AWS does not run {field}{suffix}, which AWS would."


def _retries(place: str, state: Json) -> Iterator[str]:
    for field, fields in (("Retry", _RETRY), ("Catch", {"ErrorEquals", "Next", "ResultPath"})):
        parts = state.get(field, [])
        for number, part in enumerate(parts, 1):
            yield from _unknown(place, part, {*fields, "Comment"}, f" in {field}")
            errors = part.get("ErrorEquals") or []
            if not errors or ("States.ALL" in errors and (len(errors), number) != (1, len(parts))):
                yield f"{place}: {field} {number} names no error, or States.ALL not alone and last."
            if not _RESULT_PATH.fullmatch(part.get("ResultPath") or "$"):
                yield f"{place}: ResultPath {part['ResultPath']} is not $ and names after dots."


def _task(place: str, state: Json) -> Iterator[str]:
    resource = state.get("Resource")
    if not isinstance(resource, str) or resource not in TASKS:
        yield f"{place}: the local AWS runs {' and '.join(TASKS)}, not {resource}."
        return
    given = {name.removesuffix(".$"): 0 for name in state.get("Parameters") or {}}
    yield from _unknown(place, given, TASKS[resource], " in Parameters")


def _map(place: str, state: Json) -> Iterator[str]:
    reader, processor = state.get("ItemReader") or {}, state.get("ItemProcessor") or {}
    mode = processor.get("ProcessorConfig") or {}
    if (mode.get("Mode"), mode.get("ExecutionType")) != ("DISTRIBUTED", "STANDARD"):
        yield f"{place}: the local AWS runs maps of mode DISTRIBUTED and type STANDARD, not {mode}."
    if reader.get("Resource") != GET_OBJECT:
        yield f"{place}: ItemReader has to be {GET_OBJECT}, not {reader.get('Resource')}."
    if reader.get("ReaderConfig") != {"InputType": "JSON"}:
        config = reader.get("ReaderConfig")
        yield f"{place}: ItemReader reads an InputType of JSON and nothing else, not {config}."
    yield from _unknown(place, reader, {"Resource", "ReaderConfig", "Parameters"}, " in ItemReader")
    yield from _template(place, reader.get("Parameters"))
    given = {name.removesuffix(".$"): 0 for name in reader.get("Parameters") or {}}
    yield from _unknown(place, given, {"Bucket", "Key"}, " in ItemReader")
    if not isinstance(state.get("MaxConcurrency"), int) or state["MaxConcurrency"] < 1:
        yield f"{place}: without a MaxConcurrency AWS starts 10,000 children at once; name one."
    tolerated = state.get("ToleratedFailureCount") or state.get("ToleratedFailurePercentage")
    if tolerated and state.get("ResultPath", "$") is not None:
        yield f"{place}: with tolerated failures its ResultPath has to be null."
    child = f"The ItemProcessor of {place[0].lower()}{place[1:]}"
    yield from _machine(child, processor, {"ProcessorConfig", "StartAt", "States", "Comment"})


def _choice(place: str, rule: Json, fields: Collection[str]) -> Iterator[str]:
    yield from _unknown(place, rule, fields, " in Choices")
    yield from _path(place, "Variable", rule.get("Variable"))
    inner = [*rule.get("And", ()), *rule.get("Or", ()), *([rule["Not"]] if "Not" in rule else ())]
    for part in inner:
        yield from _choice(place, part, {*_TESTS, "Variable", "Comment"})


def _template(place: str, part: object) -> Iterator[str]:
    """Look at each value of a template that is a path or calls a function."""
    if isinstance(part, list):
        for value in part:
            yield from _template(place, value)
    if isinstance(part, dict):
        for name, value in part.items():
            if name.endswith(".$"):
                yield from _path(place, name, value)
            else:
                yield from _template(place, value)


def _path(place: str, field: str, value: object) -> Iterator[str]:
    if value is None:
        return
    text = _QUOTED.sub("''", str(value))
    if text.startswith("States."):
        for name in sorted(set(re.findall(r"States\.\w+", text)) - _INTRINSICS):
            yield f"{place}: {field} calls {name}, which the local AWS does not compute."
        if "*" in text:
            yield f"{place}: {field} has a path with a wildcard, which is no path to one value."
        return
    path = str(value).replace("$$", "$", 1)
    found = stepfunctions._parse_jsonpath_tokens(path)
    if not path.startswith("$") or found is None or any(kind == "wildcard" for kind, _ in found):
        yield f"{place}: {field} is {value}, which is no path to one value."
