"""The network of one stage."""

from __future__ import annotations

from aws_cdk import Acknowledgment, RemovalPolicy, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_app.settings import StageSettings


class Network(Construct):
    """Private subnets for everything that runs, with the cheapest way out that does the work.

    The tasks must reach Bedrock or another model provider, ECR, CloudWatch and ECS. One NAT gateway
    costs about 33 dollars a month; the interface endpoints instead would be five in two zones, some
    73, and would not reach a provider outside AWS. A zone outage can then take the way out along:
    where that is too much risk, `nat_gateways` is a setting. S3 and DynamoDB go through gateway
    endpoints, which are free, so neither image layers nor ledger polls pay for NAT traffic.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: StageSettings) -> None:
        super().__init__(scope, construct_id)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(stage.vpc_cidr),
            availability_zones=list(stage.availability_zones),
            nat_gateways=stage.nat_gateways,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Public", subnet_type=ec2.SubnetType.PUBLIC, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(
                    name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS
                ),
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(
                    service=ec2.GatewayVpcEndpointAwsService.DYNAMODB
                ),
            },
        )
        Validations.of(self.vpc).acknowledge(
            Acknowledgment(
                id="CloudFormation-Validate::W3010",
                reason="Zones are settings, so that synthesis needs no look-up with credentials.",
            )
        )
        log_group = logs.LogGroup(
            self,
            "FlowLogs",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        # Accepted traffic is the load balancer's and the service's own, and much; refused traffic
        # is what an investigation asks for.
        self.vpc.add_flow_log(
            "Refused",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
