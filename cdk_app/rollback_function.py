"""The Lambda that takes a bad prompt out of service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app import arns, nag, permissions
from cdk_app.lambda_bundle import rollback_code
from cdk_app.tasks import Task
from prompt_hub.core import aws_names


class RollbackFunction(Construct):
    """Decides on a task: rolls a pointer back, freezes it, or says why it does nothing.

    No concurrency is reserved: the ledger's conditional transactions already put concurrent
    decisions in order, and a reservation fails to deploy in an account with the initial quota of
    ten.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        tasks: Sequence[Task],
        root: Path,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        name = aws_names.rollback_function(stage)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=aws_names.rollback_log_group(stage),
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=name,
            description=f"Takes a prompt that scores badly out of service in {stage}",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="handler.handler",
            code=rollback_code(root, tasks),
            memory_size=256,
            timeout=Duration.seconds(aws_names.ROLLBACK_SECONDS),
            tracing=lambda_.Tracing.ACTIVE,
            log_group=log_group,
            role=self._build_role(stage, log_group, topic),
            environment={
                aws_names.ENV_INSTALLATION: aws_names.installation(),
                aws_names.ENV_STAGE: stage,
                aws_names.ENV_LEDGER_TABLE: arns.ledger_table(self, stage),
                aws_names.ENV_TOPIC_ARN: topic.topic_arn,
            },
            # Whoever calls does not wait: what fails three times must reach a person.
            retry_attempts=2,
            max_event_age=Duration.hours(1),
            on_failure=destinations.SnsDestination(topic),
        )
        nag.acknowledge(
            self.function,
            {
                "L1": "The Lambda shares modules with the service; both run on the Python of its"
                " image."
            },
        )
        self.for_alarms = self._let_alarms_call(stage)
        """The function as an alarm's action, which needs no statement of its own."""

    def _let_alarms_call(self, stage: str) -> lambda_.IFunction:
        """Let every alarm on a prompt call the function, however many prompts there are.

        The policy of a function takes 20 KB: with a statement for each alarm, as CDK makes them,
        twenty tasks would fill it. A kind of alarm is one statement here, for Lambda compares the
        caller's ARN as a pattern.
        """
        kinds = {
            "ScoreAlarms": aws_names.score_alarm_prefix(stage),
            "ContractAlarms": aws_names.contract_alarm_prefix(stage),
        }
        for construct_id, prefix in kinds.items():
            self.function.add_permission(
                construct_id,
                principal=iam.ServicePrincipal("lambda.alarms.cloudwatch.amazonaws.com"),
                source_account=Stack.of(self).account,
                source_arn=arns.alarm(self, f"{prefix}*"),
            )
        return lambda_.Function.from_function_attributes(
            self, "ForAlarms", function_arn=self.function.function_arn, skip_permissions=True
        )

    def _build_role(self, stage: str, log_group: logs.LogGroup, topic: sns.ITopic) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            description=f"The rollback Lambda of {stage}",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        log_group.grant_write(role)
        topic.grant_publish(role)
        granted = (
            *permissions.roll_back(self, stage),
            *permissions.read_alarms(self),
            *permissions.announce_rollbacks(self),
            *permissions.read_metrics(),
            *permissions.publish_metrics(aws_names.metric_namespace()),
            *permissions.trace(),
        )
        nag.grant(role, granted)
        return role
