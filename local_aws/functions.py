"""Lambda functions invoked by other services: asynchronously, retried, and never failing unseen."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ministack.services import lambda_svc

from local_aws import service_calls, service_metrics
from local_aws.service_roles import DeniedError, ServiceRole

logger = logging.getLogger("local_aws.functions")


def install() -> None:
    """Log every failed invocation; the emulator writes them to the function's log group only.

    Its own metrics count what was asked for, and no run that a service or a retry asked for.
    """
    lambda_svc._emit_lambda_metrics = lambda *_, **__: None
    lambda_svc._execute_function = _logging_failures(lambda_svc._execute_function)
    lambda_svc._emit_lambda_logs = _where_allowed(lambda_svc._emit_lambda_logs)


def invoke(arn: str, event: dict[str, object]) -> None:
    """Invoke the function asynchronously, as services do on AWS.

    Retries and the on-failure destination of its EventInvokeConfig are the emulator's own. Raises
    `LookupError` when there is no such function.
    """
    function, configuration, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not configuration:
        raise LookupError(f"there is no Lambda function {name}")
    record = lambda_svc._execution_record_for_config(function, configuration)
    lambda_svc.invoke_async_with_retry(record, event)


def _role(function: dict[str, Any]) -> ServiceRole:
    """Return a function's role, as Lambda has it."""
    configuration = function.get("config") or function
    return ServiceRole(
        role=configuration["Role"],
        service="lambda.amazonaws.com",
        source=configuration["FunctionArn"],
    )


def _where_allowed(write: Callable[..., None]) -> Callable[..., None]:
    """Write a log only if the role allows it; without one the function runs all the same."""

    def write_where_allowed(function: dict[str, Any], *rest: object, **options: object) -> None:
        configuration = function.get("config") or function
        logs = configuration.get("LoggingConfig") or {}
        group = logs.get("LogGroup") or f"/aws/lambda/{configuration['FunctionName']}"
        place = ":".join(configuration["FunctionArn"].split(":")[3:5])
        with suppress(DeniedError):  # said where IAM says what it denies
            _role(function).require(*service_calls.of_log(place, group))
            write(function, *rest, **options)

    return write_where_allowed


def _logging_failures(
    execute: Callable[[dict[str, Any], object], dict[str, Any]],
) -> Callable[[dict[str, Any], object], dict[str, Any]]:
    def execute_and_log(function: dict[str, Any], event: object) -> dict[str, Any]:
        try:
            _role(function).require()
        except DeniedError as refused:
            body = {"errorType": "AccessDeniedException", "errorMessage": str(refused)}
            result: dict[str, Any] = {"body": body, "error": True}
        else:
            began = time.monotonic()
            result = execute(function, event)
            name = (function.get("config") or function)["FunctionName"]
            milliseconds = 1000 * (time.monotonic() - began)
            service_metrics.count_run(
                name,
                milliseconds,
                failed=bool(result.get("error")),
                throttled=bool(result.get("throttle")),
            )
        if result.get("error"):
            name = (function.get("config") or function).get("FunctionName")
            logger.error("Lambda %s failed: %s\n%s", name, result.get("body"), result.get("log"))
        return result

    return execute_and_log
