"""What a pipeline is declared as, and what of it the local AWS refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_aws.pipeline_actions import (
    ACTIONS,
    kind,
)

MAX_INPUTS_OF_A_BUILD = 5
Declaration = Mapping[str, Any]


class RefusedError(Exception):
    """A request that cannot be served: the API's error code, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def validate(declaration: Declaration) -> None:
    """Raise `Refused` for what this engine would not run as AWS does."""
    if declaration.get("executionMode", "SUPERSEDED") != "SUPERSEDED":
        message = "only the execution mode SUPERSEDED is known here"
        raise RefusedError("InvalidStructureException", message)
    if "artifactStore" not in declaration:
        raise RefusedError("InvalidStructureException", "only one artifact store is known here")
    for stage in declaration["stages"]:
        if unknown := ", ".join(sorted(set(stage) - {"name", "actions", "blockers"})):
            message = f"stage {stage['name']}: the local AWS does not act on {unknown}"
            raise RefusedError("InvalidStageDeclarationException", message)
        for action in stage["actions"]:
            problem, inputs = "", len(action.get("inputArtifacts", ()))
            if kind(action) not in ACTIONS:
                problem = f"the local AWS has no {'/'.join(kind(action))}"
            elif kind(action)[2] == "CodeBuild" and inputs > MAX_INPUTS_OF_A_BUILD:
                problem = f"more than {MAX_INPUTS_OF_A_BUILD} input artifacts"
            if problem:
                message = f"action {action['name']}: {problem}"
                raise RefusedError("InvalidActionDeclarationException", message)
