"""What CodePipeline tells the topic of an approval that waits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from local_aws import clients

if TYPE_CHECKING:
    from local_aws.pipeline_context import ActionRun
    from local_aws.settings import CloudSettings

EXPIRES = timedelta(days=7)
LONGEST_SUBJECT = 100
"""Characters that SNS takes."""


def announce(
    topic: str,
    pipeline: str,
    run: ActionRun,
    configuration: Mapping[str, str],
    settings: CloudSettings,
) -> None:
    """Publish the JSON that CodePipeline publishes.

    There is no console to link to: the local API takes the token.

    Raises:
        ClientError: there is no such topic.
    """
    expires = datetime.fromtimestamp(run.started, UTC) + EXPIRES
    message = {
        "region": settings.region,
        "consoleLink": settings.endpoint,
        "approval": {
            "pipelineName": pipeline,
            "stageName": run.stage,
            "actionName": run.action,
            "token": run.token,
            "expires": expires.strftime("%Y-%m-%dT%H:%MZ"),
            "externalEntityLink": configuration.get("ExternalEntityLink"),
            "approvalReviewLink": settings.endpoint,
            "customData": configuration.get("CustomData"),
        },
    }
    subject = f"APPROVAL NEEDED: AWS CodePipeline {pipeline} for action {run.action}"
    clients.client("sns").publish(
        TopicArn=topic, Subject=subject[:LONGEST_SUBJECT], Message=json.dumps(message)
    )
