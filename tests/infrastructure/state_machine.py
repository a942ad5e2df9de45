"""A way through a state machine with the emulator's own paths, functions and rules.

Tasks are run by whoever asks for the way; nothing waits, and no `Retry` is heeded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ministack.services import stepfunctions

from tests.infrastructure.synthesised import Assembly, Json

EXECUTION = "arn:aws:states:us-east-1:111111111111:execution:prompt-hub-dev-records:e1"
Container = Callable[[Json], None]
"""Runs a task with these parameters of a state; raises `StoppedError` where it fails."""


class StoppedError(Exception):
    """A task failed, as Step Functions says it."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


def definition_of(assembly: Assembly, stage: str = "dev") -> Json:
    """The definition in a template, each reference as the name of what it refers to."""
    machine = assembly.only(f"{stage}-service", "AWS::StepFunctions::StateMachine")
    parts = machine["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else _name(part) for part in parts)
    found: Json = json.loads(text)
    return found


def _name(reference: Json) -> str:
    ((_, name),) = reference.items()
    return str(name if isinstance(name, str) else name[0])


def states_of(definition: Json) -> dict[str, Json]:
    """Every state, those of a map's children included."""
    found: dict[str, Json] = {}
    for name, state in definition["States"].items():
        found[name] = state
        if "ItemProcessor" in state:
            found |= states_of(state["ItemProcessor"])
    return found


@dataclass
class Way:
    """Goes from the first state to the end."""

    container: Container
    objects: Mapping[str, Any]
    """What a map finds, by key."""
    names: list[str] = field(default_factory=list)
    """The states that it came through."""
    pauses: list[int] = field(default_factory=list)
    """How long each state waits that was to."""

    def go(self, definition: Json, data: Any) -> Any:
        """Return the output; raises `StoppedError` where a task fails and nothing catches it."""
        name = definition["StartAt"]
        while name:
            self.names.append(name)
            state = definition["States"][name]
            if state["Type"] == "Succeed":
                return data
            if state["Type"] == "Fail":
                raise StoppedError(state["Error"], state["Cause"])
            data, name = self._enter(state, data)
        return data

    def _enter(self, state: Json, data: Any) -> tuple[Any, str | None]:
        kind = state["Type"]
        if kind == "Pass":
            result = _filled(state["Parameters"], data, {"Execution": {"Id": EXECUTION}})
            return stepfunctions._apply_result_path(state, data, result), state["Next"]
        if kind == "Wait":
            self.pauses.append(stepfunctions._resolve_path(state["SecondsPath"], data))
            return data, state["Next"]
        if kind == "Choice":
            return stepfunctions._execute_choice(state, data)
        try:
            result = self._map(state, data) if kind == "Map" else self._task(state, data)
        except StoppedError as problem:
            (rule,) = state.get("Catch") or [None]
            if rule is None:
                raise
            said = {"Error": problem.error, "Cause": problem.cause}
            return stepfunctions._apply_result_path_raw(rule["ResultPath"], data, said), rule[
                "Next"
            ]
        output = stepfunctions._apply_result_path(state, data, result)
        return stepfunctions._apply_output_path(state, output), state.get("Next")

    def _task(self, state: Json, data: Any) -> Json:
        self.container(_filled(state["Parameters"], data))
        # What ECS says of a task is long, and nothing of it may stay.
        return {"Containers": [{"ExitCode": 0}]}

    def _map(self, state: Json, data: Any) -> list[Any]:
        place = _filled(state["ItemReader"]["Parameters"], data)
        outputs = []
        for item in self.objects[place["Key"]]:
            context = {"Map": {"Item": {"Value": item}}}
            given = _filled(state["ItemSelector"], data, context)
            outputs.append(self.go(state["ItemProcessor"], given))
        return outputs


def _filled(template: Json, data: Any, context: Json | None = None) -> Json:
    """Fill a template; a path that leads nowhere, null to the emulator, ends the test."""
    found: Json = stepfunctions._resolve_params_obj(template, data, context)
    assert "null" not in json.dumps(found), f"{template} finds nothing in {data}"
    return found
