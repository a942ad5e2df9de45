"""Lambda functions invoked by other services: asynchronously, retried, and never failing unseen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc

from local_aws import service_calls
from local_aws.service_roles import DeniedError, ServiceRole

logger = logging.getLogger("local_aws.functions")


def install() -> None:
    """Log every failed invocation; the emulator writes them to the function's log group only."""
    lambda_svc._execute_function = _logging_failures(lambda_svc._execute_function)


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


def _own_role(configuration: dict[str, Any]) -> None:
    """Ask whether Lambda may be the function's role, and write its log as it."""
    arn, logs = configuration["FunctionArn"], configuration.get("LoggingConfig") or {}
    group = logs.get("LogGroup") or f"/aws/lambda/{configuration['FunctionName']}"
    role = ServiceRole(role=configuration["Role"], service="lambda.amazonaws.com", source=arn)
    role.require(*service_calls.of_log(":".join(arn.split(":")[3:5]), group))


def _logging_failures(
    execute: Callable[[dict[str, Any], object], dict[str, Any]],
) -> Callable[[dict[str, Any], object], dict[str, Any]]:
    def execute_and_log(function: dict[str, Any], event: object) -> dict[str, Any]:
        try:
            _own_role(function.get("config") or function)
        except DeniedError as refused:
            body = {"errorType": "AccessDeniedException", "errorMessage": str(refused)}
            result: dict[str, Any] = {"body": body, "error": True}
        else:
            result = execute(function, event)
        if result.get("error"):
            name = (function.get("config") or function).get("FunctionName")
            logger.error("Lambda %s failed: %s\n%s", name, result.get("body"), result.get("log"))
        return result

    return execute_and_log
