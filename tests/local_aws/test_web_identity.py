"""A role for a token: of an issuer that the account trusts, signed by it, for our repository."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import Assembly, build
from tests.local_aws.emulator import ACCOUNT, LocalAws
from tests.local_aws.issuer import GITHUB, Issuer, issuing, private_key

REGION = "us-east-1"
REPOSITORY = "example/gpt-pipeline-hub"
BUCKET = aws_names.results_bucket(ACCOUNT, REGION)
VERDICT = aws_names.verdict_key("0" * 64)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture(scope="module")
def aws(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """IAM is asked, and GitHub's keys are our issuer's."""
    emulator = LocalAws(
        state=tmp_path_factory.mktemp("run") / "cloud",
        permissions="enforce",
        issuers={GITHUB: issuer.address},
    )
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


def client(aws: LocalAws, service: str, **options: Any) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=aws.endpoint,
        region_name=REGION,
        **options,
    )


@pytest.fixture(scope="module")
def role(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The stack as it is synthesised, and a verdict that is remembered."""
    path = tmp_path_factory.mktemp("cdk.out")
    build(path, {"repository": REPOSITORY}).synth()
    template = Assembly(path).templates["prompt-hub-github-oidc"]
    # The version of CDK's bootstrap, which a parameter of an account has.
    for part in ("Rules", "Parameters"):
        template.pop(part, None)
    keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "local"}
    stacks = client(aws, "cloudformation", **keys)
    stacks.create_stack(
        StackName="oidc",
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    stacks.get_waiter("stack_create_complete").wait(
        StackName="oidc", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    s3 = client(aws, "s3", **keys)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=VERDICT, Body=b"{}")
    s3.put_object(Bucket=BUCKET, Key="releases/1/dev.json", Body=b"{}")
    outputs = stacks.describe_stacks(StackName="oidc")["Stacks"][0]["Outputs"]
    found = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    assert (found["Region"], found["ResultsBucket"]) == (REGION, BUCKET)
    return str(found["RoleArn"])


def assume(aws: LocalAws, role: str, token: str) -> Any:
    return client(
        aws, "sts", config=Config(signature_version=UNSIGNED)
    ).assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="pull-request-1", WebIdentityToken=token
    )


def test_the_role_reads_verdicts_and_writes_nothing(
    aws: LocalAws, role: str, issuer: Issuer
) -> None:
    keys = assume(aws, role, issuer.token(repository=REPOSITORY))["Credentials"]
    s3 = client(
        aws,
        "s3",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert s3.get_object(Bucket=BUCKET, Key=VERDICT)["Body"].read() == b"{}"
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=BUCKET, Key=aws_names.verdict_key("1" * 64))
    for key in (VERDICT, aws_names.evaluation_key("e", "brand"), "anything"):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"planted")
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=BUCKET, Key="releases/1/dev.json")


HOUR = 3600


@pytest.mark.parametrize(
    ("claims", "code", "reason"),
    [
        ({"repository": "example/other"}, "AccessDenied", "Not authorized"),
        ({"sub": f"repo:{REPOSITORY}:ref:refs/heads/main"}, "AccessDenied", "Not authorized"),
        ({"ref": "refs/heads/main"}, "AccessDenied", "Not authorized"),
        ({"aud": "somebody-else"}, "InvalidIdentityToken", "Audience doesn't match"),
        ({"exp": int(time.time()) - HOUR}, "InvalidIdentityToken", "Signature has expired"),
        ({"key": private_key()}, "InvalidIdentityToken", "Signature verification failed"),
        ({"iss": "https://elsewhere.example"}, "InvalidIdentityToken", "No OpenIDConnect provider"),
    ],
    ids=["repository", "subject", "ref", "audience", "expired", "signature", "issuer"],
)
def test_a_token_of_somebody_else_is_no_key(
    aws: LocalAws, role: str, issuer: Issuer, claims: dict[str, Any], code: str, reason: str
) -> None:
    with pytest.raises(ClientError, match=reason) as refused:
        assume(aws, role, issuer.token(**{"repository": REPOSITORY, **claims}))
    assert refused.value.response["Error"]["Code"] == code


def test_what_is_no_token_is_none(aws: LocalAws, role: str) -> None:
    with pytest.raises(ClientError, match="The token is none"):
        assume(aws, role, "eyJ.no.token")


def test_the_second_form_of_the_subject_is_taken(aws: LocalAws, role: str, issuer: Issuer) -> None:
    owner, name = REPOSITORY.split("/")
    token = issuer.token(sub=f"repo:{owner}@11/{name}@22:pull_request", repository=REPOSITORY)
    assert assume(aws, role, token)["AssumedRoleUser"]["Arn"].endswith(
        "assumed-role/prompt-hub-pull-requests/pull-request-1"
    )


def test_a_provider_outlives_its_stack_and_the_roles_do_not(
    aws: LocalAws, issuer: Issuer, role: str
) -> None:
    keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "local"}
    stacks = client(aws, "cloudformation", **keys)
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB.removeprefix('https://')}"
    iam = client(aws, "iam", **keys)
    provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert provider["ClientIDList"] == ["sts.amazonaws.com"]
    stacks.delete_stack(StackName="oidc")
    stacks.get_waiter("stack_delete_complete").wait(
        StackName="oidc", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    # Others of the account may sign in by it.
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"]
    with pytest.raises(ClientError, match="Not authorized to perform"):
        assume(aws, role, issuer.token(repository=REPOSITORY))
