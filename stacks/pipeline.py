"""The pipeline that takes an author's commit to every stage, and updates itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aws_cdk import RemovalPolicy, Token, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk_app import arns, nag, permissions, toolchain, trigger
from cdk_app.build_action import EXECUTION_ID, Access, ApprovalStep, CommandStep, SharedProjectStep
from cdk_app.dashboards import ToolchainDashboard
from cdk_app.failure_notice import FailureNotice
from cdk_app.settings import Settings
from cdk_app.stack import ToolchainStack
from cdk_app.tasks import Task
from prompt_hub.core import aws_names
from stacks.access import StageAccess
from stacks.release_stage import ReleaseStage
from stacks.source import SourceStack, artifact_bucket_name
from stacks.stage_actions import stage_actions

_NOTES = ".prompt-hub/notes"
"""Where Image writes what an approval shows."""
_LINK = "RELEASED"
"""Variable of the Image action: where the released commit is read."""
_BLOCKED = "BLOCKED"
"""Variable of the Promote action: what this execution refused, in one line."""
_APP = "python -m prompt_hub.release.checked_templates python app.py"
OF_PEOPLES_TOOLS = (
    *("authoring", "benchmarks", "console", "doctor", "loader", "provenance"),
    *("test_completion.py", "test_dashboard_picture.py"),
    "evaluation/test_replay.py",
    "release/test_moves_by_hand.py",
    *(f"reporting/test_{name}.py" for name in ("catalogue", "diff", "links", "pull_request")),
    *("reporting/test_report_command.py", "reporting/test_run_page.py"),
)
"""What of `tests/unit` is about code that no action, image or Lambda runs: decision 1013.

tests/infrastructure/test_tested_by_a_pipeline.py derives the packages from what they do run.
"""
OF_HOW_CODE_IS_WRITTEN = (
    "test_file_sizes.py",
    "test_imports.py",
    "test_plurals.py",
    "test_tiers.py",
)
"""What of it reads our sources and runs none: whether a file is too long changes no release."""
# A build has two cores at least, which two workers leave idle while tests wait. Two plugins that
# came along do nothing for these tests, and take a second of each run (docs/testing.md).
_TESTS = " ".join(
    (
        "python -m pytest --quiet -n 3 --dist worksteal -p no:anyio -p no:hypothesispytest",
        "-m 'not shipped' tests/unit tests/lambdas",
        *(f"--ignore=tests/unit/{name}" for name in OF_PEOPLES_TOOLS + OF_HOW_CODE_IS_WRITTEN),
    )
)


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
        access: StageAccess,
        source: SourceStack,
        root: Path,
    ) -> None:
        super().__init__(scope, construct_id, settings=settings, purpose="the pipeline")
        self._settings = settings
        self._connection_arn = source.connection_arn
        self._access = access
        self._results = {
            aws_names.ENV_RESULTS_BUCKET: aws_names.results_bucket(self.account, self.region),
        }
        self._steps: list[CommandStep] = []
        repository = pipelines.CodePipelineSource.connection(
            settings.repository,
            settings.branch,
            connection_arn=source.connection_arn,
            action_name="Source",
            code_build_clone_output=True,
            trigger_on_push=False,
        )
        pipeline = self._build_pipeline(repository, source, root)
        evaluations = self._evaluations(repository, tasks, evaluation)
        pipeline.add_wave("Evaluate", post=[*evaluations, self._tests(repository)])
        stages = [release.settings.name for release in releases]
        promote = self._promote(repository, stages)
        pipeline.add_wave("Promote", post=[promote])
        asking = [release.settings.name for release in releases if release.settings.approval]
        image = self._image(promote, stages, asking)
        pipeline.add_wave("Image", post=[image])
        for number, release in enumerate(releases):
            self._add_release(pipeline, release, promote, image, earlier=stages[:number])
        pipeline.add_wave("Verdict", post=[self._verdict(promote)])
        pipeline.build_pipeline()
        _name_projects(pipeline)
        trigger.start_on_push(pipeline.pipeline, branch=settings.branch)
        trigger.start_on_rollback(self, pipeline.pipeline)
        self._cross_accounts(pipeline)
        self._let_source_use_connection(pipeline.pipeline)
        FailureNotice(
            self, "Failures", pipeline=pipeline.pipeline, emails=settings.notification_emails
        )
        ToolchainDashboard(self, "Dashboard", log_group=aws_names.log_group("pipeline"))
        self._acknowledge(pipeline)

    def _build_pipeline(
        self, repository: pipelines.IFileSetProducer, source: SourceStack, root: Path
    ) -> pipelines.CodePipeline:
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=aws_names.log_group("pipeline"),
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        return pipelines.CodePipeline(
            self,
            "Pipeline",
            pipeline_name=aws_names.pipeline(),
            pipeline_type=codepipeline.PipelineType.V2,
            artifact_bucket=s3.Bucket.from_bucket_attributes(
                self,
                "Artifacts",
                bucket_name=artifact_bucket_name(self),
                encryption_key=source.artifact_key,
            ),
            # Of artifacts in the regions of stages.
            cross_account_keys=source.artifact_key is not None,
            enable_key_rotation=source.artifact_key is not None or None,
            cli_version=toolchain.cdk_version(root),
            cdk_assets_cli_version=toolchain.CDK_ASSETS_VERSION,
            # One action for all assets: publishing in parallel makes a project for each.
            publish_assets_in_parallel=False,
            synth=self._synth(repository),
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

    def _reading(self, action: str, stages: Sequence[str]) -> Access:
        """Return what lets an action read the ledger of every stage."""
        return self._access.of(self, action, {stage: [permissions.read_ledger] for stage in stages})

    # --- Actions of an execution -----------------------------------------------------------------

    def _synth(self, source: pipelines.IFileSetProducer) -> CommandStep:
        """Validate the prompts, and synthesise; what was green before is not checked again."""
        return self._step(
            CommandStep(
                "Synth",
                source=source,
                install=toolchain.INSTALL_EVERYTHING,
                commands=[
                    "python pipeline_image/validate_prompt.py --tell",
                    f"node_modules/.bin/cdk synth --quiet --app '{_APP}'",
                ],
                environment={
                    **self._results,
                    aws_names.ENV_RELEASE: EXECUTION_ID,
                    aws_names.ENV_TOPIC_ARN: arns.pipeline_topic(self),
                },
                granted=(
                    *permissions.read_source(self._connection_arn),
                    # Of what is not valid.
                    *permissions.tell_of_the_pipeline(self),
                    *permissions.read_results(self, aws_names.green_templates_key("*")),
                    *permissions.write_results(self, aws_names.green_templates_key("*")),
                    *permissions.read_example_sets(self),
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

        It reads every ledger, and changes none: git takes over what a stage rolled back. People are
        told here of what is blocked: a newer execution may supersede this one before the next
        action. CodePipeline shows it as a variable, which an action that ends red has not.
        """
        access = self._reading("promote", stages)
        step = self._step(
            CommandStep(
                "Promote",
                source=source,
                commands=[
                    "python pipeline_image/promote_prompt.py execution --push",
                    f"{toolchain.CLI} verdict --tell --summary {_NOTES}/blocked",
                    f'export {_BLOCKED}="$(cat {_NOTES}/blocked)"',
                    # What is released is the tree; its history stays in the repository, and large
                    # example sets in S3.
                    "rm -rf .git .prompt-hub",
                ],
                environment={
                    **self._results,
                    aws_names.ENV_BRANCH: self._settings.branch,
                    **self._settings.promotion_environment,
                    aws_names.ENV_EXECUTION: EXECUTION_ID,
                    aws_names.ENV_STAGES: ",".join(stages),
                    aws_names.ENV_TOPIC_ARN: arns.pipeline_topic(self),
                    **self._settings.ledger_environment,
                },
                access=access,
                granted=(
                    *permissions.use_connection(self._connection_arn),
                    *access.granted,
                    *permissions.tell_of_the_pipeline(self),
                    *permissions.read_results(self, "evaluations/*", aws_names.promotion_key("*")),
                    *permissions.write_results(self, aws_names.promotion_key("*")),
                    *permissions.read_example_sets(self),
                ),
                output=".",
                build_spec={"env": {"git-credential-helper": "yes"}},
            )
        )
        step.exported_variable(_BLOCKED)
        return step

    def _image(
        self, tree: pipelines.IFileSetProducer, stages: Sequence[str], asking: Sequence[str]
    ) -> CommandStep:
        """Build the image action, which reads every ledger: an image carries what any has live.

        It knows therefore what the release would change where a person is asked to let it in.
        """
        access = self._reading("image", stages)
        repository = ecr.Repository.from_repository_name(
            self, "Images", aws_names.image_repository()
        )
        link = f"https://github.com/{self._settings.repository}/commit/"
        notes = [f'export {_changes_in(stage)}="$(cat {_NOTES}/{stage})"' for stage in asking]
        if asking:
            notes.append(f'export {_LINK}="{link}$(cat {_NOTES}/commit)"')
        return self._step(
            CommandStep(
                "Image",
                source=tree,
                commands=[f"{toolchain.CLI} image{f' --notes {_NOTES}' if asking else ''}", *notes],
                environment={
                    **self._results,
                    aws_names.ENV_RELEASE: EXECUTION_ID,
                    aws_names.ENV_REPOSITORY_URI: repository.repository_uri,
                    aws_names.ENV_STAGES: ",".join(stages),
                    **self._settings.ledger_environment,
                },
                access=access,
                granted=(
                    *permissions.push_image(self),
                    *access.granted,
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
        actions = stage_actions(
            self,
            settings=self._settings,
            access=self._access,
            stage=stage,
            tree=tree,
            environment={**self._results, **self._settings.ledger_environment},
            earlier=earlier,
        )
        self._steps += actions
        pipeline.add_stage(
            release,
            pre=[self._approval(stage.name, image)] if stage.approval else [],
            post=pipelines.Step.sequence(actions),
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

    def _verdict(self, tree: pipelines.IFileSetProducer) -> CommandStep:
        """Build the last action: a task blocked by this execution never ends it green."""
        return self._step(
            CommandStep(
                "Verdict",
                source=tree,
                commands=[f"{toolchain.CLI} verdict"],
                environment={
                    **self._results,
                    **self._settings.promotion_environment,
                    aws_names.ENV_EXECUTION: EXECUTION_ID,
                },
                granted=permissions.read_results(self, aws_names.promotion_key("*")),
            )
        )

    def _let_source_use_connection(self, pipeline: codepipeline.Pipeline) -> None:
        """CDK grants the source action the connection under its service's old prefix only."""
        action = pipeline.node.find_child("Source").node.find_child("Source")
        role = action.node.find_child("CodePipelineActionRole")
        if not isinstance(role, iam.Role):
            raise TypeError(f"{role.node.path} is not the role of the source action")
        nag.grant(role, permissions.use_connection(self._connection_arn))

    def _cross_accounts(self, pipeline: pipelines.CodePipeline) -> None:
        """Let the pipeline update what is deployed elsewhere, and hear of rollbacks there."""
        others = [place for place in self._settings.places_elsewhere if place[0] != self.account]
        if not others:
            return
        roles = [
            arns.bootstrap_role(self, kind, account=account, region=region)
            for account, region in others
            for kind in ("deploy", "file-publishing")
        ]
        # CDK lets it act in the pipeline's own account alone.
        for permission in permissions.assume(roles):
            pipeline.self_mutation_project.add_to_role_policy(permission.statement())
        trigger.hear_of_rollbacks_in(self, dict.fromkeys(account for account, _ in others))

    def _acknowledge(self, pipeline: pipelines.CodePipeline) -> None:
        nag.acknowledge_pipeline(pipeline)
        for step in self._steps:
            nag.acknowledge_permissions(step.project, step.granted)
            step.access.name_role(step.project)


def _name_projects(pipeline: pipelines.CodePipeline) -> None:
    """Name each project after the installation, as what may see its builds is held to that name.

    CloudFormation would call those of every installation the same but for their ends.
    """
    for project in pipeline.node.find_all():
        # The one that CDK names is named after the pipeline.
        if isinstance(project, codebuild.CfnProject) and Token.is_unresolved(project.name):
            project.name = project_name(project.node.path.removeprefix(pipeline.node.path))


def project_name(place: str) -> str:
    """Return what the project of an action is called, by its path in the pipeline.

    A stage may be called as CDK calls a folder, but for the capital letter. Of more than 50 actions
    beside each other CDK makes `Evaluate.1` and `Evaluate.2`, and CodeBuild takes no dot.
    """
    words = [word for word in dict.fromkeys(place.split("/")) if word not in _CDKS_WORDS]
    return aws_names.build_project(*(word.lower().replace(".", "-") for word in words))


_CDKS_WORDS = {"", "Pipeline", "Build", "CdkBuildProject", "Resource"}
"""Of the path of a project: what says nothing of the action that it is for."""


def _changes_in(stage: str) -> str:
    """Name the variable of the Image action that says what a release would change in `stage`."""
    return f"CHANGES_{stage.replace('-', '_').upper()}"
