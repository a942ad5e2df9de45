"""What the actions of a pipeline do: source, build, change set, stack, approval.

An action is a function of its `Context` that answers its output variables. It fails by raising
`ActionFailedError`. It runs on a thread of its own and talks to the other services over HTTP.
"""

from __future__ import annotations

import json
import logging
import tempfile
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from local_aws import account_services, approvals, clients, codebuild, service_calls, source
from local_aws.builds import BuildOrder, role_of
from local_aws.permission_checks import Check
from local_aws.pipeline_context import ActionFailedError, ActionStoppedError, Context

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.literals import CapabilityType
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

PROVIDER = "GitHub"
"""Whose repository the connection stands for; locally it is a bare one on this machine."""
_NO_CHANGES = "didn't contain changes"

log = logging.getLogger("local_aws.codepipeline")

Variables = Mapping[str, str]


# --- Source ------------------------------------------------------------------------------------


def connection_source(context: Context) -> Variables:
    """Take a commit of a branch from the local repository that stands for the connection's."""
    connection = context.configuration.get("ConnectionArn", "")
    context.role.require(service_calls.of_connection(connection))
    if (status := account_services.connection_status(context.settings)) != "AVAILABLE":
        summary = f"the connection {connection} is not available: it is {status}"
        raise ActionFailedError("ConfigurationError", summary)
    name = context.setting("FullRepositoryId")
    branch = context.revision.get("branch") or context.setting("BranchName")
    repository = context.settings.repositories.get(name)
    if repository is None or not repository.exists():
        raise ActionFailedError("ConfigurationError", f"the local AWS has no repository {name}")
    try:
        commit = source.describe(
            repository, context.revision.get("commit") or f"refs/heads/{branch}"
        )
    except source.SourceError as error:
        raise ActionFailedError(
            "ConfigurationError", f"{name} has no branch {branch}", str(error)
        ) from None
    full_clone = context.configuration.get("OutputArtifactFormat") == "CODEBUILD_CLONE_REF"
    placed = {"repository": name, "branch": branch, "commit": commit.id, "connection": connection}
    clone = placed if full_clone else None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "source.zip"
        if clone:
            file.write_text(json.dumps(clone), encoding="utf-8")
        else:
            source.archive(repository, commit.id, file)
        for output in context.outputs:
            context.store(output, file, clone, role=context.role)
    first_line = commit.message.partition("\n")[0]
    context.run.external_id = commit.id
    context.run.summary = json.dumps({"ProviderType": PROVIDER, "CommitMessage": first_line})
    return {
        "AuthorDate": commit.date,
        "AuthorDisplayName": commit.author,
        "AuthorEmail": commit.email,
        "BranchName": branch,
        "CommitId": commit.id,
        "CommitMessage": commit.message,
        "ConnectionArn": connection,
        "FullRepositoryName": name,
        "ProviderType": PROVIDER,
    }


# --- Build -------------------------------------------------------------------------------------


def build(context: Context) -> Variables:
    """Run the project's build on the action's artifacts; its exported variables are the output."""
    name = context.setting("ProjectName")
    project = codebuild.project(name)
    if project is None:
        raise ActionFailedError("ConfigurationError", f"there is no CodeBuild project {name}")
    if context.configuration.get("BatchEnabled", "false").lower() == "true":
        raise ActionFailedError("ConfigurationError", "the local AWS does not run batch builds")
    for action in ("StartBuild", "BatchGetBuilds"):
        context.role.require(Check(action=f"codebuild:{action}", resource=project["arn"]))
    primary, role = (
        context.configuration.get("PrimarySource") or context.inputs[0],
        role_of(project),
    )
    others = [name for name in context.inputs if name != primary]
    item = codebuild.prepare(
        BuildOrder(
            project=project,
            primary=context.place(primary, role),
            secondary={other: context.place(other, role) for other in others},
            outputs=context.outputs,
            variables=json.loads(context.configuration.get("EnvironmentVariables", "[]")),
            initiator=f"codepipeline/{context.pipeline}",
            stopped=context.stopped,
        )
    )
    context.run.external_id = item.id
    result = codebuild.run(item)
    if result.status == "STOPPED":
        raise ActionStoppedError
    if result.status != "SUCCEEDED":
        raise ActionFailedError(
            "JobFailed",
            f"Build terminated with state: {result.status}. {result.message}",
            item.tail(),
        )
    for output, file in result.artifacts.items():
        context.store(output, file, role=role)
        file.unlink()
    return result.exported


# --- CloudFormation ----------------------------------------------------------------------------


def cloudformation(context: Context) -> Variables:
    """Create, replace, execute or delete, as the action mode says; stack outputs are the output."""
    modes: dict[str, Callable[[Context, CloudFormationClient], None]] = {
        "CHANGE_SET_REPLACE": _replace_change_set,
        "CHANGE_SET_EXECUTE": _execute_change_set,
        "CREATE_UPDATE": _create_or_update,
        "DELETE_ONLY": _delete_stack,
    }
    mode = context.setting("ActionMode")
    if mode not in modes:
        raise ActionFailedError(
            "ConfigurationError", f"the local AWS does not know ActionMode {mode}"
        )
    client = clients.cloudformation(context.role.credentials(context.pipeline))
    modes[mode](context, client)
    if mode in {"CHANGE_SET_EXECUTE", "CREATE_UPDATE"}:
        stack = _stack(client, context.setting("StackName"))
        outputs = stack.get("Outputs", []) if stack else []
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}
    return {}


def _replace_change_set(context: Context, client: CloudFormationClient) -> None:
    stack, name = context.setting("StackName"), context.setting("ChangeSetName")
    with suppress(ClientError):
        client.delete_change_set(StackName=stack, ChangeSetName=name)
    found = _stack(client, stack)
    if found and found["StackStatus"] == "ROLLBACK_COMPLETE":
        summary = f"Stack {stack} could not be created before; delete it, then retry this action"
        raise ActionFailedError("JobFailed", summary)
    new = found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS"
    template = context.read(context.setting("TemplatePath"))
    key = f"{context.pipeline[:20]}/templates/{uuid.uuid4().hex}"
    clients.s3().put_object(Bucket=context.bucket, Key=key, Body=template.encode())
    settings: dict[str, Any] = {}
    if location := context.configuration.get("TemplateConfiguration"):
        settings = json.loads(context.read(location))
    parameters = settings.get("Parameters", {}) | json.loads(
        context.configuration.get("ParameterOverrides") or "{}"
    )
    listed = context.configuration.get("Capabilities", "").split(",")
    capabilities = cast("list[CapabilityType]", [text.strip() for text in listed if text])
    client.create_change_set(
        StackName=stack,
        ChangeSetName=name,
        ChangeSetType="CREATE" if new else "UPDATE",
        TemplateURL=f"{context.settings.endpoint}/{context.bucket}/{key}",
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Tags=[{"Key": key, "Value": value} for key, value in settings.get("Tags", {}).items()],
        Capabilities=capabilities,
        **_execution_role(context),
    )
    context.wait(
        lambda: (
            client.describe_change_set(StackName=stack, ChangeSetName=name)["Status"]
            in {"CREATE_COMPLETE", "FAILED"}
        )
    )
    made = client.describe_change_set(StackName=stack, ChangeSetName=name)
    changes, reason = f"{len(made['Changes'])} change(s)", made.get("StatusReason", "")
    if made["Status"] == "FAILED":
        if _NO_CHANGES not in reason:
            raise ActionFailedError("JobFailed", f"Change set {name} of {stack} failed: {reason}")
        changes = "no changes"
    context.run.external_id = made["ChangeSetId"]
    context.run.summary = f"Change set {name} of {stack}: {changes}"


def _execution_role(context: Context) -> dict[str, Any]:
    """Return the argument with CloudFormation's role, which the action's must be let pass."""
    role = context.configuration.get("RoleArn")
    return {"RoleARN": role} if role else {}


def _execute_change_set(context: Context, client: CloudFormationClient) -> None:
    stack, name = context.setting("StackName"), context.setting("ChangeSetName")
    change_set = client.describe_change_set(StackName=stack, ChangeSetName=name)
    context.run.external_id = change_set["StackId"]
    if _NO_CHANGES in change_set.get("StatusReason", ""):
        context.run.summary = f"{stack} is up to date"
        return
    client.execute_change_set(StackName=stack, ChangeSetName=name)
    _settle(context, client, stack)


def _create_or_update(context: Context, client: CloudFormationClient) -> None:
    name = {"ChangeSetName": f"{context.pipeline}-update"}
    context.configuration = {**context.configuration, **name}
    _replace_change_set(context, client)
    _execute_change_set(context, client)


def _delete_stack(context: Context, client: CloudFormationClient) -> None:
    name = context.setting("StackName")
    if _stack(client, name) is None:
        return
    client.delete_stack(StackName=name, **_execution_role(context))
    status = _rest(context, client, name)
    if status:
        raise ActionFailedError("JobFailed", f"Stack {name} could not be deleted: {status}")


def _rest(context: Context, client: CloudFormationClient, name: str) -> str:
    """Wait until nothing is in progress; answers the stack's status, or nothing if it is gone."""
    status = ""

    def at_rest() -> bool:
        nonlocal status
        found = _stack(client, name)
        status = found["StackStatus"] if found else ""
        return not status.endswith("_IN_PROGRESS")

    context.wait(at_rest)
    return status


def _settle(context: Context, client: CloudFormationClient, name: str) -> None:
    """Wait until the stack has come to rest; fails unless it is as its template says."""
    status = _rest(context, client, name)
    if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        context.run.summary = f"Stack {name}: {status}"
        return
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {event['ResourceStatusReason']}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED")
        and event.get("ResourceStatusReason")
        and event["Timestamp"].timestamp() >= context.run.started - 1
    ]
    first = reasons[0] if reasons else "no reason was given"
    summary = f"Stack {name} ended as {status}: {first}"
    raise ActionFailedError("JobFailed", summary, "\n".join(reasons))


def _stack(client: CloudFormationClient, name: str) -> StackTypeDef | None:
    try:
        return client.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


# --- Approval ----------------------------------------------------------------------------------


def approval(context: Context) -> Variables:
    """Tell the action's topic, if it names one, and wait for PutApprovalResult."""
    context.run.token = str(uuid.uuid4())
    if topic := context.configuration.get("NotificationArn"):
        context.role.require(Check(action="sns:Publish", resource=topic))
        try:
            approvals.announce(
                topic, context.pipeline, context.run, context.configuration, context.settings
            )
        except ClientError as error:
            reason = f"the topic {topic} takes no message: {error.response['Error']['Code']}"
            raise ActionFailedError("ConfigurationError", reason) from None
    context.wait(lambda: context.run.approval is not None)
    assert context.run.approval is not None
    context.run.summary = context.run.approval["summary"]
    if context.run.approval["status"] == "Rejected":
        raise ActionFailedError("Rejected", f"Rejected: {context.run.summary}")
    return {}


ACTIONS: Mapping[tuple[str, str, str], Callable[[Context], Variables]] = {
    ("Source", "AWS", "CodeStarSourceConnection"): connection_source,
    ("Build", "AWS", "CodeBuild"): build,
    ("Test", "AWS", "CodeBuild"): build,
    ("Deploy", "AWS", "CloudFormation"): cloudformation,
    ("Approval", "AWS", "Manual"): approval,
}
"""Category, owner and provider of every action that a pipeline may have here."""


def kind(action: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the key in `ACTIONS` of an action's declaration."""
    type_ = action["actionTypeId"]
    return type_["category"], type_["owner"], type_["provider"]
