"""A CDK app that has one resource of each kind that ours has, by the same libraries, and no more.

What it takes is the price of the libraries themselves: Python reads them, Node starts, and the
constructs with their defaults are built and written. Run as `cdk synth` runs an app.
"""

from __future__ import annotations

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
from cdk_nag import AwsSolutionsChecks  # noqa: F401 - ours reads it, too
from constructs import Construct


class BareService(Stack):
    """A service with its network and its ledger, and a function that an alarm calls."""

    def __init__(self, scope: Construct, name: str, repository: ecr.IRepository) -> None:
        super().__init__(scope, name)
        vpc = ec2.Vpc(self, "Network", max_azs=2, nat_gateways=1)
        vpc.add_flow_log("Flow")
        vpc.add_interface_endpoint("Logs", service=ec2.InterfaceVpcEndpointAwsService.ECR)
        vpc.add_gateway_endpoint("Table", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc)
        task = ecs.FargateTaskDefinition(self, "Task")
        container = task.add_container(
            "Service",
            image=ecs.ContainerImage.from_ecr_repository(repository),
            logging=ecs.LogDrivers.aws_logs(stream_prefix="service"),
        )
        container.add_port_mappings(ecs.PortMapping(container_port=8080))
        service = ecs.FargateService(self, "Runs", cluster=cluster, task_definition=task)
        balancer = elbv2.ApplicationLoadBalancer(self, "Balancer", vpc=vpc)
        listener = balancer.add_listener("Listener", port=80)
        listener.add_targets("Target", port=8080, targets=[service])
        key = dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING)
        table = dynamodb.Table(self, "Ledger", partition_key=key)
        table.grant_read_data(task.task_role)
        topic = sns.Topic(self, "People")
        topic.add_subscription(subscriptions.EmailSubscription("people@example.com"))
        function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler="index.handler",
            code=lambda_.Code.from_inline("def handler(event, context): pass"),
            on_failure=destinations.SnsDestination(topic),
            log_group=logs.LogGroup(self, "Log"),
        )
        alarm = cloudwatch.Alarm(
            self,
            "Alarm",
            metric=cloudwatch.Metric(namespace="bare", metric_name="score"),
            threshold=0,
            evaluation_periods=1,
        )
        alarm.add_alarm_action(alarm_actions.SnsAction(topic))
        rule = events.Rule(self, "Rule", schedule=events.Schedule.rate(Duration.minutes(15)))
        rule.add_target(targets.LambdaFunction(function))
        rule.add_target(targets.EcsTask(cluster=cluster, task_definition=task))


class BarePipeline(Stack):
    """A pipeline that deploys the service, and what its actions need."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name, env=Environment(account="111111111111", region="us-east-1"))
        connection = codeconnections.CfnConnection(self, "Connection", connection_name="bare")
        bucket = s3.Bucket(self, "Artifacts")
        pipeline = codepipeline.Pipeline(self, "Pipeline", artifact_bucket=bucket)
        source = pipelines.CodePipelineSource.connection(
            "example/repository", "main", connection_arn=connection.attr_connection_arn
        )
        synth = pipelines.CodeBuildStep("Synth", input=source, commands=["cdk synth"])
        self.pipeline = pipelines.CodePipeline(self, "Flow", synth=synth, code_pipeline=pipeline)
        self.repository = ecr.Repository(self, "Images", repository_name="bare")
        project = codebuild.PipelineProject(self, "Evaluation")
        project.add_to_role_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))
        iam.OpenIdConnectProvider(self, "GitHub", url="https://token.actions.githubusercontent.com")
        self.evaluate = actions.CodeBuildAction(
            action_name="Evaluate",
            project=project,
            input=codepipeline.Artifact("Source"),
        )

    def deploy(self, stage: Stage) -> None:
        """Add the stage, and the pipeline's own stage behind it."""
        self.pipeline.add_stage(stage)
        self.pipeline.build_pipeline()


def main() -> None:
    """Build and synthesise the app."""
    app = App()
    pipeline = BarePipeline(app, "bare-pipeline")
    stage = Stage(app, "dev", env=Environment(account="111111111111", region="us-east-1"))
    name = ecr.Repository.from_repository_name(pipeline, "Known", "bare")
    BareService(stage, "Service", name)
    pipeline.deploy(stage)
    app.synth()


if __name__ == "__main__":
    main()
