"""Actions of the pipeline that run our own commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jsii
from aws_cdk import Duration, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns

from cdk_app import toolchain
from cdk_app.permissions import Permission

EXECUTION_ID = "#{codepipeline.PipelineExecutionId}"
"""CodePipeline puts the id of the running execution here."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one build action gets so that it can act in stages."""

    granted: tuple[Permission, ...] = ()
    commands: tuple[str, ...] = ()
    """What it runs first: the configuration in which the runtime finds each stage's role."""
    role_name: str | None = None
    """What its own role must be called, because roles of stages trust it by name."""

    def name_role(self, project: codebuild.IProject) -> None:
        """Give the project's role the name that stages trust."""
        if self.role_name is None:
            return
        role = project.role.node.default_child if project.role else None
        if not isinstance(role, iam.CfnRole):
            raise TypeError(f"{project.node.path} has no role of its own")
        role.role_name = self.role_name


class CommandStep(pipelines.CodeBuildStep):
    """An action with a project of its own, whose role has what is `granted`."""

    def __init__(
        self,
        step_id: str,
        *,
        source: pipelines.IFileSetProducer,
        commands: Sequence[str],
        environment: Mapping[str, str],
        granted: Sequence[Permission],
        access: Access | None = None,
        install: Sequence[str] = toolchain.INSTALL,
        output: str | None = None,
        privileged: bool = False,
        build_spec: Mapping[str, object] | None = None,
        timeout: Duration | None = None,
    ) -> None:
        self.access = access or Access()
        self.granted = tuple(granted)
        super().__init__(
            step_id,
            timeout=timeout,
            input=source,
            install_commands=list(install),
            commands=[*self.access.commands, *commands],
            env={**toolchain.build_environment(), **environment},
            primary_output_directory=output,
            build_environment=codebuild.BuildEnvironment(privileged=privileged),
            partial_build_spec=codebuild.BuildSpec.from_object(dict(build_spec or {})),
            role_policy_statements=[each.statement() for each in self.granted],
        )


@jsii.implements(pipelines.ICodePipelineActionFactory)
class SharedProjectStep(pipelines.Step):
    """An action that runs a project which other actions run as well.

    CDK Pipelines would make a project and a role for every action; the evaluations of fifty tasks
    differ only in one variable of their environment.
    """

    def __init__(
        self,
        step_id: str,
        *,
        source: pipelines.IFileSetProducer,
        project: codebuild.IProject,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(step_id)
        if source.primary_output is None:
            raise ValueError(f"{step_id} needs a source that has an output")
        self._source = source.primary_output
        self._project = project
        self._environment = dict(environment)
        self._add_dependency_file_set(self._source)

    def produce_action(
        self,
        stage: codepipeline.IStage,
        *,
        action_name: str,
        artifacts: pipelines.ArtifactMap,
        pipeline: pipelines.CodePipeline,
        run_order: int,
    ) -> pipelines.CodePipelineActionFactoryResult:
        """Add the action to `stage`; CDK Pipelines calls this and decides name and order."""
        stage.add_action(
            actions.CodeBuildAction(
                action_name=action_name,
                run_order=run_order,
                input=artifacts.to_code_pipeline(self._source),
                project=self._project,
                role=_action_role(pipeline),
                environment_variables={
                    name: codebuild.BuildEnvironmentVariable(value=value)
                    for name, value in self._environment.items()
                },
            )
        )
        return pipelines.CodePipelineActionFactoryResult(run_orders_consumed=1)


@jsii.implements(pipelines.ICodePipelineActionFactory)
class ApprovalStep(pipelines.Step):
    """An action that waits for a person, and tells a topic that it does.

    `ManualApprovalStep` of CDK Pipelines takes variables of earlier actions in its comment only.
    """

    def __init__(self, step_id: str, *, comment: str, link: str, topic: sns.ITopic) -> None:
        super().__init__(step_id)
        self._comment = comment
        self._link = link
        self._topic = topic
        self._discover_referenced_outputs({"comment": comment, "link": link})

    def produce_action(
        self,
        stage: codepipeline.IStage,
        *,
        action_name: str,
        artifacts: pipelines.ArtifactMap,
        pipeline: pipelines.CodePipeline,
        run_order: int,
    ) -> pipelines.CodePipelineActionFactoryResult:
        """Add the action to `stage`; CDK Pipelines calls this and decides name and order."""
        stage.add_action(
            actions.ManualApprovalAction(
                action_name=action_name,
                run_order=run_order,
                additional_information=self._comment,
                external_entity_link=self._link,
                notification_topic=self._topic,
            )
        )
        return pipelines.CodePipelineActionFactoryResult(run_orders_consumed=1)


def _action_role(pipeline: pipelines.CodePipeline) -> iam.IRole:
    """Return the role with which CDK Pipelines starts all its builds.

    The synth action has made it.
    """
    role = pipeline.node.find_child("CodeBuildActionRole")
    if not isinstance(role, iam.Role):
        raise TypeError(f"{role.node.path} is not the role that starts builds")
    return role
