"""A role is for one service, and for what that does on behalf of the role's own account."""

from __future__ import annotations

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk.assertions import Template

from cdk_app.trust import only_for_this_account
from tests.infrastructure.synthesised import Assembly, Json, listed

MAY_NOT_SAY = {"codepipeline.amazonaws.com", "lambda.amazonaws.com"}
OURS = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
ALWAYS, IF_SAID = {"StringEquals": OURS}, {"StringEqualsIfExists": OURS}


def trusts(assembly: Assembly) -> dict[str, Json]:
    """Each statement by which a service may be a role, by stack and logical id."""
    return {
        f"{stack}/{logical_id}": statement
        for stack, template in assembly.templates.items()
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
        for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        if "Service" in statement["Principal"]
    }


def test_a_service_is_a_role_only_on_behalf_of_this_account(assembly: Assembly) -> None:
    found = trusts(assembly)
    assert {name: item.get("Condition") for name, item in found.items()} == {
        name: IF_SAID if item["Principal"]["Service"] in MAY_NOT_SAY else ALWAYS
        for name, item in found.items()
    }


def test_it_holds_for_every_service_that_has_a_role_here(assembly: Assembly) -> None:
    services = {
        service
        for item in trusts(assembly).values()
        for service in listed(item["Principal"]["Service"])
    }
    assert services == {
        f"{name}.amazonaws.com"
        for name in ("codebuild", "codepipeline", "ecs-tasks", "events", "lambda", "vpc-flow-logs")
    }


@pytest.mark.parametrize(
    ("principal", "condition"),
    [
        (iam.ServicePrincipal("events.amazonaws.com"), ALWAYS),
        # AWS's guide of its service role asks for no account, and AWS's Deployment Framework 4.0
        # only `IfExists`: locked out, CodePipeline would refuse to make the pipeline at all.
        (iam.ServicePrincipal("codepipeline.amazonaws.com"), IF_SAID),
        (iam.ServicePrincipal("ec2.amazonaws.com"), IF_SAID),
        (iam.ServicePrincipal("apigateway.amazonaws.com"), IF_SAID),
        (iam.AccountRootPrincipal(), None),
    ],
)
def test_a_service_that_may_not_say_for_whom_it_acts_is_not_locked_out(
    principal: iam.PrincipalBase, condition: Json | None
) -> None:
    """By `StringEquals` alone, a role for EC2 that somebody adds would work for nobody on AWS."""
    app = App()
    only_for_this_account(app)
    stack = Stack(app, "added")
    iam.Role(stack, "Added", assumed_by=principal)
    (role,) = Template.from_stack(stack).find_resources("AWS::IAM::Role").values()
    (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement.get("Condition") == condition
