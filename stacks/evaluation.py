"""Where candidates are measured, and where the results lie."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk_app import arns, nag, permissions, toolchain
from cdk_app.private_bucket import PrivateBucket
from cdk_app.settings import Settings
from cdk_app.stack import ToolchainStack
from cdk_app.tasks import Task
from prompt_hub.core import aws_names
from stacks.access import StageAccess


class EvaluationStack(ToolchainStack):
    """The results bucket, and one CodeBuild project that all tasks share.

    Which task a build measures stands in its environment. Records go to the bucket under the
    execution's id, because a later action takes five input artifacts at most.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        tasks: Sequence[Task],
        connection_arn: str,
        access: StageAccess,
    ) -> None:
        super().__init__(scope, construct_id, settings=settings, purpose="evaluation of candidates")
        self._build_results_bucket(settings)
        asking = access.of(
            self, "evaluate", {stage.name: [permissions.read_ledger] for stage in settings.stages}
        )
        self.project = self._build_project(settings, tasks, asking.commands)
        asking.name_role(self.project)
        granted = (
            # Its own record again, to make the page of it.
            *permissions.read_results(
                self,
                "verdicts/*",
                aws_names.evaluation_key("*", "*"),
                aws_names.evaluation_details_key("*", "*"),
            ),
            *permissions.write_results(self, "evaluations/*", "verdicts/*"),
            *permissions.read_example_sets(self),
            *asking.granted,
            *permissions.call_models(self, settings.models.values()),
            *permissions.read_source(connection_arn),
        )
        nag.grant(self.project, granted)

    def _build_results_bucket(self, settings: Settings) -> None:
        bucket = PrivateBucket(
            self,
            "Results",
            name=aws_names.results_bucket(self.account, self.region),
            versioned=True,
            rules=[
                s3.LifecycleRule(noncurrent_version_expiration=Duration.days(30)),
                # Details of gate runs are also in git; those of the score watch are only here.
                s3.LifecycleRule(prefix="samples/", expiration=Duration.days(90)),
                # Tests and checks run again some time even if no code changes: the image does.
                *(
                    s3.LifecycleRule(prefix=prefix, expiration=Duration.days(30))
                    for prefix in (aws_names.CODE_TESTS, aws_names.GREEN_TEMPLATES)
                ),
            ],
        )
        for stage in settings.stages:
            if settings.has_own_account(stage):
                account = str(settings.account_of(stage))
                written = {
                    aws_names.watch_role(stage.name): permissions.watch_results(stage.name),
                    aws_names.smoke_role(stage.name): permissions.smoke_results(stage.name),
                }
                for role, keys in written.items():
                    bucket.let_in(arns.role_in(self, account, role), ["s3:PutObject"], keys)
                reading = [*written, *([aws_names.records_role(stage.name)] * bool(stage.records))]
                for role in reading:
                    principal = arns.role_in(self, account, role)
                    bucket.let_in(principal, ["s3:GetObject"], [permissions.EXAMPLE_SETS])

    def _build_project(
        self, settings: Settings, tasks: Sequence[Task], first: Sequence[str]
    ) -> codebuild.PipelineProject:
        environment = {
            **toolchain.build_environment(),
            aws_names.ENV_RESULTS_BUCKET: aws_names.results_bucket(self.account, self.region),
            aws_names.ENV_MODELS: settings.models_json,
            # A candidate is held against what is active, which git may not know yet.
            aws_names.ENV_STAGES: ",".join(stage.name for stage in settings.stages),
            **settings.promotion_environment,
            **settings.ledger_environment,
        }
        # What waits in the bot's branch is fetched; the role may not push.
        credentials = (
            {"env": {"git-credential-helper": "yes"}} if settings.promotion_environment else {}
        )
        return codebuild.PipelineProject(
            self,
            "Evaluate",
            project_name=aws_names.evaluation_project(),
            description="Measures the candidate of one task against its examples",
            environment=codebuild.BuildEnvironment(
                build_image=toolchain.BUILD_IMAGE,
                compute_type=codebuild.ComputeType.SMALL,
                environment_variables={
                    name: codebuild.BuildEnvironmentVariable(value=value)
                    for name, value in environment.items()
                },
            ),
            build_spec=codebuild.BuildSpec.from_object(
                {
                    "version": "0.2",
                    **credentials,
                    "phases": {
                        "install": {
                            "runtime-versions": {"python": toolchain.RUNTIMES["python"]},
                            "commands": list(toolchain.INSTALL),
                        },
                        "build": {
                            "commands": [
                                *first,
                                "python pipeline_image/eval_runner.py"
                                f' "${aws_names.ENV_TASK}" --record',
                            ]
                        },
                    },
                }
            ),
            # The evaluation keeps its own budget; this only ends a build that hangs.
            timeout=Duration.minutes(max(task.build_minutes for task in tasks)),
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(
                    log_group=logs.LogGroup(
                        self,
                        "Logs",
                        log_group_name=aws_names.log_group("evaluation"),
                        retention=logs.RetentionDays.THREE_MONTHS,
                        removal_policy=RemovalPolicy.DESTROY,
                    )
                )
            ),
        )
