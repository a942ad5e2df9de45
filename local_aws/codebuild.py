"""CodeBuild: builds that really run, in place of the emulator's, which invents their success.

A build (see `builds`) lies under `state/builds`. Its output goes to
`state/logs/codebuild/<project>/<build>.log` and to the log group that the project names, by default
`/aws/codebuild/<project>`.
"""

from __future__ import annotations

import copy
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ministack.core.responses import error_response_json, json_response, request_scope
from ministack.services import codebuild
from ministack.services.cloudformation import provisioners

from local_aws import service_metrics, source
from local_aws.background import Repeating
from local_aws.builds import Build, BuildOrder, BuildResult, Place
from local_aws.cloudformation import Properties, Provisioned
from local_aws.placing import spread
from local_aws.processes import end_holders
from local_aws.settings import BUILD_LOCKS, CloudSettings

_TOLD_TO_START = {
    "projectName",
    "sourceVersion",
    "environmentVariablesOverride",
    "buildspecOverride",
    "idempotencyToken",
}

Response = tuple[int, dict[str, str], bytes]
"""What the emulator answers a request with: status, headers, body."""

SWEEP_EVERY = 60.0
"""Seconds between two looks whether what builds have left on disk can go."""

_running: dict[str, Build] = {}
_ended: list[Build] = []
_settings: CloudSettings
_sweeper: Repeating
_closing = threading.Event()


def install(settings: CloudSettings) -> None:
    """Replace what the emulator does on StartBuild and StopBuild, and put `docker` on the path."""
    global _settings, _sweeper
    _settings = settings
    _sweeper = Repeating("builds", SWEEP_EVERY, _sweep, settings)
    codebuild._start_build = _start_build
    codebuild._stop_build = _stop_build
    _keep_where_logs_go()
    end_holders(settings.state.glob(BUILD_LOCKS))
    shutil.rmtree(settings.state / "builds", ignore_errors=True)
    spread(settings.state / "builds")
    shutil.rmtree(settings.state / "artifacts", ignore_errors=True)
    _write_shim(settings.state)


def start() -> None:
    """Remove from now on, where no build runs, what those before have left."""
    _sweeper.start()


def stop() -> None:
    """End every build that runs, its processes included.

    What they left is not removed here: who waits for this gives up, with the state not saved yet.
    """
    _closing.set()
    builds = list(_running.values())
    for build in builds:
        build.cancel()
    deadline = time.monotonic() + 8
    while any(build.id in _running for build in builds) and time.monotonic() < deadline:
        time.sleep(0.05)
    _sweeper.stop()


def _sweep() -> None:
    """Remove what builds have left, unless one runs.

    Not as each build ends: the next one is already waiting, and unpacks as many files. A file
    system without a journal looks for a place past every file that was removed in the last
    minute: that took seven times the CPU of the unpacking itself.
    """
    while _ended and not _running and not _closing.is_set():
        _ended.pop().remove()


def project(name: str) -> Mapping[str, Any] | None:
    """Return the project of that name as it is now, in the shape of the API."""
    with request_scope(_settings.account, _settings.region):
        found: Mapping[str, Any] | None = codebuild._projects.get(name)
        return copy.deepcopy(found)


def prepare(order: BuildOrder) -> Build:
    """Add a build to the service; the caller runs it, on a thread of its own, with `run`."""
    with request_scope(_settings.account, _settings.region):
        id_ = codebuild._build_id(order.project["name"])
        record = codebuild._make_build_record(order.project, id_, order.source_version or None)
        del record["endTime"]
        record |= {"buildStatus": "IN_PROGRESS", "buildComplete": False, "currentPhase": "QUEUED"}
        record |= {"phases": [], "initiator": order.initiator}
        record["logs"] = _logs_of(order.project, id_)
        codebuild._builds[id_] = record
    return Build(order, record, _settings)


def run(build: Build) -> BuildResult:
    """Run a prepared build to its end; StopBuild and the end of the local AWS can stop it."""
    _running[build.id] = build
    began = time.monotonic()
    try:
        result = build.run()
        project = build.id.partition(":")[0]
        service_metrics.count_build(project, result.status, time.monotonic() - began)
        return result
    finally:
        _ended.append(build)
        del _running[build.id]


def _start_build(data: Mapping[str, Any]) -> object:
    definition = project(data.get("projectName", ""))
    if definition is None:
        message = f"Project cannot be found: {data.get('projectName')}"
        return error_response_json("ResourceNotFoundException", message, 400)
    if unknown := ", ".join(sorted(set(data) - _TOLD_TO_START)):
        message = f"the local AWS does not act on {unknown}"
        return error_response_json("InvalidInputException", message, 400)
    version = data.get("sourceVersion") or definition.get("sourceVersion") or ""
    primary = _own_source(definition["source"], version)
    if primary is None:
        message = f"the local AWS has no source {definition['source']}"
        return error_response_json("InvalidInputException", message, 400)
    build = prepare(
        BuildOrder(
            project=definition,
            primary=primary,
            variables=data.get("environmentVariablesOverride", ()),
            buildspec=data.get("buildspecOverride", ""),
            source_version=version,
        )
    )
    answer = _told_of(build.id)
    threading.Thread(target=run, args=(build,), name=build.id, daemon=True).start()
    return json_response(answer)


def _stop_build(data: Mapping[str, Any]) -> object:
    id_ = data.get("id", "")
    if id_ not in codebuild._builds:
        message = f"Build cannot be found: {id_}"
        return error_response_json("ResourceNotFoundException", message, 400)
    if id_ in _running:
        _running[id_].cancel()
    return json_response(_told_of(id_))


def _keep_where_logs_go() -> None:
    """Keep the `logsConfig` of projects, which the emulator drops, however they are made."""
    for name in ("_create_project", "_update_project"):
        setattr(codebuild, name, _with_logs(getattr(codebuild, name)))
    handlers = provisioners._RESOURCE_HANDLERS["AWS::CodeBuild::Project"]
    create, update = handlers["create"], handlers["update"]

    def create_project(logical_id: str, properties: Properties, stack: str) -> Provisioned:
        name, attributes = create(logical_id, properties, stack)
        _note_logs(name, provisioners._pascal_to_camel(properties.get("LogsConfig")))
        return name, attributes

    def update_project(name: str, old: Properties, new: Properties, stack: str) -> Provisioned:
        name, attributes = update(name, old, new, stack)
        _note_logs(name, provisioners._pascal_to_camel(new.get("LogsConfig")))
        return name, attributes

    handlers |= {"create": create_project, "update": update_project}


def _with_logs(change: Callable[[Mapping[str, Any]], Response]) -> Callable[..., Response]:
    def change_project(data: Mapping[str, Any]) -> Response:
        answer = change(data)
        if answer[0] < 400 and "logsConfig" in data:
            _note_logs(data["name"], data["logsConfig"])
        return answer

    return change_project


def _note_logs(name: str, logs: Mapping[str, Any] | None) -> None:
    codebuild._projects[name]["logsConfig"] = logs or {}


def _logs_of(definition: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """Return where the log of a build goes; no group and stream if its project wants none."""
    logs = (definition.get("logsConfig") or {}).get("cloudWatchLogs") or {}
    if logs.get("status", "ENABLED") != "ENABLED":
        return {"cloudWatchLogs": {"status": "DISABLED"}}
    prefix = f"{logs['streamName']}/" if logs.get("streamName") else ""
    place = {
        "groupName": logs.get("groupName") or f"/aws/codebuild/{definition['name']}",
        "streamName": f"{prefix}{id_.partition(':')[2]}",
    }
    return {**place, "cloudWatchLogs": {"status": "ENABLED", **place}}


def _told_of(id_: str) -> dict[str, Any]:
    return {"build": copy.deepcopy(codebuild._builds[id_])}


def _own_source(settings: Mapping[str, Any], version: str) -> Place | None:
    """Fetch the source of a build that no pipeline started: none, or a local repository's clone."""
    if settings.get("type") == "NO_SOURCE":
        return lambda where: ""
    name = "/".join(str(settings.get("location")).removesuffix(".git").split("/")[-2:])
    repository = _settings.repositories.get(name)
    if repository is None:
        return None

    def clone(where: Path) -> str:
        branch = source.git(repository, "symbolic-ref", "--short", "HEAD").strip()
        commit = source.describe(repository, version or branch).id
        source.clone(repository, branch, commit, where)
        return commit

    return clone


def _write_shim(state: Path) -> None:
    """Put our `docker` where the builds look first; it needs nothing from their environment."""
    shim = state / "bin" / "docker"
    shim.parent.mkdir(parents=True, exist_ok=True)
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); "
        "from local_aws.docker_shim import main; sys.exit(main(sys.argv[1:]))"
    )
    shim.write_text(
        f"#!/bin/sh\nLOCAL_AWS_IMAGES={shlex.quote(str(state / 'images'))} "
        f'exec {shlex.join([sys.executable, "-I", "-c", program])} "$@"\n'
    )
    shim.chmod(0o755)
