"""A CDK app that has the kinds of resources that ours has, as many of the common ones, and no more.

What it takes is the price of the libraries themselves: Python reads them, Node starts, and the
constructs with their defaults are built and written. Run as `cdk synth` runs an app.
"""

from __future__ import annotations

import cdk_monitoring_constructs as monitoring
from aws_cdk import App, Duration, Environment, Stack, Stage, pipelines
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as alarm_actions
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codeconnections as codeconnections
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

HERE = Environment(account="111111111111", region="us-east-1")
ALARMS = 14
PROJECTS = 10
"""Beside those of the pipeline itself."""
RULES = 4
STAGE_GRAPHS, TOOLCHAIN_GRAPHS, METRICS = 22, 5, 2
"""Graphs of the two dashboards, and what each of them shows."""


def _ledger(scope: Construct) -> dynamodb.Table:
    stack = Stack(scope, "Ledger")
    key = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
    return dynamodb.Table(stack, "Ledger", partition_key=key)


def _service(scope: Construct, table: dynamodb.Table) -> Stack:
    stack = Stack(scope, "Service")
    vpc = ec2.Vpc(stack, "Network", max_azs=2, nat_gateways=1)
    vpc.add_flow_log("Flow")
    vpc.add_interface_endpoint("Images", service=ec2.InterfaceVpcEndpointAwsService.ECR)
    vpc.add_gateway_endpoint("Table", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
    cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)
    task = ecs.FargateTaskDefinition(stack, "Task")
    repository = ecr.Repository.from_repository_name(stack, "Images", "bare")
    container = task.add_container(
        "Service",
        image=ecs.ContainerImage.from_ecr_repository(repository),
        logging=ecs.LogDrivers.aws_logs(
            stream_prefix="service", log_group=logs.LogGroup(stack, "Log")
        ),
    )
    container.add_port_mappings(ecs.PortMapping(container_port=8080))
    service = ecs.FargateService(stack, "Runs", cluster=cluster, task_definition=task)
    balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc)
    balancer.add_listener("Listener", port=80).add_targets("Target", port=8080, targets=[service])
    table.grant_read_data(task.task_role)
    rule = events.Rule(stack, "Rule", schedule=events.Schedule.rate(Duration.minutes(15)))
    rule.add_target(targets.EcsTask(cluster=cluster, task_definition=task))
    _dashboard(stack, STAGE_GRAPHS)
    return stack


def _rollback(scope: Construct, table: dynamodb.Table) -> None:
    stack = Stack(scope, "Rollback")
    topic = sns.Topic(stack, "People", enforce_ssl=True)
    topic.add_subscription(subscriptions.EmailSubscription("people@example.com"))
    function = lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): pass"),
        on_failure=destinations.SnsDestination(topic),
        log_group=logs.LogGroup(stack, "Log"),
    )
    table.grant_read_write_data(function)
    for number in range(ALARMS):
        alarm = cloudwatch.Alarm(
            stack,
            f"Alarm{number}",
            metric=cloudwatch.Metric(namespace="bare", metric_name=f"score-{number}"),
            threshold=0,
            evaluation_periods=1,
        )
        alarm.add_alarm_action(alarm_actions.SnsAction(topic))
    for number in range(RULES):
        schedule = events.Schedule.rate(Duration.minutes(15 + number))
        rule = events.Rule(stack, f"Rule{number}", schedule=schedule)
        rule.add_target(targets.LambdaFunction(function))


def _dashboard(stack: Stack, graphs: int) -> None:
    board = monitoring.MonitoringFacade(stack, "Monitoring")
    board.add_large_header("Graphs")
    for graph in range(graphs):
        metrics = [
            cloudwatch.Metric(
                namespace="bare",
                metric_name=f"metric-{graph}-{number}",
                dimensions_map={"stage": "dev"},
                statistic="Sum",
                period=Duration.minutes(5),
                label="found",
            )
            for number in range(METRICS)
        ]
        board.add_widget(cloudwatch.GraphWidget(title=f"Graph {graph}", left=metrics))


def _toolchain(app: App) -> tuple[s3.Bucket, codeconnections.CfnConnection]:
    source = Stack(app, "bare-source", env=HERE)
    connection = codeconnections.CfnConnection(source, "Connection", connection_name="bare")
    bucket = s3.Bucket(source, "Artifacts", enforce_ssl=True, bucket_name="bare-artifacts")
    ecr.Repository(Stack(app, "bare-image", env=HERE), "Images", repository_name="bare")
    evaluation = Stack(app, "bare-evaluation", env=HERE)
    s3.Bucket(evaluation, "Results", enforce_ssl=True)
    project = codebuild.PipelineProject(evaluation, "Evaluation")
    project.add_to_role_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))
    actions.CodeBuildAction(
        action_name="Evaluate", project=project, input=codepipeline.Artifact("Source")
    )
    oidc = Stack(app, "bare-oidc", env=HERE)
    url = "https://token.actions.githubusercontent.com"
    provider = iam.OidcProviderNative(oidc, "GitHub", url=url)
    iam.Role(oidc, "Reviews", assumed_by=iam.WebIdentityPrincipal(provider.oidc_provider_arn))
    return bucket, connection


def _pipeline(
    app: App, bucket: s3.Bucket, connection: codeconnections.CfnConnection, stage: Stage
) -> None:
    stack = Stack(app, "bare-pipeline", env=HERE)
    flow = codepipeline.Pipeline(stack, "Pipeline", artifact_bucket=bucket)
    source = pipelines.CodePipelineSource.connection(
        "example/repository", "main", connection_arn=connection.attr_connection_arn
    )
    synth = pipelines.CodeBuildStep("Synth", input=source, commands=["cdk synth"])
    pipeline = pipelines.CodePipeline(stack, "Flow", synth=synth, code_pipeline=flow)
    steps = [
        pipelines.CodeBuildStep(f"Step{number}", input=source, commands=["true"])
        for number in range(PROJECTS)
    ]
    pipeline.add_stage(stage, post=steps)
    pipeline.build_pipeline()
    _dashboard(stack, TOOLCHAIN_GRAPHS)
    sns.Topic(stack, "People", enforce_ssl=True)


def main() -> None:
    """Build and synthesise the app."""
    app = App()
    bucket, connection = _toolchain(app)
    stage = Stage(app, "dev", env=HERE)
    table = _ledger(stage)
    _service(stage, table)
    _rollback(stage, table)
    _pipeline(app, bucket, connection, stage)
    app.synth()


if __name__ == "__main__":
    main()
