"""One build: a folder, the environment that its install phase asks for, a process for each command.

A build is trusted code: it runs with the rights of the person who started the local AWS, in no
container. Image, compute type and runtime versions of the project are not acted on; its commands
have the credentials of its role."""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws import clients, compiled_modules, pip_settings, service_calls
from local_aws.build_environments import (
    Environment,
    base_variables,
    environment_for,
    lend_node_modules,
    merged,
)
from local_aws.buildspec import Buildspec, BuildspecError, pack
from local_aws.log_shipper import LogShipper
from local_aws.service_roles import DeniedError, ServiceRole
from local_aws.settings import CloudSettings

AT_ONCE = 3
"""How many builds run at the same time, others are queued: two evaluations and the tests."""
TAIL_LINES = 20
"""How many of the last lines of its log a failed build is explained with."""
log = logging.getLogger("local_aws.codebuild")
Place = Callable[[Path], str]
"""Puts a source into an empty folder and answers the version it is."""


@dataclass(frozen=True, kw_only=True)
class BuildOrder:
    """What to build: a project, its sources, and what to collect at the end.

    `secondary` are further sources by name; `outputs` the names of the artifacts that are wanted.
    `variables` (name, value, type) win over those of the project and the buildspec. `stopped` is
    asked now and then whether the build should be given up.
    """

    project: Mapping[str, Any]
    primary: Place
    secondary: Mapping[str, Place] = field(default_factory=dict)
    outputs: Sequence[str] = ()
    variables: Sequence[Mapping[str, str]] = ()
    buildspec: str = ""
    source_version: str = ""
    initiator: str = "local/user"
    stopped: Callable[[], bool] = lambda: False


def role_of(project: Mapping[str, Any]) -> ServiceRole:
    """Return a project's role, as CodeBuild has it."""
    role = project.get("serviceRole") or ""
    return ServiceRole(role=role, service="codebuild.amazonaws.com", source=project["arn"])


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """How a build ended. `artifacts` are zip files, which belong to the caller from now on."""

    status: str
    message: str = ""
    exported: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, Path] = field(default_factory=dict)


class BuildFailedError(Exception):
    """Why a build cannot go on: CodeBuild's code of the failure, and a sentence."""

    def __init__(self, code: str, message: str, *, status: str = "FAILED") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


_PROLOGUE = 'trap \'_status=$?; env -0 >"$_STATE/env"; pwd >"$_STATE/dir"; exit $_status\' EXIT'
"""Leaves behind what the next command has to find, as if both ran in one shell."""
_slots = threading.BoundedSemaphore(AT_ONCE)


class Build:
    """One build, from its record in the service to its end."""

    def __init__(self, order: BuildOrder, record: dict[str, Any], settings: CloudSettings) -> None:
        self.id: str = record["id"]
        project, number = self.id.split(":")
        self.log = settings.state / "logs" / "codebuild" / project / f"{number}.log"
        self._order = order
        self._record = record
        self._settings = settings
        self._cancelled = threading.Event()
        self._folder = settings.state / "builds" / number
        self._source = self._folder / "src"
        self._own_code = self._source / "pipeline_image"
        self._compiled = settings.state / "compiled"
        self._deadline = math.inf
        self._variables: dict[str, str] = {}
        self._working = self._source
        self._shell = "sh"
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self) -> BuildResult:
        """Build, to the end; never raises."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        logs = self._record["logs"]
        shipper = LogShipper(self.log, logs) if "groupName" in logs else None
        try:
            with self._slot():
                self._deadline = time.monotonic() + 60 * float(self._record["timeoutInMinutes"])
                result = self._steps()
        except DeniedError as refused:
            self._phase_ends("CLIENT_ERROR", f"ACCESS_DENIED: {refused}")
            result = BuildResult(status="FAILED", message=str(refused))
        except BuildFailedError as failure:
            self._phase_ends(failure.status, f"{failure.code}: {failure.message}")
            result = BuildResult(status=failure.status, message=failure.message)
        except Exception as error:
            log.exception("build %s", self.id)
            self._phase_ends("FAULT", str(error))
            result = BuildResult(status="FAULT", message=str(error))
        finally:
            self._end_processes()
            compiled_modules.keep(self._compiled, self._own_code)
            for name in ("scratch", "state"):  # where secrets lie, too
                shutil.rmtree(self._folder / name, ignore_errors=True)
        self.say(f"Build {result.status} {result.message}".rstrip())
        if shipper is not None:
            shipper.stop()
        exported = [{"name": name, "value": value} for name, value in result.exported.items()]
        self._record |= {
            "buildStatus": result.status,
            "buildComplete": True,
            "currentPhase": "COMPLETED",
            "endTime": int(time.time()),
            "exportedEnvironmentVariables": exported,
        }
        return result

    def remove(self) -> None:
        """Remove the sources of the build, which has ended, and what it made beside them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def cancel(self) -> None:
        """Ask the build to end; it ends as STOPPED."""
        self._cancelled.set()

    def say(self, line: str) -> None:
        """Add one line of ours to the build's log."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"[local CodeBuild] {line}\n")

    def tail(self) -> str:
        """Return the last lines of the build's log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def _steps(self) -> BuildResult:
        logs = self._record["logs"]
        if "groupName" in logs:
            log_calls = service_calls.of_log(
                self._settings.place, logs["groupName"], logs["streamName"]
            )
            role_of(self._order.project).require(*log_calls)
        self._phase_starts("DOWNLOAD_SOURCE")
        version = self._place_sources()
        compiled_modules.lend(self._compiled, self._own_code)
        spec = self._read_buildspec()
        self._shell = spec.shell
        self._variables = self._initial_variables(spec, version)
        self._phase_starts("INSTALL")
        self._install(spec)
        self._phase_starts("PRE_BUILD")
        self._run_phase(spec, "pre_build")
        self._phase_starts("BUILD")
        try:
            self._run_phase(spec, "build")
        except BuildFailedError:
            self._variables["CODEBUILD_BUILD_SUCCEEDING"] = "0"
            with suppress(BuildFailedError):
                self._run_phase(spec, "post_build")
            raise
        self._phase_starts("POST_BUILD")
        self._run_phase(spec, "post_build")
        self._phase_starts("UPLOAD_ARTIFACTS")
        artifacts = self._collect(spec)
        self._phase_ends("SUCCEEDED")
        exported = {name: self._variables.get(name, "") for name in spec.exported}
        return BuildResult(status="SUCCEEDED", exported=exported, artifacts=artifacts)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Yield a place among the builds that may run."""
        while not _slots.acquire(timeout=0.2):
            self._check()
        try:
            yield
        finally:
            _slots.release()

    def _check(self) -> None:
        if self._cancelled.is_set() or self._order.stopped():
            raise BuildFailedError("STOPPED", "the build was stopped", status="STOPPED")
        if time.monotonic() > self._deadline:
            message = f"Build took longer than {self._record['timeoutInMinutes']} minutes"
            raise BuildFailedError("BUILD_TIMED_OUT", message, status="TIMED_OUT")

    # Phases as BatchGetBuilds tells them.

    def _phase_starts(self, name: str) -> None:
        self._phase_ends("SUCCEEDED")
        self._record["currentPhase"] = name
        self._record["phases"].append({"phaseType": name, "startTime": int(time.time())})

    def _phase_ends(self, status: str, message: str = "") -> None:
        phase = self._record["phases"][-1] if self._record["phases"] else {}
        if "endTime" not in phase:
            phase |= {"phaseStatus": status, "endTime": int(time.time())}
            phase["contexts"] = [{"message": message}] if message else []

    # What comes before the commands.

    def _place_sources(self) -> str:
        self._source.mkdir(parents=True)
        (self._folder / "scratch").mkdir()
        (self._folder / "state").mkdir()
        version = self._order.primary(self._source)
        for name, place in self._order.secondary.items():
            where = self._folder / "secondary" / name
            where.mkdir(parents=True)
            place(where)
        self._record["resolvedSourceVersion"] = version
        return version

    def _read_buildspec(self) -> Buildspec:
        given = self._order.buildspec or self._order.project["source"].get("buildspec") or ""
        try:
            if "\n" in given or given.lstrip().startswith("{"):
                return Buildspec.parse(given)
            file = self._source / (given or "buildspec.yml")
            if not file.is_file():
                raise BuildspecError(f"the source has no {file.name}")
            return Buildspec.parse(file.read_text(encoding="utf-8"))
        except BuildspecError as error:
            raise BuildFailedError("YAML_FILE_ERROR", str(error)) from error

    def _initial_variables(self, spec: Buildspec, version: str) -> dict[str, str]:
        record = self._record
        codebuild = {
            "CI": "true",
            "CODEBUILD_BUILD_ARN": record["arn"],
            "CODEBUILD_BUILD_ID": self.id,
            "CODEBUILD_BUILD_IMAGE": record["environment"].get("image", ""),
            "CODEBUILD_BUILD_NUMBER": str(record["buildNumber"]),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            "CODEBUILD_CI": "true",
            "CODEBUILD_INITIATOR": record["initiator"],
            "CODEBUILD_LOG_PATH": record["logs"].get("streamName", ""),
            "CODEBUILD_RESOLVED_SOURCE_VERSION": version,
            "CODEBUILD_SOURCE_VERSION": self._order.source_version,
            "CODEBUILD_SRC_DIR": str(self._source),
            "CODEBUILD_START_TIME": str(record["startTime"] * 1000),
            "AWS_REGION": self._settings.region,
            "AWS_DEFAULT_REGION": self._settings.region,
        }
        for name in self._order.secondary:
            codebuild[f"CODEBUILD_SRC_DIR_{name}"] = str(self._folder / "secondary" / name)
        if self._own_code.is_dir():
            # Builds that share a venv must each see their own code, not that of the first.
            codebuild["PYTHONPATH"] = str(self._own_code)
        project = self._order.project["environment"].get("environmentVariables", ())
        return merged(
            base_variables(self._folder / "scratch"),
            {"PATH": str(self._settings.state / "bin")},
            codebuild,
            {
                variable["name"]: _value(variable)
                for variable in [*spec.variables, *project, *self._order.variables]
            },
            self._settings.overrides,
            role_of(self._order.project).credentials(self.id),
        )

    def _install(self, spec: Buildspec) -> None:
        failures: list[BuildFailedError] = []

        def install(environment: Environment) -> bool:
            own = {"CODEBUILD_SRC_DIR": str(environment.source)}
            before, self._working = self._variables, environment.source
            indexes = pip_settings.for_uv(sys.executable)
            self._variables = merged(before, indexes, environment.variables, own)
            try:
                self._run_phase(spec, "install")
            except BuildFailedError as failure:
                failures.append(failure)
            # What install commands export is not kept: a later build skips them.
            self._variables, self._working = before, self._source
            return not failures

        environment = environment_for(
            self._settings.state / "environments",
            self._source,
            [*spec.commands.get("install", ()), *spec.finally_.get("install", ())],
            install=install,
            say=self.say,
        )
        if environment is None:
            raise failures[0]
        own = {"LOCAL_AWS_ENVIRONMENT": str(environment.venv)}
        self._variables = merged(self._variables, environment.variables, own)
        lend_node_modules(environment, self._source)

    # Commands.

    def _run_phase(self, spec: Buildspec, phase: str) -> None:
        try:
            for command in spec.commands.get(phase, ()):
                self._run_command(command)
        finally:
            for command in spec.finally_.get(phase, ()):
                self._run_command(command)

    def _run_command(self, command: str) -> None:
        self.say(f"Running command {command}")
        state = self._folder / "state"
        script = state / "command"
        script.write_text(f"set -a\n{_PROLOGUE}\n{command}\n", encoding="utf-8")
        with self.log.open("ab") as output, _held(state / f"{len(self._processes)}.pid") as held:
            process = subprocess.Popen(
                [self._shell, str(script)],
                cwd=self._working,
                env={**self._variables, "_STATE": str(state)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[held.fileno()],
            )
            held.write(str(process.pid))
        self._processes.append(process)
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
            self._check()
        self._carry_over(state)
        if process.returncode:
            first = command.strip().splitlines()[0]
            raise BuildFailedError(
                "COMMAND_EXECUTION_ERROR",
                f"Error while executing command: {first}. Reason: exit status {process.returncode}",
            )

    def _carry_over(self, state: Path) -> None:
        left, where = state / "env", state / "dir"
        if not left.exists():  # the command set a trap of its own
            return
        text = left.read_text(encoding="utf-8", errors="surrogateescape")
        pairs = (word.partition("=") for word in text.split("\0") if word)
        ours = {"_", "_STATE", "_status"}
        self._variables = {name: value for name, _, value in pairs if name not in ours}
        self._working = Path(where.read_text(encoding="utf-8").rstrip("\n"))
        left.unlink()

    def _end_processes(self) -> None:
        """End what the commands left running in the background."""
        for process in self._processes:
            _signal_group(process.pid, signal.SIGTERM)
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(2)
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()

    # Artifacts.

    def _collect(self, spec: Buildspec) -> dict[str, Path]:
        folder = self._settings.state / "artifacts"
        folder.mkdir(exist_ok=True)
        packed: dict[str, Path] = {}
        for name in self._order.outputs:
            only = spec.primary if len(self._order.outputs) == 1 else None
            wanted = spec.secondary.get(name) or only
            if wanted is None:
                message = f"the buildspec names no files for the artifact {name}"
                raise BuildFailedError("CLIENT_ERROR", message)
            packed[name] = folder / f"{self.id.split(':')[1]}-{name}.zip"
            count = pack(wanted, self._source, packed[name])
            if not count:
                message = f"no file matches {', '.join(wanted.files)} in {wanted.base} for {name}"
                raise BuildFailedError("CLIENT_ERROR", message)
            self.say(f"Artifact {name}: {count} file(s)")
        return packed


def _value(variable: Mapping[str, str]) -> str:
    """Return the value of a variable that may name a parameter or a secret instead."""
    kind, value = variable.get("type", "PLAINTEXT"), variable["value"]
    if kind == "PARAMETER_STORE":
        found = clients.client("ssm").get_parameter(Name=value, WithDecryption=True)
        return str(found["Parameter"]["Value"])
    if kind == "SECRETS_MANAGER":
        secret, _, key = value.partition(":")
        manager = clients.client("secretsmanager")
        text = manager.get_secret_value(SecretId=secret)["SecretString"]
        return str(json.loads(text)[key]) if key else str(text)
    return value


@contextmanager
def _held(file: Path) -> Iterator[Any]:
    """Yield a file that stays locked for as long as a process lives that inherits it."""
    with file.open("w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield held


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
