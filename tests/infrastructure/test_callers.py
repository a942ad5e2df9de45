"""Who may call a stage's service, by which name, and how many tasks answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import CONTEXT, Assembly, Json, lint

STAGE = {"name": "dev", "availability_zones": ["us-east-1a", "us-east-1b"]}
DOMAIN = {
    "name": "prompts.example.com",
    "certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/0a1b-2c3d",
}
ALL_OF_IT = {
    **STAGE,
    "caller_security_groups": ["sg-0a1b2c3d"],
    "desired_count": 2,
    "domain": {**DOMAIN, "zone_id": "Z0123456789"},
    "scaling": {"max_count": 6, "requests_per_minute": 900},
}


@pytest.fixture(scope="module")
def open_to_callers(synthesise: Callable[..., Assembly]) -> Assembly:
    return synthesise({"stages": [ALL_OF_IT]})


@pytest.fixture(scope="module")
def named_elsewhere(synthesise: Callable[..., Assembly]) -> Assembly:
    return synthesise({"stages": [{**STAGE, "domain": DOMAIN}]})


def test_with_a_certificate_nothing_is_spoken_but_tls(open_to_callers: Assembly) -> None:
    listener = open_to_callers.only("dev-service", "AWS::ElasticLoadBalancingV2::Listener")
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert listener["Certificates"] == [{"CertificateArn": DOMAIN["certificate_arn"]}]
    assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-")
    assert {rule["FromPort"] for rule in let_in(open_to_callers)} == {443}


def test_callers_and_containers_use_the_name(open_to_callers: Assembly) -> None:
    definition = open_to_callers.only("dev-service", "AWS::ECS::TaskDefinition")
    environment = {
        item["Name"]: item["Value"] for item in definition["ContainerDefinitions"][0]["Environment"]
    }
    assert environment[aws_names.ENV_SERVICE_URL] == "https://prompts.example.com"
    outputs = open_to_callers.templates["prompt-hub-dev-service"]["Outputs"]
    assert outputs["Url"]["Value"] == "https://prompts.example.com"


def test_the_name_is_made_where_a_zone_is_given(
    open_to_callers: Assembly, named_elsewhere: Assembly
) -> None:
    record = open_to_callers.only("dev-service", "AWS::Route53::RecordSet")
    assert (record["Name"], record["Type"]) == ("prompts.example.com.", "A")
    assert record["HostedZoneId"] == "Z0123456789"
    (balancer,) = open_to_callers.resources(
        "dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer"
    )
    assert balancer in str(record["AliasTarget"]["DNSName"])
    assert named_elsewhere.resources("dev-service", "AWS::Route53::RecordSet") == {}


def test_members_of_a_security_group_are_let_in(open_to_callers: Assembly) -> None:
    assert [
        rule.get("CidrIp") or rule["SourceSecurityGroupId"] for rule in let_in(open_to_callers)
    ] == ["10.20.0.0/16", "sg-0a1b2c3d"]


def test_tasks_come_and_go_with_the_calls(open_to_callers: Assembly, assembly: Assembly) -> None:
    kind = "AWS::ApplicationAutoScaling::ScalableTarget"
    target = open_to_callers.only("dev-service", kind)
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    policy = open_to_callers.only("dev-service", "AWS::ApplicationAutoScaling::ScalingPolicy")
    tracked = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracked["TargetValue"] == 900
    metric = tracked["PredefinedMetricSpecification"]
    assert metric["PredefinedMetricType"] == "ALBRequestCountPerTarget"
    (group,) = open_to_callers.resources("dev-service", "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert group in str(metric["ResourceLabel"])
    assert assembly.resources("dev-service", kind) == {}


def test_a_release_does_not_undo_the_scaling(open_to_callers: Assembly, assembly: Assembly) -> None:
    """A count in the template is what CloudFormation sets with every update of the service."""
    assert "DesiredCount" not in open_to_callers.only("dev-service", "AWS::ECS::Service")
    assert assembly.only("dev-service", "AWS::ECS::Service")["DesiredCount"] == 1


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (
            {"desired_count": 3, "scaling": {"max_count": 3}},
            ".scaling.max_count is 3; it must be more than desired_count, which is 3.",
        ),
        ({"scaling": {}}, ".scaling.max_count is missing."),
        ({"domain": {"name": "prompts.example.com"}}, ".domain.certificate_arn is missing."),
        (
            {"domain": {**DOMAIN, "name": "Prompts"}},
            ".domain.name is 'Prompts'; it must look like prompts.example.com.",
        ),
        (
            {
                "domain": {
                    **DOMAIN,
                    "certificate_arn": "arn:aws:acm:eu-west-1:123456789012:certificate/0a1b",
                }
            },
            ".domain.certificate_arn is 'arn:aws:acm:eu-west-1:123456789012:certificate/0a1b'; a"
            " load balancer takes only a certificate of its own region, us-east-1.",
        ),
        (
            {"caller_security_groups": ["callers"]},
            ".caller_security_groups[0] is 'callers'; it must look like sg-0123456789abcdef0.",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence(stage: Mapping[str, object], sentence: str) -> None:
    settings = {**CONTEXT[CONTEXT_KEY], "stages": [{**STAGE, **stage}]}
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(settings)
    assert str(caught.value) == f"prompt-hub.stages[0]{sentence}"


def test_two_stages_do_not_answer_to_one_name() -> None:
    stages = [
        {**STAGE, "domain": DOMAIN},
        {**STAGE, "name": "prod", "vpc_cidr": "10.21.0.0/16", "domain": DOMAIN},
    ]
    with pytest.raises(SettingsError) as caught:
        Settings.from_context({**CONTEXT[CONTEXT_KEY], "stages": stages})
    assert str(caught.value) == (
        "prompt-hub.stages: two stages have the domain 'prompts.example.com'; give each its own."
    )


def test_cfn_lint_finds_nothing(open_to_callers: Assembly) -> None:
    (template,) = open_to_callers.path.rglob("*Service*.template.json")
    assert lint(template) == ""


def let_in(assembly: Assembly) -> list[Json]:
    """The rules by which the load balancer lets callers in."""
    return [
        rule
        for group in assembly.resources("dev-service", "AWS::EC2::SecurityGroup").values()
        for rule in group.get("SecurityGroupIngress", [])
    ]
