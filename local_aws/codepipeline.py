"""CodePipeline: its API, its CloudFormation type, and the pushes that start pipelines.

What runs is in `pipeline_engine`. Definitions, executions and artifacts survive a restart; what
was running when the local AWS stopped or was killed is Failed, and says why. A push that was made
meanwhile is noticed at the next start.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ministack import app
from ministack.core import router

from local_aws import cloudformation, source
from local_aws.pipeline_context import ActionRun
from local_aws.pipeline_declaration import Declaration, RefusedError, validate
from local_aws.pipeline_engine import KEPT_EXECUTIONS, Execution, Pipeline, Pipelines
from local_aws.settings import CloudSettings

Data = Mapping[str, Any]
Answer = dict[str, Any]

_pipelines: Pipelines
_watcher: source.Watcher
_heads: source.Heads = {}


# --- Operations --------------------------------------------------------------------------------


def _created(declaration: Declaration) -> Pipeline:
    """Create a pipeline; what was pushed before it was there does not start it."""
    with _pipelines.changed:
        _watcher.look()
        return _pipelines.create(declaration)


def _create_pipeline(data: Data) -> Answer:
    return {"pipeline": _created(data["pipeline"]).declaration}


def _update_pipeline(data: Data) -> Answer:
    declaration = {key: value for key, value in data["pipeline"].items() if key != "version"}
    pipeline = _pipelines.find(declaration["name"])
    validate(declaration)
    pipeline.update(declaration)
    return {"pipeline": {**declaration, "version": pipeline.version}}


def _delete_pipeline(data: Data) -> Answer:
    _pipelines.delete(data["name"])
    return {}


def _get_pipeline(data: Data) -> Answer:
    pipeline = _pipelines.find(data["name"])
    settings = _pipelines.settings
    arn = f"arn:aws:codepipeline:{settings.region}:{settings.account}:{pipeline.name}"
    times = {"created": pipeline.created, "updated": pipeline.updated}
    return {
        "pipeline": {**pipeline.declaration, "version": pipeline.version},
        "metadata": {"pipelineArn": arn, **times},
    }


def _list_pipelines(data: Data) -> Answer:
    keys = ("name", "version", "created", "updated")
    found = _pipelines.by_name.values()
    return {"pipelines": [{key: getattr(pipeline, key) for key in keys} for pipeline in found]}


def _start_pipeline_execution(data: Data) -> Answer:
    pipeline = _pipelines.find(data["name"])
    revisions = data.get("sourceRevisions", ())
    execution = pipeline.start(
        "StartPipelineExecution",
        "asked for",
        revisions={entry["actionName"]: {"commit": entry["revisionValue"]} for entry in revisions},
        variables={item["name"]: item["value"] for item in data.get("variables", ())},
    )
    return {"pipelineExecutionId": execution.id}


def _stop_pipeline_execution(data: Data) -> Answer:
    _, execution = _find_execution(data)
    if execution.status != "InProgress":
        message = f"the execution is {execution.status}"
        raise RefusedError("PipelineExecutionNotStoppableException", message)
    execution.status = "Stopping"
    execution.stop_reason = data.get("reason", "")
    execution.abandoned = bool(data.get("abandon"))
    return {"pipelineExecutionId": execution.id}


def _retry_stage_execution(data: Data) -> Answer:
    pipeline, execution = _find_execution(data)
    pipeline.retry(execution, data["stageName"], everything=data["retryMode"] == "ALL_ACTIONS")
    return {"pipelineExecutionId": execution.id}


def _switch_stage_transition(data: Data) -> Answer:
    """Switch the way into a stage off for a reason, or on where none is given."""
    _pipelines.find(data["pipelineName"]).switch(data["stageName"], data.get("reason"))
    return {}


def _put_approval_result(data: Data) -> Answer:
    for execution in _pipelines.find(data["pipelineName"]).executions:
        run = execution.latest(data["stageName"]).get(data["actionName"])
        if run and run.status == "InProgress" and run.token == data["token"]:
            run.approval = data["result"]
            return {"approvedAt": time.time()}
    raise RefusedError("InvalidApprovalTokenException", "no approval waits for this token")


def _get_pipeline_execution(data: Data) -> Answer:
    pipeline, execution = _find_execution(data)
    revisions = [
        {
            "name": revision["actionName"],
            **{key: revision[key] for key in ("revisionId", "revisionSummary")},
        }
        for revision in _revisions(pipeline, execution)
    ]
    values = execution.variables["variables"].items()
    return {
        "pipelineExecution": {
            "pipelineName": pipeline.name,
            "pipelineVersion": execution.version,
            "artifactRevisions": revisions,
            "variables": [{"name": name, "resolvedValue": value} for name, value in values],
            **_described(execution),
        }
    }


def _list_pipeline_executions(data: Data) -> Answer:
    pipeline = _pipelines.find(data["pipelineName"])
    found = [
        {
            "startTime": execution.started,
            "lastUpdateTime": execution.updated,
            "sourceRevisions": _revisions(pipeline, execution),
            **_described(execution),
        }
        for execution in reversed(pipeline.executions)
    ]
    return {"pipelineExecutionSummaries": found[: data.get("maxResults", KEPT_EXECUTIONS)]}


def _described(execution: Execution) -> Answer:
    return {
        "pipelineExecutionId": execution.id,
        "status": execution.status,
        "statusSummary": execution.summary,
        "trigger": execution.trigger,
        "executionMode": "SUPERSEDED",
    }


def _revisions(pipeline: Pipeline, execution: Execution) -> list[dict[str, str]]:
    runs = execution.latest(pipeline.declaration["stages"][0]["name"])
    return [
        {"actionName": name, "revisionId": run.external_id, "revisionSummary": run.summary}
        for name, run in runs.items()
        if run.status == "Succeeded"
    ]


def _list_action_executions(data: Data) -> Answer:
    pipeline = _pipelines.find(data["pipelineName"])
    wanted = data.get("filter", {}).get("pipelineExecutionId")
    declared = {
        (stage["name"], action["name"]): action
        for stage in pipeline.declaration["stages"]
        for action in stage["actions"]
    }
    found = [
        _action_detail(execution, run, declared.get((run.stage, run.action), {}))
        for execution in pipeline.executions
        if wanted in {None, execution.id}
        for run in execution.actions
    ]
    found.sort(key=lambda answer: float(answer["startTime"]), reverse=True)
    return {"actionExecutionDetails": found[: data.get("maxResults")]}


def _action_detail(execution: Execution, run: ActionRun, declared: Data) -> Answer:
    def located(named: Sequence[Mapping[str, str]]) -> list[Answer]:
        found = {item["name"]: execution.artifacts.get(item["name"]) for item in named}
        return [
            {"name": name, "s3location": {"bucket": artifact.bucket, "key": artifact.key}}
            for name, artifact in found.items()
            if artifact
        ]

    result = {"externalExecutionId": run.external_id, "externalExecutionSummary": run.summary}
    return {
        "pipelineExecutionId": execution.id,
        "actionExecutionId": run.id,
        "pipelineVersion": execution.version,
        "stageName": run.stage,
        "actionName": run.action,
        "startTime": run.started,
        "lastUpdateTime": run.updated,
        "status": run.status,
        "input": {
            "actionTypeId": declared.get("actionTypeId", {}),
            "resolvedConfiguration": run.configuration,
            "inputArtifacts": located(declared.get("inputArtifacts", ())),
        },
        "output": {
            "outputArtifacts": located(declared.get("outputArtifacts", ())),
            "outputVariables": run.variables,
            "executionResult": result | ({"errorDetails": run.error} if run.error else {}),
        },
    }


def _get_pipeline_state(data: Data) -> Answer:
    pipeline = _pipelines.find(data["name"])
    return {
        "pipelineName": pipeline.name,
        "pipelineVersion": pipeline.version,
        "created": pipeline.created,
        "updated": pipeline.updated,
        "stageStates": [_stage_state(pipeline, stage) for stage in pipeline.declaration["stages"]],
    }


def _stage_state(pipeline: Pipeline, stage: Data) -> Answer:
    name = stage["name"]
    closed = pipeline.closed.get(name)
    transition = {"enabled": closed is None, **({"disabledReason": closed} if closed else {})}
    state: Answer = {"stageName": name, "inboundTransitionState": transition}
    if waiting := pipeline.waiting.get(name):
        state["inboundExecution"] = {"pipelineExecutionId": waiting.id, "status": "InProgress"}
    runs: dict[str, ActionRun] = {}
    if last := pipeline.last_in(name):
        runs = last.latest(name)
        complete = len(runs) == len(stage["actions"])
        if pipeline.inside.get(name) is last:
            status = last.status
        elif any(run.status == "Failed" for run in runs.values()):
            status = "Failed"
        elif complete and all(run.status == "Succeeded" for run in runs.values()):
            status = "Succeeded"
        else:
            status = "Stopped" if last.status == "Stopped" else "Cancelled"
        state["latestExecution"] = {"pipelineExecutionId": last.id, "status": status}
    state["actionStates"] = [
        {"actionName": action["name"], **_latest_run(runs.get(action["name"]))}
        for action in stage["actions"]
    ]
    return state


def _latest_run(run: ActionRun | None) -> Answer:
    if run is None:
        return {}
    state = {
        "actionExecutionId": run.id,
        "status": run.status,
        "summary": run.summary,
        "lastStatusChange": run.updated,
        "token": run.token,
        "externalExecutionId": run.external_id,
        "errorDetails": run.error,
    }
    return {"latestExecution": {key: value for key, value in state.items() if value}}


def _find_execution(data: Data) -> tuple[Pipeline, Execution]:
    pipeline, id_ = _pipelines.find(data["pipelineName"]), data["pipelineExecutionId"]
    for execution in pipeline.executions:
        if execution.id == id_:
            return pipeline, execution
    raise RefusedError(
        "PipelineExecutionNotFoundException", f"{pipeline.name} has no execution {id_}"
    )


_OPERATIONS: Mapping[str, Callable[[Data], Answer]] = {
    "CreatePipeline": _create_pipeline,
    "DeletePipeline": _delete_pipeline,
    "DisableStageTransition": _switch_stage_transition,
    "EnableStageTransition": _switch_stage_transition,
    "GetPipeline": _get_pipeline,
    "GetPipelineExecution": _get_pipeline_execution,
    "GetPipelineState": _get_pipeline_state,
    "ListActionExecutions": _list_action_executions,
    "ListPipelineExecutions": _list_pipeline_executions,
    "ListPipelines": _list_pipelines,
    "PutApprovalResult": _put_approval_result,
    "RetryStageExecution": _retry_stage_execution,
    "StartPipelineExecution": _start_pipeline_execution,
    "StopPipelineExecution": _stop_pipeline_execution,
    "UpdatePipeline": _update_pipeline,
}


async def handle_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    """Answer one request; the emulator's contract for a service module."""
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    status, answer = 400, {"__type": "InvalidAction", "message": f"no operation {operation!r} here"}
    if operation in _OPERATIONS:
        try:
            with _pipelines.changed:
                answer = copy.deepcopy(_OPERATIONS[operation](json.loads(body or b"{}")))
                _pipelines.changed.notify_all()
            status = 200
        except RefusedError as refused:
            answer = {"__type": refused.code, "message": str(refused)}
        except KeyError as missing:
            answer = {"__type": "ValidationException", "message": f"the request lacks {missing}"}
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()


# --- CloudFormation ----------------------------------------------------------------------------


def _create_resource(
    logical_id: str, properties: cloudformation.Properties, stack_name: str
) -> cloudformation.Provisioned:
    token = cloudformation.stable_token(stack_name, logical_id)[:8]
    name = properties.get("Name") or f"{stack_name}-{logical_id}-{token}"
    declaration, _ = _declared(properties, name)
    return name, {"Version": str(_created(declaration).version)}


def _update_resource(
    name: str,
    old: cloudformation.Properties,
    new: cloudformation.Properties,
    stack_name: str,
) -> cloudformation.Provisioned:
    pipeline = _pipelines.find(name)
    if new.get("Name", name) != name:
        raise ValueError("the local AWS does not rename a pipeline")
    declaration, restart = _declared(new, name)
    if declaration != pipeline.declaration:  # else only tags have changed
        validate(declaration)
        pipeline.update(declaration)
        if restart:
            pipeline.start("StartPipelineExecution", "the pipeline's definition was updated")
    return name, {"Version": str(pipeline.version)}


def _declared(properties: cloudformation.Properties, name: str) -> tuple[Answer, bool]:
    """Return the definition in the API's spelling, and whether an update starts an execution."""
    settings = dict(properties)
    settings.pop("Tags", None)
    restart = str(settings.pop("RestartExecutionOnUpdate", "false")).lower() == "true"
    if settings.pop("DisableInboundStageTransitions", None):
        raise ValueError("the local AWS does not act on DisableInboundStageTransitions")
    return {**_camel(settings), "name": name}, restart


def _camel(properties: Mapping[str, object]) -> Answer:
    """Property names with a small first letter, except inside an action's configuration."""

    def inner(key: str, value: object) -> object:
        if isinstance(value, list):
            return [inner(key, entry) for entry in value]
        if not isinstance(value, dict):
            return value
        if key == "Configuration":
            return {name: str(item) for name, item in value.items()}
        return _camel(value)

    return {key[0].lower() + key[1:]: inner(key, value) for key, value in properties.items()}


# --- Life --------------------------------------------------------------------------------------


def install(settings: CloudSettings) -> None:
    """Add the service and the resource type `AWS::CodePipeline::Pipeline` to the emulator."""
    global _pipelines
    _pipelines = Pipelines(settings)
    app._loaded_modules["codepipeline"] = sys.modules[__name__]
    app._state_map["codepipeline"] = "codepipeline"
    app.SERVICE_HANDLERS["codepipeline"] = handle_request
    router.SERVICE_PATTERNS["codepipeline"] = {"target_prefixes": ["CodePipeline_20150709"]}
    cloudformation.register(
        "AWS::CodePipeline::Pipeline",
        create=_create_resource,
        update=_update_resource,
        delete=lambda name, properties: _pipelines.delete(name),
    )


def start_by_event(name: str, rule: str) -> None:
    """Start the pipeline `name` because an EventBridge rule says so.

    Raises:
        RefusedError: there is no such pipeline.
    """
    with _pipelines.changed:
        _pipelines.find(name).start("CloudWatchEvent", rule)
        _pipelines.changed.notify_all()


def start() -> None:
    """Watch the repositories from now on."""
    global _watcher
    watched, changed = _pipelines.settings.repositories, _pipelines.changed
    _watcher = source.Watcher(watched, _heads, _pipelines.on_push, changed)
    _watcher.start()


def stop() -> None:
    """Let nothing go on: every execution that runs is Failed and says why."""
    _watcher.stop()
    _pipelines.close("The local AWS was stopped while this execution ran.")


def get_state() -> Answer:
    """Return what the emulator saves."""
    with _pipelines.changed:
        saved = [pipeline.saved() for pipeline in _pipelines.by_name.values()]
        return {"pipelines": saved, "heads": copy.deepcopy(_heads)}


def load_persisted_state(data: Data) -> None:
    """Take back what was saved; what ran then is over."""
    _heads.update(data["heads"])
    for raw in data["pipelines"]:
        pipeline = Pipeline.restored(_pipelines, raw)
        _pipelines.by_name[pipeline.name] = pipeline
    _pipelines.interrupt("The local AWS ended without being stopped while this execution ran.")


def reset() -> None:
    """Forget everything; the emulator's contract for a service module."""
    for name in list(_pipelines.by_name):
        _pipelines.delete(name)
    _heads.clear()
