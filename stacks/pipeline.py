"""The pipeline that takes an author's commit to every stage, and updates itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app import arns, nag, permissions, toolchain, trigger
from cdk_app.build_action import EXECUTION_ID, ApprovalStep, CommandStep, SharedProjectStep
from cdk_app.failure_notice import FailureNotice
from cdk_app.settings import Settings
from cdk_app.stack import ToolchainStack
from cdk_app.stage_settings import SoakSettings
from cdk_app.tasks import Task
from prompt_hub.core import aws_names
from stacks.release_stage import ReleaseStage
from stacks.source import artifact_bucket_name

_CLI = "python -m prompt_hub.cli"
_NOTES = ".prompt-hub/notes"
"""Where Image writes what an approval shows."""
_LINK = "RELEASED"
"""Variable of the Image action: where the released commit is read."""
_SET_UP_MINUTES = 15
"""What a build that waits has for everything but waiting."""
_APP = "python -m prompt_hub.release.checked_templates python app.py"
# A build has two cores at least, which two workers leave idle while tests wait.
_TESTS = "python -m pytest --quiet -n 4 --dist worksteal -m 'not shipped' tests/unit tests/lambdas"


class PipelineStack(ToolchainStack):
    """Source, Synth, self-mutation, assets, Evaluate, Promote, Image, every stage, Verdict.

    `releases` are the stages in the order in which a release passes them. Their templates may
    change with every release; the pipeline's own may not, or it would restart for ever.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        tasks: Sequence[Task],
        releases: Sequence[ReleaseStage],
        evaluation: codebuild.IProject,
        connection_arn: str,
        root: Path,
    ) -> None:
        super().__init__(scope, construct_id, settings=settings, purpose="the pipeline")
        self._settings = settings
        self._connection_arn = connection_arn
        self._results = {
            aws_names.ENV_RESULTS_BUCKET: aws_names.results_bucket(self.account, self.region),
        }
        self._steps: list[CommandStep] = []
        source = pipelines.CodePipelineSource.connection(
            settings.repository,
            settings.branch,
            connection_arn=connection_arn,
            action_name="Source",
            code_build_clone_output=True,
            trigger_on_push=False,
        )
        pipeline = self._build_pipeline(source, root)
        evaluations = self._evaluations(source, tasks, evaluation)
        pipeline.add_wave("Evaluate", post=[*evaluations, self._tests(source)])
        stages = [release.settings.name for release in releases]
        promote = self._promote(source, stages)
        pipeline.add_wave("Promote", post=[promote])
        asking = [release.settings.name for release in releases if release.settings.approval]
        image = self._image(promote, stages, asking)
        pipeline.add_wave("Image", post=[image, self._tell(promote)])
        for number, release in enumerate(releases):
            self._add_release(pipeline, release, promote, image, earlier=stages[:number])
        pipeline.add_wave("Verdict", post=[self._verdict(promote)])
        pipeline.build_pipeline()
        trigger.start_on_push(pipeline.pipeline, branch=settings.branch)
        trigger.start_on_rollback(self, pipeline.pipeline)
        self._let_source_use_connection(pipeline.pipeline)
        FailureNotice(
            self, "Failures", pipeline=pipeline.pipeline, emails=settings.notification_emails
        )
        self._acknowledge(pipeline)

    def _build_pipeline(
        self, source: pipelines.IFileSetProducer, root: Path
    ) -> pipelines.CodePipeline:
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/{aws_names.PROJECT}/pipeline",
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        return pipelines.CodePipeline(
            self,
            "Pipeline",
            pipeline_name=aws_names.PIPELINE,
            pipeline_type=codepipeline.PipelineType.V2,
            artifact_bucket=s3.Bucket.from_bucket_name(
                self, "Artifacts", artifact_bucket_name(self)
            ),
            cli_version=toolchain.cdk_version(root),
            cdk_assets_cli_version=toolchain.CDK_ASSETS_VERSION,
            # One action for all assets: publishing in parallel makes a project for each.
            publish_assets_in_parallel=False,
            synth=self._synth(source),
            code_build_defaults=pipelines.CodeBuildOptions(
                build_environment=codebuild.BuildEnvironment(build_image=toolchain.BUILD_IMAGE),
                partial_build_spec=codebuild.BuildSpec.from_object(
                    {"phases": {"install": {"runtime-versions": toolchain.RUNTIMES}}}
                ),
                logging=codebuild.LoggingOptions(
                    cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log_group)
                ),
            ),
        )

    def _step(self, step: CommandStep) -> CommandStep:
        self._steps.append(step)
        return step

    # --- Actions of an execution -----------------------------------------------------------------

    def _synth(self, source: pipelines.IFileSetProducer) -> CommandStep:
        """Validate the prompts, and synthesise; what was green before is not checked again."""
        return self._step(
            CommandStep(
                "Synth",
                source=source,
                install=toolchain.INSTALL_EVERYTHING,
                commands=[
                    "python pipeline_image/validate_prompt.py",
                    f"node_modules/.bin/cdk synth --quiet --app '{_APP}'",
                ],
                environment={**self._results, aws_names.ENV_RELEASE: EXECUTION_ID},
                granted=(
                    *permissions.read_source(self._connection_arn),
                    *permissions.read_results(self, aws_names.green_templates_key("*")),
                    *permissions.write_results(self, aws_names.green_templates_key("*")),
                ),
                output="cdk.out",
            )
        )

    def _tests(self, source: pipelines.IFileSetProducer) -> CommandStep:
        """Test the code beside the evaluations, unless this very code was green before."""
        return self._step(
            CommandStep(
                "Tests",
                source=source,
                install=toolchain.INSTALL_EVERYTHING,
                commands=[f"python -m prompt_hub.release.code_tests {_TESTS}"],
                environment={**self._results, aws_names.ENV_EXECUTION: EXECUTION_ID},
                granted=(
                    *permissions.read_source(self._connection_arn),
                    *permissions.read_results(self, aws_names.code_tests_key("*")),
                    *permissions.write_results(self, aws_names.code_tests_key("*")),
                ),
            )
        )

    def _evaluations(
        self,
        source: pipelines.IFileSetProducer,
        tasks: Sequence[Task],
        project: codebuild.IProject,
    ) -> list[pipelines.Step]:
        return [
            SharedProjectStep(
                task.name,
                source=source,
                project=project,
                environment={aws_names.ENV_TASK: task.name, aws_names.ENV_EXECUTION: EXECUTION_ID},
            )
            for task in tasks
        ]

    def _promote(self, source: pipelines.IFileSetProducer, stages: Sequence[str]) -> CommandStep:
        """Build the only action that writes to git; the tree it leaves is what gets released.

        It reads every ledger, and changes none: git takes over what a stage rolled back.
        """
        return self._step(
            CommandStep(
                "Promote",
                source=source,
                commands=[
                    "python pipeline_image/promote_prompt.py execution --push",
                    # What is released is the tree; its history stays in the repository.
                    "rm -rf .git",
                ],
                environment={
                    **self._results,
                    aws_names.ENV_BRANCH: self._settings.branch,
                    **self._settings.promotion_environment,
                    aws_names.ENV_EXECUTION: EXECUTION_ID,
                    aws_names.ENV_STAGES: ",".join(stages),
                },
                granted=(
                    *permissions.use_connection(self._connection_arn),
                    *permissions.read_ledgers(self, stages),
                    *permissions.read_results(self, "evaluations/*"),
                    *permissions.write_results(self, aws_names.promotion_key("*")),
                ),
                output=".",
                build_spec={"env": {"git-credential-helper": "yes"}},
            )
        )

    def _image(
        self, tree: pipelines.IFileSetProducer, stages: Sequence[str], asking: Sequence[str]
    ) -> CommandStep:
        """Build the image action, which reads every ledger: an image carries what any has live.

        It knows therefore what the release would change where a person is asked to let it in.
        """
        repository = ecr.Repository.from_repository_name(self, "Images", aws_names.IMAGE_REPOSITORY)
        link = f"https://github.com/{self._settings.repository}/commit/"
        notes = [f'export {_changes_in(stage)}="$(cat {_NOTES}/{stage})"' for stage in asking]
        if asking:
            notes.append(f'export {_LINK}="{link}$(cat {_NOTES}/commit)"')
        return self._step(
            CommandStep(
                "Image",
                source=tree,
                commands=[f"{_CLI} image{f' --notes {_NOTES}' if asking else ''}", *notes],
                environment={
                    **self._results,
                    aws_names.ENV_RELEASE: EXECUTION_ID,
                    aws_names.ENV_REPOSITORY_URI: repository.repository_uri,
                    aws_names.ENV_STAGES: ",".join(stages),
                },
                granted=(
                    *permissions.push_image(self),
                    *permissions.read_ledgers(self, stages),
                    *permissions.read_results(
                        self,
                        aws_names.promotion_key("*"),
                        aws_names.manifest_key("*"),
                        aws_names.image_key("*"),
                    ),
                    *permissions.write_results(
                        self, aws_names.manifest_key("*"), aws_names.image_key("*")
                    ),
                ),
                privileged=True,
            )
        )

    def _tell(self, tree: pipelines.IFileSetProducer) -> CommandStep:
        """Build the action that tells people at once of what was blocked, beside the image."""
        return self._step(
            CommandStep(
                "Tell",
                source=tree,
                commands=[f"{_CLI} verdict --tell"],
                environment={
                    **self._results,
                    aws_names.ENV_EXECUTION: EXECUTION_ID,
                    aws_names.ENV_TOPIC_ARN: arns.pipeline_topic(self),
                },
                granted=(
                    *permissions.read_results(self, aws_names.promotion_key("*")),
                    *permissions.tell_of_the_pipeline(self),
                ),
            )
        )

    def _add_release(
        self,
        pipeline: pipelines.CodePipeline,
        release: ReleaseStage,
        tree: pipelines.IFileSetProducer,
        image: CommandStep,
        *,
        earlier: Sequence[str],
    ) -> None:
        stage = release.settings
        drills = [self._drill(stage.name, tree)] if stage.drill else []
        pipeline.add_stage(
            release,
            pre=[self._approval(stage.name, image)] if stage.approval else [],
            post=pipelines.Step.sequence(
                [
                    self._activate(stage.name, tree, earlier),
                    self._smoke_test(stage.name, tree),
                    *drills,
                    self._record(stage.name, tree),
                    *([self._soak(stage.name, stage.soak, tree)] if stage.soak else []),
                ]
            ),
        )

    def _approval(self, stage: str, image: CommandStep) -> ApprovalStep:
        """Build the action that waits for a person, tells people so, and shows what it is about.

        The topic is the pipeline's: that of the stage comes with the stage's first release.
        """
        changes = image.exported_variable(_changes_in(stage))
        topic = sns.Topic.from_topic_arn(self, f"Approvers-{stage}", arns.pipeline_topic(self))
        return ApprovalStep(
            "Approve",
            comment=f"Let release {EXECUTION_ID} into {stage}? {changes}",
            link=image.exported_variable(_LINK),
            topic=topic,
        )

    def _activate(
        self, stage: str, tree: pipelines.IFileSetProducer, earlier: Sequence[str]
    ) -> CommandStep:
        """Build the activation; it reads the ledgers of the stages that the release has passed."""
        return self._step(
            CommandStep(
                "Activate",
                source=tree,
                commands=[f"{_CLI} activate"],
                environment={
                    **self._stage_environment(stage),
                    **({aws_names.ENV_EARLIER_STAGES: ",".join(earlier)} if earlier else {}),
                },
                granted=(
                    *permissions.read_ledgers(self, earlier),
                    *permissions.change_ledger(self, stage),
                    *permissions.run_service_task(self, stage),
                    *permissions.read_running_image(),
                    *permissions.read_results(self, aws_names.manifest_key("*")),
                ),
            )
        )

    def _smoke_test(self, stage: str, tree: pipelines.IFileSetProducer) -> CommandStep:
        return self._step(
            CommandStep(
                "SmokeTest",
                source=tree,
                commands=[f"{_CLI} smoke-test"],
                environment=self._stage_environment(stage),
                granted=(
                    *permissions.run_service_task(self, stage),
                    *permissions.wait_for_tasks(self, stage),
                    *permissions.read_results(self, aws_names.smoke_key("*", stage)),
                ),
            )
        )

    def _drill(self, stage: str, tree: pipelines.IFileSetProducer) -> CommandStep:
        return self._step(
            CommandStep(
                "Drill",
                source=tree,
                commands=[f"{_CLI} drill"],
                environment=self._stage_environment(stage),
                granted=(
                    *permissions.change_ledger(self, stage),
                    *permissions.run_service_task(self, stage),
                    *permissions.wait_for_tasks(self, stage),
                    *permissions.read_results(self, aws_names.drill_key("*", stage)),
                ),
            )
        )

    def _record(self, stage: str, tree: pipelines.IFileSetProducer) -> CommandStep:
        return self._step(
            CommandStep(
                "Record",
                source=tree,
                commands=[f"{_CLI} record"],
                environment=self._stage_environment(stage),
                granted=(
                    *permissions.read_ledger(self, stage),
                    *permissions.read_results(
                        self, aws_names.manifest_key("*"), aws_names.smoke_key("*", stage)
                    ),
                    *permissions.write_results(self, aws_names.release_key("*", stage)),
                ),
            )
        )

    def _soak(
        self, stage: str, soak: SoakSettings, tree: pipelines.IFileSetProducer
    ) -> CommandStep:
        """Build the last action of a stage that asks for it: meanwhile no newer release comes."""
        return self._step(
            CommandStep(
                "Soak",
                source=tree,
                commands=[
                    f"{_CLI} soak --rounds {soak.rounds} --minutes {soak.minutes}"
                    f" --limit-minutes {soak.limit_minutes}"
                ],
                environment=self._stage_environment(stage),
                granted=(
                    *permissions.read_ledger(self, stage),
                    *permissions.read_results(self, aws_names.manifest_key("*")),
                ),
                # The command itself gives up first, and says why.
                timeout=Duration.minutes(soak.limit_minutes + _SET_UP_MINUTES),
            )
        )

    def _verdict(self, tree: pipelines.IFileSetProducer) -> CommandStep:
        """Build the last action: a task blocked by this execution never ends it green."""
        return self._step(
            CommandStep(
                "Verdict",
                source=tree,
                commands=[f"{_CLI} verdict"],
                environment={**self._results, aws_names.ENV_EXECUTION: EXECUTION_ID},
                granted=permissions.read_results(self, aws_names.promotion_key("*")),
            )
        )

    def _stage_environment(self, stage: str) -> dict[str, str]:
        return {
            **self._results,
            aws_names.ENV_STAGE: stage,
            aws_names.ENV_LEDGER_TABLE: aws_names.ledger_table(stage),
            aws_names.ENV_RELEASE: EXECUTION_ID,
            aws_names.ENV_MODELS: self._settings.models_json,
        }

    def _let_source_use_connection(self, pipeline: codepipeline.Pipeline) -> None:
        """CDK grants the source action the connection under its service's old prefix only."""
        action = pipeline.node.find_child("Source").node.find_child("Source")
        role = action.node.find_child("CodePipelineActionRole")
        if not isinstance(role, iam.Role):
            raise TypeError(f"{role.node.path} is not the role of the source action")
        nag.grant(role, permissions.use_connection(self._connection_arn))

    def _acknowledge(self, pipeline: pipelines.CodePipeline) -> None:
        nag.acknowledge_pipeline(pipeline)
        for step in self._steps:
            nag.acknowledge_permissions(step.project, step.granted)


def _changes_in(stage: str) -> str:
    """Name the variable of the Image action that says what a release would change in `stage`."""
    return f"CHANGES_{stage.replace('-', '_').upper()}"
