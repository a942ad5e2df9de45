"""Runs the stored definition of a pipeline as CodePipeline does.

One execution is in a stage at a time; of those that wait for it only the newest stays, the others
are superseded. Actions of one run order run in parallel. A definition that changes while an
execution runs cancels it. Each execution has a thread of its own.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from local_aws import service_metrics, source
from local_aws.pipeline_actions import ACTIONS, kind
from local_aws.pipeline_context import (
    ActionFailedError,
    ActionRun,
    ActionStoppedError,
    Artifact,
    Context,
)
from local_aws.pipeline_declaration import Declaration, RefusedError, validate
from local_aws.service_roles import DeniedError, ServiceRole
from local_aws.settings import CloudSettings

KEPT_EXECUTIONS = 100
ACTIVE = ("InProgress", "Stopping")

log = logging.getLogger("local_aws.codepipeline")


class ExecutionEndedError(Exception):
    """An execution does not go on; with which status, and why."""

    def __init__(self, status: str, summary: str) -> None:
        super().__init__(summary)
        self.status = status
        self.summary = summary


@dataclass(kw_only=True)
class Execution:
    """One execution of a pipeline. Times are seconds since 1970.

    `revisions` are branch and commit that a source action takes, by its name; the head of its
    branch where there is none.
    """

    id: str
    number: int
    version: int
    trigger: dict[str, str]
    started: float
    updated: float
    status: str = "InProgress"
    summary: str = ""
    stop_reason: str = ""
    abandoned: bool = False
    revisions: dict[str, dict[str, str]] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    actions: list[ActionRun] = field(default_factory=list)

    @classmethod
    def restored(cls, raw: Mapping[str, Any]) -> Execution:
        """Return what `asdict` had made of an execution."""
        artifacts = {name: Artifact(**entry) for name, entry in raw["artifacts"].items()}
        actions = [ActionRun(**item) for item in raw["actions"]]
        return cls(**{**raw, "artifacts": artifacts, "actions": actions})

    def end(self, status: str, summary: str) -> None:
        """Set the final status, unless there is one already."""
        if self.status in ACTIVE:
            self.status, self.summary, self.updated = status, summary, time.time()

    def interrupt(self, reason: str) -> None:
        """End as Failed if it still runs, and leave no action in progress."""
        if self.status in ACTIVE:
            self.end("Failed", reason)
            for run in self.actions:
                if run.status == "InProgress":
                    run.status, run.summary = "Abandoned", reason

    def latest(self, stage: str) -> dict[str, ActionRun]:
        """Return the last run of each action of `stage` in this execution."""
        return {run.action: run for run in self.actions if run.stage == stage}

    def resolve(self, text: str) -> str:
        """Replace each `#{namespace.name}` in `text`; an unknown one raises `ActionFailedError`."""

        def value(match: re.Match[str]) -> str:
            namespace, name = match.groups()
            if (namespace, name) == ("codepipeline", "PipelineExecutionId"):
                return self.id
            try:
                return self.variables[namespace][name]
            except KeyError:
                summary = f"{match.group()} was not set by an earlier action"
                raise ActionFailedError("InvalidVariableReference", summary) from None

        return re.sub(r"#\{([\w@-]+)\.([\w@.-]+)\}", value, text)

    def resolve_all(self, configuration: Mapping[str, str]) -> dict[str, str]:
        """Return an action's configuration with its variables in place."""
        resolved = {name: self.resolve(text) for name, text in configuration.items()}
        if text := configuration.get("EnvironmentVariables"):
            # Inside JSON a value has to be resolved before it is quoted.
            variables = [
                {**load, "value": self.resolve(load["value"])} for load in json.loads(text)
            ]
            resolved["EnvironmentVariables"] = json.dumps(variables)
        return resolved


class Pipelines:
    """Every pipeline, and what they share: the lock, and whether anything may still go on.

    `changed` guards pipelines and executions, and tells those who wait that one has changed.
    `closing` says why nothing may go on any more; it is empty while it may.
    """

    def __init__(self, settings: CloudSettings) -> None:
        self.settings = settings
        self.changed = threading.Condition(threading.RLock())
        self.closing = ""
        self.by_name: dict[str, Pipeline] = {}

    def find(self, name: str) -> Pipeline:
        """Return the pipeline of that name; raises `RefusedError`."""
        if name not in self.by_name:
            raise RefusedError("PipelineNotFoundException", f"there is no pipeline {name}")
        return self.by_name[name]

    def create(self, declaration: Declaration) -> Pipeline:
        """Store a definition and start its first execution, as AWS does; raises `RefusedError`."""
        validate(declaration)
        name = declaration["name"]
        if name in self.by_name:
            raise RefusedError("PipelineNameInUseException", f"there is a pipeline {name} already")
        pipeline = self.by_name[name] = Pipeline(self, declaration)
        pipeline.start("CreatePipeline", "the pipeline was created")
        return pipeline

    def delete(self, name: str) -> None:
        """Forget a pipeline; what runs of it is cancelled."""
        if name in self.by_name:
            pipeline = self.by_name.pop(name)
            pipeline.update(pipeline.declaration)

    def on_push(self, push: source.Push) -> None:
        """Start every pipeline that a push to the local repository starts."""
        for pipeline in list(self.by_name.values()):
            for action in pipeline.sources:
                if action["configuration"].get("FullRepositoryId") != push.repository:
                    continue
                repository = self.settings.repositories[push.repository]
                if not source.starts(pipeline.declaration, action, push, repository):
                    log.info("%s: the push to %s starts nothing", pipeline.name, push.branch)
                    continue
                revision = {"branch": push.branch, "commit": push.after}
                detail = json.dumps({"repository": push.repository, **revision})
                pipeline.start("WebhookV2", detail, revisions={action["name"]: revision})

    def close(self, reason: str) -> None:
        """Let nothing go on: every execution that runs is Failed and says why."""
        with self.changed:
            self.closing = reason
            self.interrupt(reason)
            self.changed.notify_all()

    def interrupt(self, reason: str) -> None:
        """End every execution that is marked as running."""
        for pipeline in self.by_name.values():
            for execution in pipeline.executions:
                execution.interrupt(reason)


class Pipeline:
    """A stored definition, its executions, and who is in which stage."""

    def __init__(self, all_: Pipelines, declaration: Declaration) -> None:
        self.declaration = declaration
        self.version = 1
        self.created = self.updated = time.time()
        self.executions: list[Execution] = []
        self.inside: dict[str, Execution] = {}
        self.waiting: dict[str, Execution] = {}
        self._entered: dict[str, Execution] = {}
        self.closed: dict[str, str] = {}
        """Stages that nobody enters, and why: their inbound transition was switched off."""
        self._all = all_
        self._changed = all_.changed

    @property
    def name(self) -> str:
        """What the definition calls it."""
        return str(self.declaration["name"])

    def _role(self, action: Mapping[str, Any]) -> ServiceRole:
        """Return an action's role: its own, which the pipeline's assumes, or the pipeline's."""
        settings = self._all.settings
        arn = f"arn:aws:codepipeline:{settings.region}:{settings.account}:{self.name}"
        whole = self.declaration.get("roleArn") or ""
        own = ServiceRole(role=whole, service="codepipeline.amazonaws.com", source=arn)
        role = action.get("roleArn")
        return replace(own, role=role, via=own) if role else own

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """The source actions of the definition."""
        first = self.declaration["stages"][0]["actions"]
        return [item for item in first if kind(item)[0] == "Source"]

    def saved(self) -> dict[str, Any]:
        """Return what survives a restart."""
        return {
            "declaration": self.declaration,
            "version": self.version,
            "created": self.created,
            "updated": self.updated,
            "executions": [asdict(execution) for execution in self.executions],
            "closed": self.closed,
        }

    @classmethod
    def restored(cls, all_: Pipelines, raw: Mapping[str, Any]) -> Pipeline:
        """Return what `saved` had made of a pipeline."""
        pipeline = cls(all_, raw["declaration"])
        pipeline.version, pipeline.created = raw["version"], raw["created"]
        pipeline.updated, pipeline.closed = raw["updated"], raw.get("closed", {})
        pipeline.executions = [Execution.restored(item) for item in raw["executions"]]
        return pipeline

    def switch(self, stage: str, reason: str | None) -> None:
        """Close the way into `stage` for `reason`, or open it; raises `RefusedError`."""
        if stage not in [item["name"] for item in self.declaration["stages"]]:
            raise RefusedError("StageNotFoundException", f"no stage {stage}")
        with self._changed:
            if reason is None:
                self.closed.pop(stage, None)
            else:
                self.closed[stage] = reason
            self._changed.notify_all()

    def update(self, declaration: Declaration) -> None:
        """Replace the definition; executions that run by the old one end as Cancelled."""
        with self._changed:
            self.declaration = declaration
            self.version += 1
            self.updated = time.time()
            self._changed.notify_all()

    def start(
        self,
        trigger: str,
        detail: str,
        *,
        revisions: dict[str, dict[str, str]] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Execution:
        """Start an execution."""
        declared = self.declaration.get("variables", ())
        values = {item["name"]: item.get("defaultValue", "") for item in declared}
        with self._changed:
            now = time.time()
            execution = Execution(
                id=str(uuid.uuid4()),
                number=self.executions[-1].number + 1 if self.executions else 1,
                version=self.version,
                trigger={"triggerType": trigger, "triggerDetail": detail},
                started=now,
                updated=now,
                revisions=revisions or {},
                variables={"variables": values | dict(variables or {})},
            )
            self.executions = [*self.executions[-KEPT_EXECUTIONS + 1 :], execution]
        log.info("%s: execution %s starts: %s %s", self.name, execution.id, trigger, detail)
        self._spawn(execution, first_stage=0)
        return execution

    def last_in(self, stage: str) -> Execution | None:
        """Return the execution that entered `stage` last."""
        entered = [item for item in self.executions if item.latest(stage)]
        return max(
            entered,
            key=lambda execution: max(run.started for run in execution.latest(stage).values()),
            default=None,
        )

    def retry(self, execution: Execution, stage: str, *, everything: bool) -> None:
        """Run the failed actions of `stage` again, or all of them, and go on from there."""
        names = [item["name"] for item in self.declaration["stages"]]
        if stage not in names:
            raise RefusedError("StageNotFoundException", f"no stage {stage}")
        with self._changed:
            if self.last_in(stage) is not execution or execution.version != self.version:
                message = "a newer execution or definition is there"
                raise RefusedError("NotLatestPipelineExecutionException", message)
            if execution.status != "Failed":
                raise RefusedError(
                    "StageNotRetryableException", f"the execution is {execution.status}"
                )
            execution.status, execution.summary, execution.abandoned = "InProgress", "", False
            if everything:
                execution.actions = [run for run in execution.actions if run.stage != stage]
        self._spawn(execution, first_stage=names.index(stage))

    def _spawn(self, execution: Execution, *, first_stage: int) -> None:
        arguments = (execution, first_stage)
        threading.Thread(target=self._run, args=arguments, name=execution.id, daemon=True).start()

    def _run(self, execution: Execution, first_stage: int) -> None:
        over = ExecutionEndedError("Succeeded", "")
        try:
            for stage in copy.deepcopy(self.declaration["stages"][first_stage:]):
                self._enter(stage["name"], execution)
                try:
                    self._run_stage(stage, execution)
                finally:
                    self._leave(stage["name"])
        except ExecutionEndedError as end:
            over = end
        except Exception as error:
            log.exception("%s: execution %s", self.name, execution.id)
            over = ExecutionEndedError("Failed", f"the local AWS met an error of its own: {error}")
        with self._changed:
            execution.end(over.status, over.summary)
            service_metrics.count_execution(self.name, execution.status)
            self._changed.notify_all()
        log.info("%s: execution %s: %s %s", self.name, execution.id, over.status, over.summary)

    def _check(self, execution: Execution) -> None:
        """Raise `ExecutionEndedError` if the execution must not go on."""
        if self._all.closing:
            raise ExecutionEndedError("Failed", self._all.closing)
        if execution.status == "Stopping":
            raise ExecutionEndedError("Stopped", execution.stop_reason)
        if execution.version != self.version:
            raise ExecutionEndedError(
                "Cancelled", "The pipeline's definition was updated before it could end."
            )

    def _enter(self, stage: str, execution: Execution) -> None:
        with self._changed:
            other = self.waiting.get(stage) or self._entered.get(stage)
            if other is None or other.number <= execution.number:
                self.waiting[stage] = execution
                self._changed.notify_all()
            while True:
                # One that finds the stage free is in it before those that wait have heard of it.
                others = (known.get(stage, execution) for known in (self.waiting, self._entered))
                newest = max(*others, key=lambda each: each.number)
                if newest.number > execution.number:
                    summary = f"Execution {newest.id} is newer and came to {stage} meanwhile."
                    raise ExecutionEndedError("Superseded", summary)
                try:
                    self._check(execution)
                except ExecutionEndedError:
                    self.waiting.pop(stage, None)
                    raise
                if stage not in self.inside and stage not in self.closed:
                    break
                self._changed.wait()
            self.waiting.pop(stage, None)
            self.inside[stage] = self._entered[stage] = execution

    def _leave(self, stage: str) -> None:
        with self._changed:
            del self.inside[stage]
            self._changed.notify_all()

    def _run_stage(self, stage: Mapping[str, Any], execution: Execution) -> None:
        before = execution.latest(stage["name"])
        done = {name for name, run in before.items() if run.status == "Succeeded"}
        ordered = sorted(stage["actions"], key=_run_order)
        for _, group in groupby(ordered, key=_run_order):
            self._check(execution)
            actions = [action for action in group if action["name"] not in done]
            if not actions:
                continue
            with ThreadPoolExecutor(len(actions)) as pool:
                runs = [*pool.map(lambda item: self._run_action(stage, item, execution), actions)]
            self._check(execution)
            if failed := [run for run in runs if run.status == "Failed"]:
                reasons = [f"{run.stage}/{run.action}: {run.summary}" for run in failed]
                raise ExecutionEndedError("Failed", "; ".join(reasons))

    def _run_action(
        self, stage: Mapping[str, Any], action: Mapping[str, Any], execution: Execution
    ) -> ActionRun:
        now = time.time()
        run = ActionRun(str(uuid.uuid4()), stage["name"], action["name"], started=now, updated=now)
        with self._changed:
            execution.actions.append(run)
        status, error = "Succeeded", None
        variables: Mapping[str, str] = {}
        try:
            run.configuration = execution.resolve_all(action.get("configuration", {}))
            context = Context(
                settings=self._all.settings,
                pipeline=self.name,
                bucket=self.declaration["artifactStore"]["location"],
                action=action,
                run=run,
                configuration=run.configuration,
                artifacts=execution.artifacts,
                revision=execution.revisions.get(action["name"], {}),
                stopped=lambda: bool(self._all.closing) or execution.abandoned,
                role=self._role(action),
            )
            variables = ACTIONS[kind(action)](context)
        except ActionStoppedError:
            status, run.summary = "Abandoned", self._all.closing or execution.stop_reason
        except DeniedError as denied:
            status, run.summary = "Failed", str(denied)
            error = {"code": "PermissionError", "message": str(denied)}
        except ActionFailedError as failure:
            status, run.summary = "Failed", failure.summary
            error = {"code": failure.code, "message": failure.details}
        except Exception as unexpected:
            if not isinstance(unexpected, ClientError):
                log.exception("%s: action %s", self.name, action["name"])
            status, run.summary = "Failed", str(unexpected)
            error = {"code": "JobFailed", "message": str(unexpected)}
        with self._changed:
            run.variables = dict(variables)
            if namespace := action.get("namespace"):
                execution.variables[namespace] = dict(variables)
            run.status, run.error = status, error
            run.updated = execution.updated = time.time()
            self._changed.notify_all()
        log.info("%s: %s/%s: %s %s", self.name, stage["name"], action["name"], status, run.summary)
        return run


def _run_order(action: Mapping[str, Any]) -> int:
    return int(action.get("runOrder", 1))
