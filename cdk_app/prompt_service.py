"""The service that answers with the active prompts: ECS on Fargate behind an internal balancer."""

from __future__ import annotations

import json

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as route53_targets
from constructs import Construct

from cdk_app import arns, nag, permissions
from cdk_app.model_settings import models_json
from cdk_app.network import Network
from cdk_app.settings import Settings
from cdk_app.stage_settings import CallerIdentitySettings, StageSettings
from prompt_hub.core import aws_names

TASK_CPU = 256
"""CPU units of a task of the service."""
CORE_CPU = 1024
"""CPU units of a whole core."""


_SCRATCH = "scratch"


class PromptService(Construct):
    """Cluster, task definition, load balancer and service of one stage.

    CloudFormation owns the service; what it answers with is the ledger's business. Why:
    docs/architecture.md#the-pointer.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        stage: StageSettings,
        release: str,
        network: Network,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._stage = stage
        self._release = release
        self._network = network
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=aws_names.cluster(stage.name),
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
        )
        self.load_balancer = self._build_load_balancer()
        self._build_other_roles()
        self.task_definition = self._build_task_definition()
        self.service = self._build_service()
        self.target_group = self._build_target_group()
        self._scale()

    @property
    def url(self) -> str:
        """Where callers reach the service."""
        if self._stage.domain is not None:
            return f"https://{self._stage.domain.name}"
        return f"http://{self.load_balancer.load_balancer_dns_name}"

    @property
    def own_url(self) -> str:
        """Where containers of the stage reach it: smoke test and drill have no token."""
        own = self._stage.caller_identity is not None
        return f"{self.url}:{aws_names.OWN_PORT}" if own else self.url

    def _build_load_balancer(self) -> elbv2.ApplicationLoadBalancer:
        balancer = elbv2.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=self._network.vpc,
            vpc_subnets=self._network.subnets,
            internet_facing=False,
            drop_invalid_header_fields=True,
            idle_timeout=Duration.seconds(aws_names.BALANCER_IDLE_SECONDS),
            # It holds nothing, and protected it would keep a first deployment that failed from
            # being taken back: the stack would stay stuck until a person unlocks it.
            deletion_protection=False,
        )
        nag.acknowledge(
            balancer,
            {
                "ELB2": "Internal only, and the service logs every call with task, version,"
                " release, cost and latency; access logs would repeat the half of it that names no"
                " prompt."
            },
        )
        return balancer

    def _build_task_definition(self) -> ecs.FargateTaskDefinition:
        stage = self._stage.name
        definition = ecs.FargateTaskDefinition(
            self,
            "TaskDefinition",
            family=aws_names.service(stage),
            cpu=TASK_CPU,
            memory_limit_mib=512,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            task_role=self._build_task_role(),
            execution_role=self._build_execution_role(),
        )
        nag.acknowledge(
            definition, {"ECS2": "The environment holds names and a release id, never a secret."}
        )
        image = self._image_repository()
        container = definition.add_container(
            aws_names.CONTAINER,
            image=ecs.ContainerImage.from_ecr_repository(image, tag=self._release),
            environment=self._environment(),
            readonly_root_filesystem=True,
            linux_parameters=self._linux_parameters(),
            health_check=ecs.HealthCheck(
                command=["CMD", "prompt-hub", "health"],
                interval=Duration.seconds(15),
                timeout=Duration.seconds(5),
                retries=3,
                start_period=Duration.seconds(60),
            ),
            # Longer than the service takes to answer what it has begun.
            stop_timeout=Duration.seconds(aws_names.DRAIN_SECONDS + 10),
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix="service",
                log_group=logs.LogGroup(
                    self,
                    "Logs",
                    log_group_name=aws_names.service_log_group(stage),
                    retention=logs.RetentionDays.THREE_MONTHS,
                    removal_policy=RemovalPolicy.DESTROY,
                ),
            ),
        )
        container.add_port_mappings(ecs.PortMapping(container_port=aws_names.CONTAINER_PORT))
        if self._stage.records is not None:
            # Shards and outputs are files before they are objects. Fargate gives a volume the
            # permissions that the image's VOLUME of the same path has.
            definition.add_volume(name=_SCRATCH)
            container.add_mount_points(
                ecs.MountPoint(source_volume=_SCRATCH, container_path="/tmp", read_only=False)  # noqa: S108
            )
        return definition

    def _image_repository(self) -> ecr.IRepository:
        """Return the one repository, also from elsewhere: an image is pulled where it was pushed.

        A copy in the stage's region would come some time after the push, and be deployed before.
        """
        if not self._settings.is_elsewhere(self._stage):
            return ecr.Repository.from_repository_name(self, "Images", aws_names.image_repository())
        return ecr.Repository.from_repository_attributes(
            self,
            "Images",
            repository_name=aws_names.image_repository(),
            repository_arn=arns.image_repository_in(
                self, str(self._settings.account), self._settings.region
            ),
        )

    def _environment(self) -> dict[str, str]:
        stage = self._stage
        bucket = self._settings.results_bucket(Stack.of(self).account)
        away = self._settings.region_of(stage) != self._settings.region
        return {
            aws_names.ENV_INSTALLATION: aws_names.installation(),
            aws_names.ENV_STAGE: stage.name,
            aws_names.ENV_LEDGER_TABLE: arns.ledger_table(self, stage.name),
            **self._settings.ledger_environment,
            aws_names.ENV_RESULTS_BUCKET: bucket,
            aws_names.ENV_RELEASE: self._release,
            aws_names.ENV_MODELS: models_json(self._settings.models_of(stage)),
            aws_names.ENV_POLL_SECONDS: str(stage.poll_seconds),
            # A task sees more cores than it is given.
            aws_names.ENV_WORKERS: str(max(1, TASK_CPU // CORE_CPU)),
            aws_names.ENV_LOG: f"{stage.log_level},json",
            aws_names.ENV_SERVICE_URL: self.own_url,
            **self._callers(),
            **({aws_names.ENV_RESULTS_REGION: self._settings.region} if away else {}),
        }

    def _callers(self) -> dict[str, str]:
        """Return what the service has to know of its callers (`prompt_hub/service/callers.py`)."""
        identity = self._stage.caller_identity
        if identity is None:
            return {}
        settings = {
            "claim": identity.caller_claim,
            "requests_per_minute": identity.requests_per_minute,
            "quotas": identity.quotas,
            "tasks": self._stage.desired_count,
            "own_port": aws_names.OWN_PORT,
        }
        return {aws_names.ENV_CALLERS: json.dumps(settings)}

    def _linux_parameters(self) -> ecs.LinuxParameters:
        parameters = ecs.LinuxParameters(self, "LinuxParameters", init_process_enabled=True)
        parameters.drop_capabilities(ecs.Capability.ALL)
        return parameters

    def _build_task_role(self) -> iam.Role:
        stage = self._stage.name
        role = _role(self, "TaskRole", arns.task_role_name(stage), "The code of the service")
        granted = (
            *permissions.read_ledger(self, stage),
            *permissions.call_models(self, self._settings.models_of(self._stage).values()),
            *permissions.publish_metrics(aws_names.service_namespace()),
        )
        nag.grant(role, granted)
        return role

    def _build_other_roles(self) -> None:
        """Build those of the same image's other commands, which read nothing that callers send."""
        stage = self._stage.name
        bucket = self._settings.results_bucket(Stack.of(self).account)
        watch = _role(
            self, "WatchRole", aws_names.watch_role(stage), "The score watch, and the drill"
        )
        measuring = (
            *permissions.read_ledger(self, stage),
            *permissions.add_samples(self, stage),
            *permissions.call_models(self, self._settings.models_of(self._stage).values()),
            *permissions.publish_metrics(aws_names.metric_namespace()),
            *permissions.ask_for_rollback(self, stage),
            *permissions.write_results(self, *permissions.watch_results(stage), bucket=bucket),
            *permissions.read_example_sets(self, bucket=bucket),
        )
        nag.grant(watch, measuring)
        smoke = _role(self, "SmokeRole", aws_names.smoke_role(stage), "The smoke test")
        testing = (
            *permissions.read_ledger(self, stage),
            *permissions.write_results(self, *permissions.smoke_results(stage), bucket=bucket),
            *permissions.read_example_sets(self, bucket=bucket),
        )
        nag.grant(smoke, testing)

    def _build_execution_role(self) -> iam.Role:
        name = arns.execution_role_name(self._stage.name)
        role = _role(self, "ExecutionRole", name, "Starts the tasks of the service")
        nag.acknowledge(
            role,
            {
                "IAM5[Resource::*]": "CDK's own: a login to ECR belongs to the registry and knows"
                " no resources."
            },
        )
        return role

    def _build_service(self) -> ecs.FargateService:
        service = ecs.FargateService(
            self,
            "Service",
            service_name=aws_names.service(self._stage.name),
            cluster=self.cluster,
            task_definition=self.task_definition,
            # Named in the template, it would undo what the scaling did, with every release.
            desired_count=None if self._stage.scaling else self._stage.desired_count,
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            health_check_grace_period=Duration.seconds(90),
            vpc_subnets=self._network.subnets,
            assign_public_ip=False,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.TASK_DEFINITION,
        )
        # Its tasks pull their image at once. CloudFormation knows of no way that they need, and
        # tasks that fail before the gateway or an endpoint is there use up the circuit breaker.
        service.node.add_dependency(self._network)
        return service

    def _build_target_group(self) -> elbv2.ApplicationTargetGroup:
        listener = self._build_listener()
        # Ranges are settings, so they are literal.
        callers = {
            **{cidr: ec2.Peer.ipv4(cidr) for cidr in self._stage.networks},
            **{
                group: ec2.Peer.security_group_id(group)
                for group in self._stage.caller_security_groups
            },
        }
        for name, caller in callers.items():
            self.load_balancer.connections.allow_from(
                caller, ec2.Port.tcp(listener.port), f"Callers in {name}"
            )
        group = listener.add_targets(
            "Service",
            port=aws_names.CONTAINER_PORT,
            protocol=elbv2.ApplicationProtocol.HTTP,
            targets=[
                self.service.load_balancer_target(
                    container_name=aws_names.CONTAINER, container_port=aws_names.CONTAINER_PORT
                )
            ],
            health_check=elbv2.HealthCheck(
                path="/readyz",
                interval=Duration.seconds(10),
                timeout=Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
            deregistration_delay=Duration.seconds(aws_names.DRAIN_SECONDS),
        )
        if self._stage.caller_identity is not None:
            self._ask_for_tokens(listener, group, self._stage.caller_identity)
        return group

    def _ask_for_tokens(
        self,
        listener: elbv2.ApplicationListener,
        group: elbv2.ApplicationTargetGroup,
        identity: CallerIdentitySettings,
    ) -> None:
        """Let callers in by token alone, and containers of the stage by a port of their own."""
        own = self._https_listener("Own", aws_names.OWN_PORT)
        own.add_target_groups("Service", target_groups=[group])
        own.connections.allow_from(
            self.service, ec2.Port.tcp(aws_names.OWN_PORT), "Containers of the stage"
        )
        # CDK's own action opens no way to the issuer's keys, and knows no claims.
        self.load_balancer.connections.allow_to_any_ipv4(ec2.Port.tcp(443), "Keys of the issuer")
        verified = elbv2.CfnListener.ActionProperty(
            type="jwt-validation",
            order=1,
            jwt_validation_config=elbv2.CfnListener.JwtValidationConfigProperty(
                issuer=identity.issuer,
                jwks_endpoint=identity.jwks_endpoint,
                additional_claims=[
                    elbv2.CfnListener.JwtValidationActionAdditionalClaimProperty(
                        format=claim.format, name=claim.name, values=list(claim.values)
                    )
                    for claim in identity.claims
                ],
            ),
        )
        forwarded = elbv2.CfnListener.ActionProperty(
            type="forward", order=2, target_group_arn=group.target_group_arn
        )
        resource = listener.node.default_child
        assert isinstance(resource, elbv2.CfnListener)
        resource.default_actions = [verified, forwarded]

    def _build_listener(self) -> elbv2.ApplicationListener:
        domain = self._stage.domain
        if domain is None:
            return self.load_balancer.add_listener(
                "Http", port=80, protocol=elbv2.ApplicationProtocol.HTTP, open=False
            )
        if domain.zone_id is not None:
            route53.ARecord(
                self,
                "Name",
                zone=route53.HostedZone.from_hosted_zone_attributes(
                    self, "Zone", hosted_zone_id=domain.zone_id, zone_name=domain.name
                ),
                target=route53.RecordTarget.from_alias(
                    route53_targets.LoadBalancerTarget(self.load_balancer)
                ),
            )
        # Nothing listens on port 80: a redirect would come after the call has been sent in plain,
        # and most clients then ask again without its body.
        return self._https_listener("Https", 443)

    def _https_listener(self, name: str, port: int) -> elbv2.ApplicationListener:
        domain = self._stage.domain
        assert domain is not None
        return self.load_balancer.add_listener(
            name,
            port=port,
            protocol=elbv2.ApplicationProtocol.HTTPS,
            certificates=[elbv2.ListenerCertificate.from_arn(domain.certificate_arn)],
            open=False,
        )

    def _scale(self) -> None:
        scaling = self._stage.scaling
        if scaling is None:
            return
        count = self.service.auto_scale_task_count(
            min_capacity=self._stage.desired_count, max_capacity=scaling.max_count
        )
        count.scale_on_request_count(
            "Calls",
            requests_per_target=scaling.requests_per_minute,
            target_group=self.target_group,
        )


def _role(scope: Construct, construct_id: str, name: str, description: str) -> iam.Role:
    """Build a role with a fixed name: build actions pass it to ECS from another stack."""
    return iam.Role(
        scope,
        construct_id,
        role_name=name,
        description=description,
        assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
    )
