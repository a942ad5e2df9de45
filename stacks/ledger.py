"""The ledger: what is live in one stage."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from cdk_app.stack import KEPT, StageStack
from cdk_app.stage_settings import StageSettings
from prompt_hub.core import aws_names


class LedgerStack(StageStack):
    """One DynamoDB table, alone in its stack: it holds state and depends on nothing."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: StageSettings) -> None:
        super().__init__(scope, construct_id, stage=stage, purpose="the ledger of what is live")
        dynamodb.Table(
            self,
            "Ledger",
            table_name=aws_names.ledger_table(stage.name),
            partition_key=_text(aws_names.LEDGER_PARTITION_KEY),
            sort_key=_text(aws_names.LEDGER_SORT_KEY),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=stage.protect,
            removal_policy=KEPT if stage.protect else RemovalPolicy.DESTROY,
        )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
