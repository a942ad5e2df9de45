"""The pipeline engine: a self-mutating CDK pipeline by the unmodified CLI, small ones by API."""

from __future__ import annotations

import io
import json
import shutil
import signal
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local_aws import source
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually
from tests.local_aws.pipelines import (
    APP,
    FIXTURE,
    GATE,
    PLAIN,
    Pipelines,
    Repository,
    action,
    build,
)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipelines]:
    app = {
        path.relative_to(APP).as_posix(): path.read_text()
        for path in APP.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "cdk.out" not in path.parts
    }
    fixture = Repository.make(tmp_path_factory.mktemp("fixture"), app)
    plain = Repository.make(tmp_path_factory.mktemp("plain"), {"word.txt": "first\n"})
    aws = LocalAws(
        state=tmp_path_factory.mktemp("local-aws"),
        overrides={"FIXTURE_PYTHON": sys.executable},
        repositories={FIXTURE: fixture.bare, PLAIN: plain.bare},
    )
    aws.start()
    aws.client("s3").create_bucket(
        Bucket="plain-artifacts", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    yield Pipelines(aws, fixture, plain)
    aws.stop()


@pytest.fixture(scope="module")
def deployed(pipelines: Pipelines) -> Pipelines:
    """The fixture app's pipeline, deployed, with the execution that its creation started ended."""
    # Outside the app's folder, where it would be synthesised for nothing.
    pipelines.cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", cwd=pipelines.aws.state)
    pipelines.cdk("deploy", "FixturePipeline", "--require-approval", "never")
    started = time.monotonic()
    first = pipelines.executions("fixture")[0]["pipelineExecutionId"]
    pipelines.ended("fixture", first, seconds=90)
    pipelines.seconds["first execution"] = round(time.monotonic() - started, 1)
    print(pipelines.seconds)
    return pipelines


def parameter(pipelines: Pipelines, name: str) -> str:
    found = pipelines.aws.client("ssm").get_parameter(Name=f"/fixture/{name}")
    return str(found["Parameter"]["Value"])


# --- A CDK pipeline ----------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("npm"), reason="CDK Pipelines installs its tools with npm")
def test_a_cdk_pipeline_deploys_its_stage_with_assets_steps_and_variables(
    deployed: Pipelines,
) -> None:
    (first,) = deployed.executions("fixture")
    actions = deployed.actions("fixture", first["pipelineExecutionId"])

    assert first["status"] == "Succeeded", actions
    assert list(actions)[:6] == [
        "example_fixture",
        "Synth",
        "SelfMutate",
        "FileAssets",
        "Greeter.Prepare",
        "Greeter.Deploy",
    ]
    assert parameter(deployed, "greeting") == "hello"
    assert parameter(deployed, "release") == first["pipelineExecutionId"]
    answer = deployed.aws.client("lambda").invoke(FunctionName="fixture-greeter")
    assert json.loads(answer["Payload"].read()) == {"greeting": "hello"}
    outputs = actions["Greeter.Deploy"]["output"]["outputVariables"]
    assert outputs["GreetingName"] == "/fixture/greeting"


def test_a_step_that_pushes_to_the_clone_starts_nothing(deployed: Pipelines) -> None:
    first = deployed.executions("fixture")[-1]["pipelineExecutionId"]

    assert deployed.fixture.head("released.txt") == first
    time.sleep(3 * source.POLL_SECONDS)
    assert len(deployed.executions("fixture")) == 1


def test_a_push_is_deployed_and_one_that_no_filter_names_is_not(deployed: Pipelines) -> None:
    deployed.fixture.push({"notes.md": "nothing\n"})
    commit = deployed.fixture.push({"greeting.txt": "good day\n"})

    id_ = deployed.started_by("fixture", commit)

    assert deployed.ended("fixture", id_, seconds=60)["status"] == "Succeeded"
    assert parameter(deployed, "greeting") == "good day"
    assert parameter(deployed, "release") == id_
    revision = deployed.execution("fixture", id_)["sourceRevisions"][0]
    assert revision["revisionId"] == commit


def test_a_changed_pipeline_mutates_itself_and_restarts_on_the_same_commit(
    deployed: Pipelines,
) -> None:
    commit = deployed.fixture.push({"steps.txt": "check\n"})

    old = deployed.started_by("fixture", commit)
    assert deployed.ended("fixture", old, seconds=60)["status"] == "Cancelled"
    new = deployed.executions("fixture")[0]
    ended = deployed.ended("fixture", new["pipelineExecutionId"], seconds=60)

    assert ended["status"] == "Succeeded"
    assert ended["sourceRevisions"][0]["revisionId"] == commit
    actions = deployed.actions("fixture", new["pipelineExecutionId"])
    assert "check" in actions
    assert "release" not in actions
    assert "Greeter.Deploy" not in deployed.actions("fixture", old)


# --- Small pipelines ---------------------------------------------------------------------------


def test_artifacts_and_variables_reach_later_actions(pipelines: Pipelines) -> None:
    pipelines.project(
        "make",
        "mkdir out && cp word.txt out/word && chmod 755 out/word",
        'NOTE="say \\"$SAID\\""',
        env={"exported-variables": ["NOTE"]},
        artifacts={"base-directory": "out", "files": ["**/*"]},
    )
    pipelines.project(
        "use",
        'test "$(cat $CODEBUILD_SRC_DIR_Made/word)" = first',
        "test -x $CODEBUILD_SRC_DIR_Made/word",
        "test -f word.txt",
        "RESULT=$EXECUTION-$NOTE",
        env={"exported-variables": ["RESULT"]},
    )
    first = build(
        "Make", "make", {"SAID": "#{Taken.CommitMessage}"}, outputs=["Made"], namespace="Make"
    )
    variables = {"EXECUTION": "#{codepipeline.PipelineExecutionId}", "NOTE": "#{Make.NOTE}"}
    second = build("Use", "use", variables, inputs=["Tree", "Made"], order=2)
    second["configuration"]["PrimarySource"] = "Tree"

    id_ = pipelines.plain_pipeline("flow", ("Work", [second, first]))

    assert pipelines.ended("flow", id_)["status"] == "Succeeded"
    use = pipelines.actions("flow", id_)["Use"]
    assert use["output"]["outputVariables"]["RESULT"] == f'{id_}-say "change word.txt"'
    location = use["input"]["inputArtifacts"][1]["s3location"]
    made = pipelines.aws.client("s3").get_object(Bucket=location["bucket"], Key=location["key"])
    assert zipfile.ZipFile(io.BytesIO(made["Body"].read())).namelist() == ["word"]


def test_actions_of_one_run_order_run_at_the_same_time(pipelines: Pipelines) -> None:
    pipelines.project("slow", "sleep 2")

    id_ = pipelines.plain_pipeline(
        "parallel", ("Work", [build("One", "slow"), build("Two", "slow")])
    )

    assert pipelines.ended("parallel", id_)["status"] == "Succeeded"
    item, entry = (pipelines.actions("parallel", id_)[name] for name in ("One", "Two"))
    assert max(item["startTime"], entry["startTime"]) < min(
        item["lastUpdateTime"], entry["lastUpdateTime"]
    )


def test_a_failed_build_is_explained_and_its_stage_can_be_retried(
    pipelines: Pipelines, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    pipelines.project("flaky", "echo looking for the flag", f"test -e {flag}")
    pipelines.project("steady", f"echo ran >> {tmp_path / 'steady'}")
    id_ = pipelines.plain_pipeline(
        "retried", ("Work", [build("Flaky", "flaky"), build("Steady", "steady")])
    )

    ended = pipelines.ended("retried", id_)
    assert ended["status"] == "Failed"
    assert ended["statusSummary"].startswith("Work/Flaky: Build terminated with state: FAILED.")
    result = pipelines.actions("retried", id_)["Flaky"]["output"]["executionResult"]
    assert result["errorDetails"]["code"] == "JobFailed"
    assert "looking for the flag" in result["errorDetails"]["message"].splitlines()

    flag.touch()
    pipelines.api.retry_stage_execution(
        pipelineName="retried",
        stageName="Work",
        pipelineExecutionId=id_,
        retryMode="FAILED_ACTIONS",
    )
    assert pipelines.ended("retried", id_)["status"] == "Succeeded"
    assert (tmp_path / "steady").read_text() == "ran\n"

    def builds(metric: str) -> float:
        return pipelines.aws.total("AWS/CodeBuild", metric, ProjectName="flaky")

    eventually(lambda: builds("Builds") == 2, what="two builds counted")
    assert (builds("FailedBuilds"), builds("SucceededBuilds")) == (1, 1)
    assert builds("Duration") > 0
    red = pipelines.aws.total(
        "AWS/CodePipeline", "FailedPipelineExecutions", PipelineName="retried"
    )
    assert red == 1


def test_of_those_that_wait_for_a_stage_only_the_newest_goes_on(pipelines: Pipelines) -> None:
    first = pipelines.plain_pipeline("superseded", GATE)
    eventually(lambda: "Approve" in pipelines.actions("superseded", first), what="the first")
    second = pipelines.started_by("superseded", pipelines.plain.push({"word.txt": "second\n"}))
    third = pipelines.started_by("superseded", pipelines.plain.push({"word.txt": "third\n"}))

    assert pipelines.ended("superseded", second)["status"] == "Superseded"
    assert pipelines.execution("superseded", first)["status"] == "InProgress"
    pipelines.approve("superseded", first)
    assert pipelines.ended("superseded", first)["status"] == "Succeeded"
    pipelines.approve("superseded", third)
    assert pipelines.ended("superseded", third)["status"] == "Succeeded"


def test_a_rejected_approval_fails_and_a_foreign_token_is_refused(pipelines: Pipelines) -> None:
    id_ = pipelines.plain_pipeline("rejected", GATE)
    pipelines.approve("rejected", id_, "Rejected")

    ended = pipelines.ended("rejected", id_)

    assert ended["status"] == "Failed"
    assert "as a test" in ended["statusSummary"]
    with pytest.raises(ClientError, match="InvalidApprovalToken"):
        pipelines.api.put_approval_result(
            pipelineName="rejected",
            stageName="Gate",
            actionName="Approve",
            result={"status": "Approved", "summary": ""},
            token="0f0c1c9e-0000-0000-0000-000000000000",
        )


def test_an_approval_that_waits_tells_its_topic_what_it_is_about(pipelines: Pipelines) -> None:
    sns, sqs = pipelines.aws.client("sns"), pipelines.aws.client("sqs")
    topic = sns.create_topic(Name="approvers")["TopicArn"]
    queue = sqs.create_queue(QueueName="approvers")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    exported = {"exported-variables": ["CHANGES"]}
    pipelines.project("notes", "export CHANGES='brand 1.0.0 -> 1.1.0'", env=exported)
    id_ = pipelines.plain_pipeline(
        "told",
        ("Work", [build("Image", "notes", namespace="Image@Image")]),
        (
            "prod",
            [
                action(
                    "Approve",
                    ("Approval", "Manual"),
                    {
                        "NotificationArn": topic,
                        "CustomData": "Into prod? #{Image@Image.CHANGES}",
                        "ExternalEntityLink": "https://example.com/#{codepipeline.PipelineExecutionId}",
                    },
                )
            ],
        ),
    )

    def received() -> list[dict[str, str]]:
        found: list[dict[str, str]] = sqs.receive_message(QueueUrl=queue).get("Messages", [])
        return found

    (message,) = eventually(received, seconds=60, what="a message about the approval")
    envelope = json.loads(message["Body"])
    assert envelope["Subject"] == "APPROVAL NEEDED: AWS CodePipeline told for action Approve"
    told = json.loads(envelope["Message"])["approval"]
    assert told["customData"] == "Into prod? brand 1.0.0 -> 1.1.0"
    assert told["externalEntityLink"] == f"https://example.com/{id_}"
    assert (told["stageName"], told["actionName"]) == ("prod", "Approve")
    pipelines.api.put_approval_result(
        pipelineName="told",
        stageName="prod",
        actionName="Approve",
        result={"status": "Approved", "summary": "read it"},
        token=told["token"],
    )
    assert pipelines.ended("told", id_)["status"] == "Succeeded"


def test_an_approval_whose_topic_is_not_there_fails(pipelines: Pipelines) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:nobody"
    gate = action("Approve", ("Approval", "Manual"), {"NotificationArn": topic})
    id_ = pipelines.plain_pipeline("untold", ("Gate", [gate]))
    ended = pipelines.ended("untold", id_)
    assert ended["status"] == "Failed"
    assert f"the topic {topic} takes no message: NotFound" in ended["statusSummary"]


def test_an_execution_that_is_stopped_ends_its_build(pipelines: Pipelines) -> None:
    pipelines.project("endless", "sleep 3600")
    id_ = pipelines.plain_pipeline("stopped", ("Work", [build("Endless", "endless")]))
    eventually(lambda: "Endless" in pipelines.actions("stopped", id_), what="the build")

    pipelines.api.stop_pipeline_execution(
        pipelineName="stopped", pipelineExecutionId=id_, abandon=True, reason="enough"
    )

    ended = pipelines.ended("stopped", id_)
    assert (ended["status"], ended["statusSummary"]) == ("Stopped", "enough")
    assert pipelines.actions("stopped", id_)["Endless"]["status"] == "Abandoned"


def test_a_stack_that_fails_is_explained(pipelines: Pipelines) -> None:
    template = {
        "Resources": {
            "Pipeline": {
                "Type": "AWS::CodePipeline::Pipeline",
                "Properties": {"ArtifactStore": {}, "ExecutionMode": "PARALLEL", "Stages": []},
            }
        }
    }
    pipelines.plain.push({"template.json": json.dumps(template)})
    message = {
        "ActionMode": "CREATE_UPDATE",
        "StackName": "explained",
        "TemplatePath": "Tree::template.json",
    }
    deploy = action("Deploy", ("Deploy", "CloudFormation"), message, inputs=["Tree"])

    id_ = pipelines.plain_pipeline("stack", ("Work", [deploy]))

    ended = pipelines.ended("stack", id_)
    assert ended["status"] == "Failed"
    assert "Stack explained ended as ROLLBACK_COMPLETE" in ended["statusSummary"]
    assert "only the execution mode SUPERSEDED" in ended["statusSummary"]
    result = pipelines.actions("stack", id_)["Deploy"]["output"]["executionResult"]
    assert "Pipeline (AWS::CodePipeline::Pipeline)" in result["errorDetails"]["message"]
    # Not by the push as well: it was made before there was a pipeline.
    started = [execution["trigger"]["triggerType"] for execution in pipelines.executions("stack")]
    assert started == ["CreatePipeline"]
    again = pipelines.api.start_pipeline_execution(name="stack")["pipelineExecutionId"]
    assert "delete it" in pipelines.ended("stack", again)["statusSummary"]


def test_a_branch_that_is_not_there_fails_the_source_in_plain_words(pipelines: Pipelines) -> None:
    pipelines.plain_pipeline("branchless", GATE)
    definition = pipelines.api.get_pipeline(name="branchless")["pipeline"]
    definition["stages"][0]["actions"][0]["configuration"]["BranchName"] = "nowhere"
    pipelines.api.update_pipeline(pipeline=definition)
    id_ = pipelines.api.start_pipeline_execution(name="branchless")["pipelineExecutionId"]

    ended = pipelines.ended("branchless", id_)

    assert ended["statusSummary"] == f"Source/Take: {PLAIN} has no branch nowhere"


@pytest.mark.parametrize(
    ("provider", "code"),
    [
        (("Deploy", "CodeDeploy"), "InvalidActionDeclarationException"),
        (("Invoke", "Lambda"), "InvalidActionDeclarationException"),
    ],
)
def test_an_action_that_would_not_run_is_refused(
    pipelines: Pipelines, provider: tuple[str, str], code: str
) -> None:
    with pytest.raises(ClientError, match=code):
        pipelines.plain_pipeline("refused", ("Work", [action("Odd", provider)]))


# --- Life --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "reason"),
    [(signal.SIGTERM, "was stopped"), (signal.SIGKILL, "ended without being stopped")],
)
def test_what_runs_when_the_local_aws_ends_is_failed_and_the_pipeline_goes_on(
    pipelines: Pipelines, how: signal.Signals, reason: str, tmp_path: Path
) -> None:
    name = f"interrupted-{how.name}"
    pipelines.project(name, f"echo $$ > {tmp_path / 'pid'}", "sleep 3600")
    id_ = pipelines.plain_pipeline(name, ("Work", [build("Endless", name)]))
    eventually((tmp_path / "pid").exists, what="the build")
    if how == signal.SIGKILL:
        saved = pipelines.aws.state / "services" / "codepipeline.json"
        eventually(lambda: id_ in saved.read_text(), what="the periodic save")

    pipelines.aws.stop(how)
    commit = pipelines.plain.push({"word.txt": f"while nobody watched {how.name}\n"})
    pipelines.aws.start()

    ended = pipelines.execution(name, id_)
    assert ended["status"] == "Failed"
    assert reason in ended["statusSummary"]
    noticed = pipelines.started_by(name, commit)
    pipelines.api.stop_pipeline_execution(
        pipelineName=name, pipelineExecutionId=noticed, abandon=True
    )
    assert pipelines.ended(name, noticed)["status"] == "Stopped"
    pipelines.api.delete_pipeline(name=name)


# --- Trigger filters ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "files", "starts"),
    [
        ([{"branches": {"includes": ["main"]}}], [], True),
        ([{"branches": {"includes": ["release/*"]}}], ["a.py"], False),
        ([{"filePaths": {"includes": ["prompts/**"]}}], ["prompts/a/b", "README.md"], True),
        ([{"filePaths": {"includes": ["prompts/**"]}}], ["README.md"], False),
        ([{"filePaths": {"excludes": ["*.md"]}}], ["README.md"], False),
        ([{"filePaths": {"excludes": ["*.md"]}}], ["README.md", "app.py"], True),
        ([{"tags": {"includes": ["**"]}}], ["app.py"], False),
        (
            [{"branches": {"includes": ["x"]}}, {"filePaths": {"includes": ["*.py"]}}],
            ["app.py"],
            True,
        ),
    ],
)
def test_push_filters(
    filters: list[dict[str, dict[str, list[str]]]], files: list[str], starts: bool
) -> None:
    push = source.Push("owner/name", "main", "a" * 40, "b" * 40)
    assert source.filters_match(filters, push, files) is starts
