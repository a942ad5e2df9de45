"""ECS on the local AWS: real processes behind tasks, services, deployments and stacks."""

from __future__ import annotations

import os
import signal
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.local_aws.ecs_stack import FILES, Stack
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def ended(pid: int) -> bool:
    """Whether a process runs no more."""
    return not alive(pid)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LocalAws]:
    """An emulator of its own, which the test may stop."""
    emulator = LocalAws(state=tmp_path / "state")
    emulator.start()
    yield emulator
    emulator.stop()


def test_a_service_from_its_first_deployment_to_its_end(aws: LocalAws) -> None:
    stack = Stack(aws)
    release_1 = {
        "RELEASE": "1",
        "AWS_ENDPOINT_URL": "https://not-this-one.example.com",
        "PROMPT_HUB_SERVICE_URL": "https://the-real-stage.example.com",
        "PROMPT_HUB_CALLERS": "{}",
    }

    # Created: CloudFormation waited for the steady state, and the load balancer reaches it.
    assert stack.create(environment=release_1) == "CREATE_COMPLETE"
    first = stack.ask()
    environment = first["environment"]
    assert environment["RELEASE"] == "1"
    assert environment["TOKEN"] == "hush"
    assert environment["AWS_ENDPOINT_URL"] == aws.endpoint
    assert environment["PROMPT_HUB_SERVICE_URL"] == stack.url
    assert environment["PROMPT_HUB_CALLERS"] == "", "nothing verifies tokens here"
    assert environment["PYTHONPATH"].endswith(f"{stack.name}/tree/pipeline_image")
    assert "PYTEST_CURRENT_TEST" not in environment
    assert "PYTHONDONTWRITEBYTECODE" not in environment, "each start would compile everything"
    assert first["pid"] == stack.pid()
    service = stack.service()
    assert (service["runningCount"], service["pendingCount"]) == (1, 0)
    assert service["deployments"][0]["rolloutState"] == "COMPLETED"
    assert "reached a steady state" in service["events"][0]["message"]
    task = stack.tasks()[0]
    assert task["healthStatus"] == "HEALTHY"
    assert task["containers"][0]["networkBindings"][0]["containerPort"] == 8080
    assert os.getpgid(first["pid"]) == first["pid"]
    messages = [
        event["message"]
        for event in aws.client("logs").filter_log_events(logGroupName=stack.name)["events"]
    ]
    assert messages == ["serving release 1"]

    # An update that leaves the task definition alone leaves the process alone.
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    assert stack.update(environment=release_1, extra=topic) == "UPDATE_COMPLETE"
    assert stack.ask()["pid"] == first["pid"]

    # A new task definition rolls without a failed request; the old process ends.
    problems: list[Exception] = []
    answers: set[str] = set()
    finished = threading.Event()

    def keep_asking() -> None:
        while not finished.wait(0.02):
            try:
                answers.add(stack.ask()["environment"]["RELEASE"])
            except (OSError, urllib.error.HTTPError) as problem:
                problems.append(problem)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    release_2 = {"RELEASE": "2"}
    assert stack.update(environment=release_2) == "UPDATE_COMPLETE"
    eventually(lambda: not alive(first["pid"]), what="the end of the old process")
    finished.set()
    asking.join()
    assert problems == []
    assert answers == {"1", "2"}
    second = stack.ask()
    assert second["environment"]["RELEASE"] == "2"

    # A release that cannot start trips the circuit breaker; stack and service go back.
    broken = {"RELEASE": "3", "MODE": "crash"}
    assert stack.update(environment=broken) == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.ask()["pid"] == second["pid"]
    service = stack.service()
    states = {d["rolloutState"]: d for d in service["deployments"]}
    assert states["FAILED"]["failedTasks"] == 3
    assert states["COMPLETED"]["taskDefinition"] == service["taskDefinition"]
    failed = [t for t in stack.tasks("STOPPED") if t["containers"][0].get("exitCode") == 1]
    assert len(failed) == 3
    assert {t["stopCode"] for t in failed} == {"EssentialContainerExited"}
    reasons = [
        event.get("ResourceStatusReason", "")
        for event in stack.cloudformation.describe_stack_events(StackName=stack.name)["StackEvents"]
    ]
    assert any("circuit breaker" in reason for reason in reasons)

    # A process that dies is replaced.
    os.kill(second["pid"], signal.SIGKILL)
    eventually(
        lambda: [t for t in stack.tasks("STOPPED") if t["containers"][0].get("exitCode") == 137]
    )
    eventually(lambda: stack.service()["runningCount"] == 1 and stack.pid() != second["pid"])
    third = stack.pid()

    stack.delete()
    assert not alive(third)


def test_a_service_whose_image_is_missing_fails_its_stack(aws: LocalAws) -> None:
    stack = Stack(aws, balanced=False)
    missing = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/app:never-built"
    assert stack.create(environment={}, image=missing) == "ROLLBACK_COMPLETE"
    reasons = [task["stoppedReason"] for task in stack.tasks("STOPPED")]
    assert reasons == [f"CannotPullContainerError: {missing}: not found"] * 3


@pytest.mark.parametrize(
    ("breaker", "status"),
    [({}, "CREATE_COMPLETE"), ({"ResetOnHealthyTask": False}, "ROLLBACK_COMPLETE")],
)
def test_a_healthy_task_lets_the_circuit_breaker_count_anew(
    aws: LocalAws, tmp_path: Path, breaker: dict[str, bool], status: str
) -> None:
    stack = Stack(aws, balanced=False)
    unsteady = {"MODE": "unsteady", "STARTS": str(tmp_path / "start")}
    assert stack.create(environment=unsteady, desired=2, breaker=breaker) == status
    assert (tmp_path / "start.5").exists() is (status == "CREATE_COMPLETE")
    if status == "CREATE_COMPLETE":
        assert stack.service()["deployments"][0]["failedTasks"] == 0
    stack.delete()


def test_an_unhealthy_container_is_replaced(aws: LocalAws, tmp_path: Path) -> None:
    stack = Stack(aws, balanced=False, interval=1)
    sick = tmp_path / "sick"
    assert stack.create(environment={"SICK": str(sick)}) == "CREATE_COMPLETE"
    first = stack.pid()
    sick.touch()
    eventually(lambda: not alive(first), what="the end of the unhealthy task")
    sick.unlink()
    eventually(lambda: stack.tasks() and stack.tasks()[0].get("healthStatus") == "HEALTHY")
    assert stack.pid() != first
    reasons = [task["stoppedReason"] for task in stack.tasks("STOPPED")]
    assert reasons == ["Task failed container health checks"]
    stack.delete()


def test_tasks_of_their_own(aws: LocalAws) -> None:
    stack = Stack(aws, balanced=False)
    assert stack.create(environment={"RELEASE": "1"}) == "CREATE_COMPLETE"
    serving = stack.pid()

    program = "import os, sys; print(os.environ['EXTRA'], os.environ['RELEASE']); sys.exit(7)"
    ended = stack.run(["python", "-c", program], environment=[{"name": "EXTRA", "value": "given"}])
    assert ended["containers"][0]["exitCode"] == 7
    assert ended["stoppedReason"] == "Essential container in task exited"
    arn = ended["taskArn"]
    failure = "service ended with exit code 7 (Essential container in task exited)"
    told = f"task {arn} failed: {failure}, started by a person"
    eventually(lambda: told in aws.log.read_text(), what="the line about the failure")
    task_id = ended["taskArn"].rpartition("/")[2]
    stream = aws.client("logs").get_log_events(
        logGroupName=stack.name, logStreamName=f"service/service/{task_id}"
    )
    assert [event["message"] for event in stream["events"]] == ["given 1"]
    log = aws.state / "logs" / stack.name / f"{task_id}-service.log"
    assert log.read_text() == "given 1\n"

    ended = stack.run(["no-such-program"])
    assert ended["stopCode"] == "TaskFailedToStart"
    assert ended["stoppedReason"].startswith("CannotStartContainerError")
    told = f"task {ended['taskArn']} failed: service never ran"
    eventually(lambda: told in aws.log.read_text(), what="the line about the start")

    ended = stack.run(["python", "-c", "pass"])
    assert ended["containers"][0]["exitCode"] == 0
    assert f"task {ended['taskArn']} failed" not in aws.log.read_text()

    # A program that ignores SIGTERM, with a child: killed as a group after the stop timeout.
    program = (
        "import os, signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = subprocess.Popen(['sleep', '3600']); print(child.pid, flush=True); "
        "time.sleep(3600)"
    )
    arn = stack.ecs.run_task(
        cluster=stack.name,
        taskDefinition=stack.name,
        launchType="FARGATE",
        overrides={
            "containerOverrides": [{"name": "service", "command": ["python", "-c", program]}]
        },
    )["tasks"][0]["taskArn"]
    log = aws.state / "logs" / stack.name / f"{arn.rpartition('/')[2]}-service.log"
    child = int(eventually(lambda: log.exists() and log.read_text().strip(), what="the child"))
    started = time.monotonic()
    stack.ecs.stop_task(cluster=stack.name, task=arn, reason="enough")
    ended = stack.stopped(arn)
    # It was given its time, and then ended: by itself it never does.
    assert time.monotonic() - started > 4.5
    assert ended["containers"][0]["exitCode"] == 137
    assert (ended["stopCode"], ended["stoppedReason"]) == ("UserInitiated", "enough")
    eventually(lambda: not alive(child), what="the end of the child")

    aws.client("secretsmanager").delete_secret(SecretId=stack.name, ForceDeleteWithoutRecovery=True)
    ended = stack.run(["python", "-c", "pass"])
    assert ended["stoppedReason"].startswith("ResourceInitializationError")
    assert stack.pid() == serving
    stack.delete()


def test_a_deployment_keeps_its_percentages_and_heeds_its_alarm(aws: LocalAws) -> None:
    name, ecs, cloudwatch = f"d-{uuid.uuid4().hex[:8]}", aws.client("ecs"), aws.client("cloudwatch")
    image = aws.build_image(name, FILES)
    ecs.create_cluster(clusterName=name)

    def definition(release: str, probe: list[str]) -> str:
        container = {
            "name": "service",
            "image": image,
            "command": ["python", "server.py"],
            "environment": [{"name": "RELEASE", "value": release}],
            "healthCheck": {"command": probe, "interval": 5, "startPeriod": 60},
        }
        made = ecs.register_task_definition(family=name, containerDefinitions=[container])
        arn: str = made["taskDefinition"]["taskDefinitionArn"]
        return arn

    def described() -> dict[str, Any]:
        found: dict[str, Any] = ecs.describe_services(cluster=name, services=[name])["services"][0]
        return found

    def completed(task_definition: str) -> bool:
        primary = next(d for d in described()["deployments"] if d["status"] == "PRIMARY")
        assert len(ecs.list_tasks(cluster=name)["taskArns"]) <= 2
        found = (primary["rolloutState"], primary["runningCount"], primary["taskDefinition"])
        return found == ("COMPLETED", 2, task_definition)

    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Test",
        MetricName=name,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    good = definition("1", ["CMD", "python", "probe.py"])
    ecs.create_service(
        cluster=name,
        serviceName=name,
        taskDefinition=good,
        desiredCount=2,
        deploymentConfiguration={
            "maximumPercent": 100,
            "minimumHealthyPercent": 50,
            "alarms": {"alarmNames": [name], "enable": True, "rollback": True},
        },
    )
    eventually(lambda: completed(good), what="the first deployment")
    better = definition("2", ["CMD-SHELL", "python probe.py || exit 1"])
    ecs.update_service(cluster=name, service=name, taskDefinition=better)
    eventually(lambda: completed(better), what="the second deployment")

    never_healthy = definition("3", ["CMD", "false"])
    ecs.update_service(cluster=name, service=name, taskDefinition=never_healthy)
    eventually(lambda: described()["deployments"][0]["runningCount"] == 1, what="its first task")
    time.sleep(1.1)  # times in ECS are whole seconds: an alarm is newer from the next one on
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="errors")
    eventually(lambda: completed(better), what="the rollback")
    assert any("alarm detected" in event["message"] for event in described()["events"])

    ecs.update_service(cluster=name, service=name, desiredCount=0)
    eventually(lambda: not ecs.list_tasks(cluster=name)["taskArns"], what="the end of its tasks")
    ecs.delete_service(cluster=name, service=name)


def test_services_come_back_after_a_restart(own: LocalAws) -> None:
    stack = Stack(own)
    assert stack.create(environment={"RELEASE": "1"}) == "CREATE_COMPLETE"
    url = stack.url

    def served() -> dict[str, Any] | None:
        try:
            return stack.ask()
        except OSError:
            return None

    for how in (signal.SIGTERM, signal.SIGKILL):
        before = stack.ask()["pid"]
        own.stop(how)
        assert alive(before) == (how is signal.SIGKILL)
        own.start()
        eventually(partial(ended, before), what="the end of the old process")
        after = eventually(served, what="the service after the restart") or {}
        assert stack.url == url
        assert after["environment"]["RELEASE"] == "1"
        assert after["pid"] == stack.pid() != before
        assert [task["desiredStatus"] for task in stack.tasks()] == ["RUNNING"]
    last = stack.pid()
    own.stop()
    assert not alive(last)
