"""Callers on a local AWS that asks IAM, each with what a role of the templates may do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import boto3

from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import Assembly, Json
from tests.local_aws.emulator import ACCOUNT, SECRET, LocalAws

REGION = "us-east-1"
SERVICE = aws_names.service("dev")
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}]
}
NUMBERS = count(1)


@dataclass(frozen=True)
class Session:
    """Clients with the credentials of one caller, and where what it needs is."""

    endpoint: str
    key: str = ACCOUNT
    secret: str = SECRET
    token: str | None = None

    @cache  # noqa: B019 - a client is slow to make, and a caller few
    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            aws_session_token=self.token,
        )


def resolved(value: object) -> Any:
    """A value of a template with the account's number in it; ours name everything else."""
    if isinstance(value, dict):
        if set(value) == {"Ref"} and value["Ref"] == "AWS::AccountId":
            return ACCOUNT
        if set(value) == {"Fn::Join"}:
            return value["Fn::Join"][0].join(resolved(part) for part in value["Fn::Join"][1])
        if set(value) <= {"Ref", "Fn::GetAtt"}:
            return "arn:aws:elsewhere:::not-named"
        return {key: resolved(item) for key, item in value.items()}
    return [resolved(item) for item in value] if isinstance(value, list) else value


def statements_of(assembly: Assembly, role: str) -> list[Json]:
    if role in {"task", "watch", "smoke"}:
        (name,) = [
            logical_id
            for logical_id, found in assembly.resources("dev-service", "AWS::IAM::Role").items()
            if found.get("RoleName") == f"{SERVICE}-{role}"
        ]
        found = assembly.statements("dev-service")[name]
    elif role == "rollback":
        (found,) = assembly.statements("dev-rollback").values()
    else:
        found = assembly.role_of(role)
    statements: list[Json] = resolved(found)
    return statements


def assume(aws: LocalAws, statements: list[Json]) -> Session:
    """A caller that may do what `statements` say."""
    root = Session(aws.endpoint)
    name = f"role-{next(NUMBERS)}"
    iam = root.client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(
        RoleName=name, PolicyName="a", PolicyDocument=json.dumps({"Statement": statements})
    )
    given = root.client("sts").assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="test")
    keys = given["Credentials"]
    return Session(aws.endpoint, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
