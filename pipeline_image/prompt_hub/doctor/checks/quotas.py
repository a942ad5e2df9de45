"""Whether the account's quotas are as large as what the templates of the installation ask for.

What else the account runs is not counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, JsonValue, TypeAdapter

from prompt_hub.doctor.base import Check, Finding, NotCheckedError
from prompt_hub.doctor.readers import Readers, Resource, Template

if TYPE_CHECKING:
    from mypy_boto3_service_quotas import ServiceQuotasClient


@dataclass(frozen=True)
class Quota:
    """A quota of a region of an account, as Service Quotas names it."""

    service: str
    code: str
    name: str


COUNTED = {
    "AWS::EC2::VPC": Quota("vpc", "L-F678F1CE", "VPCs per Region"),
    "AWS::EC2::EIP": Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Quota(
        "elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region"
    ),
    "AWS::Lambda::Function": Quota("lambda", "L-B99A9384", "Concurrent executions"),
}
"""What each resource of a type takes one of."""
VCPU = Quota("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count")
BUILDS = Quota("codebuild", "L-9D07B6EF", "Concurrently running builds for Linux/Small environment")


class _Provider(BaseModel):
    provider: Annotated[str, Field(alias="Provider")]


class _Action(BaseModel):
    kind: Annotated[_Provider, Field(alias="ActionTypeId")]
    order: Annotated[int, Field(alias="RunOrder")] = 1


class _Stage(BaseModel):
    actions: Annotated[list[_Action], Field(alias="Actions")]


_STAGES = TypeAdapter(list[_Stage])


def _examine(readers: Readers) -> Iterator[Finding]:
    if readers.there is not None and readers.synthesised is not None:
        raise NotCheckedError(
            "--templates are of more places than one; without it, each is compared"
        )
    found = [(session, readers.templates(session)) for session in readers.sessions]
    if not any(templates for _, templates in found):
        raise NotCheckedError("nothing is deployed, and --templates names no synthesis")
    for session, templates in found:
        yield from _compare(session.client("service-quotas"), templates)


def _compare(client: ServiceQuotasClient, templates: Iterable[Template]) -> Iterator[Finding]:
    for quota, need in needs(templates).items():
        granted = _granted(client, quota)
        if granted < need:
            yield Finding(
                f"The quota {quota.name!r} is {granted:g}; the templates need {need:g}.",
                "Ask AWS for more, and wait for its answer before you deploy.",
                "aws service-quotas request-service-quota-increase --service-code"
                f" {quota.service} --quota-code {quota.code} --desired-value {need:g}"
                f" --region {client.meta.region_name}",
            )


def needs(templates: Iterable[Template]) -> Mapping[Quota, float]:
    """Return how much of each quota templates need while a release is rolled out."""
    need: Counter[Quota] = Counter()
    cores = 0.0
    for template in templates:
        for resource in template.resources.values():
            if resource.kind in COUNTED:
                need[COUNTED[resource.kind]] += 1
            elif resource.kind == "AWS::CodePipeline::Pipeline":
                need[BUILDS] += _builds(resource)
        cores += _cores(template)
    return {**need, VCPU: cores}


def _builds(pipeline: Resource) -> int:
    """Return how many builds of `pipeline` start together, at most.

    By AWS's guide ("Builds in AWS CodeBuild") five wait for each that may run. Accounts that may
    run one were seen to refuse a second: "Cannot have more than 1 builds in queue for the account".
    """
    most = 0
    for stage in _STAGES.validate_python(pipeline.properties.get("Stages", [])):
        together = Counter(
            action.order for action in stage.actions if action.kind.provider == "CodeBuild"
        )
        most = max([most, *together.values()])
    return most


def _cores(template: Template) -> float:
    """Return the virtual cores of a service, its successor beside it, and tasks of other commands.

    These are a one-off task, and what answers one file of records.
    """

    def most(kind: str, name: str) -> float:
        found = (item.properties for item in template.resources.values() if item.kind == kind)
        return max((_number(properties.get(name)) for properties in found), default=0)

    scaled = most("AWS::ApplicationAutoScaling::ScalableTarget", "MaxCapacity")
    tasks = max(scaled, most("AWS::ECS::Service", "DesiredCount"))
    # Our services keep ECS's own limit: twice as many while the new ones replace the old.
    return (2 * tasks + 1 + _children(template)) * most("AWS::ECS::TaskDefinition", "Cpu") / 1024


def _children(template: Template) -> int:
    """Return how many containers answer a file of records at once."""
    machines = (
        str(item.properties)
        for item in template.resources.values()
        if item.kind == "AWS::StepFunctions::StateMachine"
    )
    return sum(int(n) for text in machines for n in re.findall(r"MaxConcurrency\W+(\d+)", text))


def _number(value: JsonValue) -> float:
    """Read a number, which templates may write as text; 0 for anything else."""
    text = str(value)
    return float(text) if text.replace(".", "", 1).isdecimal() else 0


def _granted(client: ServiceQuotasClient, quota: Quota) -> float:
    """Return what the account was granted; AWS's default where it never had another."""
    names = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        found = client.get_service_quota(**names)["Quota"]
    except client.exceptions.NoSuchResourceException:
        found = client.get_aws_default_service_quota(**names)["Quota"]
    return found.get("Value", 0.0)


CHECK = Check("quotas", _examine, lambda: "npx cdk synth --output FOLDER")
