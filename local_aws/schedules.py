"""EventBridge rules that start ECS tasks and pipelines, their Lambda targets retried as on AWS.

The emulator parses rate() and cron(), keeps disabled rules still, matches patterns and delivers to
Lambda, SNS and SQS. It has neither an ECS nor a CodePipeline target, invokes a function only once
whatever its EventInvokeConfig says, and looks at its schedules every ten seconds; here it is every
second.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from ministack.core.arn import ArnParseError, parse_arn
from ministack.services import cloudwatch, ecs, eventbridge
from ministack.services.cloudformation import provisioners

from local_aws import codepipeline, functions, permissions
from local_aws.permission_checks import Check
from local_aws.service_roles import DeniedError, ServiceRole, require_of_resource
from local_aws.settings import CloudSettings

logger = logging.getLogger("local_aws.schedules")

LOOK_EVERY = 1.0

SERVICE = "events.amazonaws.com"

Record = dict[str, Any]
Invoke = Callable[..., None]


def install(settings: CloudSettings) -> None:
    """Add the ECS and CodePipeline targets and the asynchronous Lambda invocation."""
    eventbridge._SCHEDULER_TICK_INTERVAL = LOOK_EVERY
    eventbridge._invoke_target = _with_tasks(eventbridge._invoke_target)
    eventbridge._dispatch_to_lambda = _invoke_function


def _with_tasks(invoke: Invoke) -> Invoke:
    def invoke_target(
        target: Record, event: Record, rule: Record, view: object | None = None
    ) -> None:
        try:
            service = parse_arn(target.get("Arn", "")).service
        except ArnParseError:
            service = ""
        if service == "codepipeline":
            _start_pipeline(target, event, rule)
            return
        if service != "ecs":
            if service == "lambda" and not _may_invoke(target["Arn"], rule["Arn"]):
                return
            if service == "states" and not _may_start(target, rule):
                return
            invoke(target, event, rule, view)
            return
        try:
            _run_tasks(target, rule, view or eventbridge._pattern_event_view(event))
        except Exception:
            logger.exception("rule %s could not start its task", rule["Name"])

    return invoke_target


def _start_pipeline(target: Record, event: Record, rule: Record) -> None:
    """StartPipelineExecution, once for each event; EventBridge, too, does not look at the event."""
    try:
        start = Check(action="codepipeline:StartPipelineExecution", resource=target["Arn"])
        _role(target, rule).require(start)
        codepipeline.start_by_event(parse_arn(target["Arn"]).resource, rule["Arn"])
    except Exception:
        logger.exception("rule %s could not start its pipeline", rule["Name"])


def _run_tasks(target: Record, rule: Record, view: object) -> None:
    """RunTask with the target's parameters; its input is the task's overrides."""
    given = target.get("Input")
    if transformer := target.get("InputTransformer"):
        given = eventbridge._apply_input_transformer(transformer, rule, view)
    # Templates and the API spell the network configuration differently: AwsVpc, awsvpc, Awsvpc.
    parameters = provisioners._pascal_to_camel(target["EcsParameters"])
    network = parameters.get("networkConfiguration") or {}
    request = {
        "cluster": target["Arn"],
        "taskDefinition": parameters["taskDefinitionArn"],
        "count": int(parameters.get("taskCount", 1)),
        "networkConfiguration": {"awsvpcConfiguration": next(iter(network.values()), {})},
        "overrides": json.loads(given) if given else {},
        "startedBy": f"events-rule/{rule['Name']}",
        "tags": parameters.get("tagList") or [],
    }
    for name in ("launchType", "platformVersion", "group", "capacityProviderStrategy"):
        if parameters.get(name):
            request[name] = parameters[name]
    _role(target, rule).require(
        *permissions.checks(Check(action="ecs:RunTask", resource="*"), json.dumps(request).encode())
    )
    status, _, body = ecs._run_task(request)
    if status >= 400:
        logger.error("rule %s could not start its task: %s", rule["Name"], body.decode())


def _role(target: Record, rule: Record) -> ServiceRole:
    """Return the target's role, as EventBridge has it."""
    role = target.get("RoleArn") or rule.get("RoleArn") or ""
    return ServiceRole(role=role, service=SERVICE, source=rule["Arn"])


def _may_invoke(function: str, rule: str) -> bool:
    """Ask the function's own policy; a target of EventBridge that may not be invoked is not."""
    try:
        require_of_resource(Check(action="lambda:InvokeFunction", resource=function), SERVICE, rule)
    except DeniedError:  # said where IAM says what it denies
        return False
    return True


def _may_start(target: Record, rule: Record) -> bool:
    """Ask the target's role; an execution that it may not start is not."""
    start = Check(action="states:StartExecution", resource=target["Arn"])
    try:
        _role(target, rule).require(start)
    except DeniedError as problem:
        logger.error("rule %s could not start its execution: %s", rule["Name"], problem)
        named = {"RuleName": rule["Name"]}
        cloudwatch.record_metric("AWS/Events", "FailedInvocations", 1, "Count", named)
        return False
    return True


def _invoke_function(arn: str, payload: str) -> None:
    try:
        functions.invoke(arn, json.loads(payload))
    except LookupError as problem:
        logger.error("EventBridge: %s", problem)
