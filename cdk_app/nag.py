"""Acknowledgements of cdk-nag findings: by class of role or resource, each with its reason.

cdk-nag takes a wildcard only under its exact id, `AwsSolutions-IAM5[Resource::<arn>]`. Those ids
are computed here from the policies themselves, so that nothing names a logical id, and a wildcard
that nobody has explained fails the synthesis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from aws_cdk import Acknowledgment, App, Stack, Validations, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from cdk_app.permissions import Permission
from prompt_hub.core import aws_names


@dataclass(frozen=True)
class _Class:
    """Wildcards of one kind (a pattern of findings) and why they are accepted."""

    findings: str
    """`{installation}` stands for the installation's name."""
    reason: str

    def explains(self, finding: str) -> bool:
        """Whether this is why `finding` is accepted."""
        pattern = self.findings.replace("{installation}", aws_names.installation())
        return bool(re.fullmatch(pattern, finding))


_BUILDS = (
    _Class(
        r"Action::s3:(GetObject|GetBucket|List|DeleteObject|Abort)\*",
        "CDK's own grant on the artifact bucket, all of them actions on that one bucket.",
    ),
    _Class(
        r"Resource::arn:[^:]+:s3:::{installation}-artifacts-[^/]+/\*",
        "CodePipeline makes up the keys of artifacts for each execution.",
    ),
    _Class(
        r"Action::kms:(GenerateDataKey|ReEncrypt)\*",
        "CDK's own grant on the key of the artifacts, all of them actions with that one key.",
    ),
    _Class(
        r"Resource::arn:[^:]+:logs:[^/]+/aws/codebuild/<\w+>:\*",
        "CodeBuild makes up the names of log streams in the project's own log group.",
    ),
    _Class(
        r"Resource::arn:[^:]+:codebuild:[^/]+:report-group/<\w+>-\*",
        "CodeBuild makes up the names of report groups behind the project's own prefix.",
    ),
)
"""What CDK grants to every project that runs in a pipeline."""

_SELF_MUTATION = (
    _Class(
        r"Resource::arn:\*:iam::.+:role/\*",
        "CDK Pipelines' own: a condition holds it to the roles of the CDK bootstrap.",
    ),
    _Class(
        r"Resource::\*",
        "CDK Pipelines' own: looking for the bootstrap stack and its bucket, read only.",
    ),
)

_REPLICAS = (
    _Class(
        r"Resource::arn:[^:]+:s3:::{installation}-pipeline[^/]*/\*",
        "CodePipeline makes up the keys of artifacts for each execution.",
    ),
    _Class(
        r"Resource::\*",
        "CDK Pipelines' own: the key of artifacts in another region, whose ARN no template of this"
        " region can know.",
    ),
)
"""What the pipeline itself has where stages live in other regions."""

_ASSET_PUBLISHING = (
    _Class(
        r"Resource::arn:[^:]+:logs:[^/]+/aws/codebuild/\*",
        "CDK Pipelines shares one role among its asset projects, which are not known yet.",
    ),
    _Class(
        r"Resource::arn:[^:]+:codebuild:[^/]+:report-group/\*",
        "CDK Pipelines shares one role among its asset projects, which are not known yet.",
    ),
    _Class(
        r"Resource::\*",
        "CDK Pipelines' own: builds of its asset projects, which are not known yet.",
    ),
)


def check(app: App) -> None:
    """Have AwsSolutions check the whole app: stages inside it are enforced only from here."""
    # Its hundreds of rules are read for this alone.
    from cdk_nag import AwsSolutionsChecks

    Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def acknowledge(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept AwsSolutions findings, such as `S1`, for everything in `scope`, each for its reason.

    All at once: what is asked of CDK one by one is most of what a synthesis takes.
    """
    if reasons:
        Validations.of(scope).acknowledge(
            *(
                Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason)
                for rule, reason in reasons.items()
            )
        )


def grant(grantee: iam.Role | codebuild.Project, permissions: Iterable[Permission]) -> None:
    """Give `permissions` to a role or to a project's role, and accept their wildcards there."""
    permissions = tuple(permissions)
    for permission in permissions:
        if isinstance(grantee, iam.Role):
            grantee.add_to_policy(permission.statement())
        else:
            grantee.add_to_role_policy(permission.statement())
    acknowledge_permissions(grantee, permissions)


def acknowledge_permissions(scope: IConstruct, permissions: Iterable[Permission]) -> None:
    """Accept the wildcards of what the role in `scope` was granted, each for its own reason."""
    allowed = [permission for permission in permissions if not permission.denied]
    found = [
        (f"Action::{action}", permission.wildcard)
        for permission in allowed
        for action in permission.actions
        if "*" in action
    ]
    # A token holds no wildcard before CDK has resolved it, and none of ours does afterwards.
    wide = [
        (resource, permission.wildcard)
        for permission in allowed
        for resource in permission.resources
        if "*" in resource
    ]
    if wide:
        arns = cast(list[object], Stack.of(scope).resolve([resource for resource, _ in wide]))
        flat = (f"Resource::{_flat(arn)}" for arn in arns)
        found += zip(flat, (reason for _, reason in wide), strict=True)
    reasons: dict[str, list[str]] = {}
    for finding, reason in found:
        known = reasons.setdefault(f"IAM5[{finding}]", [])
        if reason not in known:
            known.append(reason)
    acknowledge(scope, {rule: " ".join(words) for rule, words in reasons.items()})


def acknowledge_build(project: codebuild.Project) -> None:
    """Accept what CDK gives to a project of a pipeline."""
    _acknowledge_encryption(project)
    _acknowledge_classes(project, _BUILDS)


def acknowledge_pipeline(scope: pipelines.CodePipeline) -> None:
    """Accept what CDK Pipelines gives to its roles; `scope` is a pipeline that has been built."""
    for support in scope.pipeline.cross_region_support.values():
        acknowledge(support.stack, {"S1": "CDK Pipelines' own: artifacts on their way."})
        _acknowledge_classes(scope.pipeline.node.find_child("Role"), _REPLICAS)
    _acknowledge_encryption(scope)
    _acknowledge_classes(scope, _BUILDS)
    _acknowledge_classes(scope.node.find_child("UpdatePipeline"), _SELF_MUTATION)
    _acknowledge_classes(scope.node.find_child("Assets"), _ASSET_PUBLISHING)


def _acknowledge_encryption(scope: IConstruct) -> None:
    acknowledge(
        scope,
        {
            "CB4": "Artifacts are encrypted with the bucket's own key; a key of our own would cost"
            " a dollar a month and protect from nobody whom the bucket's policy lets in."
        },
    )


def _acknowledge_classes(scope: IConstruct, classes: Iterable[_Class]) -> None:
    policies = [each for each in scope.node.find_all() if isinstance(each, iam.CfnPolicy)]
    documents = cast(
        list[dict[str, list[object]]],
        Stack.of(scope).resolve([policy.policy_document for policy in policies]),
    )
    for policy, document in zip(policies, documents, strict=True):
        findings = {found for each in document["Statement"] for found in _wildcards(each)}
        reasons: dict[str, str] = {}
        for finding in sorted(findings):
            for known in classes:
                if known.explains(finding):
                    reasons[f"IAM5[{finding}]"] = known.reason
                    break
        acknowledge(policy, reasons)


def _wildcards(statement: object) -> Iterator[str]:
    """Yield the findings that cdk-nag reports for the wildcards of one resolved statement."""
    match statement:
        case {"Effect": "Allow", "Action": action, "Resource": resource}:
            yield from (f"Action::{name}" for name in _listed(action) if "*" in str(name))
            flat = (_flat(arn) for arn in _listed(resource))
            yield from (f"Resource::{arn}" for arn in flat if "*" in arn)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _flat(value: object) -> str:
    """Write a resolved ARN as cdk-nag does: `<Name>` and `<Name.Attribute>` for references."""
    match value:
        case str():
            return value.replace("${", "<").replace("}", ">")
        case {"Fn::Join": [str(delimiter), [*items]]}:
            return delimiter.join(map(_flat, items))
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{_flat(resource)}.{_flat(attribute)}>"
        case {"Ref": name}:
            return f"<{_flat(name)}>"
        case {"Fn::Sub": text} | {"Fn::ImportValue": text}:
            return _flat(text)
    raise TypeError(f"an ARN with {value!r} in it is new to cdk_app.nag")
