"""ECS tasks as processes: what a container engine would do, from the tree an image was built of.

"Building an image" keeps the released tree at `state/images/<repository>/<tag>/`. A container is
its command in that tree, with its own environment, process group, log and health check. A task
gets one loopback port and is told so by `PROMPT_HUB_HOST` and `PROMPT_HUB_PORT`.

How this differs from Fargate: no isolation, no CPU or memory limits, no volumes, one port a task.
A container that is not healthy yet is checked every second, so that a deployment need not wait for
the next interval; it is UNHEALTHY only when the intervals and the start period are really over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ministack.core.concurrency import resource_lock, spawn_background
from ministack.core.responses import request_scope
from ministack.services import ecs

from local_aws import ports, service_address, service_calls
from local_aws.processes import end_holders
from local_aws.service_roles import DeniedError, of_task
from local_aws.settings import CloudSettings

logger = logging.getLogger("local_aws.tasks")

Record = dict[str, Any]
"""A record of the emulator: a task, a container, a service. Its shape is the ECS API's."""

STOP_SECONDS = 30
SHUTDOWN_SECONDS = 5
"""How long a container has between SIGTERM and SIGKILL: by default, and when all of them stop."""

DRAIN_SECONDS = 2
"""How long a task that is being stopped may still answer what it was asked before."""

OUTPUT_SECONDS = 2
"""How long the end of a task waits for the last of its output."""

FIRST_CHECKS_EVERY = 1.0


class ImageMissingError(Exception):
    """No image of that name and tag was built here."""


@dataclass(frozen=True)
class Image:
    """A released tree, the virtual environment its commands run in, and its default command.

    `scripts` holds launchers of the commands that the tree's package declares.
    """

    tree: Path
    environment: Path
    scripts: Path
    command: tuple[str, ...] = ()

    @classmethod
    def find(cls, reference: str, images: Path) -> Image:
        """Return the image that `<registry>/<repository>:<tag>` names.

        Raises `ImageMissingError`.
        """
        name, _, tag = reference.rpartition(":")
        registry, _, repository = name.partition("/")
        described = images / (repository or registry) / tag / "image.json"
        if not repository or ".." in described.parts or not described.is_file():
            raise ImageMissingError(f"{reference}: not found")
        raw = json.loads(described.read_text(encoding="utf-8"))
        return cls(
            tree=Path(raw["tree"]),
            environment=Path(raw["environment"]),
            scripts=Path(raw.get("scripts", raw["tree"])),
            command=tuple(raw.get("command", ())),
        )


class Container:
    """One container of a task: a process group with its output and its health."""

    def __init__(
        self, record: Record, definition: Record, arguments: list[str], environment: dict[str, str]
    ) -> None:
        self.record = record
        self.definition = definition
        self.started = 0.0
        self._arguments = arguments
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._output: threading.Thread | None = None
        self._lock: Path | None = None

    @property
    def essential(self) -> bool:
        """Whether the task ends when this container ends."""
        return bool(self.definition.get("essential", True))

    @property
    def alive(self) -> bool:
        """Whether its command still runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, tree: Path, log: Path, lock: Path, task_id: str) -> None:
        """Run the command; raises `OSError` when it cannot be executed."""
        log.parent.mkdir(parents=True, exist_ok=True)
        lock.parent.mkdir(parents=True, exist_ok=True)
        self._lock = lock
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # kept by the process for as long as it lives
            self._process = subprocess.Popen(
                self._arguments,
                cwd=tree,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(held.fileno(),),
            )
            held.write(str(self._process.pid))
        self.started = time.monotonic()
        self.record |= {"lastStatus": "RUNNING", "runtimeId": f"{task_id}-{self._process.pid}"}
        assert self._process.stdout is not None
        self._output = spawn_background(self._copy_output, self._process.stdout, log, task_id)
        check = self.definition.get("healthCheck") or {}
        if check.get("command", ["NONE"])[0] != "NONE":
            spawn_background(self._watch_health, check, tree)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group, if anything of it is left."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def finish(self) -> None:
        """End what the command left behind and note its exit code as a container engine does."""
        self.signal(signal.SIGKILL)
        self._ended.set()
        self.record["lastStatus"] = "STOPPED"
        if self._process is not None:
            code = self._process.wait()
            self.record["exitCode"] = 128 - code if code < 0 else code
        if self._output is not None:
            self._output.join(OUTPUT_SECONDS)
        if self._lock is not None:
            self._lock.unlink(missing_ok=True)

    def _copy_output(self, output: IO[bytes], log: Path, task_id: str) -> None:
        """Copy each line to the log file and, where there is one, to the awslogs stream."""
        stream = ecs._awslogs_config(self.definition, task_id, self.record["runtimeId"])
        if stream and not ecs._ensure_awslogs_stream(stream):
            stream = None
        with output, log.open("ab") as file:
            for line in output:
                file.write(line)
                file.flush()
                if stream:
                    ecs._emit_awslogs_event(stream, line.decode(errors="replace").rstrip("\r\n"))

    def _watch_health(self, check: Record, tree: Path) -> None:
        interval, retries = check.get("interval", 30), check.get("retries", 3)
        patience = check.get("startPeriod", 0) + retries * interval
        failures = 0
        while not self._ended.is_set():
            passed = self._healthy_now(check, tree)
            failures = 0 if passed else failures + 1
            new = self.record["healthStatus"] == "UNKNOWN"
            lost = time.monotonic() - self.started > patience if new else failures >= retries
            if passed:
                self.record["healthStatus"] = "HEALTHY"
            elif lost:
                self.record["healthStatus"] = "UNHEALTHY"
            waiting = self.record["healthStatus"] == "UNKNOWN"
            self._ended.wait(min(FIRST_CHECKS_EVERY, interval) if waiting else interval)

    def _healthy_now(self, check: Record, tree: Path) -> bool:
        form, *command = check["command"]
        arguments = ["/bin/sh", "-c", *command] if form == "CMD-SHELL" else command
        try:
            probe = subprocess.Popen(
                arguments,
                cwd=tree,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return False
        try:
            return probe.wait(check.get("timeout", 5)) == 0
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(probe.pid, signal.SIGKILL)
            probe.wait()
            return False


class Task:
    """One running task: started, watched and ended on the thread that the emulator gives it."""

    def __init__(self, record: Record, scratch: Path) -> None:
        self.record = record
        self.port = 0
        self.scratch = scratch
        self.containers: list[Container] = []
        self._stop = threading.Event()
        self._grace: float | None = None

    @property
    def started(self) -> float:
        """When its last container was started, on the monotonic clock."""
        return max((container.started for container in self.containers), default=0.0)

    @property
    def health(self) -> str:
        """Of its containers that have a health check: the worst; `UNKNOWN` without any."""
        found = [
            c.record["healthStatus"] for c in self.containers if c.definition.get("healthCheck")
        ]
        for state in ("UNHEALTHY", "UNKNOWN"):
            if state in found:
                return state
        return "HEALTHY" if found else "UNKNOWN"

    def stop(self, grace: float | None = None) -> None:
        """Ask the task's thread to end it; `grace` caps the seconds before SIGKILL."""
        self._grace = grace
        self._stop.set()

    def run(self) -> None:
        """Wait until a container ends that the task cannot be without, or until told to stop."""
        while not self._stop.wait(0.1):
            self.record["healthStatus"] = self.health
            ended = [c for c in self.containers if not c.alive]
            if any(c.essential for c in ended) or len(ended) == len(self.containers):
                return

    def end(self) -> None:
        """SIGTERM, the stop timeout, SIGKILL: for every container that still runs."""
        for container in self.containers:
            container.signal(signal.SIGTERM)
        timeout = max(
            (c.definition.get("stopTimeout") or STOP_SECONDS for c in self.containers), default=0
        )
        deadline = time.monotonic() + min(timeout, self._grace or timeout)
        while any(c.alive for c in self.containers) and time.monotonic() < deadline:
            time.sleep(0.05)
        for container in self.containers:
            container.finish()
        ports.release(self.port)
        shutil.rmtree(self.scratch, ignore_errors=True)


class Tasks:
    """All tasks that run now. `run_worker` and `stop_task` take the emulator's place."""

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings
        state = settings.state.resolve()
        self._images, self._logs = state / "images", state / "logs"
        self._locks, self._scratch = state / "tasks", state / "scratch"
        self._closing = False
        self.lock = threading.RLock()
        self.running: dict[str, Task] = {}
        self.on_running = _ignore
        self.on_stopping = _ignore
        self.on_failed = _ignore
        self.busy: Callable[[Task], bool] = lambda task: False

    def run_worker(
        self,
        record: Record,
        definition: Record,
        overrides: list[Record],
        _engine: object,
        account: str,
        region: str,
    ) -> None:
        """Take one task from PROVISIONING to STOPPED."""
        with request_scope(account, region):
            task_id = record["taskArn"].rpartition("/")[2]
            task = self.running[record["taskArn"]] = Task(record, self._scratch / task_id)
            reason, code = "Essential container in task exited", "EssentialContainerExited"
            try:
                if self._closing or not ecs._mark_task_pending(record["taskArn"], record):
                    return
                if not ecs._mark_task_activating(record["taskArn"], record):
                    return
                self._start(task, definition, overrides)
                if ecs._mark_task_running(record["taskArn"], record):
                    self.on_running(task)
                    task.run()
            except ImageMissingError as problem:
                reason, code = f"CannotPullContainerError: {problem}", "TaskFailedToStart"
            except ecs._SecretResolutionError as problem:
                reason = f"ResourceInitializationError: unable to pull secrets: {problem}"
                code = "TaskFailedToStart"
            except DeniedError as problem:
                reason = f"ResourceInitializationError: AccessDeniedException: {problem}"
                code = "TaskFailedToStart"
            except OSError as problem:
                reason, code = f"CannotStartContainerError: {problem}", "TaskFailedToStart"
            except Exception as problem:
                logger.exception("task %s could not be run", record["taskArn"])
                reason, code = f"InternalError: {problem}", "TaskFailedToStart"
            finally:
                self._end(task, reason, code)

    def stop_task(self, record: Record, reason: str, code: str, grace: float | None = None) -> None:
        """Begin to stop a task; it is STOPPED when its processes have ended."""
        with resource_lock("ecs-task", record["taskArn"]):
            if record["desiredStatus"] == "STOPPED" or record["lastStatus"] == "STOPPED":
                return
            ecs._bump_task_version(record)
            record |= {"desiredStatus": "STOPPED", "stoppedReason": reason, "stopCode": code}
            record["stoppingAt"] = ecs._iso()
            if record["lastStatus"] == "RUNNING":
                record["lastStatus"] = "STOPPING"
        self._recount(record)
        task = self.running.get(record["taskArn"])
        if task is not None:
            task.stop(grace)

    def stop_all(self) -> None:
        """End every task, at most `SHUTDOWN_SECONDS` each, and wait; none is started after it."""
        self._closing = True
        for task in list(self.running.values()):
            reason = "The local AWS was stopped"
            self.stop_task(task.record, reason, "TerminationNotice", SHUTDOWN_SECONDS)
        deadline = time.monotonic() + SHUTDOWN_SECONDS + 2
        while self.running and time.monotonic() < deadline:
            time.sleep(0.05)

    def forget_the_killed(self, records: Iterable[Record]) -> None:
        """After a restart: end processes that outlived a killed emulator, and say so of tasks."""
        locks = list(self._locks.glob("*"))
        end_holders(locks)
        for lock in locks:
            lock.unlink()
        for record in records:
            if record["desiredStatus"] != "STOPPED" or record["lastStatus"] != "STOPPED":
                record |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED"}
                record["stoppedAt"] = record.get("stoppedAt") or ecs._iso()
                record["stoppedReason"] = "The local AWS was killed"

    def _start(self, task: Task, definition: Record, overrides: list[Record]) -> None:
        task_id = task.record["taskArn"].rpartition("/")[2]
        task.port = ports.reserve(ports.TASKS)
        task.scratch.mkdir(parents=True)
        for record, container in zip(
            task.record["containers"], definition["containerDefinitions"], strict=True
        ):
            calls = service_calls.of_container(self._settings.place, container)
            of_task("executionRoleArn", task.record, definition).require(*calls)
            image = Image.find(container["image"], self._images)
            override = ecs._container_override_for(overrides, container["name"])
            command = override.get("command") or container.get("command") or image.command
            arguments = [*(container.get("entryPoint") or []), *command]
            if not arguments:
                raise OSError(f"container {container['name']} has no command")
            environment = self._environment(task, container, override, image)
            environment |= service_address.local(environment, task.record["clusterArn"])
            environment |= of_task("taskRoleArn", task.record, definition).credentials(task_id)
            process = Container(record, container, arguments, environment)
            task.containers.append(process)
            record["networkBindings"] = [
                {
                    "bindIP": ports.HOST,
                    "containerPort": mapping["containerPort"],
                    "hostPort": task.port,
                    "protocol": "tcp",
                }
                for mapping in container.get("portMappings") or []
            ]
            log = self._logs / definition["family"] / f"{task_id}-{container['name']}.log"
            process.start(image.tree, log, self._locks / f"{task_id}-{container['name']}", task_id)

    def _environment(
        self, task: Task, container: Record, override: Record, image: Image
    ) -> dict[str, str]:
        """Return a clean base, then the container's, its secrets, the overrides, and ours last."""
        here = (str(image.scripts), str(image.environment / "bin"))
        path = os.pathsep.join((*here, os.environ.get("PATH", os.defpath)))
        return {
            "PATH": path,
            "PYTHONPATH": str(image.tree / "pipeline_image"),
            "PYTHONUNBUFFERED": "1",
            "HOME": str(task.scratch),
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",
            **{pair["name"]: pair["value"] for pair in container.get("environment") or []},
            **ecs._resolve_container_secrets(container),
            **{pair["name"]: pair["value"] for pair in override.get("environment") or []},
            **self._settings.overrides,
            "PROMPT_HUB_HOST": ports.HOST,
            "PROMPT_HUB_PORT": str(task.port),
            "PROMPT_HUB_ROOT": str(image.tree),
        }

    def _end(self, task: Task, reason: str, code: str) -> None:
        record = task.record
        self.on_stopping(task)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.busy(task) and time.monotonic() < deadline:
            time.sleep(0.05)
        task.end()
        with self.lock:  # the failure is counted before anyone sees that the task has ended
            with resource_lock("ecs-task", record["taskArn"]):
                failed = record["desiredStatus"] != "STOPPED"
                now = ecs._iso()
                if failed:
                    record |= {"stoppedReason": reason, "stopCode": code, "stoppingAt": now}
                for container in record["containers"]:
                    container["lastStatus"] = "STOPPED"
                ecs._bump_task_version(record)
                record |= {"desiredStatus": "STOPPED", "lastStatus": "STOPPED"}
                record |= {"executionStoppedAt": now, "stoppedAt": now}
            del self.running[record["taskArn"]]
            self._recount(record)
            if failed:
                logger.info("task %s stopped: %s", record["taskArn"], record["stoppedReason"])
                self.on_failed(task)

    def _recount(self, record: Record) -> None:
        cluster = ecs._cluster_name_from_arn(record["clusterArn"])
        ecs._recount_cluster(cluster)
        ecs._refresh_service_state(cluster, record["group"])


def _ignore(task: Task) -> None:
    """Do nothing: the callback of `Tasks` before somebody sets it."""
