"""The state machine that answers dropped files of records, what starts it, and its alarms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from cdk_app import arns, nag, records_permissions
from cdk_app.records_definition import RUN_DAYS, RecordsNames, records_definition
from cdk_app.stage_settings import RecordsSettings
from prompt_hub.core import aws_names


class RecordsMachine(Construct):
    """Answers each file that is dropped into the stage's bucket; people hear of one that is not.

    It is beside the service, whose network its containers need, and not beside the bucket: no stack
    of a stage exports anything, and where a stage wants no more of it, it goes and the files stay.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        settings: RecordsSettings,
        service: ecs.FargateService,
        subnets: Sequence[str],
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        bucket = aws_names.records_bucket(stage, Stack.of(self).account)
        self._stage = stage
        self._topic = topic
        network = {
            "AssignPublicIp": "DISABLED",
            "SecurityGroups": [
                group.security_group_id for group in service.connections.security_groups
            ],
            "Subnets": list(subnets),
        }
        self.machine = self._build_machine(settings, bucket, network)
        rule = self._build_rules(bucket)
        for name, what, metric in (
            ("failed", "failed", self.machine.metric_failed()),
            ("late", f"took more than {RUN_DAYS} days", self.machine.metric_timed_out()),
        ):
            self._build_alarm(
                name,
                f"A run over a file of records in {stage} {what}. What was answered is kept;"
                " docs/operations.md says whether a redrive helps or the file is dropped again.",
                metric,
            )
        self._build_alarm(
            "not-started",
            f"A file of records in {stage} was dropped and nothing began: drop it again.",
            cloudwatch.Metric(
                namespace="AWS/Events",
                metric_name="FailedInvocations",
                dimensions_map={"RuleName": rule.rule_name},
                statistic="Sum",
                period=Duration.minutes(5),
            ),
        )

    def _build_machine(
        self, settings: RecordsSettings, bucket: str, network: Mapping[str, object]
    ) -> stepfunctions.StateMachine:
        stage = self._stage
        role = iam.Role(
            self,
            "Role",
            description=f"The state machine that answers files of records in {stage}",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
        )
        nag.grant(role, records_permissions.run_records(self, stage))
        nag.acknowledge(
            role,
            {
                "IAM5[Resource::*]": "CDK's own, for the log and for traces: deliveries of logs and"
                " X-Ray know no resources."
            },
        )
        names = RecordsNames(
            cluster=aws_names.cluster(stage),
            service=aws_names.service(stage),
            role=arns.role(self, aws_names.records_role(stage)),
            network=network,
            bucket=bucket,
            topic=self._topic.topic_arn,
            log_group=aws_names.service_log_group(stage),
            environment={
                aws_names.ENV_RECORDS_BUCKET: bucket,
                aws_names.ENV_TOPIC_ARN: self._topic.topic_arn,
            },
            integration=lambda action: arns.integration(self, action),
        )
        definition = records_definition(names, max_children=settings.max_children)
        return stepfunctions.StateMachine(
            self,
            "Machine",
            state_machine_name=aws_names.records_state_machine(stage),
            comment=f"Answers files of records in {stage}",
            # Not by CDK: its way to JSON leaves null out, and a ResultPath of null says much.
            definition_body=stepfunctions.DefinitionBody.from_string(json.dumps(definition)),
            role=role,
            tracing_enabled=True,
            logs=stepfunctions.LogOptions(
                level=stepfunctions.LogLevel.ALL,
                # Keys of files and what ECS says of containers: no record is in there.
                include_execution_data=True,
                destination=logs.LogGroup(
                    self,
                    "Logs",
                    log_group_name=aws_names.records_log_group(stage),
                    retention=logs.RetentionDays.THREE_MONTHS,
                    removal_policy=RemovalPolicy.DESTROY,
                ),
            ),
        )

    def _build_rules(self, bucket: str) -> events.Rule:
        """Start the machine for files and rollbacks; returns the rule of files."""
        role = iam.Role(
            self,
            "EventsRole",
            description=f"Has files of records in {self._stage} answered",
            assumed_by=iam.ServicePrincipal("events.amazonaws.com"),
        )
        target = targets.SfnStateMachine(
            self.machine,
            role=role,
            # A day, as by default, would be a day without a word. What is lost after it is the
            # event alone: the file is there, so no queue keeps it.
            max_event_age=Duration.hours(1),
        )
        events.Rule(
            self,
            "RolledBack",
            description="Has records made again that a version answered which was rolled back",
            event_pattern=events.EventPattern(
                source=[aws_names.event_source()],
                detail_type=[aws_names.EVENT_ROLLED_BACK],
                detail={"stage": [self._stage]},
            ),
            targets=[target],
        )
        return events.Rule(
            self,
            "Dropped",
            description="Has a file of records answered that was dropped into the bucket",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [bucket]},
                    "object": {"key": [{"prefix": aws_names.INCOMING}]},
                },
            ),
            targets=[target],
        )

    def _build_alarm(self, name: str, description: str, metric: cloudwatch.IMetric) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name.title(),
            alarm_name=f"{aws_names.records_state_machine(self._stage)}-{name}",
            alarm_description=description,
            metric=metric,
            threshold=1,
            comparison_operator=(cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD),
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
