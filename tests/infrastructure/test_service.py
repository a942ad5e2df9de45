"""The service comes up healthy or not at all, and answers inside the network only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelAliases
from prompt_hub.service import metrics
from tests.infrastructure.synthesised import Assembly, Json


@pytest.fixture(scope="module")
def container(assembly: Assembly) -> Json:
    (found,) = assembly.only("dev-service", "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    assert isinstance(found, dict)
    return found


def health_alarms(assembly: Assembly) -> dict[str, Json]:
    """The alarms on the service's health, by name."""
    found = assembly.resources("dev-service", "AWS::CloudWatch::Alarm").values()
    return {alarm["AlarmName"]: alarm for alarm in found}


def test_the_task_is_small_locked_down_and_of_one_architecture(
    assembly: Assembly, container: Json
) -> None:
    definition = assembly.only("dev-service", "AWS::ECS::TaskDefinition")
    assert (definition["Cpu"], definition["Memory"]) == ("256", "512")
    assert definition["RuntimePlatform"] == {
        "CpuArchitecture": "X86_64",
        "OperatingSystemFamily": "LINUX",
    }
    assert container["Name"] == aws_names.CONTAINER
    assert container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"] == {
        "Capabilities": {"Drop": ["ALL"]},
        "InitProcessEnabled": True,
    }
    assert "Secrets" not in container


def test_the_container_knows_everything_by_its_environment(
    assembly: Assembly, container: Json
) -> None:
    environment = {item["Name"]: item["Value"] for item in container["Environment"]}
    balancer = next(
        iter(assembly.resources("dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer"))
    )
    models = ModelAliases.parse(environment.pop(aws_names.ENV_MODELS))
    assert environment == {
        aws_names.ENV_INSTALLATION: "prompt-hub",
        aws_names.ENV_STAGE: "dev",
        aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table("dev"),
        aws_names.ENV_RESULTS_BUCKET: {
            "Fn::Join": ["", ["prompt-hub-results-", {"Ref": "AWS::AccountId"}, "-us-east-1"]]
        },
        aws_names.ENV_RELEASE: "unreleased",
        aws_names.ENV_POLL_SECONDS: "5",
        aws_names.ENV_WORKERS: "1",
        aws_names.ENV_LOG: "warning,json",
        aws_names.ENV_SERVICE_URL: {
            "Fn::Join": ["", ["http://", {"Fn::GetAtt": [balancer, "DNSName"]}]]
        },
    }
    pinned = models.resolve("catalogue-pinned")
    assert pinned.identity == "bedrock:openai.gpt-oss-20b-1:0+reasoning-low-1024"
    assert models.resolve("catalogue-latest").region == "us-east-1"


def test_health_is_asked_for_at_both_doors(assembly: Assembly, container: Json) -> None:
    assert container["HealthCheck"]["Command"] == ["CMD", "prompt-hub", "health"]
    group = assembly.only("dev-service", "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert group["HealthCheckPath"] == "/readyz"
    assert (group["Port"], group["Protocol"]) == (aws_names.CONTAINER_PORT, "HTTP")


def test_a_bad_deployment_is_rolled_back_by_health_alone(assembly: Assembly) -> None:
    deployment = assembly.only("dev-service", "AWS::ECS::Service")["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    watched = deployment["Alarms"]
    assert watched["Enable"] is True
    assert watched["Rollback"] is True
    assert watched["AlarmNames"] == ["prompt-hub-dev-unhealthy"]
    alarm = health_alarms(assembly)["prompt-hub-dev-unhealthy"]
    assert (alarm["MetricName"], alarm["Namespace"]) == ("UnHealthyHostCount", "AWS/ApplicationELB")


def test_people_are_told_of_everything_that_keeps_the_service_from_answering_as_it_should(
    assembly: Assembly,
) -> None:
    alarms = health_alarms(assembly)
    # Two say what they look at another way, and have tests of their own.
    looked_at = {name: alarm.get("MetricName") for name, alarm in alarms.items()}
    assert looked_at == {
        "prompt-hub-dev-unhealthy": "UnHealthyHostCount",
        "prompt-hub-dev-errors": None,
        "prompt-hub-dev-notifications-failed": None,
        "prompt-hub-dev-down": "HealthyHostCount",
        **{f"prompt-hub-dev-{own.name}": own.metric for own in aws_names.SERVICE_ALARMS},
    }
    assert {"PointerRefused", "SnapshotServed", "LedgerUnreachable"} <= set(looked_at.values())
    assert all(len(alarm["AlarmActions"]) == 1 for alarm in alarms.values())


@pytest.mark.shipped
def test_every_alarm_of_the_service_has_a_line_for_who_is_on_call(assembly: Assembly) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text("utf-8")
    for name in health_alarms(assembly):
        assert f"| alarm `{name}` |" in guide


def test_the_service_counts_what_its_alarms_look_at() -> None:
    source = Path(metrics.__file__).read_text("utf-8")
    names = {id(value): name for name, value in vars(aws_names).items()}
    for alarm in aws_names.SERVICE_ALARMS:
        assert f"self._count(aws_names.{names[id(alarm)]})" in source


def test_a_service_without_any_healthy_task_is_not_silent(assembly: Assembly) -> None:
    """Nor is a new stage, which nothing is known of yet, called down: no state changes then."""
    alarm = health_alarms(assembly)["prompt-hub-dev-down"]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "missing"
    assert alarm["InsufficientDataActions"] == alarm["AlarmActions"] != []


@pytest.mark.parametrize(
    ("errors", "requests", "fires"),
    [
        (None, 100, False),  # CloudWatch has no sum of errors where there was none
        (1, 1, False),
        (2, 2, False),
        (3, 4, True),  # a service of a few calls an hour, most of which fail
        (4, 100, False),
        (5, 100, True),
        (50, 10_000, False),  # five a minute say nothing by themselves
        (60, 900, True),  # the first minute of an outage, at one call a second
    ],
)
def test_errors_are_a_part_of_the_calls_and_more_than_one_or_two(
    assembly: Assembly, errors: int | None, requests: int, fires: bool
) -> None:
    alarm = health_alarms(assembly)["prompt-hub-dev-errors"]
    values = {}
    for metric in alarm["Metrics"]:
        if "MetricStat" in metric:
            stat = metric["MetricStat"]
            assert (stat["Stat"], stat["Period"]) == ("Sum", 900)
            assert not metric["ReturnData"]
            values[metric["Id"]] = stat["Metric"]["MetricName"]
    assert values == {"errors": "HTTPCode_Target_5XX_Count", "requests": "RequestCount"}
    (math,) = (metric["Expression"] for metric in alarm["Metrics"] if "Expression" in metric)
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (1, 1)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    percent = expression_of(math, errors=errors, requests=requests)
    assert (percent is not None and percent >= alarm["Threshold"]) is fires


def expression_of(math: str, **values: int | None) -> float | None:
    """What CloudWatch makes of `IF(condition, this, that)`: nothing where a metric has no data."""
    if None in values.values():
        return None
    condition, *parts = math.removeprefix("IF(").removesuffix(")").split(", ")
    chosen = parts[0] if eval(condition, {}, values) else parts[1]
    return float(eval(chosen, {}, values))


def test_the_load_balancer_is_internal_and_lets_only_the_network_in(assembly: Assembly) -> None:
    balancer = assembly.only("dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert balancer["Scheme"] == "internal"
    listener = assembly.only("dev-service", "AWS::ElasticLoadBalancingV2::Listener")
    assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")
    assert let_in(assembly) == [("10.20.0.0/16", 80)]


def test_other_networks_are_let_in_by_a_setting(synthesise: Callable[..., Assembly]) -> None:
    zones = ["us-east-1a", "us-east-1b"]
    stage = {"name": "dev", "availability_zones": zones, "caller_cidrs": ["10.8.0.0/16"]}
    opened = synthesise({"stages": [stage]})
    assert let_in(opened) == [("10.20.0.0/16", 80), ("10.8.0.0/16", 80)]


def let_in(assembly: Assembly) -> list[tuple[str, int]]:
    """Whom the security groups of the stage let in, by network and port."""
    groups = assembly.resources("dev-service", "AWS::EC2::SecurityGroup").values()
    return [
        (rule["CidrIp"], rule["FromPort"])
        for group in groups
        for rule in group.get("SecurityGroupIngress", [])
    ]


def test_whoever_waits_longer_closes_later(assembly: Assembly, container: Json) -> None:
    balancer = assembly.only("dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer")
    group = assembly.only("dev-service", "AWS::ElasticLoadBalancingV2::TargetGroup")
    of_balancer = {entry["Key"]: entry["Value"] for entry in balancer["LoadBalancerAttributes"]}
    of_group = {item["Key"]: item["Value"] for item in group["TargetGroupAttributes"]}
    idle = int(of_balancer["idle_timeout.timeout_seconds"])
    draining = int(of_group["deregistration_delay.timeout_seconds"])
    assert aws_names.LONGEST_CALL_SECONDS < draining < container["StopTimeout"]
    assert aws_names.LONGEST_CALL_SECONDS < idle < aws_names.KEEP_ALIVE_SECONDS


def test_a_failed_first_deployment_can_be_taken_back(assembly: Assembly) -> None:
    balancer = assembly.only("dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer")
    attributes = {item["Key"]: item["Value"] for item in balancer["LoadBalancerAttributes"]}
    assert attributes["deletion_protection.enabled"] == "false"


def test_zones_are_the_settings_and_no_look_up_is_left(assembly: Assembly) -> None:
    subnets = assembly.resources("dev-service", "AWS::EC2::Subnet").values()
    assert {subnet["AvailabilityZone"] for subnet in subnets} == {"us-east-1a", "us-east-1b"}
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    for manifest in assembly.path.rglob("manifest.json"):
        assert "missing" not in json.loads(manifest.read_text())


def test_not_even_a_named_account_needs_a_look_up(synthesise: Callable[..., Assembly]) -> None:
    named = synthesise({"account": "123456789012"})
    subnets = named.resources("dev-service", "AWS::EC2::Subnet").values()
    assert {subnet["AvailabilityZone"] for subnet in subnets} == {"us-east-1a", "us-east-1b"}
    for manifest in named.path.rglob("manifest.json"):
        assert "missing" not in json.loads(manifest.read_text())


def test_one_way_out_is_paid_for_and_two_are_free(assembly: Assembly) -> None:
    assert len(assembly.resources("dev-service", "AWS::EC2::NatGateway")) == 1
    endpoints = assembly.resources("dev-service", "AWS::EC2::VPCEndpoint").values()
    assert {endpoint["VpcEndpointType"] for endpoint in endpoints} == {"Gateway"}
    assert len(endpoints) == 2


def test_settings_reach_the_service(synthesise: Callable[..., Assembly]) -> None:
    changed = synthesise(
        {
            "stages": [
                {
                    "name": "dev",
                    "availability_zones": ["us-east-1a", "us-east-1c"],
                    "vpc_cidr": "10.9.0.0/20",
                    "nat_gateways": 2,
                    "desired_count": 3,
                    "poll_seconds": 2,
                    "log_level": "debug",
                    "protect": False,
                }
            ]
        }
    )
    assert changed.only("dev-service", "AWS::ECS::Service")["DesiredCount"] == 3
    containers = changed.only("dev-service", "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    environment = {item["Name"]: item["Value"] for item in containers[0]["Environment"]}
    assert environment[aws_names.ENV_LOG] == "debug,json"
    assert changed.only("dev-service", "AWS::EC2::VPC")["CidrBlock"] == "10.9.0.0/20"
    assert len(changed.resources("dev-service", "AWS::EC2::NatGateway")) == 2
    table = changed.only("dev-ledger", "AWS::DynamoDB::Table")
    assert table["DeletionProtectionEnabled"] is False
