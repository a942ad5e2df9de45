"""What happens to a dropped file of records, in the Amazon States Language.

What answers or merges and fails for good has neither a `Catch` nor a `Fail` state behind it: only
so does a redrive, which starts with the state that failed, do its work again. A plan has both: it
has asked nothing, and people hear which file it was of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prompt_hub.core import aws_names

State = dict[str, object]

SHARDS = "shards"
"""What the executions of shards are called behind the state machine's name."""
RUN_DAYS = 14
"""How long a run may take. Step Functions lets a failed one go on for as long after its end, and
what it needs must be there: `records.expire_days` of a stage is more than both together."""
_DAY = 24 * 60 * 60
_REFUSED = 1
"""Exit code of `prompt-hub` where a person has to change something."""

_TRY_AGAIN = {
    "ErrorEquals": ["States.ALL"],
    "IntervalSeconds": 30,
    "BackoffRate": 2,
    "MaxDelaySeconds": 15 * 60,
}
_PATIENTLY = {**_TRY_AGAIN, "MaxAttempts": 20}
"""For a repair, which asks a model and sits no outage out: given up after some four hours."""
_SOMETIMES = {**_TRY_AGAIN, "MaxAttempts": 4}
"""For what asks no model: nothing is worth waiting for longer than eight minutes."""
_PAUSE_GROWS = 60
"""Seconds by which the pause before an attempt is longer than the one before the last attempt."""
_PLANS = 7
"""Attempts at a plan, in a quarter of an hour."""
_LONGEST_PAUSE_OF_PLAN = (_PLANS - 2) * _PAUSE_GROWS
_LONGEST_PAUSE_OF_SHARD = 19 * _PAUSE_GROWS
"""Twenty more attempts: given up after three hours, and after eight of an outage."""
_NO_PAUSE_YET: State = {"pause": 0}


@dataclass(frozen=True, kw_only=True)
class RecordsNames:
    """What the definition calls the stage's resources."""

    cluster: str
    service: str
    """Name of the service, and of the family of its task definition."""
    role: str
    """ARN of the role that containers have."""
    network: Mapping[str, object]
    """Subnets and security groups of the service, by the names that Step Functions has for them."""
    bucket: str
    topic: str
    """ARN of the topic by which people hear."""
    log_group: str
    """Where what the containers said stands."""
    environment: Mapping[str, str]
    """Variables of the containers, beside those of the service."""
    integration: Callable[[str], str]
    """Writes the ARN of what a state calls."""


def records_definition(names: RecordsNames, *, max_children: int) -> State:
    """Return the state machine: plan, then answer shards, `max_children` at once, then merge.

    Its input is the event of S3, or that of a rollback: then the records of the version that was
    taken back are made again, where their task asks for it. Containers get the newest revision of
    the service's task definition: a run may outlast a revision, and ECS starts none that is gone.
    """
    of_run = "'--task', $.task, '--run', $.run"
    repair = "'repair', $.detail.task, '--version', $.detail.left.version, '--after-rollback'"
    states: dict[str, State] = {
        "What happened?": {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.source",
                    "StringEquals": aws_names.event_source(),
                    "Next": "Repair",
                }
            ],
            "Default": "Read the event",
        },
        "Repair": {**_container(names, repair), "Retry": [_PATIENTLY], "End": True},
        **_name_the_run(then="Plan"),
        **_plan(names, max_children, then="Answer"),
        "Answer": _answer(names, of_run, max_children) | {"Next": "Merge"},
        "Merge": {
            **_container(names, f"'records', 'merge', {of_run}"),
            "Retry": [_SOMETIMES],
            "End": True,
        },
    }
    return {
        "Comment": "Answers a file of records that was dropped into the bucket",
        "TimeoutSeconds": RUN_DAYS * _DAY,
        "StartAt": next(iter(states)),
        "States": states,
    }


def _name_the_run(*, then: str) -> dict[str, State]:
    """Return the states from S3's event to what a run is called, and what it is of."""
    return {
        "Read the event": {
            "Type": "Pass",
            "Parameters": {
                "key.$": "$.detail.object.key",
                "version.$": "$.detail.object['version-id']",
            },
            "Next": "Is it a file?",
        },
        # The console makes a folder by an object whose key ends so.
        "Is it a file?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.key", "StringMatches": "*/", "Next": "A folder"}],
            "Default": "Name the run",
        },
        "A folder": {"Type": "Succeed"},
        # By what was dropped: an event that comes twice is one run, a file dropped again another.
        "Name the run": {
            "Type": "Pass",
            "Parameters": {
                "key.$": "$.key",
                "version.$": "$.version",
                "task.$": "States.ArrayGetItem(States.StringSplit($.key, '/'), 1)",
                # Of an event that comes twice, the second execution is refused.
                "execution.$": "$$.Execution.Id",
                "run.$": "States.Hash(States.Format('{} {}', $.key, $.version), 'SHA-256')",
                "tries": _NO_PAUSE_YET,
            },
            "Next": then,
        },
    }


def _plan(names: RecordsNames, max_children: int, *, then: str) -> dict[str, State]:
    """Return the states that plan a run, and tell people of a file that could not be planned."""
    plan = (
        # What S3 makes up may begin with a hyphen.
        "'records', 'plan', '--key', $.key, States.Format('--version-id={}', $.version),"
        f" '--run', $.run, '--execution', $.execution, '--children', '{max_children}'"
    )
    not_planned = (
        f"its container ended {_PLANS} times and left no plan. Nothing was asked. The log group"
        f" {names.log_group} says why; when that is mended, drop the file again."
    )
    told: dict[str, State] = {
        "Tell people": {
            "Type": "Task",
            "Resource": names.integration("sns:publish"),
            "Parameters": {
                "TopicArn": names.topic,
                "Subject": f"{aws_names.installation()}: records not planned",
                "Message.$": f"States.Format('s3://{names.bucket}/{{}}: {not_planned}', $.key)",
            },
            "ResultPath": None,
            "Retry": [_SOMETIMES],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Not planned"}],
            "Next": "Not planned",
        },
        "Not planned": {
            "Type": "Fail",
            "Error": aws_names.NOT_PLANNED,
            "Cause": f"The file was not planned: {not_planned}",
        },
    }
    return {
        # The command has said why: in the run's folder, and to the stage's topic; or the run is
        # another execution's.
        "Refused": {"Type": "Succeed"},
        **_attempts(
            "Plan",
            _container(names, plan) | {"Next": then},
            longest_pause=_LONGEST_PAUSE_OF_PLAN,
            refused="Refused",
            then=told,
        ),
    }


def _answer(names: RecordsNames, of_run: str, max_children: int) -> State:
    """Return the state that answers every shard of a run, so many at once."""
    shards = aws_names.run_key("{}", "{}", aws_names.SHARDS_FILE)
    answer = {
        **_container(
            names, f"'records', 'answer', {of_run}, '--shard', States.Format('{{}}', $.shard)"
        ),
        # All outputs together are held to 256 KiB, whatever becomes of them.
        "OutputPath": None,
        "End": True,
    }
    return {
        "Type": "Map",
        "Label": SHARDS,
        "ItemReader": {
            "Resource": names.integration("s3:getObject"),
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {
                "Bucket": names.bucket,
                "Key.$": f"States.Format('{shards}', $.task, $.run)",
            },
        },
        "ItemSelector": {
            "task.$": "$.task",
            "run.$": "$.run",
            "shard.$": "$$.Map.Item.Value.shard",
            "tries": _NO_PAUSE_YET,
        },
        "MaxConcurrency": max_children,
        "ToleratedFailurePercentage": 0,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Answer a shard",
            "States": {
                **_attempts(
                    "Answer a shard",
                    answer,
                    longest_pause=_LONGEST_PAUSE_OF_SHARD,
                    refused="Fail a refused shard",
                    # A redrive begins with it, so nothing stands behind it.
                    then={"Answer a shard: the last attempt": answer | {"Retry": [_SOMETIMES]}},
                ),
                # As the first time, and at once: a redrive begins with it.
                "Fail a refused shard": answer,
            },
        },
        # Answers are in the bucket; 256 KiB of state would hold those of no file.
        "ResultPath": None,
    }


def _attempts(
    name: str, task: State, *, longest_pause: int, refused: str, then: Mapping[str, State]
) -> dict[str, State]:
    """Return the states that do `task`, and try it again and again unless it ends as refused.

    A `Retry` sees nothing of a container but that it failed, so after each attempt states tell
    what is refused from what broke, and wait: not at all, then longer each time. What still broke
    after the longest pause goes on with the first state of `then`.
    """
    ran, ended, judged = f"{name}: did it run?", f"{name}: how did it end?", f"{name}: refused?"
    again, wait, longer = f"{name}: try again?", f"{name}: wait", f"{name}: wait longer next time"
    return {
        name: {
            **task,
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.stopped", "Next": ran}],
        },
        # Of a container that has ended, Step Functions says what ECS says of it, as a text.
        ran: {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [
                        {"Variable": "$.stopped.Error", "StringEquals": "States.TaskFailed"},
                        {"Variable": "$.stopped.Cause", "StringMatches": "{*"},
                    ],
                    "Next": ended,
                }
            ],
            "Default": again,
        },
        ended: {
            "Type": "Pass",
            "Parameters": {"task.$": "States.StringToJson($.stopped.Cause)"},
            "ResultPath": "$.stopped",
            "Next": judged,
        },
        judged: {
            "Type": "Choice",
            # An agent that AWS adds to a task stands in the same list, in any order.
            "Choices": [{**_ended_with(_REFUSED, place), "Next": refused} for place in (0, 1)],
            "Default": again,
        },
        again: {
            "Type": "Choice",
            "Choices": [
                {
                    "Variable": "$.tries.pause",
                    "NumericGreaterThan": longest_pause,
                    "Next": next(iter(then)),
                }
            ],
            "Default": wait,
        },
        wait: {"Type": "Wait", "SecondsPath": "$.tries.pause", "Next": longer},
        longer: {
            "Type": "Pass",
            "Parameters": {"pause.$": f"States.MathAdd($.tries.pause, {_PAUSE_GROWS})"},
            "ResultPath": "$.tries",
            "Next": name,
        },
        **then,
    }


def _ended_with(code: int, place: int) -> State:
    variable = f"$.stopped.task.Containers[{place}].ExitCode"
    return {
        "And": [
            {"Variable": variable, "IsPresent": True},
            {"Variable": variable, "NumericEquals": code},
        ]
    }


def _container(names: RecordsNames, words: str) -> State:
    """Return a state that runs `prompt-hub` with `words`, and fails where that fails."""
    environment: Sequence[Mapping[str, str]] = [
        {"Name": name, "Value": value} for name, value in names.environment.items()
    ]
    return {
        "Type": "Task",
        "Resource": names.integration("ecs:runTask.sync"),
        "Parameters": {
            "Cluster": names.cluster,
            "TaskDefinition": names.service,
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"AwsvpcConfiguration": names.network},
            "PropagateTags": "TASK_DEFINITION",
            "Overrides": {
                "TaskRoleArn": names.role,
                "ContainerOverrides": [
                    {
                        "Name": aws_names.CONTAINER,
                        "Command.$": f"States.Array('prompt-hub', {words})",
                        "Environment": environment,
                    }
                ],
            },
        },
        "ResultPath": None,
    }
