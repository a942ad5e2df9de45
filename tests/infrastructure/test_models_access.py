"""Model aliases become permissions for exactly those models."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
from tests.infrastructure.synthesised import CONTEXT, Assembly, Json, listed


def statements(assembly: Assembly, action: str) -> list[Json]:
    """The task role's statements that allow `action`."""
    return [
        statement
        for role, each in assembly.statements("dev-service").items()
        if "TaskRole" in role
        for statement in each
        if action in listed(statement["Action"])
    ]


def test_an_inference_profile_reaches_its_model_in_every_region_it_serves(
    synthesise: Callable[..., Assembly],
) -> None:
    profile = synthesise(
        {"models": {"pinned": {"provider": "bedrock", "model": "us.amazon.nova-micro-v1:0"}}}
    )
    (statement,) = statements(profile, "bedrock:InvokeModel")
    model, inference = sorted(statement["Resource"], key=str)
    if isinstance(model, dict):
        model, inference = inference, model
    assert model == "arn:aws:bedrock:*::foundation-model/amazon.nova-micro-v1:0"
    assert inference["Fn::Join"][1][-1] == ":inference-profile/us.amazon.nova-micro-v1:0"


def test_a_key_is_read_from_its_secret_and_only_from_there(
    synthesise: Callable[..., Assembly],
) -> None:
    keyed = synthesise(
        {
            "models": {
                "pinned": {
                    "provider": "openai",
                    "model": "gpt-4.1-mini",
                    "secret": "prompt-hub/openai",
                }
            }
        }
    )
    assert statements(keyed, "bedrock:InvokeModel") == []
    (statement,) = statements(keyed, "secretsmanager:GetSecretValue")
    assert statement["Resource"]["Fn::Join"][1][-1] == ":secret:prompt-hub/openai-??????"


def test_a_secret_with_a_key_of_its_own_is_decrypted_by_that_key_and_through_its_service(
    synthesise: Callable[..., Assembly],
) -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d"
    model = {"provider": "openai", "model": "m", "secret": "prompt-hub/openai"}
    keyed = synthesise({"models": {"own": {**model, "secret_kms_key": key}}})
    roles = {
        stack: [
            statement
            for each in keyed.statements(stack).values()
            for statement in each
            if "kms:Decrypt" in listed(statement["Action"]) and statement["Resource"] == key
        ]
        for stack in ("dev-service", "evaluation", "github-oidc")
    }
    # The service and the watch; what evaluates. The workflow runs what a branch holds.
    assert {stack: len(found) for stack, found in roles.items()} == {
        "dev-service": 2,
        "evaluation": 1,
        "github-oidc": 0,
    }
    for found in roles.values():
        for statement in found:
            assert statement["Action"] == "kms:Decrypt"
            through, secret = statement["Condition"].values()
            assert through == {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
            assert list(secret) == ["kms:EncryptionContext:SecretARN"]
            (arn,) = secret.values()
            assert arn["Fn::Join"][1][-1] == ":secret:prompt-hub/openai-??????"


def test_two_secrets_under_one_key_are_two_statements(
    synthesise: Callable[..., Assembly],
) -> None:
    """The condition names the secret: the key opens no other of its secrets."""
    key = "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d"
    model = {"provider": "openai", "model": "m", "secret_kms_key": key}
    keyed = synthesise(
        {"models": {"a": {**model, "secret": "one"}, "b": {**model, "secret": "two"}}}
    )
    found = [
        statement["Condition"]["StringLike"]["kms:EncryptionContext:SecretARN"]["Fn::Join"][1][-1]
        for statement in statements(keyed, "kms:Decrypt")
    ]
    assert found == [":secret:one-??????", ":secret:two-??????"]


def test_without_a_key_nobody_reads_secrets(assembly: Assembly) -> None:
    assert statements(assembly, "secretsmanager:GetSecretValue") == []
    assert statements(assembly, "kms:Decrypt") == []


def test_every_provider_says_what_its_role_needs_and_like_needs_are_one_statement(
    synthesise: Callable[..., Assembly],
) -> None:
    azure = {"provider": "azure-openai", "model": "mini", "base_url": "https://x.openai.azure.com"}
    mixed = synthesise(
        {
            "models": {
                "open": {"provider": "bedrock", "model": "openai.gpt-oss-20b-1:0"},
                "claude": {
                    "provider": "bedrock-converse",
                    "model": "anthropic.claude-haiku-4-5-20251001-v1:0",
                },
                "azure": {**azure, "secret": "prompt-hub/azure"},
                "gateway": {"provider": "openai", "model": "m", "secret": "prompt-hub/gateway"},
            }
        }
    )
    (invoke,) = statements(mixed, "bedrock:InvokeModel")
    assert invoke["Resource"] == [
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/openai.gpt-oss-20b-1:0",
    ]
    (read,) = statements(mixed, "secretsmanager:GetSecretValue")
    assert [name["Fn::Join"][1][-1] for name in read["Resource"]] == [
        ":secret:prompt-hub/azure-??????",
        ":secret:prompt-hub/gateway-??????",
    ]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://x.openai.azure.com", "needs a secret, or on your own machine an api_key_env."),
        ("https://u:p@x.openai.azure.com", "by secret, or on your own machine by api_key_env."),
    ],
)
def test_who_names_no_key_is_asked_for_one_that_cdk_json_takes(address: str, words: str) -> None:
    model: Json = {"provider": "azure-openai", "model": "d", "base_url": address}
    settings = {**CONTEXT[CONTEXT_KEY], "models": {"own": model}}
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(settings)
    assert str(caught.value).endswith(words)
    model |= {"base_url": "https://x.openai.azure.com", "secret": "prompt-hub/azure"}
    assert Settings.from_context(settings).models["own"].secret == "prompt-hub/azure"
