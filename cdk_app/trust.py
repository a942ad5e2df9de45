"""Who may be a role: a service of AWS, and only on behalf of this account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import jsii
from aws_cdk import Aws, InjectionContext, IPropertyInjector, PropertyInjectors
from aws_cdk import aws_iam as iam
from constructs import Construct


def only_for_this_account(scope: Construct) -> None:
    """Let no service be a role in `scope` on behalf of somebody else's account.

    All of ours state the account: CodeBuild, CodePipeline, ECS, EventBridge, Lambda, flow logs. It
    covers the roles that CDK's own constructs make, and goes on into stages, where aspects end.
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
        # Not asked by type: CDK makes a composite principal of a single service, too.
        if set(principal.policy_fragment.principal_json) != {"Service"}:
            return original_props
        condition = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        return {**original_props, "assumedBy": principal.with_conditions(condition)}
