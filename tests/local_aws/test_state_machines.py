"""The state machine of records on the local AWS: files dropped, shards answered, whatever dies."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws.settings import PERMISSIONS_LOG
from local_aws.state_language import PUBLISH
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually
from tests.local_aws.records_stand import RETRY, Records, definition, role, task


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS that asks IAM."""
    aws = LocalAws(state=tmp_path_factory.mktemp("asked"), permissions="enforce")
    aws.start()
    try:
        yield aws
    finally:
        aws.stop()


@pytest.fixture
def records(asked: LocalAws, tmp_path: Path) -> Records:
    return Records(asked, tmp_path / "containers")


def sentences(aws: LocalAws) -> list[str]:
    """What IAM denied so far, in words."""
    lines = (aws.state / PERMISSIONS_LOG).read_text(encoding="utf-8").splitlines()[1:]
    return [json.loads(line)["sentence"] for line in lines]


def test_a_dropped_file_is_answered_by_the_roles_that_may(records: Records) -> None:
    assert records.deploy() == "CREATE_COMPLETE"
    version = records.drop("a b c d e")
    execution = records.ended()
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert records.output(execution) == "A B C D E"
    event = json.loads(execution["input"])
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert event["detail"] | {"request-id": "", "object": {}} == {
        "version": "0",
        "bucket": {"name": records.name},
        "object": {},
        "request-id": "",
        "requester": ACCOUNT,
        "source-ip-address": "127.0.0.1",
        "reason": "PutObject",
    }
    stored = event["detail"]["object"]
    assert stored.pop("sequencer")
    assert stored.pop("etag").isalnum()
    assert stored == {"key": "incoming/brand/file.csv", "size": 9, "version-id": version}


def test_no_more_children_run_at_once_than_the_map_allows(records: Records) -> None:
    records.deploy()
    records.hold(*range(6))
    records.drop("a b c d e f")
    eventually(lambda: len(records.said("begin")) == 2, what="two children")
    (run,) = records.states.list_map_runs(executionArn=records.executions()[0]["executionArn"])[
        "mapRuns"
    ]
    counts = records.states.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
    assert (counts["running"], counts["pending"], counts["total"]) == (2, 4, 6)
    records.release()
    assert records.output(records.ended()) == "A B C D E F"
    running, most = 0, 0
    for line in records.said():
        running += {"begin": 1, "end": -1}.get(line.split()[0], 0)
        most = max(most, running)
    assert most == 2


def test_a_killed_child_and_one_that_exits_with_3_run_again(records: Records) -> None:
    records.deploy()
    records.hold(0)
    records.fail(2, times=2)
    records.drop("a b c")
    records.kill_child(0)
    execution = records.ended()
    assert records.output(execution) == "A B C"
    begun = [line.split()[1] for line in records.said("begin")]
    assert {shard: begun.count(shard) for shard in "012"} == {"0": 2, "1": 1, "2": 3}
    assert sorted(records.said("answered")) == ["answered 0", "answered 1", "answered 2"]


def test_a_child_that_goes_on_failing_ends_all_and_is_redriven(records: Records) -> None:
    records.deploy(definition(retry=[]))
    records.hold(1)
    records.fail(2, times=1)
    records.drop("a b c")
    execution = records.ended()
    assert (execution["status"], execution["error"]) == (
        "FAILED",
        "States.ExceedToleratedFailureThreshold",
    )
    assert "States.TaskFailed" in execution["cause"]
    run = records.states.list_map_runs(executionArn=execution["executionArn"])["mapRuns"][0]
    children = records.states.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert sorted(child["status"] for child in children) == ["ABORTED", "FAILED", "SUCCEEDED"]
    failed = next(child for child in children if child["status"] == "FAILED")
    described = records.states.describe_execution(executionArn=failed["executionArn"])
    cause = json.loads(described["cause"])
    assert described["error"] == "States.TaskFailed"
    assert (cause["Containers"][0]["ExitCode"], cause["LastStatus"]) == (3, "STOPPED")
    assert (cause["StopCode"], cause["StartedBy"]) == (
        "EssentialContainerExited",
        "AWS Step Functions",
    )
    assert isinstance(cause["StoppedAt"], int)

    records.release()
    records.states.redrive_execution(executionArn=execution["executionArn"])
    again = records.ended()
    assert again["executionArn"] == execution["executionArn"]
    described = records.states.describe_execution(executionArn=again["executionArn"])
    assert execution["stopDate"] <= described["redriveDate"] <= again["stopDate"]
    assert records.output(again) == "A B C"
    assert len(records.said("plan")) == 1
    assert len(records.said("begin 0")) == 1


def test_the_same_event_again_is_the_same_run_and_asks_nothing(records: Records) -> None:
    records.deploy()
    records.drop("a b")
    first = records.ended()
    records.states.start_execution(stateMachineArn=records.machine, input=first["input"])
    second = records.ended(2)
    assert second["executionArn"] != first["executionArn"]
    assert records.run_of(second) == records.run_of(first)
    assert len(records.said("answered")) == 2
    assert sorted(records.said("was there")) == ["was there 0", "was there 1"]


def test_a_stopped_execution_stops_its_containers(records: Records) -> None:
    records.deploy()
    records.hold(0, 1)
    records.drop("a b c")
    eventually(lambda: len(records.said("begin")) == 2, what="two children")
    (execution,) = records.executions()
    records.states.stop_execution(executionArn=execution["executionArn"], cause="enough")
    ecs = records.aws.client("ecs")
    eventually(
        lambda: not ecs.list_tasks(cluster=records.name, desiredStatus="RUNNING")["taskArns"],
        what="the end of the containers",
    )
    described = records.states.describe_execution(executionArn=execution["executionArn"])
    assert (described["status"], described["cause"]) == ("ABORTED", "enough")
    assert len(records.said("begin")) == 2
    assert records.said("end") == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_execution_goes_on_after_the_local_aws_ended(
    tmp_path: Path, how: signal.Signals
) -> None:
    aws = LocalAws(state=tmp_path / "aws", permissions="enforce")
    aws.start()
    try:
        records = Records(aws, tmp_path / "containers")
        records.deploy()
        records.hold(1, 2)
        records.drop("a b c")
        eventually(lambda: len(records.said("begin")) == 3, what="three children")
        saved = aws.state / "services" / "stepfunctions.json"
        eventually(
            lambda: saved.exists() and "MapStateEntered" in saved.read_text(), what="saved state"
        )
        aws.restart(how)
        execution = records.ended()
        assert execution["status"] == "SUCCEEDED", execution.get("cause")
        assert records.output(execution) == "A B C"
        assert len(records.said("plan")) == 1
        assert sorted(records.said("answered")) == ["answered 0", "answered 1", "answered 2"]
    finally:
        aws.stop()


DENIED = {
    "run": ("ECS.AccessDeniedException", "may not ecs:RunTask on"),
    "pass": ("ECS.AccessDeniedException", "may not iam:PassRole on"),
    "stop": ("ECS.AccessDeniedException", "may not ecs:DescribeTasks on"),
    "rule": ("ECS.AccessDeniedException", "may not events:PutTargets on"),
    "children": ("StepFunctions.AccessDeniedException", "may not states:StartExecution on"),
    "read": ("States.ItemReaderFailed", "may not s3:GetObject on"),
}


@pytest.mark.parametrize("statement", DENIED)
def test_a_role_that_may_not_ends_the_execution_with_a_sentence(
    records: Records, statement: str
) -> None:
    records.deploy(None, statement)
    records.drop("a")
    execution = records.ended()
    error, sentence = DENIED[statement]
    assert (execution["status"], execution["error"]) == ("FAILED", error)
    assert execution["cause"].startswith(f"{records.name}-MachineRole {sentence}")
    assert execution["cause"] in sentences(records.aws)


def test_a_rule_whose_role_may_not_starts_nothing_and_says_so(records: Records) -> None:
    records.deploy(None, "start")
    records.drop("a")
    denied = f"{records.name}-EventsRole may not states:StartExecution on {records.machine}"
    eventually(
        lambda: any(found.startswith(denied) for found in sentences(records.aws)), what="the denial"
    )
    assert records.executions() == []


def test_what_a_container_may_is_of_the_role_that_the_machine_gives_it(records: Records) -> None:
    machine = definition()
    del machine["States"]["Plan"]["Parameters"]["Overrides"]["TaskRoleArn"]
    records.deploy(machine)
    records.drop("a")
    execution = records.ended()
    assert json.loads(execution["cause"])["Containers"][0]["ExitCode"] == 1
    denied = f"{records.name}-ServiceRole may not s3:GetObject"
    assert any(found.startswith(denied) for found in sentences(records.aws))


def test_a_task_that_takes_too_long_is_stopped_and_caught(records: Records) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.problem", "Next": "Late"}]
    answer = task("Answer", ["'answer'", "$.run", "'0'", "'a'"], TimeoutSeconds=2, Catch=catch)
    late = {"Type": "Fail", "Error": "Late", "CausePath": "$.problem.Error"}
    states = {"Answer": {**answer, "End": True}, "Late": late}
    records.deploy({"StartAt": "Answer", "States": states})
    records.hold(0)
    started = {"stateMachineArn": records.machine, "input": json.dumps({"run": "r"})}
    records.states.start_execution(**started)
    execution = records.ended()
    assert (execution["error"], execution["cause"]) == ("Late", "States.Timeout")
    eventually(lambda: "Stopped by Step Functions" in json.dumps(stopped(records)), what="the stop")


@pytest.mark.parametrize("may", [True, False])
def test_a_state_tells_people_where_its_role_may(records: Records, *, may: bool) -> None:
    topic = records.aws.client("sns").create_topic(Name=records.name)["TopicArn"]
    told: dict[str, Any] = {"TopicArn": topic, "Subject": "no", "Message.$": "$.said"}
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.problem", "Next": "Not told"}]
    tell = {"Type": "Task", "Resource": PUBLISH, "Parameters": told, "End": True, "Catch": catch}
    states = {"Tell": tell, "Not told": {"Type": "Fail", "ErrorPath": "$.problem.Error"}}
    without = () if may else ("tell",)
    records.deploy({"StartAt": "Tell", "States": states}, *without)
    started = {"stateMachineArn": records.machine, "input": json.dumps({"said": records.name})}
    records.states.start_execution(**started)
    execution = records.ended()
    mail = [file.read_text("utf-8") for file in (records.aws.state / "mail").glob("*.txt")]
    kept = [text for text in mail if f"Topic: {records.name}\n" in text]
    if may:
        assert "MessageId" in json.loads(execution["output"])
        assert [text.endswith(f"Subject: no\n\n{records.name}\n") for text in kept] == [True]
    else:
        assert (execution["error"], kept) == ("SNS.AuthorizationErrorException", [])


def stopped(records: Records) -> list[str]:
    ecs = records.aws.client("ecs")
    arns = ecs.list_tasks(cluster=records.name, desiredStatus="STOPPED")["taskArns"]
    if not arns:
        return []
    tasks = ecs.describe_tasks(cluster=records.name, tasks=arns)["tasks"]
    return [found["stoppedReason"] for found in tasks]


def test_a_family_is_its_newest_active_revision(records: Records) -> None:
    records.deploy()
    ecs = records.aws.client("ecs")
    newest = ecs.describe_task_definition(taskDefinition="records")["taskDefinition"]
    container = {"name": "service", "image": "nowhere/gone:1"}
    ecs.register_task_definition(family="records", containerDefinitions=[container])
    ecs.deregister_task_definition(taskDefinition=f"records:{newest['revision'] + 1}")
    records.drop("a")
    assert records.output(records.ended()) == "A"


def test_a_failed_execution_is_a_metric_on_which_an_alarm_rings(records: Records) -> None:
    records.deploy({"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "No"}}})
    cloudwatch = records.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=records.name,
        Namespace="AWS/States",
        MetricName="ExecutionsFailed",
        Dimensions=[{"Name": "StateMachineArn", "Value": records.machine}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    records.states.start_execution(stateMachineArn=records.machine)

    def state() -> str:
        alarms = cloudwatch.describe_alarms(AlarmNames=[records.name])["MetricAlarms"]
        found: str = alarms[0]["StateValue"]
        return found

    eventually(lambda: state() == "ALARM", what="the alarm")


def machine_of(records: Records, **states: Any) -> str:
    """Make a machine without its stack, with a role that may do nothing; returns its ARN."""
    iam = records.aws.client("iam")
    trust = json.dumps(role("states.amazonaws.com")["Properties"]["AssumeRolePolicyDocument"])
    made = iam.create_role(RoleName=records.name, AssumeRolePolicyDocument=trust)
    machine = records.states.create_state_machine(
        name=records.name,
        definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
        roleArn=made["Role"]["Arn"],
    )
    arn: str = machine["stateMachineArn"]
    return arn


def test_data_beyond_256_kib_is_refused_as_on_aws(records: Records) -> None:
    twice = {"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}, "End": True}
    arn = machine_of(records, Twice=twice)
    text = json.dumps("x" * 200_000)
    records.states.start_execution(stateMachineArn=arn, input=text)
    execution = records.ended()
    assert execution["error"] == "States.DataLimitExceeded"
    assert "400,018 of 262,144" in execution["cause"]
    with pytest.raises(records.states.exceptions.ClientError, match="too long"):
        records.states.start_execution(stateMachineArn=arn, input=json.dumps("é" * 140_000))


def test_a_started_execution_started_again_by_its_name_is_one(records: Records) -> None:
    records.deploy()
    records.hold(0)
    records.drop("a")
    eventually(lambda: records.said("begin"), what="the child")
    (running,) = records.executions()
    described = records.states.describe_execution(executionArn=running["executionArn"])
    again = records.states.start_execution(
        stateMachineArn=records.machine, name=running["name"], input=described["input"]
    )
    assert again["executionArn"] == running["executionArn"]
    with pytest.raises(records.states.exceptions.ExecutionAlreadyExists):
        records.states.start_execution(stateMachineArn=records.machine, name=running["name"])
    records.release()
    assert records.ended()["status"] == "SUCCEEDED"


def test_a_path_that_leads_nowhere_ends_the_execution(records: Records) -> None:
    arn = machine_of(
        records, Name={"Type": "Pass", "Parameters": {"run.$": "$.detail.run"}, "End": True}
    )
    records.states.start_execution(stateMachineArn=arn, input=json.dumps({"detail": {}}))
    execution = records.ended()
    assert execution["error"] == "States.Runtime"
    assert "'$.detail.run' could not be found" in execution["cause"]


def test_a_refused_machine_is_not_made_by_api_or_stack(records: Records) -> None:
    batched = definition(ItemBatcher={"MaxItemsPerBatch": 10})
    with pytest.raises(records.states.exceptions.InvalidDefinition, match="does not run ItemBatch"):
        machine_of(records, **batched["States"])
    assert records.deploy(batched) == "ROLLBACK_COMPLETE"
    events = records.aws.client("cloudformation").describe_stack_events(StackName=records.name)
    reasons = [event.get("ResourceStatusReason", "") for event in events["StackEvents"]]
    assert any("State Answers: the local AWS does not run ItemBatcher" in why for why in reasons)
    machines = records.states.list_state_machines()["stateMachines"]
    assert records.machine not in [machine["stateMachineArn"] for machine in machines]


def test_a_stack_updates_its_machine_and_deletes_it(records: Records) -> None:
    records.deploy()
    described = records.states.describe_state_machine(stateMachineArn=records.machine)
    assert described["tracingConfiguration"] == {"enabled": True}
    assert "${" not in described["definition"]
    assert f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{records.name}" in described["definition"]
    changed = definition(retry=RETRY, MaxConcurrency=7)
    assert records.deploy(changed) == "UPDATE_COMPLETE"
    described = records.states.describe_state_machine(stateMachineArn=records.machine)
    assert json.loads(described["definition"])["States"]["Answers"]["MaxConcurrency"] == 7
    stacks = records.aws.client("cloudformation")
    stacks.delete_stack(StackName=records.name)
    with pytest.raises(records.states.exceptions.StateMachineDoesNotExist):
        eventually(
            lambda: not records.states.describe_state_machine(stateMachineArn=records.machine),
            what="the end of the machine",
        )
