"""Load balancers on the local AWS: real sockets in front of real targets."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import pytest

from tests.local_aws.ecs_stack import Stack
from tests.local_aws.emulator import LocalAws, eventually


class Backend:
    """An HTTP server on loopback whose health can be switched off."""

    def __init__(self, name: str) -> None:
        self.healthy = True
        self.checks = 0
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                checked = self.path == "/ready"
                backend.checks += checked
                self.send_response(200 if backend.healthy or not checked else 500)
                self.end_headers()
                self.wfile.write(name.encode())

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                received = 0
                while received < size:
                    received += len(self.rfile.read(min(1 << 16, size - received)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(str(received).encode())

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Balanced:
    """A load balancer with one listener and one target group, from a template.

    The health checks' interval of one second is shorter than AWS accepts, to keep the tests fast.
    """

    def __init__(self, aws: LocalAws) -> None:
        self.elb = aws.client("elbv2")
        name = f"b-{uuid.uuid4().hex[:8]}"
        action = {"Type": "forward", "TargetGroupArn": {"Ref": "Group"}}
        kind = "AWS::ElasticLoadBalancingV2::"
        resources = {
            "Balancer": {
                "Type": f"{kind}LoadBalancer",
                "Properties": {"Name": name, "Scheme": "internal"},
            },
            "Group": {
                "Type": f"{kind}TargetGroup",
                "Properties": {
                    "Name": name,
                    "Protocol": "HTTP",
                    "Port": 80,
                    "TargetType": "ip",
                    "HealthCheckPath": "/ready",
                    "HealthCheckIntervalSeconds": 1,
                    "HealthyThresholdCount": 2,
                    "UnhealthyThresholdCount": 2,
                },
            },
            "Listener": {
                "Type": f"{kind}Listener",
                "Properties": {
                    "LoadBalancerArn": {"Ref": "Balancer"},
                    "Port": 80,
                    "Protocol": "HTTP",
                    "DefaultActions": [action],
                },
            },
        }
        outputs = {
            "Address": {"Value": {"Fn::GetAtt": ["Balancer", "DNSName"]}},
            "BalancerName": {"Value": {"Fn::GetAtt": ["Balancer", "LoadBalancerFullName"]}},
            "GroupName": {"Value": {"Fn::GetAtt": ["Group", "TargetGroupFullName"]}},
            **{key: {"Value": {"Ref": key}} for key in resources},
        }
        cloudformation = aws.client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs}),
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        made = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.address, self.group = made["Address"], made["Group"]
        self.balancer, self.listener = made["Balancer"], made["Listener"]
        self.balancer_name, self.group_name = made["BalancerName"], made["GroupName"]
        eventually(self.listens, what="the listener")

    def listens(self) -> bool:
        try:
            self.status()
        except OSError:
            return False
        return True

    def register(self, backend: Backend, host: str = "127.0.0.1") -> None:
        target = {"Id": host, "Port": backend.port}
        self.elb.register_targets(TargetGroupArn=self.group, Targets=[target])

    def health(self) -> dict[int, tuple[str, str]]:
        """State and reason by port."""
        found = self.elb.describe_target_health(TargetGroupArn=self.group)
        return {
            target["Target"]["Port"]: (
                target["TargetHealth"]["State"],
                target["TargetHealth"].get("Reason", ""),
            )
            for target in found["TargetHealthDescriptions"]
        }

    def ask(self, **request: Any) -> str:
        url = f"http://{self.address}/hello"
        with urllib.request.urlopen(urllib.request.Request(url, **request), timeout=5) as answer:
            body: str = answer.read().decode()
            return body

    def status(self) -> int:
        try:
            self.ask()
        except urllib.error.HTTPError as problem:
            return problem.code
        return 200


@pytest.fixture
def backends() -> Iterator[tuple[Backend, Backend]]:
    first, second = Backend("first"), Backend("second")
    yield first, second
    first.close()
    second.close()


def test_healthy_targets_take_turns_and_unhealthy_ones_get_nothing(
    aws: LocalAws, backends: tuple[Backend, Backend]
) -> None:
    first, second = backends
    balanced = Balanced(aws)
    assert balanced.status() == 503
    balanced.register(first)
    balanced.register(second, "localhost")  # the emulator tells targets apart by host alone
    healthy = {first.port: ("healthy", ""), second.port: ("healthy", "")}
    eventually(lambda: balanced.health() == healthy, what="both healthy")
    assert sorted(balanced.ask() for _ in range(4)) == ["first", "first", "second", "second"]

    second.healthy = False
    sick = {second.port: ("unhealthy", "Target.ResponseCodeMismatch")}
    eventually(lambda: balanced.health() == healthy | sick, what="one unhealthy")
    assert {balanced.ask() for _ in range(4)} == {"first"}

    first.healthy = False
    eventually(lambda: balanced.status() == 503, what="503 with unhealthy targets only")

    second.healthy, passed = True, second.checks
    eventually(lambda: balanced.status() == 200, what="an answer again")
    assert second.checks - passed >= 2
    assert balanced.ask() == "second"


def test_a_target_that_does_not_listen_is_found_out(
    aws: LocalAws, backends: tuple[Backend, Backend]
) -> None:
    first, _ = backends
    balanced = Balanced(aws)
    balanced.register(first)
    eventually(lambda: balanced.status() == 200, what="an answer")
    first.close()
    assert balanced.status() in (502, 503)
    lost = {first.port: ("unhealthy", "Target.FailedHealthChecks")}
    eventually(lambda: balanced.health() == lost, what="the target to be unhealthy")


def test_how_many_targets_are_healthy_is_a_metric(
    aws: LocalAws, backends: tuple[Backend, Backend]
) -> None:
    first, second = backends
    balanced = Balanced(aws)
    balanced.register(first)
    balanced.register(second, "localhost")
    metrics = aws.client("cloudwatch")

    def last(metric: str, statistic: Literal["Minimum", "Maximum"]) -> float | None:
        now = datetime.now(UTC)
        found = metrics.get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=metric,
            Dimensions=[
                {"Name": "LoadBalancer", "Value": balanced.balancer.partition("loadbalancer/")[2]},
                {"Name": "TargetGroup", "Value": balanced.group.rpartition(":")[2]},
            ],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=600,
            Statistics=[statistic],
        )["Datapoints"]
        return found[0][statistic] if found else None

    eventually(lambda: last("HealthyHostCount", "Maximum") == 2, what="both counted as healthy")
    assert last("UnHealthyHostCount", "Maximum") == 0
    second.healthy = False
    eventually(lambda: last("UnHealthyHostCount", "Maximum") == 1, what="one counted as unhealthy")


def test_what_it_forwards_is_counted_by_the_names_that_templates_have(
    aws: LocalAws, backends: tuple[Backend, Backend]
) -> None:
    balanced = Balanced(aws)
    balanced.register(backends[0])
    eventually(lambda: balanced.status() == 200, what="an answer")
    host, port = balanced.address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("POST", "/", body=b"x" * 100_000)
    connection.getresponse().read()
    refused = urllib.request.Request(f"http://{balanced.address}/", method="DELETE")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(refused, timeout=10)
    dimensions = {"LoadBalancer": balanced.balancer_name, "TargetGroup": balanced.group_name}
    assert dimensions["TargetGroup"].startswith("targetgroup/")

    def count(metric: str) -> float:
        return aws.total("AWS/ApplicationELB", metric, **dimensions)

    eventually(lambda: count("HTTPCode_Target_5XX_Count") == 1, what="the refused request")
    answered = count("HTTPCode_Target_2XX_Count")
    assert answered >= 2
    assert count("RequestCount") == answered + 1
    assert count("TargetResponseTime") > 0
    made = aws.total(
        "AWS/ApplicationELB", "NewConnectionCount", LoadBalancer=balanced.balancer_name
    )
    assert made >= answered + 1


def test_a_large_body_goes_through(aws: LocalAws, backends: tuple[Backend, Backend]) -> None:
    balanced = Balanced(aws)
    balanced.register(backends[0])
    eventually(lambda: balanced.status() == 200, what="an answer")
    assert balanced.ask(data=b"x" * 3_000_000) == "3000000"


def test_the_address_survives_a_restart_and_a_deleted_listener_closes(
    aws: LocalAws, backends: tuple[Backend, Backend]
) -> None:
    balanced = Balanced(aws)
    balanced.register(backends[0])
    eventually(lambda: balanced.status() == 200, what="an answer")
    aws.restart()
    described = balanced.elb.describe_load_balancers(LoadBalancerArns=[balanced.balancer])
    assert described["LoadBalancers"][0]["DNSName"] == balanced.address
    eventually(balanced.listens, what="the listener after the restart")
    eventually(lambda: balanced.status() == 200, what="an answer after the restart")
    balanced.elb.delete_listener(ListenerArn=balanced.listener)
    eventually(lambda: not balanced.listens(), what="the end of the listener")


def test_an_alarm_of_a_template_hears_of_healthy_targets(aws: LocalAws) -> None:
    """Its dimensions are what `Fn::GetAtt` says: they must be those of the metric."""
    stack = Stack(aws)
    dimensions = {
        "LoadBalancer": {"Fn::GetAtt": ["Balancer", "LoadBalancerFullName"]},
        "TargetGroup": {"Fn::GetAtt": ["Group", "TargetGroupFullName"]},
    }
    down = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": f"{stack.name}-down",
            "Namespace": "AWS/ApplicationELB",
            "MetricName": "HealthyHostCount",
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 3,
            "DatapointsToAlarm": 3,
            "Threshold": 1,
            "ComparisonOperator": "LessThanThreshold",
            "TreatMissingData": "missing",
        },
    }
    assert stack.create(environment={}, extra={"Down": down}) == "CREATE_COMPLETE"
    alarms = aws.client("cloudwatch")

    def state() -> str:
        found = alarms.describe_alarms(AlarmNames=[f"{stack.name}-down"])["MetricAlarms"]
        return str(found[0]["StateValue"])

    eventually(lambda: state() == "OK", what="the alarm to hear that the service answers")
    # Made beside the service, it has not called a new one down.
    history = alarms.describe_alarm_history(
        AlarmName=f"{stack.name}-down", HistoryItemType="StateUpdate"
    )["AlarmHistoryItems"]
    told = [json.loads(item["HistoryData"])["newState"]["stateValue"] for item in history]
    assert "OK" in told
    assert "ALARM" not in told
