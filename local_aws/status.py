"""`make status`: what runs here, what is served, what the pipeline did last, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from local_aws.countdown import duration
from local_aws.figures import side_by_side
from local_aws.mail import newest
from local_aws.processes import LocalRunError, answers
from local_aws.provider import behind
from local_aws.stack import STAGE, LocalStack
from local_aws.stack_reader import Json, Observer

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_codepipeline.type_defs import ActionExecutionDetailTypeDef

MESSAGES = 5


def status(stack: LocalStack) -> Iterator[str]:
    """Yield the lines about a local stack; where its AWS does not run, the processes alone."""
    yield from stack.processes()
    if not stack.is_up:
        yield "\n`make up` starts it, and goes on where it was."
        return
    observer = Observer(stack)
    yield f"\nAWS      {stack.endpoint}\nmodel    {stack.model_url}/v1: {behind(stack)}"
    try:
        yield f"console  {stack.console_url}"
    except LocalRunError as error:
        yield f"console  {error}"
    yield f"clone    {stack.author}\nshell    . {stack.shell_file}"
    try:
        yield f"service  {observer.url}/v1/tasks{_readiness(observer.url)}"
    except LocalRunError as error:
        yield f"service  {error}"
    yield from _section("Pipeline, newest execution", _newest_execution(observer))
    yield from _section(f"Tasks in stage {STAGE}, by the ledger", _tasks(observer))
    yield from _section("Alarms that are not OK", alarm_lines(stack.alarms))
    yield from _section("Newest messages to people", _messages(stack))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield f"\n{title}"
    found = [f"  {line}" for line in lines]
    yield from found or ["  none"]


def _readiness(url: str) -> str:
    return "" if answers(f"{url}/readyz") else ": not ready"


def _newest_execution(observer: Observer) -> Iterator[str]:
    for execution in observer.newest(1):
        actions = observer.actions(execution)
        yield f"{execution} {observer.status(execution)}"
        for action in reversed(actions):
            yield from action_lines(action, datetime.now(UTC))


def action_lines(action: ActionExecutionDetailTypeDef, now: datetime) -> Iterator[str]:
    """Yield an action, how long it took or has run until `now`, and why it failed."""
    running = action["status"] == "InProgress"
    seconds = ((now if running else action["lastUpdateTime"]) - action["startTime"]).total_seconds()
    took = f"runs for {duration(seconds)}" if running else f"{seconds:.1f} s"
    yield f"  {action['status']:<10} {action['stageName']} / {action['actionName']}  {took}"
    if action["status"] == "Failed":
        result = action.get("output", {}).get("executionResult", {})
        yield f"             {result.get('externalExecutionSummary', 'no reason given')}"


def _tasks(observer: Observer) -> Iterator[str]:
    for pointer in observer.active():
        if pointer.get("retired"):  # as the drill's own task is after each drill
            continue
        task = str(pointer["task"])
        yield task_line(pointer, observer.version_states(task), observer.samples(task))


def task_line(pointer: Json, states: Mapping[str, str], samples: list[Json]) -> str:
    """Return a task's line: what is active, where a rollback goes, what was taken out, the score.

    `samples` are the score watch's, oldest first.
    """
    previous = cast("Json | None", pointer["previous"])
    parts = [
        f"{pointer['task']} {pointer['version']}",
        f"way back {previous['version'] if previous else 'none'}",
    ]
    if pointer["frozen"]:
        parts.append("FROZEN")
    parts += [
        f"{state} {version}"
        for version, state in states.items()
        if state in ("quarantined", "downgraded")
    ]
    own = [sample for sample in samples if sample["version"] == pointer["version"]]
    for sample in own[-1:]:
        score, threshold = cast(float, sample["score"]), cast(float, sample["threshold"])
        below = " BELOW" if score < threshold else ""
        shown, least = side_by_side(score, threshold)
        parts.append(f"score {shown} of {least}{below} at {sample['at']}")
    return " · ".join(parts)


def _messages(stack: LocalStack) -> Iterator[str]:
    for file, subject in newest(stack.mail, MESSAGES):
        yield f"{subject}: {file}"


def alarm_lines(alarms: CloudWatchClient) -> Iterator[str]:
    """Yield every alarm that rings, and why: of a stage those of its console, and a drill's."""
    for page in alarms.get_paginator("describe_alarms").paginate():
        for alarm in page["MetricAlarms"]:
            reason = alarm.get("StateReason", "no reason given")
            # In this state an alarm is made, and some tell people when they come back to it.
            silent = alarm["StateValue"] == "INSUFFICIENT_DATA" and alarm["InsufficientDataActions"]
            if alarm["StateValue"] == "ALARM" or (silent and not reason.startswith("Unchecked")):
                yield f"{alarm['AlarmName']}: {reason}"
