"""A role may do on the local AWS what its statements in the templates say, and nothing else.

Statements of ours that the local AWS can ask for are taken out of their role in turn: the call that
needs one is then denied, as AWS denies, and the denial says who may not do what.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local_aws.settings import PERMISSIONS_LOG
from local_aws.stack import LocalStack
from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import Assembly, build, listed
from tests.local_aws.assumed_roles import REGION, SERVICE, Session, assume, statements_of
from tests.local_aws.emulator import ACCOUNT, LocalAws, eventually

LEDGER = "prompt-hub-dev-ledger"
RESULTS = aws_names.results_bucket(ACCOUNT, REGION)
CLUSTER = aws_names.cluster("dev")
SERVICES = ["codebuild.amazonaws.com", "ecs-tasks.amazonaws.com", "lambda.amazonaws.com"]
TRUST_OF_SERVICES = {
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": SERVICES}, "Action": "sts:AssumeRole"}
    ]
}
KEY = {"pk": {"S": "TASK#a"}, "sk": {"S": "1"}}

WHO_AM_I = """\
import boto3
print(boto3.client("sts").get_caller_identity()["Arn"])
"""

Call = Callable[[Session], object]


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    path = tmp_path_factory.mktemp("cdk.out")
    build(path).synth()
    return Assembly(path)


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    emulator = LocalAws(state=tmp_path_factory.mktemp("run") / "cloud", permissions="enforce")
    emulator.start()
    try:
        furnish(Session(emulator.endpoint))
        yield emulator
    finally:
        emulator.stop()


def furnish(root: Session) -> None:
    """Make what the calls are made on, under the names that the templates give."""
    root.client("dynamodb").create_table(
        TableName=LEDGER,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    root.client("s3").create_bucket(Bucket=RESULTS)
    roles = {}
    for name in (f"{SERVICE}-{kind}" for kind in ("task", "execution", "watch", "smoke")):
        made = root.client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST_OF_SERVICES)
        )
        roles[name] = made["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("function.py", "def handler(event, context):\n    return 1\n")
    root.client("lambda").create_function(
        FunctionName=aws_names.rollback_function("dev"),
        Runtime="python3.13",
        Role=roles[f"{SERVICE}-task"],
        Handler="function.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    ecs = root.client("ecs")
    ecs.create_cluster(clusterName=CLUSTER)
    ecs.register_task_definition(
        family=SERVICE,
        taskRoleArn=roles[f"{SERVICE}-task"],
        executionRoleArn=roles[f"{SERVICE}-execution"],
        containerDefinitions=[{"name": "a", "image": "none:1", "memory": 128}],
    )


def get_item(caller: Session) -> object:
    return caller.client("dynamodb").get_item(TableName=LEDGER, Key=KEY)


def query(caller: Session) -> object:
    return caller.client("dynamodb").query(
        TableName=LEDGER,
        KeyConditionExpression="pk = :partition",
        ExpressionAttributeValues={":partition": {"S": "ACTIVE"}},
    )


def put_item(caller: Session, partition: str) -> object:
    item = {**KEY, "pk": {"S": partition}}
    return caller.client("dynamodb").put_item(TableName=LEDGER, Item=item)


def check_item(caller: Session) -> object:
    check = {"TableName": LEDGER, "Key": KEY, "ConditionExpression": "attribute_not_exists(x)"}
    return caller.client("dynamodb").transact_write_items(TransactItems=[{"ConditionCheck": check}])


def put_metric(caller: Session, namespace: str = aws_names.metric_namespace()) -> object:
    return caller.client("cloudwatch").put_metric_data(
        Namespace=namespace, MetricData=[{"MetricName": "a", "Value": 1}]
    )


def invoke(caller: Session) -> object:
    return caller.client("lambda").invoke(
        FunctionName=aws_names.rollback_function("dev"), InvocationType="DryRun"
    )


def put_object(caller: Session, key: str) -> object:
    return caller.client("s3").put_object(Bucket=RESULTS, Key=key, Body=b"{}")


def get_missing(caller: Session, key: str) -> object:
    """A key that is not there, which only who may list is told."""
    client = caller.client("s3")
    with pytest.raises(client.exceptions.NoSuchKey):
        raise_client_error(partial(client.get_object, Bucket=RESULTS, Key=key))
    return None


def raise_client_error(call: Callable[[], object]) -> None:
    """Let a denial through the test of another error."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"].startswith("AccessDenied"):
            pytest.fail(str(error))
        raise


def describe_services(caller: Session) -> object:
    return caller.client("ecs").describe_services(cluster=CLUSTER, services=[SERVICE])


def describe_tasks(caller: Session) -> object:
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{CLUSTER}/{'0' * 32}"
    return caller.client("ecs").describe_tasks(cluster=CLUSTER, tasks=[arn])


def run_task(caller: Session, role: str | None = "watch") -> object:
    given = f"arn:aws:iam::{ACCOUNT}:role/{SERVICE}-{role}"
    return caller.client("ecs").run_task(
        cluster=CLUSTER,
        taskDefinition=SERVICE,
        propagateTags="TASK_DEFINITION",
        overrides={"taskRoleArn": given} if role else {},
    )


def describe_definition(caller: Session) -> object:
    return caller.client("ecs").describe_task_definition(taskDefinition=SERVICE)


def describe_alarms(caller: Session) -> object:
    return caller.client("cloudwatch").describe_alarms(AlarmNamePrefix="prompt-hub")


def put_event(caller: Session, source: str = aws_names.event_source()) -> object:
    entry = {"Source": source, "DetailType": "a", "Detail": "{}"}
    return caller.client("events").put_events(Entries=[entry])


USES: list[tuple[str, str, Call]] = [
    ("task", "dynamodb:GetItem", get_item),
    (
        "task",
        "cloudwatch:PutMetricData",
        partial(put_metric, namespace=aws_names.service_namespace()),
    ),
    ("watch", "dynamodb:GetItem", get_item),
    ("watch", "dynamodb:PutItem", partial(put_item, partition="SCORE#a")),
    ("watch", "cloudwatch:PutMetricData", put_metric),
    ("watch", "lambda:InvokeFunction", invoke),
    ("watch", "s3:PutObject", partial(put_object, key="samples/dev/a/1.json")),
    ("watch", "s3:PutObject", partial(put_object, key="releases/1/dev-drill.json")),
    ("smoke", "dynamodb:Query", query),
    ("smoke", "s3:PutObject", partial(put_object, key="releases/1/dev-smoke.json")),
    ("dev/Activate", "ecs:DescribeServices", describe_services),
    ("dev/SmokeTest", "ecs:DescribeTasks", describe_tasks),
    ("dev/Activate", "ecs:RunTask", run_task),
    ("dev/Activate", "ecs:TagResource", run_task),
    ("dev/Activate", "iam:PassRole", run_task),
    ("dev/SmokeTest", "iam:PassRole", partial(run_task, role="smoke")),
    ("dev/Drill", "iam:PassRole", run_task),
    ("dev/Activate", "s3:GetObject", partial(get_missing, key="manifests/1.json")),
    ("dev/Activate", "s3:ListBucket", partial(get_missing, key="manifests/1.json")),
    ("rollback", "dynamodb:ConditionCheckItem", check_item),
    ("rollback", "dynamodb:PutItem", partial(put_item, partition="OUTBOX")),
    ("dev/Activate", "dynamodb:PutItem", partial(put_item, partition="RELEASE")),
    ("dev/Drill", "dynamodb:PutItem", partial(put_item, partition="TASK#prompt-hub-drill")),
    ("rollback", "cloudwatch:DescribeAlarms", describe_alarms),
    ("rollback", "cloudwatch:PutMetricData", put_metric),
    ("rollback", "events:PutEvents", put_event),
]


def denial_of(call: Callable[[], object]) -> str:
    """What AWS says of a call that it denies; for a read of a missing key, what the test says."""
    with pytest.raises((ClientError, pytest.fail.Exception), match="AccessDenied") as denied:
        call()
    return str(denied.value)


def said(aws: LocalAws) -> str:
    """What the local AWS wrote down about the newest denial."""
    lines = (aws.state / PERMISSIONS_LOG).read_text(encoding="utf-8").splitlines()
    sentence: str = json.loads(lines[-1])["sentence"]
    return sentence


@pytest.mark.parametrize(("role", "action", "call"), USES, ids=[f"{u[0]} {u[1]}" for u in USES])
def test_a_statement_that_is_taken_out_is_missed(
    enforced: LocalAws, assembly: Assembly, role: str, action: str, call: Call
) -> None:
    statements = statements_of(assembly, role)
    granting = [item for item in statements if action in listed(item["Action"])]
    assert len(granting) == 1, f"{role} has {len(granting)} statements with {action}"
    call(assume(enforced, statements))
    less = assume(enforced, [item for item in statements if item not in granting])
    message = denial_of(lambda: call(less))
    assert f"is not authorized to perform: {action} on resource: arn:aws" in message or (
        action == "cloudwatch:PutMetricData" and f"{action} on resource: *" in message
    )
    assert "because no identity-based policy allows" in message


@pytest.mark.parametrize(
    ("role", "call", "why"),
    [
        ("watch", partial(put_item, partition="TASK#a"), '"dynamodb:LeadingKeys": ["TASK#a"]'),
        ("watch", partial(put_metric, namespace="Other"), '"cloudwatch:namespace": "Other"'),
        ("watch", partial(put_object, key="verdicts/1.json"), "it is allowed only on arn:aws:s3"),
        ("watch", describe_alarms, "no statement of its policies has that action"),
        ("task", partial(put_item, partition="SCORE#a"), "no statement of its policies has that"),
        ("task", partial(put_item, partition="SCORE#*watch"), "no statement of its policies has"),
        ("task", put_metric, '"cloudwatch:namespace": "PromptHub"}'),
        ("task", invoke, "no statement of its policies has that action"),
        ("task", partial(put_object, key="samples/dev/a/1.json"), "no statement of its policies"),
        ("smoke", partial(put_object, key="samples/dev/a/1.json"), "it is allowed only on arn:aws"),
        ("dev/SmokeTest", run_task, f"role/{SERVICE}-smoke"),
        ("dev/SmokeTest", partial(run_task, role=None), f"role/{SERVICE}-smoke"),
        ("dev/Activate", partial(run_task, role="smoke"), f"role/{SERVICE}-watch"),
        ("rollback", partial(put_item, partition="SCORE#a"), '"dynamodb:LeadingKeys": ["SCORE#a"]'),
        ("rollback", partial(put_item, partition="RELEASE"), '"dynamodb:LeadingKeys": ["RELEASE"]'),
        ("dev/Activate", partial(put_item, partition="OUTBOX"), '"OUTBOX"'),
        ("dev/Activate", partial(put_item, partition="SCORE#a"), '"SCORE#a"'),
        ("dev/Drill", check_item, '"dynamodb:LeadingKeys": ["TASK#a"]'),
        ("rollback", partial(put_event, source="aws.ec2"), '"events:source": "aws.ec2"'),
    ],
)
def test_what_a_condition_or_a_resource_holds_off_is_denied_and_said(
    enforced: LocalAws, assembly: Assembly, role: str, call: Call, why: str
) -> None:
    caller = assume(enforced, statements_of(assembly, role))
    denial_of(lambda: call(caller))
    assert " may not " in said(enforced)
    assert why in said(enforced)


def test_a_secret_is_read_with_its_own_key_and_the_key_opens_nothing_else(
    enforced: LocalAws, tmp_path: Path
) -> None:
    root = Session(enforced.endpoint)
    key = root.client("kms").create_key()["KeyMetadata"]["Arn"]
    secret = "prompt-hub/openai"
    root.client("secretsmanager").create_secret(Name=secret, SecretString="a", KmsKeyId=key)
    model = {"provider": "openai", "model": "m", "secret": secret, "secret_kms_key": key}
    build(tmp_path, {"models": {"own": model}}).synth()
    statements = statements_of(Assembly(tmp_path), "task")

    def read(caller: Session) -> object:
        return caller.client("secretsmanager").get_secret_value(SecretId=secret)

    caller = assume(enforced, statements)
    read(caller)
    less = [item for item in statements if "kms:Decrypt" not in listed(item["Action"])]
    message = denial_of(lambda: read(assume(enforced, less)))
    assert f"is not authorized to perform: kms:Decrypt on resource: {key}" in message
    sealed = root.client("kms").encrypt(KeyId=key, Plaintext=b"a")["CiphertextBlob"]
    denial_of(lambda: caller.client("kms").decrypt(KeyId=key, CiphertextBlob=sealed))
    assert '"kms:ViaService": null' in said(enforced)


def test_an_explicit_deny_wins(enforced: LocalAws) -> None:
    allow = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": "dynamodb:GetItem", "Resource": "*"}
    caller = assume(enforced, [allow, deny])
    assert "with an explicit deny" in denial_of(lambda: get_item(caller))
    assert said(enforced).endswith(": a statement of its own denies it.")
    put_item(caller, partition="TASK#a")


def test_a_boundary_narrows_what_a_role_has(enforced: LocalAws) -> None:
    root = Session(enforced.endpoint).client("iam")
    allow = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    boundary = root.create_policy(
        PolicyName="edge",
        PolicyDocument=json.dumps({"Statement": [{**allow, "Action": "dynamodb:PutItem"}]}),
    )["Policy"]["Arn"]
    caller = assume(enforced, [allow])
    name = caller.client("sts").get_caller_identity()["Arn"].split("/")[1]
    get_item(caller)
    root.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
    denial_of(lambda: get_item(caller))
    assert "its policies allow it, its permissions boundary" in said(enforced)
    put_item(caller, partition="TASK#a")


def test_a_run_tells_each_denial_once(enforced: LocalAws) -> None:
    caller = assume(enforced, [{"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"}])
    for _ in range(2):
        denial_of(lambda: get_item(caller))
    told = LocalStack(Path(), enforced.state.parent).denials()
    assert told.count(f"denied: {said(enforced)}") == 1
    assert said(enforced).endswith("no statement of its policies has that action.")


@pytest.mark.parametrize("role", ["task", "watch"])
def test_a_task_gets_its_own_role(enforced: LocalAws, role: str) -> None:
    """Not the account's own credentials, which may do everything."""
    image = enforced.build_image("1", {"whoami.py": WHO_AM_I})
    root = Session(enforced.endpoint)
    ecs = root.client("ecs")
    ecs.register_task_definition(
        family=f"whoami-{role}",
        taskRoleArn=f"arn:aws:iam::{ACCOUNT}:role/{SERVICE}-task",
        containerDefinitions=[
            {"name": "a", "image": image, "command": ["python", "whoami.py"], "memory": 128}
        ],
    )
    given = f"arn:aws:iam::{ACCOUNT}:role/{SERVICE}-{role}"
    overrides = {} if role == "task" else {"taskRoleArn": given}
    ecs.run_task(cluster=CLUSTER, taskDefinition=f"whoami-{role}", overrides=overrides)
    log = eventually(
        lambda: "".join(
            file.read_text() for file in (enforced.state / "logs" / f"whoami-{role}").glob("*.log")
        ),
        what="the task's answer",
    )
    assert f"assumed-role/{SERVICE}-{role}/" in log


def test_a_build_gets_the_role_of_its_project(enforced: LocalAws) -> None:
    codebuild = enforced.client("codebuild")
    ask = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    logs = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    enforced.client("iam").put_role_policy(
        RoleName=f"{SERVICE}-execution",
        PolicyName="logs",
        PolicyDocument=json.dumps({"Statement": [logs]}),
    )
    phases = {"build": {"commands": [f'{sys.executable} -c "{ask}"']}}
    codebuild.create_project(
        name="whoami",
        source={
            "type": "NO_SOURCE",
            "buildspec": json.dumps({"version": "0.2", "phases": phases}),
        },
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/{SERVICE}-execution",
    )
    number = codebuild.start_build(projectName="whoami")["build"]["id"].partition(":")[2]
    log = enforced.state / "logs" / "codebuild" / "whoami" / f"{number}.log"
    eventually(
        lambda: log.exists() and f"assumed-role/{SERVICE}-execution/" in log.read_text(),
        what="the build's answer",
    )


def test_the_account_itself_may_do_everything(enforced: LocalAws) -> None:
    put_item(Session(enforced.endpoint), partition="TASK#a")


def test_wrong_credentials_are_nobody(enforced: LocalAws) -> None:
    caller = assume(enforced, [{"Effect": "Allow", "Action": "*", "Resource": "*"}])
    get_item(caller)
    with pytest.raises(ClientError, match="signature we calculated does not match"):
        get_item(replace(caller, secret="guessed"))
