"""Paths, functions and rules of the Amazon States Language, as strict as Step Functions is.

The emulator takes a path that leads nowhere for null, and lets wildcards mean errors that AWS lets
no wildcard mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.services import stepfunctions

from local_aws.state_walk import Record, StateError

_TAKEN = {"States.Format": (str, int), "States.MathAdd": (int,)}
"""Of what types arguments are, where interpreters part over others: True, None, and 0.7 plus 1."""


def install() -> None:
    """Replace the emulator's own."""
    stepfunctions._resolve_path = resolve
    stepfunctions._exec_intrinsic = _computing(stepfunctions._exec_intrinsic)
    stepfunctions._evaluate_rule = _present(stepfunctions._evaluate_rule)
    stepfunctions._error_matches = matches


def resolve(path: str, data: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a path leads to; raises `StateError` where it leads nowhere."""
    found = data
    for _, part in stepfunctions._parse_jsonpath_tokens(path or "$"):
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            cause = f"The JSONPath '{path}' could not be found in '{json.dumps(data)}'"
            raise StateError("States.Runtime", cause[:2_000]) from None
    return found


def _computing(compute: Callable[..., Any]) -> Callable[..., Any]:
    def compute_intrinsic(node: tuple[str, str, list[Any]], data: Any, context: Any) -> Any:  # noqa: ANN401
        _, name, arguments = node
        try:
            if name in _TAKEN:
                for argument in arguments:
                    value = stepfunctions._eval_intrinsic_arg(argument, data, context)
                    if isinstance(value, bool) or not isinstance(value, _TAKEN[name]):
                        raise TypeError(f"the local AWS takes no {type(value).__name__} here")
            return compute(node, data, context)
        except (ValueError, LookupError, TypeError, AttributeError) as problem:
            raise StateError("States.IntrinsicFailure", f"{name}: {problem}") from problem

    return compute_intrinsic


def _present(evaluate: Callable[..., bool]) -> Callable[..., bool]:
    """Let IsPresent be the one test for which a path may lead nowhere."""

    def evaluate_rule(rule: Record, data: Any, context: Record) -> bool:  # noqa: ANN401
        if "IsPresent" not in rule:
            return evaluate(rule, data, context)
        try:
            stepfunctions._resolve_path_or_ctx(rule["Variable"], data, context)
        except StateError:
            return not rule["IsPresent"]
        return bool(rule["IsPresent"])

    return evaluate_rule


def matches(names: list[str], error: str) -> bool:
    """Whether Retry or Catch means this error; two errors no wildcard means."""
    if error in names:
        return True
    if error in {"States.Runtime", "States.DataLimitExceeded"}:
        return False
    return "States.ALL" in names or ("States.TaskFailed" in names and error != "States.Timeout")
