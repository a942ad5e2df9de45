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


def put_contract_alarm(aws: LocalAws, stage: str, task: str, *actions: str) -> None:
    """Make the alarm on a task's broken contracts as the rollback stack has it."""
    dimensions = zip(aws_names.CALL_TASK_DIMENSIONS, (stage, task), strict=True)
    metric = {
        "Namespace": aws_names.calls_namespace(),
        "MetricName": aws_names.CALL_CONTRACT_FAILED,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
    }
    period = 60 * aws_names.CONTRACT_WINDOW_MINUTES
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=aws_names.contract_alarm(stage, task),
        Metrics=[
            {
                "Id": "expr_1",
                "Expression": f"IF(broken >= {aws_names.LEAST_BROKEN}, 100 * broken / calls, 0)",
            },
            *(
                {
                    "Id": name,
                    "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic},
                    "ReturnData": False,
                }
                for name, statistic in (("broken", "Sum"), ("calls", "SampleCount"))
            ),
        ],
        EvaluationPeriods=1,
        Threshold=aws_names.BROKEN_PERCENT,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=list(actions),
    )
