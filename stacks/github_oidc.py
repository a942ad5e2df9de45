"""Trust between GitHub's pull-request checks and this account, without any stored key."""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_app import nag, permissions
from cdk_app.settings import Settings
from cdk_app.stack import KEPT, ToolchainStack
from prompt_hub.core import aws_names

_ISSUER = "token.actions.githubusercontent.com"


class GithubOidcStack(ToolchainStack):
    """The role that a pull request's checks assume: it may call models and read verdicts.

    It reads no provider's key: the checks run what a branch holds, and whoever may push one could
    take the key away. It writes nothing: a pull request must not be able to plant a verdict that
    the pipeline would then remember.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(
            scope,
            construct_id,
            settings=settings,
            purpose="pull-request checks through OpenID Connect",
        )
        role = iam.Role(
            self,
            "PullRequests",
            role_name=aws_names.named("pull-requests"),
            description=f"Pull-request checks of {settings.repository}",
            assumed_by=iam.WebIdentityPrincipal(
                self._provider_arn(settings), _conditions(settings)
            ),
            max_session_duration=Duration.hours(1),
        )
        keyless = [model for model in settings.models.values() if model.secret is None]
        granted = (
            *permissions.call_models(self, keyless),
            *permissions.read_results(
                self, aws_names.verdict_key("*"), aws_names.verdict_details_key("*")
            ),
            *permissions.read_example_sets(self),
        )
        nag.grant(role, granted)
        # What the variables of the repository on GitHub are set to: docs/pull-requests.md.
        CfnOutput(self, "RoleArn", value=role.role_arn)
        CfnOutput(self, "Region", value=self.region)
        CfnOutput(
            self,
            "ResultsBucket",
            value=aws_names.results_bucket(self.account, self.region),
        )

    def _provider_arn(self, settings: Settings) -> str:
        """Return the provider's ARN: an account has one for an issuer, perhaps somebody else's."""
        if settings.github_oidc_provider_arn is not None:
            return settings.github_oidc_provider_arn
        provider = iam.OidcProviderNative(
            self,
            "Provider",
            url=f"https://{_ISSUER}",
            client_ids=["sts.amazonaws.com"],
            # Others of the account may sign in by it: it does not go with our stack, nor when the
            # setting comes to name it.
            removal_policy=KEPT,
        )
        return provider.oidc_provider_arn


def _conditions(settings: Settings) -> dict[str, object]:
    """Pull requests of our repository only.

    GitHub writes the subject in two forms, by name and by name and id; the second came in 2026.
    """
    owner, name = settings.repository.split("/")
    owner_id = settings.github_owner_id or "*"
    repository_id = settings.github_repository_id or "*"
    exact = {f"{_ISSUER}:aud": "sts.amazonaws.com"}
    if settings.github_repository_id is not None:
        exact[f"{_ISSUER}:repository_id"] = str(settings.github_repository_id)
    return {
        "StringEquals": exact,
        "StringLike": {
            f"{_ISSUER}:sub": [
                f"repo:{owner}/{name}:pull_request",
                f"repo:{owner}@{owner_id}/{name}@{repository_id}:pull_request",
            ],
            f"{_ISSUER}:ref": "refs/pull/*/merge",
        },
    }
