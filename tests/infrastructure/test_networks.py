"""A stage lives in a network of its own, with or without a way out, or in one that is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

import pytest

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
from docs.settings_page import settings_page
from tests.infrastructure.synthesised import CONTEXT, Assembly, Json, lint

STAGE = {"name": "dev", "availability_zones": ["us-east-1a", "us-east-1b"]}
THERE = {
    "vpc_id": "vpc-0a1b2c3d",
    "vpc_cidr": "10.40.0.0/24",
    "subnet_ids": ["subnet-0a1b2c3d", "subnet-0b1c2d3e"],
}
OPENAI = {"provider": "openai", "model": "gpt-x", "secret": "prompt-hub/openai"}


def with_stages(*stages: Mapping[str, object]) -> Json:
    return {**CONTEXT[CONTEXT_KEY], "stages": [{**STAGE, **stage} for stage in stages]}


@pytest.fixture(scope="module")
def closed(synthesise: Callable[..., Assembly]) -> Assembly:
    return synthesise({"stages": [{**STAGE, "nat_gateways": 0}]})


@pytest.fixture(scope="module")
def shared(synthesise: Callable[..., Assembly]) -> Assembly:
    return synthesise({"stages": [{**STAGE, **THERE}]})


def places(assembly: Assembly) -> list[object]:
    """The subnets of the load balancer, of the service, and of the containers that rules start."""
    balancer = assembly.only("dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer")
    service = assembly.only("dev-service", "AWS::ECS::Service")
    rules = assembly.resources("dev-service", "AWS::Events::Rule").values()
    started = [target["EcsParameters"] for rule in rules for target in rule["Targets"]]
    assert len(started) == 2, "the watch by its schedule, and a comparison"
    return [
        balancer["Subnets"],
        service["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"],
        *(each["NetworkConfiguration"]["AwsVpcConfiguration"]["Subnets"] for each in started),
    ]


def test_the_first_task_waits_for_its_way_to_the_image(
    assembly: Assembly, closed: Assembly
) -> None:
    """A task that cannot pull its image fails, and some of them end the first deployment."""
    for app, least in ((assembly, {"Route", "NatGateway"}), (closed, {"VPCEndpoint"})):
        ways = {
            name: kind
            for kind in ("Route", "NatGateway", "SubnetRouteTableAssociation", "VPCEndpoint")
            for name in app.resources("dev-service", f"AWS::EC2::{kind}")
        }
        assert set(ways.values()) >= least
        (service,) = app.resources("dev-service", "AWS::ECS::Service")
        waits_for = app.templates["prompt-hub-dev-service"]["Resources"][service]["DependsOn"]
        assert set(ways) <= set(waits_for)


# --- No way out --------------------------------------------------------------------------------


def test_without_a_gateway_nothing_leads_to_the_internet(closed: Assembly) -> None:
    for kind in ("NatGateway", "InternetGateway", "EIP"):
        assert closed.resources("dev-service", f"AWS::EC2::{kind}") == {}
    assert closed.resources("dev-service", "AWS::EC2::Route") == {}
    assert len(closed.resources("dev-service", "AWS::EC2::Subnet")) == 2


def test_a_stage_keeps_its_private_subnets_when_its_gateway_goes_or_comes(
    closed: Assembly, assembly: Assembly
) -> None:
    """New subnets in place of the old ones would overlap them, and AWS would refuse the update."""

    def private(found: Assembly) -> dict[str, tuple[str, str]]:
        subnets = found.resources("dev-service", "AWS::EC2::Subnet")
        return {
            name: (subnet["CidrBlock"], subnet["AvailabilityZone"])
            for name, subnet in subnets.items()
            if "Private" in name
        }

    assert private(closed) == private(assembly) != {}


def test_without_a_gateway_every_service_that_a_container_calls_has_an_endpoint(
    closed: Assembly,
) -> None:
    endpoints = closed.resources("dev-service", "AWS::EC2::VPCEndpoint").values()
    by_type: dict[str, set[str]] = {}
    for endpoint in endpoints:
        text = json.dumps(endpoint["ServiceName"])
        name = (
            re.sub(r"[^a-z0-9.-]", "", text.split("Region")[-1])
            .removeprefix("com.amazonaws.us-east-1")
            .strip(".")
        )
        by_type.setdefault(endpoint["VpcEndpointType"], set()).add(name)
    assert by_type == {
        "Interface": {"bedrock-runtime", "ecr.api", "ecr.dkr", "lambda", "logs", "monitoring"},
        "Gateway": {"s3", "dynamodb"},
    }


def test_an_endpoint_is_for_the_stages_own_network_alone(closed: Assembly) -> None:
    interfaces = [
        endpoint
        for endpoint in closed.resources("dev-service", "AWS::EC2::VPCEndpoint").values()
        if endpoint["VpcEndpointType"] == "Interface"
    ]
    groups = {json.dumps(endpoint["SecurityGroupIds"]) for endpoint in interfaces}
    (group,) = groups
    (name,) = (json.loads(group)[0]["Fn::GetAtt"][0],)
    (rule,) = closed.resources("dev-service", "AWS::EC2::SecurityGroup")[name][
        "SecurityGroupIngress"
    ]
    assert (rule["CidrIp"], rule["FromPort"], rule["ToPort"]) == ("10.20.0.0/16", 443, 443)
    assert all(endpoint["PrivateDnsEnabled"] for endpoint in interfaces)


def test_without_a_gateway_containers_and_balancer_are_in_the_private_subnets(
    closed: Assembly,
) -> None:
    subnets = closed.resources("dev-service", "AWS::EC2::Subnet")
    for place in places(closed):
        assert place == [{"Ref": name} for name in subnets]


@pytest.mark.parametrize(
    "model",
    [
        OPENAI,
        {"provider": "bedrock", "model": "openai.gpt-oss-20b-1:0", "region": "eu-west-1"},
    ],
)
def test_a_model_that_cannot_be_reached_is_refused(model: Json) -> None:
    settings = {**with_stages({"nat_gateways": 0}), "models": {"catalogue-pinned": model}}
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(settings)
    assert str(caught.value) == (
        "prompt-hub.stages[0].nat_gateways is 0; without one dev reaches only models of Bedrock in"
        " its own region, and catalogue-pinned is another one."
    )
    settings = {**with_stages({}), "models": {"catalogue-pinned": model}}
    assert Settings.from_context(settings).stages[0].nat_gateways == 1


# --- A network that is there -------------------------------------------------------------------


def test_a_network_that_is_there_is_taken_as_it_is(shared: Assembly) -> None:
    types = {
        resource["Type"].rpartition("::")[2]
        for resource in shared.templates["prompt-hub-dev-service"]["Resources"].values()
        if resource["Type"].startswith("AWS::EC2::")
    }
    assert types <= {"SecurityGroup", "SecurityGroupIngress", "SecurityGroupEgress"}
    for group in shared.resources("dev-service", "AWS::EC2::SecurityGroup").values():
        assert group["VpcId"] == "vpc-0a1b2c3d"
    for place in places(shared):
        assert place == ["subnet-0a1b2c3d", "subnet-0b1c2d3e"]


def test_a_stage_that_exists_stays_in_its_network(assembly: Assembly, shared: Assembly) -> None:
    """CloudFormation would update its load balancer in place, which takes subnets of one network.

    SetSubnets refuses those of another, so the settings say beforehand that it is fixed.
    """
    (own,), (there,) = (
        app.resources("dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer").items()
        for app in (assembly, shared)
    )
    assert own[0] == there[0]
    assert own[1]["Subnets"] != there[1]["Subnets"]
    (about,) = (line for line in settings_page().splitlines() if line.startswith("| `vpc_id` |"))
    assert "Fixed once the stage exists: a load balancer stays in its network" in about


def test_of_a_network_that_is_there_no_synthesis_warns(shared: Assembly) -> None:
    warned = [
        file
        for file in shared.path.glob("validation-report.json")
        if "SubnetRouteTableId" in file.read_text("utf-8")
    ]
    assert warned == []


def test_callers_in_a_network_that_is_there_are_let_in(shared: Assembly) -> None:
    rules = [
        (rule["CidrIp"], rule["FromPort"])
        for group in shared.resources("dev-service", "AWS::EC2::SecurityGroup").values()
        for rule in group.get("SecurityGroupIngress", [])
    ]
    assert rules == [("10.40.0.0/24", 80)]


def test_two_stages_may_share_a_network_that_is_there() -> None:
    settings = with_stages(THERE, {**THERE, "name": "prod"})
    assert len(Settings.from_context(settings).stages) == 2
    other = with_stages(THERE, {**THERE, "name": "prod", "vpc_id": "vpc-0e1f2a3b"})
    with pytest.raises(SettingsError, match="overlaps the network of dev"):
        Settings.from_context(other)


@pytest.mark.parametrize(
    ("networks", "other"),
    [
        (["10.0.0.0/8"], "172.16.0.0/16"),
        (["10.0.0.0/8", "172.16.0.0/12"], "192.168.0.0/16"),
        (["0.0.0.0/0"], "one that is routed nowhere else"),
    ],
)
def test_beside_a_large_network_another_one_is_named(networks: list[str], other: str) -> None:
    large = [
        {**THERE, "name": f"own-{number}", "vpc_id": f"vpc-0a1b2c3{number}", "vpc_cidr": network}
        for number, network in enumerate(networks)
    ]
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(with_stages({}, *large))
    assert str(caught.value).endswith(
        f" overlaps the network of dev; name another one, such as {other}."
    )


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (
            {"vpc_id": "vpc-0a1b2c3d"},
            ".subnet_ids must be 2 different subnets of vpc_id, one for each of"
            " availability_zones.",
        ),
        (
            {**THERE, "subnet_ids": ["subnet-0a1b2c3d", "subnet-0a1b2c3d"]},
            ".subnet_ids must be 2 different subnets of vpc_id, one for each of"
            " availability_zones.",
        ),
        (
            {"subnet_ids": ["subnet-0a1b2c3d", "subnet-0b1c2d3e"]},
            ".subnet_ids are of another network: name it with vpc_id.",
        ),
        (
            {name: value for name, value in THERE.items() if name != "vpc_cidr"},
            ".vpc_cidr is missing: say the network of vpc_id.",
        ),
        ({"vpc_id": "10.0.0.0/8"}, ".vpc_id is '10.0.0.0/8'; it must look like vpc-"),
    ],
)
def test_half_a_network_is_refused(stage: Json, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(with_stages(stage))
    assert str(caught.value).startswith(f"prompt-hub.stages[0]{sentence}")


# --- Both ----------------------------------------------------------------------------------------


def test_cfn_lint_finds_nothing(closed: Assembly, shared: Assembly) -> None:
    """`test_synth_cli.py` lints the network of cdk.json alone."""
    templates = [
        file for each in (closed, shared) for file in each.path.rglob("*Service*.template.json")
    ]
    assert len(templates) == 2
    assert lint(*templates) == ""
