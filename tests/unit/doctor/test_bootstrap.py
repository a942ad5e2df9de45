"""What the doctor says of a place that nobody bootstrapped, or long ago."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import boto3
import pytest
from botocore.stub import Stubber

from prompt_hub.doctor.base import NotCheckedError
from prompt_hub.doctor.checks import bootstrap
from prompt_hub.doctor.installation import CdkJson
from prompt_hub.doctor.readers import Caller, Readers

HOME, OTHER = "111111111111", "222222222222"
CLONE = CdkJson.model_validate({"context": {"prompt-hub": {"region": "us-east-1"}}})
"""What a clone says whose installation has the CDK's own qualifier."""


class OneClient:
    """A session that has one client."""

    def __init__(self, client: object, region_name: str) -> None:
        self._client, self.region_name = client, region_name

    def client(self, name: str) -> object:
        return {"ssm": self._client}[name]


@pytest.mark.parametrize(
    ("account", "at_home", "version", "command"),
    [
        (OTHER, "21", None, f"make bootstrap PLACE=aws://{OTHER}/eu-west-1 TRUST={HOME}"),
        # Whom it trusts, a bootstrap of before keeps, and with which policies.
        (OTHER, "21", "5", f"make bootstrap PLACE=aws://{OTHER}/eu-west-1"),
        (HOME, "21", None, f"make bootstrap PLACE=aws://{HOME}/eu-west-1"),
        (OTHER, None, "21", f"make bootstrap PLACE=aws://{HOME}/us-east-1"),
    ],
)
def test_a_stage_elsewhere_is_bootstrapped_where_it_is_for_the_pipelines_account(
    account: str, at_home: str | None, version: str | None, command: str
) -> None:
    here, there = (
        boto3.client("ssm", region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
        for region in ("us-east-1", "eu-west-1")
    )

    readers = Readers(
        "prod",
        Path(),
        cast("boto3.Session", OneClient(here, "us-east-1")),
        CLONE,
        datetime.now(UTC),
        there=cast("boto3.Session", OneClient(there, "eu-west-1")),
    )
    readers.caller = Caller(f"arn:aws:iam::{HOME}:user/ann", HOME)
    readers.stage_caller = Caller(f"arn:aws:iam::{account}:user/ann", account)
    with Stubber(here) as near, Stubber(there) as far:
        for stub, said in ((near, at_home), (far, version)):
            if said is None:
                stub.add_client_error("get_parameter", "ParameterNotFound")
            else:
                stub.add_response("get_parameter", {"Parameter": {"Value": said}})
        (finding,) = bootstrap.CHECK.examine(readers)
    assert finding.command == command
    assert command.split("/")[-1].split()[0] in finding.mend


def test_a_stage_beside_the_pipeline_is_bootstrapped_without_the_places_of_others() -> None:
    """By itself, `make bootstrap` means every place of the app."""
    ssm = boto3.client(
        "ssm", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    session = cast("boto3.Session", OneClient(ssm, "us-east-1"))
    readers = Readers("dev", Path(), session, CLONE, datetime.now(UTC))
    readers.caller = Caller(f"arn:aws:iam::{HOME}:user/ann", HOME)
    with Stubber(ssm) as stub:
        stub.add_response("get_parameter", {"Parameter": {"Value": "5"}})
        (finding,) = bootstrap.CHECK.examine(readers)
    assert finding.command == f"make bootstrap PLACE=aws://{HOME}/us-east-1"


def test_outside_a_clone_nobody_guesses_the_qualifier() -> None:
    """Under the CDK's own one another team may have bootstrapped, or nobody."""
    ssm = boto3.client(
        "ssm", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    session = cast("boto3.Session", OneClient(ssm, "us-east-1"))
    readers = Readers("dev", Path(), session, CdkJson(), datetime.now(UTC))
    readers.caller = Caller(f"arn:aws:iam::{HOME}:user/ann", HOME)
    with Stubber(ssm), pytest.raises(NotCheckedError, match=r"no cdk\.json of the installation"):
        list(bootstrap.CHECK.examine(readers))
