"""Every stuck state of `docs/operations.md`: brought about, and left by the page's own command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import account_services
from local_aws.isolation import isolated
from tests.local_aws.emulator import REGION, LocalAws, eventually
from tests.local_aws.pipelines import PLAIN, Pipelines, Repository, action
from tests.stuck_states import page

pytestmark = pytest.mark.shipped

PIPELINE, STAGE = "prompt-hub", "dev"
SERVICE, BESIDE = "prompt-hub-dev-service", "prompt-hub-dev-ledger"
TAKEN = "/stuck/taken"
"""A parameter that a stack wants to make and that is there already, until somebody mends that."""

Template = dict[str, Any]


def parameter(name: str, *after: str) -> Template:
    """A resource that is made at once, unless its name is taken."""
    properties = {"Name": name, "Type": "String", "Value": "x"}
    return {"Type": "AWS::SSM::Parameter", "Properties": properties, "DependsOn": list(after)}


def table(*, protected: bool) -> Template:
    """A resource that is not deleted while it is protected."""
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": "stuck",
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": protected,
            "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        },
    }


def signal(*after: str) -> Template:
    """A resource that fails after some seconds in which nobody has sent its signal."""
    policy = {"ResourceSignal": {"Count": 1, "Timeout": "PT3S"}}
    return {
        "Type": "AWS::CloudFormation::WaitCondition",
        "CreationPolicy": policy,
        "DependsOn": list(after),
    }


FINE = {"Fine": parameter("/stuck/fine")}
CONFLICT = {**FINE, "Conflict": parameter(TAKEN, "Fine")}


@dataclass
class Stand:
    """A pipeline of the product's name with one stage, and the shell of whoever is on call."""

    pipelines: Pipelines
    environment: dict[str, str]

    @property
    def aws(self) -> LocalAws:
        return self.pipelines.aws

    def client(self, service: str) -> Any:
        return self.aws.client(service)

    # --- What a person does ---

    def run(self, command: str, *, fails: bool = False, **words: str) -> str:
        """Run a command of the page, with its words in capitals replaced."""
        for word, value in words.items():
            assert re.search(rf"\b{word}\b", command), command
            command = re.sub(rf"\b{word}\b", value, command)
        done = subprocess.run(
            ["sh", "-c", command],
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def leave(self, commands: list[str], execution: str = "") -> None:
        """Run all commands of a way out."""
        for command in commands:
            words = {"EXECUTION": execution} if "EXECUTION" in command else {}
            self.run(command, **words)

    def take_name(self) -> None:
        self.client("ssm").put_parameter(Name=TAKEN, Value="x", Type="String")

    def free_name(self) -> None:
        self.client("ssm").delete_parameter(Name=TAKEN)

    # --- What the pipeline does ---

    def push(self, service: Template, beside: Template | None = None) -> None:
        """Put the templates of the two stacks into the branch; that alone starts nothing."""
        files = {"service.json": service, "ledger.json": beside or {"Beside": parameter("/beside")}}
        texts = {name: json.dumps({"Resources": it}) + "\n" for name, it in files.items()}
        texts["number"] = f"{time.time_ns()}\n"
        self.pipelines.plain.push(texts)

    def declare(self, *, approval: bool = False) -> str:
        """Make the pipeline; answers the execution that this starts."""
        approve = action("Approve", ("Approval", "Manual"))
        actions = [approve] if approval else []
        for name, stack in (("ledger", BESIDE), ("service", SERVICE)):
            place = {"StackName": stack, "ChangeSetName": "PipelineChange"}
            prepare = {
                **place,
                "ActionMode": "CHANGE_SET_REPLACE",
                "TemplatePath": f"Tree::{name}.json",
            }
            execute = {**place, "ActionMode": "CHANGE_SET_EXECUTE"}
            kind = ("Deploy", "CloudFormation")
            actions += [
                action(f"{name}.Prepare", kind, prepare, inputs=["Tree"], order=2),
                action(f"{name}.Deploy", kind, execute, order=3),
            ]
        return self.pipelines.plain_pipeline(PIPELINE, (STAGE, actions), paths=["never"])

    def start(self) -> str:
        started = self.client("codepipeline").start_pipeline_execution(name=PIPELINE)
        return str(started["pipelineExecutionId"])

    def ended(self, execution: str) -> str:
        return str(self.pipelines.ended(PIPELINE, execution, seconds=60)["status"])

    def red(self, execution: str) -> set[str]:
        """Return the red actions of an execution that has ended red."""
        assert self.ended(execution) == "Failed"
        actions = self.pipelines.actions(PIPELINE, execution)
        return {name for name, found in actions.items() if found["status"] == "Failed"}

    # --- What CloudFormation says ---

    def status(self, stack: str = SERVICE) -> str:
        try:
            (found,) = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        except ClientError:
            return "gone"
        return str(found["StackStatus"])

    def rest(self, stack: str = SERVICE) -> str:
        def at_rest() -> str | None:
            status = self.status(stack)
            return None if status.endswith("IN_PROGRESS") else status

        return eventually(at_rest, what=f"the end of what {stack} does")

    def clean(self) -> None:
        """Leave nothing of a test to the next one."""
        self.client("codepipeline").delete_pipeline(name=PIPELINE)
        (self.aws.state / account_services.FILE).unlink(missing_ok=True)
        if "stuck" in self.client("dynamodb").list_tables()["TableNames"]:
            self.client("dynamodb").update_table(TableName="stuck", DeletionProtectionEnabled=False)
        for stack in (SERVICE, BESIDE):
            if self.status(stack) != "gone":
                self.client("cloudformation").delete_stack(StackName=stack)
                assert self.rest(stack) in {"gone", "DELETE_COMPLETE"}
        names = [item["Name"] for item in self.client("ssm").describe_parameters()["Parameters"]]
        for name in names:
            self.client("ssm").delete_parameter(Name=name)
        if "stuck" in self.client("dynamodb").list_tables()["TableNames"]:
            self.client("dynamodb").delete_table(TableName="stuck")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    assert shutil.which("aws"), "AWS's own command line is missing: `make stuck-states` installs it"
    plain = Repository.make(tmp_path_factory.mktemp("plain"), {"number": "0\n"})
    aws = LocalAws(state=tmp_path_factory.mktemp("local-aws"), repositories={PLAIN: plain.bare})
    aws.start()
    aws.client("s3").create_bucket(
        Bucket="plain-artifacts", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    try:
        yield Stand(Pipelines(aws, plain, plain), {**isolated(os.environ), **aws.environment})
    finally:
        aws.stop()


@pytest.fixture
def stand(shared: Stand) -> Iterator[Stand]:
    yield shared
    shared.clean()


def way_out(case: str) -> list[str]:
    return page.commands(page.way_out(case))


def test_a_connection_that_nobody_has_approved(stand: Stand) -> None:
    decided = stand.aws.state / account_services.FILE
    decided.write_text(json.dumps({"connection": "PENDING"}))
    stand.push(FINE)
    execution = stand.declare()

    assert stand.red(execution) == {"Take"}
    result = stand.pipelines.actions(PIPELINE, execution)["Take"]["output"]["executionResult"]
    summary = result["externalExecutionSummary"]
    assert "is not available" in summary

    decided.unlink()
    stand.leave(way_out("unapproved connection"))

    newest = stand.pipelines.executions(PIPELINE)[0]["pipelineExecutionId"]
    assert newest != execution
    assert stand.ended(newest) == "Succeeded"


def test_a_first_creation_that_failed_in_a_stage(stand: Stand) -> None:
    stand.take_name()
    stand.push(CONFLICT)
    execution = stand.declare()
    assert stand.red(execution) == {"service.Deploy"}
    assert stand.status() == "ROLLBACK_COMPLETE"
    stand.free_name()
    *removal, retry = way_out("first creation in a stage")

    stand.run(retry, EXECUTION=execution)
    assert stand.red(execution) == {"service.Prepare"}, "the state of the page's row"

    stand.leave([*removal, retry], execution)

    assert stand.ended(execution) == "Succeeded"
    assert stand.status() == "CREATE_COMPLETE"


def test_a_change_set_that_was_never_executed(stand: Stand) -> None:
    """The stack beside it cannot be prepared, so nothing of the stage is deployed."""
    stand.take_name()
    broken = json.dumps({"Resources": {"Conflict": parameter(TAKEN)}})
    stand.client("cloudformation").create_stack(StackName=BESIDE, TemplateBody=broken)
    assert stand.rest(BESIDE) == "ROLLBACK_COMPLETE"
    stand.push(FINE)
    execution = stand.declare()
    assert stand.red(execution) == {"ledger.Prepare"}
    assert stand.status() == "REVIEW_IN_PROGRESS"

    stand.client("cloudformation").delete_stack(StackName=BESIDE)
    assert stand.rest(BESIDE) in {"gone", "DELETE_COMPLETE"}
    stand.leave(way_out("change set never executed"), execution)

    assert stand.ended(execution) == "Succeeded"
    assert stand.status() == "CREATE_COMPLETE"


def test_an_update_that_was_taken_back(stand: Stand) -> None:
    stand.push(FINE)
    assert stand.ended(stand.declare()) == "Succeeded"
    stand.take_name()
    stand.push(CONFLICT)
    execution = stand.start()
    assert stand.red(execution) == {"service.Deploy"}
    assert stand.status() == "UPDATE_ROLLBACK_COMPLETE"
    (retry,) = way_out("update taken back")

    stand.free_name()
    stand.run(retry.replace("ALL_ACTIONS", "FAILED_ACTIONS"), EXECUTION=execution)
    assert stand.red(execution) == {"service.Deploy"}, "the first try has used up the change set"
    stand.run(retry, EXECUTION=execution)

    assert stand.ended(execution) == "Succeeded"
    assert stand.status() == "UPDATE_COMPLETE"


@pytest.mark.parametrize("skip", [False, True])
def test_an_update_that_could_not_be_taken_back(stand: Stand, skip: bool) -> None:
    """Somebody removes a table by hand while an update waits; what it was cannot be restored."""
    stand.push({"Table": table(protected=False)})
    assert stand.ended(stand.declare()) == "Succeeded"
    stand.push({"Table": table(protected=True), "Signal": signal("Table")})
    execution = stand.start()
    dynamodb = stand.client("dynamodb")

    def changed() -> bool:
        found = dynamodb.describe_table(TableName="stuck")["Table"]
        return bool(found["DeletionProtectionEnabled"])

    eventually(changed, what="the update of the table")
    dynamodb.update_table(TableName="stuck", DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName="stuck")
    assert stand.red(execution) == {"service.Deploy"}
    assert stand.status() == "UPDATE_ROLLBACK_FAILED"
    go_on, retry = way_out("update not taken back")
    (skipping,) = re.findall(r"`(--resources-to-skip NAME)`", page.way_out("update not taken back"))

    stand.run(go_on)
    assert stand.rest() == "UPDATE_ROLLBACK_FAILED", "nothing was mended"

    def mend() -> None:
        wanted = table(protected=False)["Properties"]
        dynamodb.create_table(**wanted)

    if skip:
        stand.run(f"{go_on} {skipping}", NAME="Table")
    else:
        mend()
        stand.run(go_on)
    assert stand.rest() == "UPDATE_ROLLBACK_COMPLETE"
    if skip:
        mend()
    stand.run(retry, EXECUTION=execution)

    def signalled() -> bool:
        try:
            stand.client("cloudformation").signal_resource(
                StackName=SERVICE, LogicalResourceId="Signal", UniqueId="1", Status="SUCCESS"
            )
        except ClientError:
            return False
        return True

    eventually(signalled, what="the resource that waits for a signal")
    assert stand.ended(execution) == "Succeeded"
    assert stand.status() == "UPDATE_COMPLETE"


@pytest.mark.parametrize("leaving", [False, True])
def test_a_stack_that_cannot_be_deleted(stand: Stand, leaving: bool) -> None:
    """As a ledger whose creation fails late: it is protected from the moment it is made."""
    stand.take_name()
    stand.push({"Table": table(protected=True), "Conflict": parameter(TAKEN, "Table")})
    execution = stand.declare()
    assert stand.red(execution) == {"service.Deploy"}
    assert stand.status() == "ROLLBACK_FAILED"
    *removal, retry, leave = way_out("cannot be deleted")
    delete, wait = removal
    unlock = {"TableName": "stuck", "DeletionProtectionEnabled": False}

    stand.run(leave, NAME="Table", fails=True)
    assert stand.status() == "ROLLBACK_FAILED", "in DELETE_FAILED, and in no other state"
    stand.run(delete)
    assert stand.rest() == "DELETE_FAILED"
    if leaving:
        stand.run(leave, NAME="Table")
        stand.run(wait)
        assert "stuck" in stand.client("dynamodb").list_tables()["TableNames"], "it is left"
        # Whoever wants the stack again must let its name go.
        stand.client("dynamodb").update_table(**unlock)
        stand.client("dynamodb").delete_table(TableName="stuck")
    else:
        stand.client("dynamodb").update_table(**unlock)
        stand.leave(removal)
        assert "stuck" not in stand.client("dynamodb").list_tables()["TableNames"]
    stand.free_name()
    stand.run(retry, EXECUTION=execution)

    assert stand.ended(execution) == "Succeeded"
    assert stand.status() == "CREATE_COMPLETE"


def test_an_execution_of_an_older_pipeline(stand: Stand) -> None:
    stand.take_name()
    stand.push(CONFLICT)
    execution = stand.declare()
    assert stand.red(execution) == {"service.Deploy"}
    stand.client("cloudformation").delete_stack(StackName=SERVICE)
    stand.rest()
    stand.free_name()
    declared = stand.client("codepipeline").get_pipeline(name=PIPELINE)["pipeline"]
    stand.client("codepipeline").update_pipeline(pipeline=declared)

    said = stand.run(page.the_retry(), fails=True, EXECUTION=execution)
    assert "NotLatestPipelineExecution" in said

    stand.leave(way_out("older pipeline"))
    newest = stand.pipelines.executions(PIPELINE)[0]["pipelineExecutionId"]
    assert newest != execution
    assert stand.ended(newest) == "Succeeded"


def test_an_approval_that_nobody_gave(stand: Stand) -> None:
    assert "nobody decided" in page.OTHERWISE

    def answer(status: str) -> None:
        def token() -> str | None:
            state = stand.client("codepipeline").get_pipeline_state(name=PIPELINE)
            latest = state["stageStates"][1]["actionStates"][0].get("latestExecution", {})
            return str(latest["token"]) if latest.get("status") == "InProgress" else None

        stand.client("codepipeline").put_approval_result(
            pipelineName=PIPELINE,
            stageName=STAGE,
            actionName="Approve",
            result={"status": status, "summary": "as a test"},
            token=eventually(token, what="the question"),
        )

    stand.push(FINE)
    execution = stand.declare(approval=True)
    answer("Rejected")
    assert stand.red(execution) == {"Approve"}

    stand.leave(way_out("nobody decided"), execution)
    answer("Approved")

    assert stand.ended(execution) == "Succeeded"


def test_a_transition_that_somebody_switched_off(stand: Stand) -> None:
    stand.push(FINE)
    assert stand.ended(stand.declare()) == "Succeeded"
    stand.client("codepipeline").disable_stage_transition(
        pipelineName=PIPELINE, stageName=STAGE, transitionType="Inbound", reason="a holiday"
    )
    execution = stand.start()

    def stands() -> dict[str, Any]:
        state = stand.client("codepipeline").get_pipeline_state(name=PIPELINE)["stageStates"][1]
        return state if state.get("inboundExecution") else {}

    found = eventually(stands, what="an execution before the stage")
    assert found["inboundExecution"]["pipelineExecutionId"] == execution
    assert not found["inboundTransitionState"]["enabled"]
    assert found["inboundTransitionState"]["disabledReason"] == "a holiday"

    stand.leave(way_out("transition switched off"))

    assert stand.ended(execution) == "Succeeded"
