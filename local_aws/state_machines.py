"""Step Functions: the emulator's API and records, our own way through a state machine.

What the emulator would run otherwise than AWS is refused when a machine is made (`state_language`).
An execution goes from state to state here (`state_walk`, `state_tasks`, `state_maps`), outlives
the local AWS, and is redriven where it failed: in both cases it goes on with the state it was in.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Any

from ministack.core.arn import parse_arn
from ministack.core.responses import error_response_json, json_response, now_iso, request_scope
from ministack.services import cloudwatch, stepfunctions
from ministack.services.cloudformation import provisioners

from local_aws import state_language, state_paths
from local_aws.service_roles import ServiceRole
from local_aws.settings import CloudSettings
from local_aws.state_maps import run_map
from local_aws.state_tasks import run_task
from local_aws.state_walk import (
    MOST_BYTES,
    OverdueError,
    Record,
    StateError,
    StoppedError,
    SuspendedError,
    Walk,
    closing,
)

logger = logging.getLogger("local_aws.state_machines")

Handler = Callable[..., tuple[str, Record]]

RESTARTED = "States.ServiceRestart"
"""The error by which the emulator marks executions that ran when it was killed."""
_INTERRUPTED = "_interrupted"

_NOT_HERE = {
    "_publish_state_machine_version": "versions of state machines",
    "_create_state_machine_alias": "aliases of state machines",
    "_start_sync_execution": "synchronous executions",
    "_test_state": "tests of a single state",
    "_validate_state_machine_definition": "validation of a definition alone",
    "_update_map_run": "changes of a map run that is under way",
}
_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "TIMED_OUT": "ExecutionsTimedOut",
    "ABORTED": "ExecutionsAborted",
}


def install(settings: CloudSettings) -> None:
    """Run executions by our own walk, and refuse what it does not run."""
    state_paths.install()
    stepfunctions._run_execution = _run
    stepfunctions._restore_state = _restored(stepfunctions._restore_state)
    stepfunctions._validate_definition_jsonata = _refusal
    stepfunctions._start_execution = _start(stepfunctions._start_execution)
    stepfunctions._describe_execution = _describe(stepfunctions._describe_execution)
    stepfunctions._emit_execution_status_event = _counting(
        stepfunctions._emit_execution_status_event
    )
    stepfunctions.handle_request = _redriving(stepfunctions.handle_request)
    for name, what in _NOT_HERE.items():
        setattr(stepfunctions, name, _refusing(what))
    provisioners._sfn_definition = _defined(provisioners._sfn_definition)
    handlers = provisioners._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"]
    handlers["create"] = _made(handlers["create"], properties=0)
    handlers["update"] = _made(handlers["update"], properties=1)
    closing.clear()


def start() -> None:
    """Go on with every execution that ran when the local AWS ended."""
    for run in stepfunctions._map_runs.all_values():
        if run["status"] == "RUNNING":
            run |= {"status": "ABORTED", "stopDate": now_iso()}
            counts = run["itemCounts"]
            counts |= {"running": 0, "aborted": counts["aborted"] + counts["running"]}
    for record in list(stepfunctions._executions.all_values()):
        if not record.pop(_INTERRUPTED, False):
            continue
        if "mapRunArn" in record:
            record["status"] = "ABORTED"
            continue
        logger.info("%s goes on", record["executionArn"])
        arn = parse_arn(record["executionArn"])
        with request_scope(arn.account_id, arn.region):
            _go_on(record)


def stop() -> None:
    """Let executions go no further; those that run go on with the next start."""
    closing.set()


# --- Executions --------------------------------------------------------------------------------


def _restored(restore: Callable[[Record], None]) -> Callable[[Record], None]:
    """Let no execution that will go on look failed: callers are answered before it does."""

    def restore_state(data: Record) -> None:
        restore(data)
        for record in stepfunctions._executions.all_values():
            if record.get("error") == RESTARTED:
                going_on = {"status": "RUNNING", "stopDate": None, "error": None, "cause": None}
                record |= going_on | {_INTERRUPTED: True}

    return restore_state


def _go_on(record: Record) -> None:
    record |= {"status": "RUNNING", "stopDate": None, "output": None, "error": None, "cause": None}
    run = copy_context().run
    threading.Thread(target=run, args=(_run, record["executionArn"]), daemon=True).start()


def _run(arn: str) -> None:
    """Run an execution from its start, or from the state in which it was."""
    record = stepfunctions._executions[arn]
    machine = stepfunctions._state_machines[record["stateMachineArn"]]
    # A machine that is changed meanwhile changes no execution of it, nor a redrive.
    definition = json.loads(record.setdefault("_definition", machine["definition"]))
    given = json.loads(record["input"])
    entered = [event for event in record["events"] if "stateEnteredEventDetails" in event]
    name, data = definition["StartAt"], given
    if entered:
        details = entered[-1]["stateEnteredEventDetails"]
        name, data = details["name"], json.loads(details["input"])
    execution = {
        "Id": arn,
        "Input": given,
        "Name": record["name"],
        "RoleArn": machine["roleArn"],
        "StartTime": record["startDate"],
        "RedriveCount": record.get("redriveCount", 0),
    }
    walk = Walk(
        record=record,
        states=definition["States"],
        context={
            "Execution": execution,
            "StateMachine": {"Id": machine["stateMachineArn"], "Name": machine["name"]},
        },
        role=ServiceRole(
            role=machine["roleArn"],
            service="states.amazonaws.com",
            source=machine["stateMachineArn"],
        ),
        act=lambda walk, state, given: (run_map if state["Type"] == "Map" else run_task)(
            walk, state, given
        ),
        seconds=definition.get("TimeoutSeconds"),
        resumed=bool(entered),
    )
    try:
        output = json.dumps(walk.run(name, data))
        walk.check()
        record |= {"status": "SUCCEEDED", "output": output, "stopDate": now_iso()}
        walk.event("ExecutionSucceeded", executionSucceededEventDetails={"output": output})
        stepfunctions._emit_execution_status_event(record)
    except (StoppedError, SuspendedError):
        return
    except OverdueError:
        record |= {"status": "TIMED_OUT", "stopDate": now_iso()}
        walk.event("ExecutionTimedOut")
        stepfunctions._emit_execution_status_event(record)
    except StateError as problem:
        _fail(record, problem.error, problem.cause)
    except Exception as problem:
        logger.exception("%s failed", arn)
        _fail(record, "States.Runtime", f"{type(problem).__name__}: {problem}")


def _fail(record: Record, error: str, cause: str) -> None:
    logger.warning("%s failed: %s: %s", record["executionArn"], error, cause[:500])
    stepfunctions._fail_execution(record, error, cause)
    record["output"] = None  # only what succeeded has one


def _start(begin: Callable[[Record], object]) -> Callable[[Record], object]:
    """Refuse input that AWS refuses, and take the same start twice for one."""

    def start_execution(data: Record) -> object:
        text = data.get("input", "{}")
        machine = stepfunctions._state_machines.get(data.get("stateMachineArn"), {})
        if machine.get("type", "STANDARD") != "STANDARD":
            return _refusing("state machines of type EXPRESS")(data)
        try:
            json.loads(text)
        except ValueError as problem:
            return error_response_json("InvalidExecutionInput", f"The input: {problem}", 400)
        if len(text.encode()) > MOST_BYTES:
            return error_response_json("ValidationException", "The input is too long.", 400)
        place = data.get("stateMachineArn", "").replace(":stateMachine:", ":execution:")
        running = stepfunctions._executions.get(f"{place}:{data.get('name')}", {})
        if running.get("status") == "RUNNING" and running["input"] == text:
            same = ("executionArn", "startDate")
            return json_response({name: running[name] for name in same})
        return begin(data)

    return start_execution


def _redriving(handle: Callable[..., Any]) -> Callable[..., Any]:
    async def handle_request(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query: object
    ) -> object:
        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return stepfunctions._finalize_response(_redrive(json.loads(body)))
        answer: object = await handle(method, path, headers, body, query)
        return answer

    return handle_request


def _redrive(data: Record) -> object:
    """RedriveExecution: go on with the state in which the execution failed or was stopped."""
    record = stepfunctions._executions.get(data.get("executionArn"))
    if record is None:
        return error_response_json("ExecutionDoesNotExist", "There is no such execution.", 400)
    if record["status"] not in {"FAILED", "ABORTED", "TIMED_OUT"} or "mapRunArn" in record:
        reason = f"Execution is {record['status']} and cannot be redriven"
        return error_response_json("ExecutionNotRedrivable", reason, 400)
    record["redriveCount"] = record.get("redriveCount", 0) + 1
    record["redriveDate"] = now_iso()
    details = {"redriveCount": record["redriveCount"]}
    stepfunctions._add_event(
        record, "ExecutionRedriven", {"executionRedrivenEventDetails": details}
    )
    _go_on(record)
    return json_response({"redriveDate": record["redriveDate"]})


def _describe(describe: Callable[[Record], tuple[int, Any, bytes]]) -> Callable[[Record], object]:
    """Say of an execution that was redriven how often, and when the last time."""

    def describe_execution(data: Record) -> object:
        answer = describe(data)
        record = stepfunctions._executions.get(data.get("executionArn"), {})
        if "redriveDate" not in record:
            return answer
        redriven = {name: record[name] for name in ("redriveCount", "redriveDate")}
        return json_response(json.loads(answer[2]) | redriven)

    return describe_execution


def _counting(emit: Callable[[Record], None]) -> Callable[[Record], None]:
    def emit_and_count(record: Record) -> None:
        emit(record)
        machine = {"StateMachineArn": record["stateMachineArn"]}
        name = _METRICS[record["status"]]
        cloudwatch.record_metric("AWS/States", name, 1, "Count", machine)

    return emit_and_count


# --- Machines ----------------------------------------------------------------------------------


def _refusal(definition: str | None) -> str | None:
    found = state_language.refusals(definition or "{}")
    return f"Invalid State Machine Definition: {' '.join(found)}" if found else None


def _refusing(what: str) -> Callable[[Record], object]:
    message = f"The local AWS has no {what}."
    return lambda data: error_response_json("ValidationException", message, 400)


def _defined(read: Callable[[Record], str]) -> Callable[[Record], str]:
    def definition(properties: Record) -> str:
        text = read(properties)
        if reason := _refusal(text):
            raise provisioners._sfn_handler_error(reason)
        return text

    return definition


def _made(change: Handler, properties: int) -> Handler:
    """Keep what a template says of logs and traces as the API writes it."""

    def change_machine(name: str, *rest: Any, **named: Any) -> tuple[str, Record]:  # noqa: ANN401
        arn, attributes = change(name, *rest, **named)
        machine, given = stepfunctions._state_machines[arn], rest[properties]
        for part in ("LoggingConfiguration", "TracingConfiguration"):
            if part in given:
                value = provisioners._pascal_to_camel(given[part])
                machine[f"{part[0].lower()}{part[1:]}"] = value
        return arn, attributes

    return change_machine
