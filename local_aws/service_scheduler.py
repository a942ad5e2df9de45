"""One loop that brings every ECS service to its desired state, as ECS does."""

from __future__ import annotations

import json
import logging
import math
import time

from ministack.services import cloudwatch, ecs

from local_aws import load_balancer, ports
from local_aws.background import Repeating
from local_aws.settings import CloudSettings
from local_aws.tasks import Record, Task, Tasks

logger = logging.getLogger("local_aws.ecs")
RECONCILE_EVERY = 0.25
STEADY_SECONDS = 1.0
"""How long a task without any health check must have run to count as healthy."""
LONGEST_BACKOFF = 30.0
STOPPED_TASKS_KEPT = 3600
_INVENTED = "has begun draining connections on 1 tasks."
"""The event that the emulator makes up for every UpdateService."""


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
        self._note_healthy(service, primary, ready)
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
            for group in target_groups(service)
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
        for group in target_groups(service):
            if load_balancer.target_state(group, ports.HOST, task.port) == "unhealthy":
                return f"Task failed ELB health checks in (target-group {group})"
        return None

    def _note_healthy(self, service: Record, deployment: Record, ready: list[Record]) -> None:
        """Let the circuit breaker count anew for each task that becomes healthy, as ECS does."""
        new = [task for task in ready if not task.get("_has_been_healthy")]
        for task in new:
            task["_has_been_healthy"] = True
        breaker = _setting(service, "deploymentCircuitBreaker")
        if new and breaker.get("resetOnHealthyTask", True):
            deployment["failedTasks"] = 0

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
        """Count a task that ended without anybody asking it to; say so of one without a service."""
        service = service_of(task.record)
        if not service and (failure := _failure(task.record)):
            logger.error("task %s failed: %s", task.record["taskArn"], failure)
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
        for group in target_groups(service_of(task.record)):
            load_balancer.register(group, ports.HOST, task.port)
        self.loop.wake()

    def _stopping(self, task: Task) -> None:
        for group in target_groups(service_of(task.record)):
            load_balancer.deregister(group, ports.HOST, task.port)
        self.loop.wake()


def service_of(task: Record) -> Record:
    """Return the service that a task belongs to; an empty record for a task of its own."""
    name = task["group"].removeprefix("service:")
    cluster = task["clusterArn"].rpartition("/")[2]
    found: Record = ecs._services.get(f"{cluster}/{name}") or {}
    return found if task["group"].startswith("service:") else {}


def _failure(task: Record) -> str:
    """Say why a task that ended did not do what it was started for; empty if it did."""
    codes = {c["name"]: c.get("exitCode") for c in task["containers"] if c.get("exitCode") != 0}
    if not codes:
        return ""
    ends = ", ".join(
        f"{name} never ran" if code is None else f"{name} ended with exit code {code}"
        for name, code in codes.items()
    )
    return f"{ends} ({task['stoppedReason']}), started by {task.get('startedBy') or 'a person'}"


def target_groups(service: Record) -> list[str]:
    """Return the target groups that the tasks of a service are registered in."""
    balancers = service.get("loadBalancers") or []
    return [lb["targetGroupArn"] for lb in balancers if lb.get("targetGroupArn")]


def _connected(task: Task) -> bool:
    """Whether a load balancer still has a connection to the task."""
    return any(
        load_balancer.connections(group, ports.HOST, task.port)
        for group in target_groups(service_of(task.record))
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
