"""ECS services that are really kept running, and deployments that really succeed or fail.

The emulator keeps the records and the API. What it invents without a container engine (counts,
completed roll-outs, running tasks) is replaced: tasks are processes (`tasks.py`, also where a
Docker engine answers), and one loop brings every service to its desired state as ECS does:
replacements, rolling deployment, circuit breaker with rollback, deployment alarms, load balancer
targets. `AWS::ECS::Service` in a stack waits for the steady state on a worker thread.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable

from ministack.services import cloudwatch, ecs
from ministack.services.cloudformation import provisioners, stacks

from local_aws import load_balancer, ports
from local_aws.background import Repeating
from local_aws.settings import CloudSettings
from local_aws.tasks import Record, Task, Tasks

logger = logging.getLogger("local_aws.ecs")

RECONCILE_EVERY = 0.25
STEADY_SECONDS = 1.0
"""How long a task without any health check must have run to count as healthy."""

LONGEST_BACKOFF = 30.0
STABILIZE_SECONDS = 900
"""How long a stack waits for a service; ECS itself would let it wait for three hours."""

STOPPED_TASKS_KEPT = 3600

_SERVICE = "AWS::ECS::Service"
_INVENTED = "has begun draining connections on 1 tasks."
"""The event that the emulator makes up for every UpdateService."""


def install(settings: CloudSettings) -> None:
    """Run tasks as processes and services by our own scheduler."""
    global _scheduler
    scheduler = _scheduler = Scheduler(settings)
    ecs._docker = scheduler.tasks  # anything but None makes the emulator start task workers
    ecs._run_task_worker = scheduler.tasks.run_worker
    ecs._stop_task = ecs._ACTION_MAP["StopTask"] = _stop_task
    ecs._reconcile_service_tasks = lambda cluster, key: scheduler.loop.wake()
    ecs._sync_service_targets = lambda cluster, service: None  # the scheduler does, per task
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
        for group in _groups(service):
            for target in list(load_balancer.registered(group)):
                if target[0] == ports.HOST:
                    load_balancer.deregister(group, *target)
    _scheduler.loop.start()


def stop() -> None:
    """End every task; their services are started again by the next `start`."""
    assert _scheduler is not None
    _scheduler.loop.stop()
    _scheduler.tasks.stop_all()


class Scheduler:
    """Brings services to their desired state: one loop, so that nothing is started twice."""

    def __init__(self, settings: CloudSettings) -> None:
        self.tasks = Tasks(settings)
        self.tasks.on_running = self._running
        self.tasks.on_stopping = self._stopping
        self.tasks.on_failed = self._failed
        self.tasks.busy = _connected
        self.loop = Repeating("ecs", RECONCILE_EVERY, self._reconcile_all, settings)
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def _reconcile_all(self) -> None:
        for arn, task in ecs._tasks.items():
            if task["lastStatus"] == "STOPPED" and _age(task["stoppedAt"]) > STOPPED_TASKS_KEPT:
                ecs._tasks.pop(arn, None)
        for key, service in ecs._services.items():
            with self.tasks.lock:
                if service["status"] == "ACTIVE":
                    self._reconcile(key.partition("/")[0], service)

    def _reconcile(self, cluster: str, service: Record) -> None:
        service["events"] = [e for e in service["events"] if _INVENTED not in e["message"]]
        primary = ecs._primary_deployment(service)
        for task in _live(service):
            if problem := self._unhealthy(service, task):
                self.tasks.stop_task(task, problem, "ServiceSchedulerInitiated")
                self._count_failure(service, task)
        if alarm := _firing_alarm(service, primary):
            self._fail(service, primary, f"alarm detected: {alarm}", "alarms")
        primary = ecs._primary_deployment(service)
        live = _live(service)
        current = [task for task in live if task["_deployment_id"] == primary["id"]]
        others = [task for task in live if task["_deployment_id"] != primary["id"]]
        ready = [task for task in current if self._ready(service, task)]
        desired = int(service["desiredCount"])
        if len(ready) >= desired:
            self._failures.pop(primary["id"], None)
            if primary["rolloutState"] == "IN_PROGRESS":
                self._complete(service, primary)
        if primary["rolloutState"] == "COMPLETED":
            for task in others:
                self.tasks.stop_task(task, "Deployment completed", "ServiceSchedulerInitiated")
        unready_first = sorted(current, key=lambda task: task in ready)
        for task in unready_first[: max(0, len(current) - desired)]:
            self.tasks.stop_task(task, "Service scaling down", "ServiceSchedulerInitiated")
        if primary["rolloutState"] != "FAILED" and len(current) < desired:
            self._start(cluster, service, primary, current, others)
        ecs._refresh_service_state(cluster, f"service:{service['serviceName']}")

    def _start(
        self,
        cluster: str,
        service: Record,
        deployment: Record,
        current: list[Record],
        others: list[Record],
    ) -> None:
        """Start what is missing, within the deployment's percentages and after the backoff."""
        if time.monotonic() < self._not_before.get(deployment["id"], 0.0):
            return
        percentages = service.get("deploymentConfiguration") or {}
        desired = int(service["desiredCount"])
        most = max(1, desired * int(percentages.get("maximumPercent", 200)) // 100)
        least = math.ceil(desired * int(percentages.get("minimumHealthyPercent", 100)) / 100)
        missing = desired - len(current)
        room = most - len(current) - len(others)
        healthy = [task for task in current + others if self._ready(service, task)]
        spare = [task for task in others if task not in healthy]
        spare += [task for task in others if task in healthy][: max(0, len(healthy) - least)]
        for task in spare[: max(0, missing - room)]:
            reason = "Making room for a deployment"
            self.tasks.stop_task(task, reason, "ServiceSchedulerInitiated")
        count = min(missing, room)
        if count <= 0:
            return
        request = {
            "cluster": cluster,
            "taskDefinition": deployment["taskDefinition"],
            "count": count,
            "group": f"service:{service['serviceName']}",
            "startedBy": deployment["id"],
            "launchType": service.get("launchType"),
            "capacityProviderStrategy": service.get("capacityProviderStrategy"),
            "platformVersion": service.get("platformVersion", ""),
            "networkConfiguration": service.get("networkConfiguration", {}),
            "_deploymentId": deployment["id"],
        }
        status, _, body = ecs._run_task({key: value for key, value in request.items() if value})
        if status >= 400:
            self._back_off(deployment)
            _event(service, f"was unable to start tasks: {body.decode()}")
        else:
            started = ", ".join(t["taskArn"].rpartition("/")[2] for t in json.loads(body)["tasks"])
            _event(service, f"has started {count} tasks: (task {started}).")

    def _ready(self, service: Record, record: Record) -> bool:
        """Whether the task counts as healthy: its container checks and its targets' checks."""
        task = self.tasks.running.get(record["taskArn"])
        if task is None or record["lastStatus"] != "RUNNING":
            return False
        if any(c.definition.get("healthCheck") for c in task.containers):
            if record["healthStatus"] != "HEALTHY":
                return False
        elif time.monotonic() - task.started < STEADY_SECONDS:
            return False
        return all(
            load_balancer.target_state(group, ports.HOST, task.port) == "healthy"
            for group in _groups(service)
        )

    def _unhealthy(self, service: Record, record: Record) -> str | None:
        """Why ECS would replace this task, or None."""
        task = self.tasks.running.get(record["taskArn"])
        if task is None or record["lastStatus"] != "RUNNING":
            return None
        if task.health == "UNHEALTHY":
            return "Task failed container health checks"
        if time.monotonic() - task.started < int(service.get("healthCheckGracePeriodSeconds") or 0):
            return None
        for group in _groups(service):
            if load_balancer.target_state(group, ports.HOST, task.port) == "unhealthy":
                return f"Task failed ELB health checks in (target-group {group})"
        return None

    def _complete(self, service: Record, deployment: Record) -> None:
        deployment["rolloutState"] = "COMPLETED"
        deployment["rolloutStateReason"] = f"ECS deployment {deployment['id']} completed."
        deployment["updatedAt"] = ecs._iso()
        deployment.pop("_rollback", None)
        # A failed deployment stays to be looked at until a newer one succeeds.
        service["deployments"] = [
            other
            for other in service["deployments"]
            if other["rolloutState"] != "FAILED" or other["createdAt"] > deployment["createdAt"]
        ]
        _event(service, "has reached a steady state.")

    def _failed(self, task: Task) -> None:
        """Count a task that ended without anybody asking it to."""
        service = _service_of(task.record)
        if service.get("status") == "ACTIVE":
            self._count_failure(service, task.record)
            self.loop.wake()

    def _count_failure(self, service: Record, record: Record) -> None:
        deployment = ecs._deployment_for_task(service, record)
        if deployment is None or deployment is not ecs._primary_deployment(service):
            return
        self._back_off(deployment)
        if not _guarded(deployment):
            return
        deployment["failedTasks"] += 1
        breaker = _setting(service, "deploymentCircuitBreaker")
        if breaker.get("enable") and deployment["failedTasks"] >= ecs._circuit_breaker_threshold(
            service
        ):
            reason = f"tasks failed to start: {record['stoppedReason']}"
            self._fail(service, deployment, reason, "deploymentCircuitBreaker")

    def _fail(self, service: Record, deployment: Record, reason: str, guard: str) -> None:
        """Give a deployment up and, where its guard says so, go back to the last completed one."""
        words = "circuit breaker: " if guard == "deploymentCircuitBreaker" else ""
        deployment |= {
            "rolloutState": "FAILED",
            "rolloutStateReason": f"ECS deployment {words}{reason}",
            "desiredCount": 0,
            "updatedAt": ecs._iso(),
        }
        _event(service, f"(deployment {deployment['id']}) deployment failed: {reason}.")
        logger.warning("%s: deployment failed: %s", service["serviceName"], reason)
        good = [d for d in service["deployments"] if d["rolloutState"] == "COMPLETED"]
        if _setting(service, guard).get("rollback") and good:
            deployment["status"] = "ACTIVE"
            good[0] |= {
                "status": "PRIMARY",
                "desiredCount": service["desiredCount"],
                "rolloutState": "IN_PROGRESS",
                "_rollback": True,
                "rolloutStateReason": f"ECS deployment {words}rolling back to {good[0]['id']}.",
                "updatedAt": ecs._iso(),
            }
            service["taskDefinition"] = good[0]["taskDefinition"]
            _event(service, f"rolling back to deployment {good[0]['id']}.")
        for task in _live(service):
            if task["_deployment_id"] == deployment["id"]:
                self.tasks.stop_task(task, "Deployment failed", "ServiceSchedulerInitiated")

    def _back_off(self, deployment: Record) -> None:
        """Wait a second, two, four ... between attempts: ECS throttles what cannot start, too."""
        count = self._failures[deployment["id"]] = self._failures.get(deployment["id"], 0) + 1
        delay = min(LONGEST_BACKOFF, 2.0 ** (count - 1))
        self._not_before[deployment["id"]] = time.monotonic() + (delay if count > 1 else 0)

    def _running(self, task: Task) -> None:
        for group in _groups(_service_of(task.record)):
            load_balancer.register(group, ports.HOST, task.port)
        self.loop.wake()

    def _stopping(self, task: Task) -> None:
        for group in _groups(_service_of(task.record)):
            load_balancer.deregister(group, ports.HOST, task.port)
        self.loop.wake()


def _service_of(task: Record) -> Record:
    """Return the service that a task belongs to; an empty record for a task of its own."""
    name = task["group"].removeprefix("service:")
    cluster = task["clusterArn"].rpartition("/")[2]
    found: Record = ecs._services.get(f"{cluster}/{name}") or {}
    return found if task["group"].startswith("service:") else {}


def _groups(service: Record) -> list[str]:
    """Return the target groups that the tasks of a service are registered in."""
    balancers = service.get("loadBalancers") or []
    return [lb["targetGroupArn"] for lb in balancers if lb.get("targetGroupArn")]


def _connected(task: Task) -> bool:
    """Whether a load balancer still has a connection to the task."""
    return any(
        load_balancer.connections(group, ports.HOST, task.port)
        for group in _groups(_service_of(task.record))
    )


def _live(service: Record) -> list[Record]:
    """Return the service's tasks that run or are about to, oldest first."""
    group = f"service:{service['serviceName']}"
    return [
        task
        for task in ecs._tasks.values()
        if task["group"] == group
        and task["clusterArn"] == service["clusterArn"]
        and task["desiredStatus"] == "RUNNING"
    ]


def _setting(service: Record, name: str) -> Record:
    found: Record = (service.get("deploymentConfiguration") or {}).get(name) or {}
    return found


def _guarded(deployment: Record) -> bool:
    """Whether circuit breaker and alarms watch the deployment; the way back is not watched."""
    return deployment["rolloutState"] == "IN_PROGRESS" and not deployment.get("_rollback")


def _firing_alarm(service: Record, deployment: Record) -> str | None:
    """Return a deployment alarm that went to ALARM since the deployment began.

    One that fired before is ignored, as ECS ignores it.
    """
    watched = _setting(service, "alarms") if _guarded(deployment) else {}
    for name in watched.get("alarmNames") or [] if watched.get("enable") else []:
        alarm = cloudwatch._alarms.get(name) or {}
        firing = alarm.get("StateValue") == "ALARM"
        if firing and alarm["StateUpdatedTimestamp"] > ecs._ts_to_epoch(deployment["createdAt"]):
            return str(name)
    return None


def _event(service: Record, message: str) -> None:
    text = f"(service {service['serviceName']}) {message}"
    event = {"id": ecs.new_uuid(), "createdAt": ecs._iso(), "message": text}
    service["events"] = [event, *service["events"]][:100]


def _age(timestamp: str | float) -> float:
    """Seconds since a time in the emulator's records."""
    return time.time() - float(ecs._ts_to_epoch(timestamp))


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
            if not any(_service_of(task.record) is service for task in running):
                return
            time.sleep(RECONCILE_EVERY)

    return delete_and_wait


def _described(arn: str) -> Record:
    found: Record = ecs._services[arn.partition("service/")[2]]
    return found


_scheduler: Scheduler | None = None
