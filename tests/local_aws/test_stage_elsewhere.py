"""A stage of another account and region is reached as its own role, as a build on AWS does it.

Real botocore: credentials of the build from the container's address, the role from the profile,
AssumeRole and DynamoDB from the local AWS, which keeps accounts and regions apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from prompt_hub.core import aws_names
from tests.local_aws.emulator import ACCOUNT, REGION, ROOT, LocalAws, create_table

OTHER, FAR = "222222222222", "eu-west-1"
ROLE = f"arn:aws:iam::{OTHER}:role/prompt-hub-prod-for-activate-prod"
PROFILE = f"""[profile prompt-hub-prod]
role_arn = {ROLE}
credential_source = EcsContainer
region = {FAR}
"""
ASK = """
import boto3, json
from prompt_hub.cli.stage import ledger_of
from prompt_hub.ledger.stage_session import session_of
found = {}
for stage in ("dev", "prod"):
    there = session_of(stage) or boto3
    found[stage] = (
        there.client("sts").get_caller_identity()["Arn"],
        there.client("ecs").meta.region_name,
        sorted(ledger_of(stage).pointers()),
    )
print(json.dumps(found))
"""


class Container(BaseHTTPRequestHandler):
    """What hands a build the credentials of its role."""

    def do_GET(self) -> None:
        body = json.dumps(
            {
                "AccessKeyId": ACCOUNT,
                "SecretAccessKey": "local",
                "Token": "token",
                "Expiration": "2099-01-01T00:00:00Z",
            }
        ).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def container() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Container)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/credentials"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def other(aws: LocalAws) -> boto3.Session:
    """The other account, in which the role of an action has been deployed."""
    session = boto3.Session(OTHER, "local", region_name=FAR)
    session.client("iam", endpoint_url=aws.endpoint).create_role(
        RoleName=ROLE.rpartition("/")[2],
        AssumeRolePolicyDocument=json.dumps(
            {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                        "Action": "sts:AssumeRole",
                    }
                ]
            }
        ),
    )
    return session


def ask(aws: LocalAws, home: Path, container: str) -> subprocess.CompletedProcess[str]:
    """Ask both stages, with the environment and the configuration of a build."""
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(PROFILE)
    return subprocess.run(
        [sys.executable, "-c", ASK],
        env={
            "HOME": str(home),
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT / "pipeline_image"),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": container,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_action_reads_each_ledger_where_it_is(
    aws: LocalAws, other: boto3.Session, tmp_path: Path, container: str
) -> None:
    """One that is not deployed yet is said to be missing, and not to refuse."""
    create_table(aws, aws_names.ledger_table("dev"))
    early = ask(aws, tmp_path, container)
    assert "LedgerMissingError" in early.stderr
    assert "prompt-hub-prod-ledger" in early.stderr

    table: Any = other.client("dynamodb", endpoint_url=aws.endpoint)
    names = (aws_names.LEDGER_PARTITION_KEY, aws_names.LEDGER_SORT_KEY)
    table.create_table(
        TableName=aws_names.ledger_table("prod"),
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        BillingMode="PAY_PER_REQUEST",
    )
    done = ask(aws, tmp_path, container)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["dev"][1:] == [REGION, []]
    assert f":{ACCOUNT}:" in found["dev"][0]
    assert found["prod"][1:] == [FAR, []]
    assert found["prod"][0].startswith(f"arn:aws:sts::{OTHER}:assumed-role/{ROLE.split('/')[1]}/")
    here = aws.client("dynamodb").list_tables()["TableNames"]
    assert aws_names.ledger_table("prod") not in here
