"""The rollback function of a stage, made of what its asset holds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from cdk_app.lambda_bundle import CopiedCode
from cdk_app.tasks import Task
from prompt_hub.core import aws_names
from tests.local_aws.emulator import ACCOUNT, ROOT, LocalAws


def rollback_function(aws: LocalAws, folder: Path, stage: str, tasks: Sequence[Task]) -> str:
    """Make the rollback function of `stage`; returns its ARN. `folder` takes the asset."""
    code = CopiedCode(ROOT / "lambdas" / "rollback", ROOT / "pipeline_image" / "prompt_hub", tasks)
    code.copy_to(folder)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in filter(Path.is_file, folder.rglob("*")):
            archive.write(path, path.relative_to(folder).as_posix())
    topic = aws.client("sns").create_topic(Name=aws_names.notification_topic(stage))["TopicArn"]
    created = aws.client("lambda").create_function(
        FunctionName=aws_names.rollback_function(stage),
        Runtime="python3.13",
        Role=f"arn:aws:iam::{ACCOUNT}:role/test",
        Handler="handler.handler",
        Timeout=aws_names.ROLLBACK_SECONDS,
        Code={"ZipFile": buffer.getvalue()},
        Environment={
            "Variables": {
                aws_names.ENV_INSTALLATION: aws_names.installation(),
                aws_names.ENV_STAGE: stage,
                aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table(stage),
                aws_names.ENV_TOPIC_ARN: topic,
            }
        },
    )
    arn: str = created["FunctionArn"]
    return arn


def put_score_alarm(aws: LocalAws, stage: str, task: str, *actions: str) -> None:
    """Make a task's score alarm as the rollback stack has it, of one period."""
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=aws_names.score_alarm(stage, task),
        Namespace=aws_names.metric_namespace(),
        MetricName=aws_names.METRIC_SCORE_MARGIN,
        Dimensions=[
            {"Name": aws_names.DIMENSION_STAGE, "Value": stage},
            {"Name": aws_names.DIMENSION_TASK, "Value": task},
        ],
        Statistic="Minimum",
        Period=60,
        EvaluationPeriods=1,
        DatapointsToAlarm=1,
        Threshold=0,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=list(actions),
    )
