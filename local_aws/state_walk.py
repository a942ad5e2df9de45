"""One execution of a state machine: from state to state, as Step Functions goes.

Paths, functions and choices are the emulator's, made strict by `state_paths`. Retries, catches,
limits and the end are here: the emulator waits at most a minute before a retry, knows no limit of
size, and lets what was stopped run on.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

from local_aws.service_roles import ServiceRole

Record = dict[str, Any]
"""A record of the emulator, a part of a definition, or data of an execution."""

StateError = stepfunctions._ExecutionError
"""A named error, which Retry and Catch look at: `StateError(error, cause)`."""

MOST_BYTES = 262_144
"""How much data a state may take or give, in UTF-8."""

LOOK_EVERY = 0.1

closing = threading.Event()
"""Set when the local AWS ends: executions stay RUNNING and go on with the next start."""


class StoppedError(Exception):
    """Somebody stopped the execution; its record says so already."""


class SuspendedError(Exception):
    """The local AWS ends, the execution does not."""


class OverdueError(Exception):
    """The execution took longer than its machine allows."""


@dataclass(kw_only=True)
class Walk:
    """One execution, or the child of one: its record, its states, its context object."""

    record: Record
    states: Record
    context: Record
    role: ServiceRole
    act: Callable[[Walk, Record, Any], Any]
    """Does what a Task or a Map is for; takes the state and its input."""
    parent: Walk | None = None
    seconds: float | None = None
    """TimeoutSeconds of the machine."""
    resumed: bool = False
    """Whether it goes on where an earlier attempt ended; true until the first map."""
    _began: float = field(default_factory=time.monotonic)
    _attempt: int = field(init=False)

    def __post_init__(self) -> None:
        self._attempt = self.record.get("redriveCount", 0)

    def run(self, name: str | None, data: Any) -> Any:  # noqa: ANN401 - JSON
        """Go from the state `name` to the end; returns the output. Raises `StateError`."""
        while name is not None:
            self.check()
            data, name = self._enter(name, self.states[name], data)
        return data

    def check(self) -> None:
        """Raise if this is not to go on; the exception says why."""
        if closing.is_set():
            raise SuspendedError
        if self.record["status"] != "RUNNING" or self._attempt != self.record.get(
            "redriveCount", 0
        ):
            raise StoppedError
        if self.parent is not None:
            self.parent.check()
        if self.seconds is not None and time.monotonic() > self._began + self.seconds:
            raise OverdueError

    def pause(self, seconds: float) -> None:
        """Wait; raises as `check` does as soon as there is nothing to wait for."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(LOOK_EVERY, left))
            self.check()

    def event(self, kind: str, **details: object) -> None:
        """Write down what happens, where GetExecutionHistory reads it."""
        stepfunctions._add_event(self.record, kind, details)

    def _enter(self, name: str, state: Record, data: Any) -> tuple[Any, str | None]:  # noqa: ANN401
        kind = state["Type"]
        self.context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        text = within_limit(name, data)
        self.event(f"{kind}StateEntered", stateEnteredEventDetails={"name": name, "input": text})
        if kind == "Fail":
            raise StateError(*stepfunctions._fail_state_error(state, data, self.context))
        if kind == "Choice":
            output, following = stepfunctions._execute_choice(state, data, self.context)
        elif kind == "Wait":
            output = stepfunctions._apply_input_path(state, data, self.context)
            self.pause(self._seconds(state, output))
            output = stepfunctions._apply_output_path(state, output, self.context)
            following = state.get("Next")
        elif kind in {"Pass", "Succeed"}:
            given = stepfunctions._apply_input_path(state, data, self.context)
            given = self.filled(state, "Parameters", given)
            output = self._output(state, data, state.get("Result", given))
            following = state.get("Next")
        else:
            output, following = self._with_retries(state, data)
        text = within_limit(name, output)
        self.event(f"{kind}StateExited", stateExitedEventDetails={"name": name, "output": text})
        return output, following

    def filled(self, state: Record, name: str, data: Any) -> Any:  # noqa: ANN401 - JSON
        """Fill in the template `name` of a state; without one, `data` stays as it is."""
        if name not in state:
            return data
        return stepfunctions._resolve_params_obj(state[name], data, self.context)

    def _seconds(self, state: Record, data: Any) -> float:  # noqa: ANN401 - JSON
        """Return how long a state waits; raises `StateError` unless in whole seconds."""
        seconds: object = state.get("Seconds")
        if "SecondsPath" in state:
            path = state["SecondsPath"]
            seconds = stepfunctions._resolve_path_or_ctx(path, data, self.context)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
            raise StateError("States.Runtime", f"{seconds!r} is no whole number of seconds.")
        return seconds

    def _output(self, state: Record, data: Any, result: Any) -> Any:  # noqa: ANN401 - JSON
        output = stepfunctions._apply_result_path(state, data, result)
        return stepfunctions._apply_output_path(state, output, self.context)

    def _with_retries(self, state: Record, data: Any) -> tuple[Any, str | None]:  # noqa: ANN401
        counts: dict[int, int] = {}
        # Children of a map write their own state into a context of their own.
        entered = self.context["State"]
        while True:
            entered["RetryCount"] = sum(counts.values())
            try:
                given = stepfunctions._apply_input_path(state, data, self.context)
                result = self.act(self, state, given)
                within_limit(entered["Name"], result)
                result = self.filled(state, "ResultSelector", result)
                return self._output(state, data, result), state.get("Next")
            except StateError as problem:
                rules = state.get("Retry", [])
                rule, place = stepfunctions._find_matching_retrier(rules, problem.error, counts)
                if rule is None:
                    rules = state.get("Catch", [])
                    rule = stepfunctions._find_matching_catcher(rules, problem.error)
                    if rule is None:
                        raise
                    error = {"Error": problem.error, "Cause": problem.cause}
                    path = rule.get("ResultPath", "$")
                    output = stepfunctions._apply_result_path_raw(path, data, error)
                    return output, rule["Next"]
                wait = delay(rule, counts.get(place, 0))
                counts[place] = counts.get(place, 0) + 1
            self.pause(wait)


def delay(rule: Record, retries: int) -> float:
    """Return how long to wait before the next attempt, after `retries` by the same rule."""
    seconds: float = rule.get("IntervalSeconds", 1) * rule.get("BackoffRate", 2.0) ** retries
    seconds = min(seconds, rule.get("MaxDelaySeconds", seconds))
    if rule.get("JitterStrategy") == "FULL":
        return random.uniform(0, seconds)  # noqa: S311 - nothing to guess
    return seconds


def within_limit(name: str, data: Any) -> str:  # noqa: ANN401 - JSON
    """Return `data` as JSON; raises `StateError` where Step Functions would not keep it."""
    text = json.dumps(data, ensure_ascii=False)
    if len(text.encode()) > MOST_BYTES:
        raise StateError(
            "States.DataLimitExceeded",
            f"The state/task '{name}' returned a result with a size exceeding the maximum number"
            f" of bytes service limit: {len(text.encode()):,} of {MOST_BYTES:,}.",
        )
    return text
