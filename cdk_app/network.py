"""The network of one stage."""

from __future__ import annotations

from aws_cdk import Acknowledgment, RemovalPolicy, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_app.stage_settings import StageSettings


class Network(Construct):
    """Private subnets for everything that runs, with the cheapest way out that does the work.

    The tasks must reach Bedrock or another provider, ECR, CloudWatch and Lambda. One NAT gateway
    costs about 33 dollars a month; the interface endpoints instead are six in two zones, some 88,
    and do not reach a provider outside AWS. A zone outage can then take the way out along: where
    that is too much risk, `nat_gateways` is a setting, and 0 asks for the endpoints. S3 and
    DynamoDB go through gateway endpoints, which are free, so neither image layers nor ledger polls
    pay for NAT traffic.

    A network that is there already is taken as it is, its ways out included.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: StageSettings) -> None:
        super().__init__(scope, construct_id)
        self.vpc: ec2.IVpc
        self.subnets: ec2.SubnetSelection
        """Where containers and the load balancer are."""
        if stage.vpc_id is not None:
            # No look-up, which needs credentials: what is said of it is taken as said.
            self.vpc = ec2.Vpc.from_vpc_attributes(
                self,
                "Vpc",
                vpc_id=stage.vpc_id,
                availability_zones=list(stage.availability_zones),
            )
            Validations.of(self).acknowledge(
                Acknowledgment(
                    id="Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
                    reason="Nothing is routed from here: the network is taken as it is.",
                )
            )
            self.subnets = ec2.SubnetSelection(
                subnets=[
                    ec2.Subnet.from_subnet_attributes(
                        self, f"Subnet{number}", subnet_id=subnet, availability_zone=zone
                    )
                    for number, (subnet, zone) in enumerate(
                        zip(stage.subnet_ids, stage.availability_zones, strict=True), start=1
                    )
                ]
            )
            return
        kind = (
            ec2.SubnetType.PRIVATE_WITH_EGRESS
            if stage.nat_gateways
            else ec2.SubnetType.PRIVATE_ISOLATED
        )
        self.subnets = ec2.SubnetSelection(subnet_type=kind)
        self.vpc = vpc = self._build_vpc(stage, kind)
        if not stage.nat_gateways:
            self._add_endpoints(vpc, stage)

    def _build_vpc(self, stage: StageSettings, kind: ec2.SubnetType) -> ec2.Vpc:
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(stage.vpc_cidr),
            availability_zones=list(stage.availability_zones),
            nat_gateways=stage.nat_gateways,
            subnet_configuration=[
                # Only a NAT gateway needs them. Their addresses are kept free without one, so that
                # the private subnets are the same ones and a stage can change its mind.
                ec2.SubnetConfiguration(
                    name="Public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    map_public_ip_on_launch=False,
                    reserved=not stage.nat_gateways,
                ),
                ec2.SubnetConfiguration(name="Private", subnet_type=kind),
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(
                    service=ec2.GatewayVpcEndpointAwsService.DYNAMODB
                ),
            },
        )
        Validations.of(vpc).acknowledge(
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
        vpc.add_flow_log(
            "Refused",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log_group),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        return vpc

    def _add_endpoints(self, vpc: ec2.Vpc, stage: StageSettings) -> None:
        """Add a way to each service that a container calls, and to nothing else."""
        aws = ec2.InterfaceVpcEndpointAwsService
        services = {
            "Ecr": aws.ECR,
            "EcrLayers": aws.ECR_DOCKER,
            "Logs": aws.CLOUDWATCH_LOGS,
            "Metrics": aws.CLOUDWATCH_MONITORING,
            "Rollback": aws.LAMBDA_,
            "Models": aws.BEDROCK_RUNTIME,
        }
        if stage.records is not None:
            services |= {"Events": aws.EVENTBRIDGE, "Messages": aws.SNS}
        callers = ec2.SecurityGroup(
            self, "Endpoints", vpc=vpc, description="Callers of AWS in the network of the stage"
        )
        callers.add_ingress_rule(ec2.Peer.ipv4(stage.vpc_cidr), ec2.Port.tcp(443))
        for name, service in services.items():
            vpc.add_interface_endpoint(
                name,
                service=service,
                subnets=self.subnets,
                security_groups=[callers],
                open=False,
            )
