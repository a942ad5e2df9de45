"""Who may call a stage's service, by which name, and how many tasks answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
from prompt_hub.core import aws_names
from prompt_hub.service.callers import CallerSettings
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

IDENTITY = {
    "issuer": "https://id.example.com",
    "jwks_endpoint": "https://id.example.com/.well-known/jwks.json",
    "claims": [
        {"name": "aud", "values": ["prompts"]},
        {"name": "scope", "format": "space-separated-values", "values": ["prompts/run"]},
    ],
    "caller_claim": "client_id",
    "requests_per_minute": 120,
    "quotas": {"nightly": 3000},
}


@pytest.fixture(scope="module")
def with_tokens(synthesise: Callable[..., Assembly]) -> Assembly:
    stage = {**STAGE, "domain": DOMAIN, "desired_count": 2, "caller_identity": IDENTITY}
    return synthesise({"stages": [stage]})


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


def listeners(assembly: Assembly) -> dict[int, Json]:
    found = assembly.resources("dev-service", "AWS::ElasticLoadBalancingV2::Listener")
    return {listener["Port"]: listener for listener in found.values()}


def environment_of(assembly: Assembly) -> dict[str, Any]:
    definition = assembly.only("dev-service", "AWS::ECS::TaskDefinition")
    variables = definition["ContainerDefinitions"][0]["Environment"]
    return {item["Name"]: item["Value"] for item in variables}


def test_no_call_goes_on_without_a_verified_token(with_tokens: Assembly) -> None:
    verify, forward = listeners(with_tokens)[443]["DefaultActions"]
    assert verify == {
        "Type": "jwt-validation",
        "Order": 1,
        "JwtValidationConfig": {
            "Issuer": "https://id.example.com",
            "JwksEndpoint": "https://id.example.com/.well-known/jwks.json",
            "AdditionalClaims": [
                {"Format": "single-string", "Name": "aud", "Values": ["prompts"]},
                {
                    "Format": "space-separated-values",
                    "Name": "scope",
                    "Values": ["prompts/run"],
                },
            ],
        },
    }
    (group,) = with_tokens.resources("dev-service", "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert forward == {"Type": "forward", "Order": 2, "TargetGroupArn": {"Ref": group}}
    assert with_tokens.resources("dev-service", "AWS::ElasticLoadBalancingV2::ListenerRule") == {}


def test_containers_of_the_stage_have_a_port_that_nobody_else_reaches(
    with_tokens: Assembly,
) -> None:
    own = listeners(with_tokens)[aws_names.OWN_PORT]
    assert [action["Type"] for action in own["DefaultActions"]] == ["forward"]
    assert (own["Protocol"], own["Certificates"]) == (
        "HTTPS",
        [{"CertificateArn": DOMAIN["certificate_arn"]}],
    )
    assert {rule["FromPort"] for rule in let_in(with_tokens)} == {443}
    kind = "AWS::EC2::SecurityGroupIngress"
    rules = with_tokens.resources("dev-service", kind).values()
    service = security_group_of_the_service(with_tokens)
    (own_rule,) = [rule for rule in rules if rule["FromPort"] == aws_names.OWN_PORT]
    assert own_rule["ToPort"] == aws_names.OWN_PORT
    assert own_rule["SourceSecurityGroupId"] == service
    url = environment_of(with_tokens)[aws_names.ENV_SERVICE_URL]
    assert url == f"https://prompts.example.com:{aws_names.OWN_PORT}"
    outputs = with_tokens.templates["prompt-hub-dev-service"]["Outputs"]
    assert outputs["Url"]["Value"] == "https://prompts.example.com"


def test_only_the_balancer_reaches_the_service(with_tokens: Assembly) -> None:
    """The service reads a token that somebody else has verified."""
    service = security_group_of_the_service(with_tokens)
    rules = with_tokens.resources("dev-service", "AWS::EC2::SecurityGroupIngress").values()
    balancer = with_tokens.only("dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer")
    (group,) = balancer["SecurityGroups"]
    sources = [rule["SourceSecurityGroupId"] for rule in rules if rule["GroupId"] == service]
    assert sources == [group]
    (name,) = [str(part) for part in service["Fn::GetAtt"] if part != "GroupId"]
    own = with_tokens.resources("dev-service", "AWS::EC2::SecurityGroup")[name]
    assert "SecurityGroupIngress" not in own


def test_the_balancer_can_fetch_the_keys_of_the_issuer(
    with_tokens: Assembly, open_to_callers: Assembly
) -> None:
    def ways_out(assembly: Assembly) -> list[object]:
        balancer = assembly.only("dev-service", "AWS::ElasticLoadBalancingV2::LoadBalancer")
        (group,) = balancer["SecurityGroups"]
        (name,) = [str(part) for part in group["Fn::GetAtt"] if part != "GroupId"]
        resource = assembly.resources("dev-service", "AWS::EC2::SecurityGroup")[name]
        rules = resource.get("SecurityGroupEgress", [])
        return [(rule["CidrIp"], rule.get("FromPort"), rule.get("ToPort")) for rule in rules]

    assert ("0.0.0.0/0", 443, 443) in ways_out(with_tokens)
    assert ("0.0.0.0/0", 443, 443) not in ways_out(open_to_callers)


def test_the_service_is_told_how_to_tell_callers_apart(
    with_tokens: Assembly, assembly: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(aws_names.ENV_CALLERS, environment_of(with_tokens)[aws_names.ENV_CALLERS])
    assert CallerSettings.from_environment() == CallerSettings(
        claim="client_id",
        requests_per_minute=120,
        quotas={"nightly": 3000},
        tasks=2,
        own_port=aws_names.OWN_PORT,
    )
    assert aws_names.ENV_CALLERS not in environment_of(assembly)


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (
            {"caller_identity": IDENTITY},
            ".caller_identity needs domain: tokens are verified over TLS alone.",
        ),
        (
            {
                "domain": DOMAIN,
                "nat_gateways": 0,
                "caller_identity": IDENTITY,
            },
            ".caller_identity needs nat_gateways to be 1 or more: the load balancer fetches the"
            " issuer's keys from the internet.",
        ),
        (
            {"domain": DOMAIN, "caller_identity": {**IDENTITY, "claims": []}},
            ".caller_identity.claims must be 1 to 10 claims, such as"
            ' {"name": "aud", "values": ["prompts"]}.',
        ),
        (
            {"domain": DOMAIN, "caller_identity": {**IDENTITY, "issuer": "http://id.example.com"}},
            ".caller_identity.issuer is 'http://id.example.com'; it must look like"
            " https://id.example.com.",
        ),
        (
            {
                "domain": DOMAIN,
                "caller_identity": {**IDENTITY, "claims": [{"name": "exp", "values": ["1"]}]},
            },
            ".caller_identity.claims[0].name is 'exp', which the load balancer looks at anyway.",
        ),
        (
            {
                "domain": DOMAIN,
                "caller_identity": {
                    **IDENTITY,
                    "claims": [
                        {"name": "scope", "format": "space-separated-values", "values": ["a b"]}
                    ],
                },
            },
            ".caller_identity.claims[0].values must have no spaces: each is one of the claim's own"
            " values.",
        ),
        (
            {"domain": DOMAIN, "caller_identity": {**IDENTITY, "quotas": {"nightly": 0}}},
            ".caller_identity.quotas.nightly is 0; it must be a whole number from 1 to 1000000.",
        ),
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


def test_cfn_lint_finds_nothing(open_to_callers: Assembly, with_tokens: Assembly) -> None:
    for assembly in (open_to_callers, with_tokens):
        (template,) = assembly.path.rglob("*Service*.template.json")
        assert lint(template) == ""


def security_group_of_the_service(assembly: Assembly) -> Json:
    service = assembly.only("dev-service", "AWS::ECS::Service")
    (group,) = service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
    found: Json = group
    return found


def let_in(assembly: Assembly) -> list[Json]:
    """The rules by which the load balancer lets callers in."""
    return [
        rule
        for group in assembly.resources("dev-service", "AWS::EC2::SecurityGroup").values()
        for rule in group.get("SecurityGroupIngress", [])
    ]


def test_quotas_that_no_task_definition_has_room_for_are_refused() -> None:
    def settings(length: int) -> Settings:
        quotas = {f"{number:0{length}}": 600 for number in range(200)}
        stage = {**STAGE, "domain": DOMAIN, "caller_identity": {**IDENTITY, "quotas": quotas}}
        return Settings.from_context({**CONTEXT[CONTEXT_KEY], "stages": [stage]})

    assert settings(128).stages[0].caller_identity is not None
    with pytest.raises(SettingsError, match=r"caller_identity.quotas have more than 32768 char"):
        settings(200)
