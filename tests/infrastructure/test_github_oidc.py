"""Pull-request checks come in without a stored key, from our repository only, and write nothing."""

from __future__ import annotations

from collections.abc import Callable

from tests.infrastructure.synthesised import Assembly, Json, listed

ISSUER = "token.actions.githubusercontent.com"


def trust(assembly: Assembly) -> Json:
    (statement,) = assembly.only("github-oidc", "AWS::IAM::Role")["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert isinstance(statement, dict)
    return statement


def test_the_provider_needs_no_custom_resource(assembly: Assembly) -> None:
    provider = assembly.only("github-oidc", "AWS::IAM::OIDCProvider")
    assert provider["Url"] == f"https://{ISSUER}"
    assert provider["ClientIdList"] == ["sts.amazonaws.com"]


def test_both_forms_of_the_subject_are_accepted(assembly: Assembly) -> None:
    condition = trust(assembly)["Condition"]
    assert condition["StringEquals"] == {f"{ISSUER}:aud": "sts.amazonaws.com"}
    assert condition["StringLike"] == {
        f"{ISSUER}:sub": [
            "repo:example/gpt-pipeline-hub:pull_request",
            "repo:example@*/gpt-pipeline-hub@*:pull_request",
        ],
        f"{ISSUER}:ref": "refs/pull/*/merge",
    }


def test_ids_pin_the_trust_to_this_very_repository(synthesise: Callable[..., Assembly]) -> None:
    pinned = synthesise({"github_owner_id": 11, "github_repository_id": 22})
    condition = trust(pinned)["Condition"]
    assert condition["StringEquals"][f"{ISSUER}:repository_id"] == "22"
    assert condition["StringLike"][f"{ISSUER}:sub"][1] == (
        "repo:example@11/gpt-pipeline-hub@22:pull_request"
    )


def test_a_provider_that_the_account_already_has_is_used(
    synthesise: Callable[..., Assembly],
) -> None:
    arn = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
    imported = synthesise({"github_oidc_provider_arn": arn})
    assert imported.resources("github-oidc", "AWS::IAM::OIDCProvider") == {}
    assert trust(imported)["Principal"] == {"Federated": arn}


def test_a_pull_request_can_plant_no_verdict(assembly: Assembly) -> None:
    (statements,) = assembly.statements("github-oidc").values()
    allowed = {action for statement in statements for action in listed(statement["Action"])}
    assert allowed == {"bedrock:InvokeModel", "s3:GetObject", "s3:ListBucket"}


def test_a_pull_request_reads_no_key_and_calls_the_models_without_one(
    synthesise: Callable[..., Assembly],
) -> None:
    """Its checks run what a branch holds: whoever may push one could take the key away."""
    mixed = synthesise(
        {
            "models": {
                "open": {"provider": "bedrock", "model": "openai.gpt-oss-20b-1:0"},
                "keyed": {
                    "provider": "openai",
                    "model": "m",
                    "secret": "prompt-hub/openai",
                    "secret_kms_key": "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d",
                },
            }
        }
    )
    (statements,) = mixed.statements("github-oidc").values()
    allowed = {action for statement in statements for action in listed(statement["Action"])}
    assert allowed == {"bedrock:InvokeModel", "s3:GetObject", "s3:ListBucket"}
