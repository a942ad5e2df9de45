"""What checks ask of AWS, of the clone, and of models; each answer is had once for all of them.

Reads only, but for the throw-away ref of the push. docs/operations.md has the permissions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, JsonValue

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.doctor.installation import CdkJson, Installation
from prompt_hub.evaluation.results import BucketResults
from prompt_hub.ledger.stage_session import table_of
from prompt_hub.ledger.table import Ledger
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.ecs_task import environment_in, service_of

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_ecs.type_defs import ServiceTypeDef, TaskDefinitionTypeDef

EXECUTIONS = 50
"""How many of the newest executions are looked through."""
RUNNING = {"InProgress", "Stopping"}
"""The statuses of an execution that may still change a stage."""


class Resource(BaseModel):
    """A resource of a template."""

    kind: Annotated[str, Field(alias="Type")]
    properties: Annotated[dict[str, JsonValue], Field(alias="Properties")] = {}


class Template(BaseModel):
    """A template of CloudFormation, as far as quotas are about it."""

    resources: Annotated[dict[str, Resource], Field(alias="Resources")] = {}


@dataclass(frozen=True)
class Caller:
    """Whose credentials these are."""

    arn: str
    account: str

    @property
    def partition(self) -> str:
        """The partition of AWS, such as `aws`."""
        return self.arn.split(":")[1]


@dataclass(frozen=True)
class Execution:
    """An execution of the pipeline."""

    id: str
    status: str


@dataclass
class Readers:
    """Asks about one stage."""

    stage: str
    root: Path
    """The clone, or wherever this runs."""
    session: Session
    """Makes clients where the pipeline is; safe for threads."""
    cdk_json: CdkJson
    now: datetime
    bucket: str | None = None
    """The results bucket, where it is not that of the account that asks."""
    configured: str | None = None
    """What `PROMPT_HUB_MODELS` says, where it says anything."""
    there: Session | None = None
    """Makes clients where the stage is, if that is another account or region."""
    synthesised: Path | None = None
    """A folder that `cdk synth` wrote; by default the deployed templates are read."""

    @property
    def installation(self) -> Installation | None:
        """What `cdk.json` says, where there is one."""
        return self.cdk_json.context.installation

    @property
    def region(self) -> str:
        """The region of the pipeline that is asked."""
        return self.session.region_name or ""

    @property
    def sessions(self) -> tuple[Session, ...]:
        """One for each place that the stage and the pipeline live in."""
        return (self.session,) if self.there is None else (self.session, self.there)

    @property
    def of_stage(self) -> Session:
        """Makes clients where the stage is."""
        return self.sessions[-1]

    @cached_property
    def caller(self) -> Caller:
        """Whose credentials these are."""
        return caller_of(self.session)

    @cached_property
    def stage_caller(self) -> Caller:
        """Whose credentials those are that the stage is asked with."""
        return self.caller if self.there is None else caller_of(self.there)

    @property
    def table(self) -> str:
        """The name of the stage's ledger, as every other command here has it."""
        return table_of(self.stage)

    @cached_property
    def ledger(self) -> Ledger:
        """The stage's ledger."""
        return Ledger(self.of_stage.client("dynamodb"), self.table)

    @cached_property
    def results(self) -> BucketResults:
        """The results bucket."""
        own = aws_names.results_bucket(self.caller.account, self.region)
        return BucketResults(self.session.client("s3"), self.bucket or own)

    @cached_property
    def service(self) -> ServiceTypeDef:
        """The stage's service; raises `PromptHubError` where there is none."""
        return service_of(self.of_stage.client("ecs"), self.stage)

    @cached_property
    def definition(self) -> TaskDefinitionTypeDef:
        """What the service runs."""
        arn = self.service["taskDefinition"]
        return self.of_stage.client("ecs").describe_task_definition(taskDefinition=arn)[
            "taskDefinition"
        ]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of what the service runs; raises `PromptHubError` where there is none."""
        return environment_in(self.definition)

    @cached_property
    def executions(self) -> tuple[Execution, ...]:
        """The pipeline's newest executions, newest first; none where there is no pipeline."""
        client = self.session.client("codepipeline")
        try:
            found = client.list_pipeline_executions(
                pipelineName=aws_names.pipeline(), maxResults=EXECUTIONS
            )["pipelineExecutionSummaries"]
        except client.exceptions.PipelineNotFoundException:
            return ()
        return tuple(
            Execution(item.get("pipelineExecutionId", ""), item.get("status", "")) for item in found
        )

    @property
    def newest_execution(self) -> Execution | None:
        """The pipeline's newest execution that no newer one replaced; None where there is none."""
        return next((found for found in self.executions if found.status != "Superseded"), None)

    @property
    def execution_runs(self) -> bool:
        """Whether a release is on its way, so that git and the stage may differ.

        One that waits for its approval is, whatever became of newer ones.
        """
        return any(found.status in RUNNING for found in self.executions)

    @cached_property
    def models(self) -> ModelAliases:
        """The models: of this environment, of what the service runs, or of `cdk.json`.

        Raises `PromptHubError` where none of them says.
        """
        if self.configured:
            return ModelAliases.parse(self.configured)
        try:
            environment = self.environment
        except PromptHubError:
            if self.installation is None or not self.installation.models:
                raise
            return self.installation.aliases()
        return ModelAliases.of_service(environment, self.stage)

    def outputs(self, stack: str) -> dict[str, str]:
        """Return the outputs of a stack; none where there is no such stack."""
        from botocore.exceptions import ClientError

        try:
            found = self.session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            # AWS has no error of its own for this.
            if "does not exist" not in str(error):
                raise
            return {}
        return {
            item.get("OutputKey", ""): item.get("OutputValue", "")
            for entry in found
            for item in entry.get("Outputs", [])
        }

    def templates(self, session: Session) -> list[Template]:
        """Return the templates of each stack of the installation there, or of the synthesised."""
        if self.synthesised is not None:
            files = sorted(self.synthesised.rglob("*.template.json"))
            return [Template.model_validate_json(file.read_bytes()) for file in files]
        client = session.client("cloudformation")
        pages = client.get_paginator("list_stacks").paginate()
        names = {
            stack["StackName"]
            for page in pages
            for stack in page["StackSummaries"]
            if stack["StackName"].startswith(aws_names.named(""))
            and stack["StackStatus"] != "DELETE_COMPLETE"
        }
        # boto3 reads a JSON template; one that AWS keeps as text is read here.
        bodies = [client.get_template(StackName=name)["TemplateBody"] for name in sorted(names)]
        return [
            Template.model_validate_json(body)
            if isinstance(body, str)
            else Template.model_validate(body)
            for body in bodies
        ]

    def topic(self, name: str) -> str:
        """Return the ARN of a topic of the pipeline's."""
        return _topic(self.caller, self.region, name)

    def stage_topic(self, name: str) -> str:
        """Return the ARN of a topic of the stage's."""
        return _topic(self.stage_caller, self.of_stage.region_name or "", name)


def caller_of(session: Session) -> Caller:
    """Ask whose credentials a session has."""
    found = session.client("sts").get_caller_identity()
    return Caller(found["Arn"], found["Account"])


def _topic(caller: Caller, region: str, name: str) -> str:
    return f"arn:{caller.partition}:sns:{region}:{caller.account}:{name}"
