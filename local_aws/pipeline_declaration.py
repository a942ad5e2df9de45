"""What a pipeline is declared as, and what of it the local AWS refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from local_aws.globs import GlobError, compile_glob
from local_aws.pipeline_actions import (
    ACTIONS,
    kind,
)

MAX_INPUTS_OF_A_BUILD = 5
MAX_PATTERNS = 8
LONGEST_PATTERN = 255
"""What CodePipeline takes of one list of a trigger's filter."""
Declaration = Mapping[str, Any]


class RefusedError(Exception):
    """A request that cannot be served: the API's error code, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def validate(declaration: Declaration) -> None:
    """Raise `RefusedError` for what this engine would not run as AWS does."""
    if declaration.get("executionMode", "SUPERSEDED") != "SUPERSEDED":
        message = "only the execution mode SUPERSEDED is known here"
        raise RefusedError("InvalidStructureException", message)
    if "artifactStore" not in declaration:
        raise RefusedError("InvalidStructureException", "only one artifact store is known here")
    for patterns in _patterns(declaration):
        _check_patterns(patterns)
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


def _patterns(declaration: Declaration) -> Iterator[Sequence[str]]:
    """Yield every list of patterns in the filters of the triggers."""
    for trigger in declaration.get("triggers", ()):
        git = trigger.get("gitConfiguration", {})
        for filter_ in (*git.get("push", ()), *git.get("pullRequest", ())):
            for kind_ in ("branches", "filePaths", "tags"):
                yield from (filter_.get(kind_) or {}).values()


def _check_patterns(patterns: Sequence[str]) -> None:
    problem = ""
    if not 1 <= len(patterns) <= MAX_PATTERNS:
        problem = f"{len(patterns)} patterns, where 1 to {MAX_PATTERNS} are taken"
    for pattern in patterns:
        if not 1 <= len(pattern) <= LONGEST_PATTERN:
            problem = (
                f"a pattern of {len(pattern)} characters, where 1 to {LONGEST_PATTERN} are taken"
            )
            continue
        try:
            compile_glob(pattern)
        except GlobError as error:
            problem = str(error)
    if problem:
        raise RefusedError("InvalidStructureException", f"a filter of a trigger has {problem}")
