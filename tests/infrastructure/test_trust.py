"""A role is for one service, and for what that does on behalf of the role's own account."""

from __future__ import annotations

from tests.infrastructure.synthesised import Assembly, Json, listed

ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


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
    assert {name: item.get("Condition") for name, item in found.items()} == dict.fromkeys(
        found, ACCOUNT
    )


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
