"""The tasks of a state machine: an ECS task that it waits for, and a message that it publishes.

The emulator's own gives up after ten minutes and takes every exit code for success.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import datetime
from typing import Any

from ministack.services import ecs, sns, stepfunctions

from local_aws import permissions
from local_aws.permission_checks import Check
from local_aws.service_roles import DeniedError
from local_aws.state_language import PUBLISH, RUN_TASK
from local_aws.state_walk import (
    LOOK_EVERY,
    OverdueError,
    Record,
    StateError,
    StoppedError,
    Walk,
)

_DENIED = "ECS.AccessDeniedException"


def run_task(walk: Walk, state: Record, given: Any) -> Record:  # noqa: ANN401 - JSON
    """Do the task; of one of ECS return what DescribeTasks says, as Step Functions writes that.

    Raises `StateError`: of the service's name where it does not begin, `States.TaskFailed` where
    it fails, `States.Timeout` where it takes longer than the state allows.
    """
    parameters = walk.filled(state, "Parameters", given)
    region = walk.role.place.partition(":")[0]
    kind = _kind(state["Resource"])
    details = {**kind, "region": region, "parameters": json.dumps(parameters)}
    walk.event("TaskScheduled", taskScheduledEventDetails=details)
    try:
        if state["Resource"] == PUBLISH:
            result = _publish(walk, parameters)
        else:
            result = _run(walk, parameters, state.get("TimeoutSeconds"))
    except StateError as problem:
        details = {**kind, "error": problem.error, "cause": problem.cause}
        late = problem.error == "States.Timeout"
        name = "TaskTimedOut" if late else "TaskFailed"
        walk.event(name, **{f"{name[0].lower()}{name[1:]}EventDetails": details})
        raise
    details = {**kind, "output": json.dumps(result)}
    walk.event("TaskSucceeded", taskSucceededEventDetails=details)
    return result


def _kind(resource: str) -> Record:
    service, action = resource.rpartition(":::")[2].split(":")
    return {"resourceType": service, "resource": action}


def _publish(walk: Walk, parameters: Record) -> Record:
    topic = parameters["TopicArn"]
    ask(walk, "sns:Publish", topic, parameters, "SNS.AuthorizationErrorException")
    if sns._get_topic(topic)[0] is None:
        raise StateError("SNS.NotFoundException", f"There is no topic {topic}.")
    message = str(uuid.uuid4())
    sns._fanout(topic, message, parameters["Message"], parameters.get("Subject", ""))
    return {"MessageId": message}


def ask(walk: Walk, action: str, resource: str, request: Record, error: str) -> None:
    """Ask IAM what AWS asks before it does this with the machine's role; raises `StateError`."""
    check = Check(action=action, resource=resource)
    try:
        walk.role.require(*permissions.checks(check, json.dumps(request).encode()))
    except DeniedError as problem:
        raise StateError(error, str(problem)) from problem


def _run(walk: Walk, parameters: Record, seconds: float | None) -> Record:
    request = stepfunctions._pascal_to_camel(parameters)
    request["startedBy"] = "AWS Step Functions"
    rule = f"arn:aws:events:{walk.role.place}:rule/StepFunctionsGetEventsForECSTaskRule"
    for name in ("PutTargets", "PutRule", "DescribeRule"):
        ask(walk, f"events:{name}", rule, {}, _DENIED)
    ask(walk, "ecs:RunTask", "*", request, _DENIED)
    status, _, body = ecs._run_task(request)
    answer = json.loads(body)
    if status >= 400:
        raise StateError(f"ECS.{answer['__type'].rpartition('#')[2]}", answer["message"])
    if not answer["tasks"]:
        raise StateError("States.TaskFailed", json.dumps(_capitalised(answer["failures"])))
    cluster, task = request.get("cluster", "default"), ecs._tasks[answer["tasks"][0]["taskArn"]]
    walk.event("TaskSubmitted", taskSubmittedEventDetails=_kind(RUN_TASK))
    named = {"cluster": cluster, "tasks": [task["taskArn"]]}
    try:
        ask(walk, "ecs:DescribeTasks", "*", named, _DENIED)
        _wait(walk, task, seconds)
    except (StoppedError, OverdueError, StateError):
        _stop(walk, cluster, task["taskArn"])
        raise
    described = json.loads(ecs._describe_tasks({**named, "include": ["TAGS"]})[2])["tasks"][0]
    result: Record = _capitalised(described)
    essential = zip(task["containers"], task["_container_essentials"], strict=True)
    if any(container.get("exitCode") != 0 for container, needed in essential if needed):
        raise StateError("States.TaskFailed", json.dumps(result))
    return result


def _wait(walk: Walk, task: Record, seconds: float | None) -> None:
    began = time.monotonic()
    while task["lastStatus"] != "STOPPED":
        if seconds is not None and time.monotonic() > began + seconds:
            raise StateError("States.Timeout", "")
        walk.pause(LOOK_EVERY)


def _stop(walk: Walk, cluster: str, arn: str) -> None:
    """Stop the task if the role lets Step Functions; a task that it may not stop runs on."""
    keys = {"ecs:cluster": cluster}
    try:
        walk.role.require(Check(action="ecs:StopTask", resource=arn, keys=keys))
    except DeniedError:
        return  # said where IAM says what it denies
    ecs._stop_task({"cluster": cluster, "task": arn, "reason": "Stopped by Step Functions"})


def _capitalised(value: Any, name: str = "") -> Any:  # noqa: ANN401 - JSON
    """Write what ECS says as Step Functions does: names with capitals, times in milliseconds."""
    if isinstance(value, list):
        return [_capitalised(part) for part in value]
    if isinstance(value, dict):
        return {
            key[0].upper() + key[1:]: _capitalised(part, key)
            for key, part in value.items()
            if part is not None
        }
    if not name.endswith("At"):
        return value
    seconds = datetime.fromisoformat(value).timestamp() if isinstance(value, str) else value
    return int(seconds * 1000)
