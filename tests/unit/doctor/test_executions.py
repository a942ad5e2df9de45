"""Which execution is the newest, and whether any of them may still change a stage."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import boto3
import pytest
from botocore.stub import Stubber

from prompt_hub.core import aws_names
from prompt_hub.doctor.installation import CdkJson
from prompt_hub.doctor.readers import EXECUTIONS, Readers


@pytest.mark.parametrize(
    ("statuses", "newest", "runs"),
    [
        (["Failed", "InProgress"], "Failed", True),  # the older one waits for its approval
        (["Failed", "Stopping"], "Failed", True),
        (["Superseded", "InProgress"], "InProgress", True),
        (["Failed", "Succeeded"], "Failed", False),
        (["Superseded"], None, False),
        ([], None, False),
    ],
)
def test_a_release_is_on_its_way_whatever_became_of_newer_ones(
    statuses: list[str], newest: str | None, runs: bool
) -> None:
    codepipeline = boto3.client(
        "codepipeline", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )

    class One:
        """A session that has one client."""

        def client(self, name: str) -> object:
            return {"codepipeline": codepipeline}[name]

    readers = Readers("dev", Path(), cast("boto3.Session", One()), CdkJson(), datetime.now(UTC))
    listed = [
        {"pipelineExecutionId": f"{number:08}-0000-0000-0000-000000000000", "status": status}
        for number, status in enumerate(statuses)
    ]
    with Stubber(codepipeline) as stub:
        # One call answers both questions.
        stub.add_response(
            "list_pipeline_executions",
            {"pipelineExecutionSummaries": listed},
            {"pipelineName": aws_names.pipeline(), "maxResults": EXECUTIONS},
        )
        found = readers.newest_execution
        assert (found.status if found else None) == newest
        assert readers.execution_runs == runs
