"""Who may be a role: a service of AWS, and only on behalf of this account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import jsii
from aws_cdk import Aws, InjectionContext, IPropertyInjector, PropertyInjectors, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

SAY_THE_ACCOUNT = frozenset(
    f"{service}.amazonaws.com" for service in ("codebuild", "ecs-tasks", "events", "vpc-flow-logs")
)
"""Services that always say for which account they become a role.

By AWS's own guides of CodeBuild, ECS, EventBridge and flow logs. No list of AWS names all that do.
CodePipeline is none of them: its guide has no such condition, and AWS's Deployment Framework asks
only `IfExists`.
"""


def only_for_this_account(scope: Construct) -> None:
    """Let no service be a role in `scope` on behalf of somebody else's account.

    It covers the roles that CDK's own constructs make, and goes on into stages, where aspects end.
    A service that may not say for whom it acts (CodePipeline, Lambda, EC2) is held to the account
    only if it does: a trust that asked for more would lock it out, and be seen on AWS alone.
    """
    # CDK calls it with a context, not with the keywords that its own types promise.
    PropertyInjectors.of(scope).add(cast(IPropertyInjector, _OnlyForThisAccount()))


@jsii.implements(IPropertyInjector)
class _OnlyForThisAccount:
    @property
    def construct_unique_id(self) -> str:
        return iam.Role.PROPERTY_INJECTION_ID

    @jsii.member(jsii_name="inject")
    def inject(
        self, original_props: Mapping[str, object], context: InjectionContext
    ) -> Mapping[str, object]:
        """Add the condition; CDK hands over a dictionary with the names of TypeScript."""
        principal = cast(iam.PrincipalBase, original_props["assumedBy"])
        named = principal.policy_fragment.principal_json
        # Not asked by type: CDK makes a composite principal of a single service, too.
        if set(named) != {"Service"}:
            return original_props
        found = Stack.of(context.scope).resolve(named["Service"])
        services = {found} if isinstance(found, str) else set(map(str, found))
        operator = "StringEquals" if services <= SAY_THE_ACCOUNT else "StringEqualsIfExists"
        condition = {operator: {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        return {**original_props, "assumedBy": principal.with_conditions(condition)}
