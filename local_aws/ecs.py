"""ECS services that are really kept running, and deployments that really succeed or fail.

The emulator keeps the records and the API. What it invents without a container engine (counts,
completed roll-outs, running tasks) is replaced: tasks are processes (`tasks.py`, also where a
Docker engine answers), and one loop (`service_scheduler.py`) brings every service to its desired
state as ECS does: replacements, rolling deployment, circuit breaker with rollback, deployment
alarms, load balancer targets. `AWS::ECS::Service` in a stack waits for the steady state on a worker
thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ministack.services import ecs
from ministack.services.cloudformation import provisioners, stacks

from local_aws import load_balancer, ports
from local_aws.service_scheduler import RECONCILE_EVERY, Scheduler, service_of, target_groups
from local_aws.settings import CloudSettings
from local_aws.tasks import Record

STABILIZE_SECONDS = 900
"""How long a stack waits for a service; ECS itself would let it wait for three hours."""
_SERVICE = "AWS::ECS::Service"


def install(settings: CloudSettings) -> None:
    """Run tasks as processes and services by our own scheduler."""
    global _scheduler
    scheduler = _scheduler = Scheduler(settings)
    ecs._docker = scheduler.tasks  # anything but None makes the emulator start task workers
    ecs._run_task_worker = scheduler.tasks.run_worker
    ecs._stop_task = ecs._ACTION_MAP["StopTask"] = _stop_task
    ecs._reconcile_service_tasks = lambda cluster, key: scheduler.loop.wake()
    ecs._sync_service_targets = lambda cluster, service: None  # the scheduler does, per task
    ecs._resolve_td_key = _newest_active(ecs._resolve_td_key)
    ecs._make_deployment = _in_progress(ecs._make_deployment)
    provisioners._normalize_container_defs = _normalizing(provisioners._normalize_container_defs)
    handlers = provisioners._RESOURCE_HANDLERS[_SERVICE]
    handlers["create"] = _waiting(_creating(handlers["create"]))
    handlers["update"] = _waiting(handlers["update"])
    handlers["delete"] = _waiting_for_the_end(handlers["delete"])
    on_worker = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind == _SERVICE or on_worker(kind)


def start() -> None:
    """Start the tasks of every restored service again, and keep them from now on."""
    assert _scheduler is not None
    _scheduler.tasks.forget_the_killed(ecs._tasks.all_values())
    for service in ecs._services.all_values():
        for group in target_groups(service):
            for target in list(load_balancer.registered(group)):
                if target[0] == ports.HOST:
                    load_balancer.deregister(group, *target)
    _scheduler.loop.start()


def stop() -> None:
    """End every task; their services are started again by the next `start`."""
    assert _scheduler is not None
    _scheduler.loop.stop()
    _scheduler.tasks.stop_all()


def _stop_task(data: Record) -> object:
    """StopTask: begins to stop the task and answers with it, as ECS does."""
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    task = ecs._resolve_task(data.get("task", ""), cluster) if cluster else None
    if task is None or _scheduler is None:
        return ecs.error_response_json(
            "InvalidParameterException", "The referenced task was not found.", 400
        )
    reason = data.get("reason", "Task stopped by user")
    service_initiated = reason == "Service deleted"
    code = "ServiceSchedulerInitiated" if service_initiated else "UserInitiated"
    _scheduler.tasks.stop_task(task, reason, code)
    return ecs.json_response({"task": ecs._sanitize(task)})


def _newest_active(resolve: Callable[[str], str | None]) -> Callable[[str], str | None]:
    """Take a family for its newest revision that is ACTIVE; unpatched, a deregistered one runs."""

    def resolve_key(name: str) -> str | None:
        key = resolve(name)
        family, separator, _ = (key or "").rpartition(":")
        if not separator or name.endswith(key or ""):
            return key
        active = [
            definition["revision"]
            for definition in ecs._task_defs.values()
            if definition["family"] == family and definition["status"] == "ACTIVE"
        ]
        return f"{family}:{max(active)}" if active else family

    return resolve_key


def _in_progress(make_deployment: Callable[..., Record]) -> Callable[..., Record]:
    """Make new deployments begin in progress; unpatched, a first one is born completed."""

    def make(*arguments: object, **named: object) -> Record:
        deployment = make_deployment(*arguments, **named)
        reason = f"ECS deployment {deployment['id']} in progress."
        return deployment | {"rolloutState": "IN_PROGRESS", "rolloutStateReason": reason}

    return make


def _normalizing(
    normalize: Callable[[list[Record]], list[Record]],
) -> Callable[[list[Record]], list[Record]]:
    """Also bring the parts of a container definition into API form that the emulator forgets."""

    def normalize_all(definitions: list[Record]) -> list[Record]:
        normalized = normalize(definitions)
        for definition in normalized:
            for key in ("secrets", "healthCheck", "dependsOn", "ulimits", "linuxParameters"):
                if key in definition:
                    definition[key] = provisioners._pascal_to_camel(definition[key])
        return normalized

    return normalize_all


Handler = Callable[..., tuple[str, Record]]


def _creating(create: Handler) -> Handler:
    """Keep the properties that the emulator's own handler drops on creation."""

    def create_service(logical_id: str, properties: Record, stack: str) -> tuple[str, Record]:
        arn, attributes = create(logical_id, properties, stack)
        grace = int(properties.get("HealthCheckGracePeriodSeconds") or 0)
        _described(arn)["healthCheckGracePeriodSeconds"] = grace
        return arn, attributes

    return create_service


def _waiting(change: Handler) -> Handler:
    """Wait for the steady state after a change; raises `RuntimeError` when it is not reached."""

    def change_and_wait(*arguments: object) -> tuple[str, Record]:
        arn, attributes = change(*arguments)
        service = _described(arn)
        deployment = ecs._primary_deployment(service)
        deadline = time.monotonic() + STABILIZE_SECONDS
        while deployment["rolloutState"] != "COMPLETED":
            if deployment["rolloutState"] == "FAILED":
                raise RuntimeError(
                    f"Error occurred during operation '{deployment['rolloutStateReason']}'"
                )
            if time.monotonic() > deadline or service["status"] != "ACTIVE":
                raise RuntimeError(f"Service {arn} did not stabilize")
            time.sleep(RECONCILE_EVERY)
        return arn, attributes

    return change_and_wait


def _waiting_for_the_end(delete: Callable[..., None]) -> Callable[..., None]:
    """Wait until the tasks of a deleted service have really ended."""

    def delete_and_wait(physical_id: str, *arguments: object) -> None:
        assert _scheduler is not None
        service = ecs._services.get(physical_id.partition("service/")[2])
        delete(physical_id, *arguments)
        deadline = time.monotonic() + STABILIZE_SECONDS
        while service and time.monotonic() < deadline:
            running = list(_scheduler.tasks.running.values())
            if not any(service_of(task.record) is service for task in running):
                return
            time.sleep(RECONCILE_EVERY)

    return delete_and_wait


def _described(arn: str) -> Record:
    found: Record = ecs._services[arn.partition("service/")[2]]
    return found


_scheduler: Scheduler | None = None
