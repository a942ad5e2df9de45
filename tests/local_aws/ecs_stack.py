"""A stack with a service in it, whose containers are small Python programs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from typing import Any

from tests.local_aws.emulator import REGION, LocalAws, eventually

SERVER = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if os.environ.get("MODE") == "crash":
    sys.exit("this release cannot start")

if os.environ.get("MODE") == "unsteady":
    # Of the starts of one deployment the first two fail, and the fourth once the third is healthy.
    start = 1
    while True:
        try:
            open(f"{os.environ['STARTS']}.{start}", "x").close()
            break
        except FileExistsError:
            start += 1
    if start == 4:
        time.sleep(4)
    if start in (1, 2, 4):
        sys.exit(f"start {start} fails")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        sick = os.path.exists(os.environ.get("SICK", "/nowhere"))
        body = json.dumps({"pid": os.getpid(), "environment": dict(os.environ)}).encode()
        self.send_response(500 if sick else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

address = os.environ["PROMPT_HUB_HOST"], int(os.environ["PROMPT_HUB_PORT"])
server = ThreadingHTTPServer(address, Handler)
print("serving release", os.environ.get("RELEASE"), flush=True)
server.serve_forever()
"""

PROBE = """
import os, sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{os.environ['PROMPT_HUB_PORT']}/", timeout=2)
"""

FILES = {"server.py": SERVER, "probe.py": PROBE}


class Stack:
    """One stack with a load balancer, a cluster and a service, and what to do with it."""

    def __init__(self, aws: LocalAws, *, balanced: bool = True, interval: int = 5) -> None:
        self.aws = aws
        self.interval = interval  # of the health check; AWS accepts five seconds at least
        self.name = f"s-{uuid.uuid4().hex[:8]}"
        self.balanced = balanced
        self.image = aws.build_image(self.name, FILES)
        self.cloudformation = aws.client("cloudformation")
        self.ecs = aws.client("ecs")

    def template(
        self,
        *,
        environment: dict[str, str],
        image: str = "",
        extra: dict[str, Any] | None = None,
        desired: int = 1,
        breaker: dict[str, Any] | None = None,
    ) -> str:
        container = {
            "Name": "service",
            "Image": image or self.image,
            "Command": ["python", "server.py"],
            "Essential": True,
            "StopTimeout": 5,
            "PortMappings": [{"ContainerPort": 8080}],
            "Environment": [{"Name": k, "Value": v} for k, v in environment.items()],
            "Secrets": [{"Name": "TOKEN", "ValueFrom": {"Fn::GetAtt": ["Secret", "Id"]}}],
            "HealthCheck": {
                "Command": ["CMD", "python", "probe.py"],
                "Interval": self.interval,
                "Retries": 1,
                "Timeout": 5,
            },
            "LogConfiguration": {
                "LogDriver": "awslogs",
                "Options": {
                    "awslogs-group": {"Ref": "Logs"},
                    "awslogs-region": REGION,
                    "awslogs-stream-prefix": "service",
                },
            },
        }
        service: dict[str, Any] = {
            "ServiceName": self.name,
            "Cluster": {"Ref": "Cluster"},
            "TaskDefinition": {"Ref": "Task"},
            "DesiredCount": desired,
            "LaunchType": "FARGATE",
            "DeploymentConfiguration": {
                "MaximumPercent": 200,
                "MinimumHealthyPercent": 100,
                "DeploymentCircuitBreaker": {
                    "Enable": True,
                    "Rollback": True,
                    **(breaker or {}),
                },
            },
        }
        resources: dict[str, Any] = {
            "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": self.name}},
            "Secret": {
                "Type": "AWS::SecretsManager::Secret",
                "Properties": {"Name": self.name, "SecretString": "hush"},
            },
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": self.name}},
            "Task": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {
                    "Family": self.name,
                    "NetworkMode": "awsvpc",
                    "RequiresCompatibilities": ["FARGATE"],
                    "Cpu": "256",
                    "Memory": "512",
                    "ContainerDefinitions": [container],
                },
            },
            "Service": {"Type": "AWS::ECS::Service", "Properties": service},
        }
        outputs = {}
        if self.balanced:
            group = {"Ref": "Group"}
            service["LoadBalancers"] = [
                {"ContainerName": "service", "ContainerPort": 8080, "TargetGroupArn": group}
            ]
            resources["Service"]["DependsOn"] = ["Listener"]
            resources["Balancer"] = {
                "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
                "Properties": {"Name": self.name, "Scheme": "internal", "Type": "application"},
            }
            resources["Group"] = {
                "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
                "Properties": {
                    "Name": self.name,
                    "Port": 80,
                    "Protocol": "HTTP",
                    "TargetType": "ip",
                    "HealthCheckPath": "/healthz",
                    "HealthCheckIntervalSeconds": 5,
                },
            }
            resources["Listener"] = {
                "Type": "AWS::ElasticLoadBalancingV2::Listener",
                "Properties": {
                    "LoadBalancerArn": {"Ref": "Balancer"},
                    "Port": 80,
                    "Protocol": "HTTP",
                    "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}],
                },
            }
            outputs["Url"] = {"Value": {"Fn::Sub": "http://${Balancer.DNSName}"}}
        return json.dumps({"Resources": resources | (extra or {}), "Outputs": outputs})

    def create(self, **parts: Any) -> str:
        """Create the stack; returns the status it ends in."""
        self.cloudformation.create_stack(StackName=self.name, TemplateBody=self.template(**parts))
        return self.settled()

    def update(self, **parts: Any) -> str:
        """Update the stack; returns the status it ends in."""
        self.cloudformation.update_stack(StackName=self.name, TemplateBody=self.template(**parts))
        return self.settled()

    def delete(self) -> None:
        self.cloudformation.delete_stack(StackName=self.name)
        eventually(lambda: {s["StackStatus"] for s in self.stacks()} <= {"DELETE_COMPLETE"})

    def stacks(self) -> list[Any]:
        try:
            found: list[Any] = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        except self.cloudformation.exceptions.ClientError:
            return []
        return found

    def status(self) -> str:
        status: str = self.stacks()[0]["StackStatus"]
        return status

    def settled(self) -> str:
        eventually(lambda: "IN_PROGRESS" not in self.status(), what=f"the end of {self.name}")
        return self.status()

    @property
    def url(self) -> str:
        value: str = self.stacks()[0]["Outputs"][0]["OutputValue"]
        return value

    def ask(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            body: dict[str, Any] = json.load(answer)
            return body

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_services(cluster=self.name, services=[self.name])[
            "services"
        ][0]
        return found

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        arns = self.ecs.list_tasks(cluster=self.name, desiredStatus=status)["taskArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.ecs.describe_tasks(cluster=self.name, tasks=arns)[
            "tasks"
        ]
        return found

    def pid(self) -> int:
        """The process of the service's only running task."""
        running = [task for task in self.tasks() if task["lastStatus"] == "RUNNING"]
        assert len(running) == 1
        return int(running[0]["containers"][0]["runtimeId"].rpartition("-")[2])

    def run(self, command: list[str], **override: Any) -> dict[str, Any]:
        """Run a task of its own; returns it once it has stopped."""
        override |= {"name": "service", "command": command}
        arn = self.ecs.run_task(
            cluster=self.name,
            taskDefinition=self.name,
            launchType="FARGATE",
            overrides={"containerOverrides": [override]},
            propagateTags="TASK_DEFINITION",
        )["tasks"][0]["taskArn"]
        return self.stopped(arn)

    def stopped(self, arn: str) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            task: dict[str, Any] = self.ecs.describe_tasks(cluster=self.name, tasks=[arn])["tasks"][
                0
            ]
            return task if task["lastStatus"] == "STOPPED" else None

        return eventually(probe, what=f"the end of {arn}") or {}
