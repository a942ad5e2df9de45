"""Each command of the runbook about a stage runs as the role of people on call, under IAM.

The role, its trust and its statements are those of the template; a person assumes it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import BucketResults
from tests.infrastructure.synthesised import CONTEXT, Assembly, Json, build
from tests.local_aws.assumed_roles import Session, resolved
from tests.local_aws.emulator import ACCOUNT, REGION, ROOT, LocalAws, eventually
from tests.local_aws.pipelines import GATE, PLAIN, Pipelines, Repository
from tests.local_aws.pipelines import build as build_action
from tests.local_aws.records_stage import BUCKET, Model, rows
from tests.local_aws.running_stage import BUCKET as RESULTS
from tests.local_aws.running_stage import STAGE, Stage, running_stage
from tests.local_aws.trace_stand import TRACE_ID, Stand, make_stand
from tests.unit.reporting.evaluations import Spec
from tests.unit.reporting.evaluations import build as build_evaluation

pytestmark = pytest.mark.shipped

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for line in re.findall(r"^    prompt-hub (.*)$", PAGE.replace("\\\n", ""), re.MULTILINE)
    if "--stage dev" in line and not line.startswith(("doctor", "repair"))
]
"""What the page shows about a stage; `doctor` needs other permissions, `repair` needs records."""
ANY = {"Effect": "Allow", "Action": "*", "Resource": "*"}
SERVICES = ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"]
BUILDERS = ["codebuild.amazonaws.com", "codepipeline.amazonaws.com"]
ANN = f"arn:aws:iam::{ACCOUNT}:user/ann"


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Assembly]:
    """The app with Ann on call, without and with a second factor."""
    dev = CONTEXT["prompt-hub"]["stages"][0]
    zones = [f"{REGION}a", f"{REGION}b"]
    found = {}
    for mfa in (False, True):
        path = tmp_path_factory.mktemp("cdk.out")
        on_call = {"principals": [ANN], "mfa": mfa, "repair": True}
        stage = {**dev, "availability_zones": zones, "on_call": on_call, "records": {}}
        build(path, {"region": REGION, "stages": [stage]}).synth()
        found[mfa] = Assembly(path)
    return found


def sign_in(aws: LocalAws, name: str) -> Session:
    """A person who may assume every role that trusts them."""
    iam = Session(aws.endpoint).client("iam")
    iam.create_user(UserName=name)
    policy = json.dumps({"Statement": [{**ANY, "Action": "sts:AssumeRole"}]})
    iam.put_user_policy(UserName=name, PolicyName="a", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Session(aws.endpoint, key["AccessKeyId"], key["SecretAccessKey"])


def role_of(aws: LocalAws, assembly: Assembly, name: str) -> str:
    """Make the role as the template says it, under another name; returns its ARN."""
    ((logical_id, role),) = (
        (logical_id, found)
        for logical_id, found in assembly.resources("dev-rollback", "AWS::IAM::Role").items()
        if found.get("RoleName") == aws_names.on_call_role("dev")
    )
    statements: list[Json] = resolved(assembly.statements("dev-rollback")[logical_id])
    return make_role(aws, name, resolved(role["AssumeRolePolicyDocument"]), statements)


def make_role(aws: LocalAws, name: str, trust: Json, statements: list[Json]) -> str:
    iam = Session(aws.endpoint).client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    policy = json.dumps({"Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName="a", PolicyDocument=policy)
    arn: str = made["Role"]["Arn"]
    return arn


def credentials(caller: Session, role: str) -> dict[str, str]:
    given = caller.client("sts").assume_role(RoleArn=role, RoleSessionName="shift")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def enforcing(folder: Path, repository: Repository | None = None) -> Iterator[LocalAws]:
    repositories = {PLAIN: repository.bare} if repository else {}
    emulator = LocalAws(state=folder / "cloud", permissions="enforce", repositories=repositories)
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository.make(tmp_path_factory.mktemp("source"), {"word.txt": "first\n"})


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory, source: Repository) -> Iterator[LocalAws]:
    yield from enforcing(tmp_path_factory.mktemp("run"), source)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    yield from enforcing(tmp_path_factory.mktemp("trace"))


@pytest.fixture(scope="module")
def ann(traced: LocalAws) -> Session:
    return sign_in(traced, "ann")


@pytest.fixture(scope="module")
def on_call(
    enforced: LocalAws,
    templates: dict[bool, Assembly],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """A stage that serves, and Ann on call for it."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": SERVICES},
        "Action": "sts:AssumeRole",
    }
    # What the stage's own processes may do is no question of this file.
    own = [f"{aws_names.service(STAGE)}-{kind}" for kind in ("task", "execution", "watch")]
    for name in ("test", *own):
        make_role(enforced, name, {"Statement": [trust]}, [ANY])
    role = role_of(enforced, templates[False], aws_names.on_call_role(STAGE))
    with running_stage(enforced, tmp_path_factory.mktemp("stage")) as stage:
        yield replace(stage, credentials=credentials(sign_in(enforced, "ann"), role))


def move_away(stage: Stage, version: str) -> None:
    """See to it that another version is active, as where somebody runs the command."""
    pointer = stage.ledger.pointer("part-class")
    assert pointer is not None
    if pointer.version == version:
        other = {"1.0.0": "1.1.0", "1.1.0": "1.0.0"}[version]
        words = ["ledger", "activate", "part-class", "--stage", STAGE, "--to", other]
        account = replace(stage, credentials={})
        account.run(*words, "--person", "somebody", "--reason", "as the page has it")


def test_the_page_has_every_kind_of_command() -> None:
    assert {" ".join(words[: 1 + (words[0] == "ledger")]) for words in COMMANDS} == {
        "ledger show",
        "ledger activate",
        "ledger downgrade",
        "ledger freeze",
        "ledger unfreeze",
        "drill",
        "watch",
    }
    assert "`prompt-hub trace TRACE-ID --stage dev`" in PAGE


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_page_runs(on_call: Stage, words: list[str]) -> None:
    if "--to" in words:
        move_away(on_call, words[words.index("--to") + 1])
    # Nobody answers for the models here: a round that ran and measured nothing ends with 3.
    said = on_call.run(*words, code=3 if words[0] == "watch" else 0)
    assert "AccessDenied" not in said
    if words[0] == "ledger" and "--to" in words:
        pointer = on_call.ledger.pointer("part-class")
        assert pointer is not None
        assert pointer.version == words[words.index("--to") + 1]
        assert pointer.changed_by == "YOUR-NAME"


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (["smoke-test"], "iam:PassRole"),
        (["activate", "--no-watch"], "dynamodb:PutItem"),
    ],
    ids=" ".join,
)
def test_what_a_release_does_is_denied(on_call: Stage, words: list[str], action: str) -> None:
    denied = on_call.start(*words)
    said, _ = denied.communicate(timeout=180)
    assert denied.returncode not in (0, None), said
    assert f"is not authorized to perform: {action}" in said


def test_records_of_a_bad_version_are_made_again(on_call: Stage) -> None:
    """They are answered by the account itself; only the repair is Ann's."""
    move_away(on_call, "1.0.0")
    s3 = on_call.aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    key = f"{aws_names.INCOMING}part-class/parts.csv"
    s3.put_object(Bucket=BUCKET, Key=key, Body=rows(3).encode())
    store = ["--store", f"s3://{BUCKET}"]
    of_run = ["--task", "part-class", "--run", "r", *store]
    with Model() as model:
        ann = replace(on_call, model=f"{model.address}/v1")
        account = replace(ann, credentials={})
        account.run("records", "plan", "--key", key, "--run", "r", *store)
        account.run("records", "answer", "--shard", "0", *of_run)
        account.run("records", "merge", *of_run)
        move_away(on_call, "1.1.0")
        said = ann.run("repair", "part-class", "--stage", STAGE, "--version", "1.1.0", "--yes")
        assert model.asked == {1: 2, 2: 2, 3: 2}
    assert "3 of 3 records by 1.1.0" in said
    assert "AccessDenied" not in said
    denied = ann.start("run", "part-class", f"s3://{BUCKET}/{key}", "out.jsonl")
    said, _ = denied.communicate(timeout=180)
    assert denied.returncode not in (0, None), "dropped files are none of hers"


@pytest.fixture
def lived(on_call: Stage, source: Repository, tmp_path: Path) -> Stage:
    """The stage after an execution that was built and waits, an evaluation and an alarm."""
    aws = on_call.aws
    trust = {"Effect": "Allow", "Principal": {"Service": BUILDERS}, "Action": "sts:AssumeRole"}
    for name in ("build", "pipeline"):
        make_role(aws, name, {"Statement": [trust]}, [ANY])
    aws.client("s3").create_bucket(
        Bucket="plain-artifacts", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    pipelines = Pipelines(aws, source, source)
    group = {"status": "ENABLED", "groupName": aws_names.log_group("pipeline")}
    pipelines.project(
        aws_names.build_project("synth"), "echo the build says so", logs={"cloudWatchLogs": group}
    )
    execution = pipelines.plain_pipeline(
        aws_names.pipeline(),
        ("Build", [build_action("Synth", aws_names.build_project("synth"))]),
        GATE,
    )
    eventually(
        lambda: pipelines.actions(aws_names.pipeline(), execution).get("Approve"),
        seconds=60,
        what="the approval",
    )
    built = build_evaluation(tmp_path, Spec(examples=6))
    results = BucketResults(aws.client("s3"), RESULTS)
    results.put(
        aws_names.evaluation_key(execution, built.record.task), built.record_path.read_text()
    )
    results.put(
        aws_names.evaluation_details_key(execution, built.record.task),
        built.details_path.read_text(),
    )
    return on_call


def test_every_page_of_the_console_has_its_sources(lived: Stage) -> None:
    process = lived.start("console", "--port", "0")
    assert process.stdout is not None
    try:
        address, _, token = process.stdout.readline().strip().partition("?")
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        browser = urllib.request.build_opener(jar)

        def page(path: str) -> str:
            text: bytes = browser.open(f"{address}{path}?{token}", timeout=60).read()
            return text.decode()

        pipeline = page("pipeline")
        execution = re.search(r"Execution <span class=\"mono\">([^<]+)", pipeline)
        (log,) = set(re.findall(r"/(pipeline/[^/\"]+/log/[^\"]+)", pipeline))
        assert execution is not None
        revision = lived.ledger.events("part-class")[0].revision
        pages = {
            "": "part-class",
            "pipeline": "waits for a person",
            log: "the build says so",
            "task/part-class": "What happened in this stage",
            f"incident/part-class/{revision}": "part-class",
            f"evaluation/part-fields/execution/{execution[1]}": "part-fields 1.3.0",
        }
        for path, words in pages.items():
            # A build's log arrives a moment after its end.
            text = eventually(
                lambda path=path, words=words: words in (read := page(path)) and read, what=path
            )
            assert "AWS refused" not in text, path
            assert "Not known" not in text, path
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.usefixtures("on_call")
def test_nobody_else_is_on_call(enforced: LocalAws) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/{aws_names.on_call_role(STAGE)}"
    with pytest.raises(ClientError, match="AccessDenied"):
        credentials(sign_in(enforced, "bob"), role)


def test_without_a_second_factor_nobody_is_where_it_is_asked_for(
    traced: LocalAws, ann: Session, templates: dict[bool, Assembly]
) -> None:
    credentials(ann, role_of(traced, templates[False], "without-mfa"))
    with pytest.raises(ClientError, match="AccessDenied"):
        credentials(ann, role_of(traced, templates[True], "with-mfa"))


def test_a_trace_runs(
    traced: LocalAws, ann: Session, templates: dict[bool, Assembly], tmp_path: Path
) -> None:
    stand: Stand = make_stand(traced, tmp_path)
    role = role_of(traced, templates[False], aws_names.on_call_role(STAGE))
    given = credentials(ann, role)
    done = subprocess.run(
        [sys.executable, "-m", "prompt_hub.cli", "trace", TRACE_ID, "--stage", STAGE],
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **traced.environment,
            **given,
            aws_names.ENV_ROOT: str(stand.clone),
        },
        cwd=stand.clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rolled-back" in done.stdout
