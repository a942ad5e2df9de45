"""What the doctor says of the connection to the repository."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import boto3
from botocore.stub import Stubber

from prompt_hub.core import aws_names
from prompt_hub.doctor.checks import connection
from prompt_hub.doctor.installation import CdkJson
from prompt_hub.doctor.readers import Readers

ARN = "arn:aws:codeconnections:us-east-1:123456789012:connection/0d1c8a6e"


def test_one_that_is_gone_is_replaced_by_one_that_the_settings_name() -> None:
    """The stack that made it cannot go, for others take its exports, and its bucket would stay."""
    cloudformation = boto3.client(
        "cloudformation",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    connections = boto3.client(
        "codeconnections",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )

    class Two:
        """A session that has two clients."""

        region_name = "us-east-1"

        def client(self, name: str) -> object:
            return {"cloudformation": cloudformation, "codeconnections": connections}[name]

    readers = Readers("dev", Path(), cast("boto3.Session", Two()), CdkJson(), datetime.now(UTC))
    stack = {
        "StackName": aws_names.source_stack(),
        "CreationTime": datetime.now(UTC),
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": [{"OutputKey": connection.OUTPUT, "OutputValue": ARN}],
    }
    with Stubber(cloudformation) as stacks, Stubber(connections) as stub:
        stacks.add_response("describe_stacks", {"Stacks": [stack]})
        stub.add_client_error("get_connection", "ResourceNotFoundException")
        (finding,) = connection.CHECK.examine(readers)
    assert finding.problem.startswith(f"The connection {ARN} is gone")
    assert "connection_arn in cdk.json" in finding.mend
    assert finding.command == "make deploy"
