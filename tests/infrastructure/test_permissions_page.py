"""The page of permissions says what the templates of the example say, and so does a difference."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from docs import permissions_page
from docs.permissions_page import Grantee, PermissionsError, Reader
from docs.synthesised import Json as Properties
from docs.synthesised import Resource, read_resources
from docs.used_statements import REASONS, UNEXPLAINED, Policy, Used, read_recorded
from tests.infrastructure.synthesised import Assembly, Json, listed

pytestmark = pytest.mark.shipped


def test_the_page_of_permissions_is_up_to_date(resources: list[Resource]) -> None:
    page = permissions_page.PAGE.read_text(encoding="utf-8")
    recorded = Used(read_recorded())
    assert page == permissions_page.permissions_page(resources, recorded), "run `make pages`"


def test_every_statement_that_the_run_did_not_use_is_explained() -> None:
    page = permissions_page.PAGE.read_text(encoding="utf-8")
    assert UNEXPLAINED not in page
    _, unused = page.split("## Statements that the run did not use\n")
    assert [reason for _, reason in REASONS if f"\n{reason}\n" not in unused] == []
    roles = page.split("## What resources themselves allow")[0]
    assert roles.count(" *Used.*\n") > 50


def test_a_statement_that_is_another_than_the_recorded_is_not_marked(
    resources: list[Resource],
) -> None:
    recorded = read_recorded()
    used = sum(fact.used for role in marked(resources, recorded) for fact in role.statements)
    (place, policy) = next(
        (place, policy)
        for policy in recorded
        for place, statement in enumerate(policy["statements"])
        if statement["call"]
    )
    policy["statements"][place]["statement"]["Action"] = "s3:Other"
    now = sum(fact.used for role in marked(resources, recorded) for fact in role.statements)
    assert now == used - 1


def marked(resources: list[Resource], recorded: list[Policy]) -> list[Grantee]:
    """The roles of the example with what a recorded run used."""
    return Reader(resources, recorded=Used(recorded)).roles()


def said_wrongly(page: str, example: Assembly) -> list[str]:
    """Roles whose own section does not say each of their statements, by the templates."""
    sections = dict(re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", page, re.M | re.S))
    wrong = []
    for stack in example.templates:
        short = stack.removeprefix("prompt-hub-")
        granted = example.statements(short)
        for logical_id, role in example.resources(short, "AWS::IAM::Role").items():
            name = role.get("RoleName", re.sub(r"(?:[0-9A-F]{8})+$", "", logical_id))
            lines = re.findall(r"^- (.+)$", sections.get(f"{stack}: Role {name}", ""), re.M)
            statements = [
                *granted.get(logical_id, []),
                *(
                    statement
                    for policy in role.get("Policies", [])
                    for statement in policy["PolicyDocument"]["Statement"]
                ),
            ]
            if len(lines) != len(statements) or not all(map(says, lines, statements)):
                wrong.append(name)
    return wrong


def says(line: str, statement: Json) -> bool:
    """Whether a line has each action, condition and text of a resource of a statement."""
    keys = [key for tests in statement.get("Condition", {}).values() for key in tests]
    resources = [item for item in listed(statement["Resource"]) if isinstance(item, str)]
    return (
        ("**never**" in line) == (statement["Effect"] == "Deny")
        and all(f"`{name}`" in line for name in [*listed(statement["Action"]), *keys])
        and all(f"`{name}`" in line for name in resources)
    )


def test_every_statement_stands_under_its_own_role(example: Assembly) -> None:
    page = permissions_page.PAGE.read_text(encoding="utf-8")
    assert said_wrongly(page, example) == []


def test_a_role_that_loses_what_another_has_is_noticed(
    example: Assembly, resources: list[Resource]
) -> None:
    """Else the test above would prove nothing."""
    (policy,) = [
        item
        for item in resources
        if item.kind == "AWS::IAM::Policy" and item.logical_id.startswith("PipelinedevDrill")
    ]
    page = permissions_page.permissions_page([item for item in resources if item is not policy])
    assert said_wrongly(page, example) == ["PipelinedevDrillRole"]


def changed(example: Assembly, folder: Path, stack: str, change: str, into: str) -> Path:
    """A copy of the assembly in which a text of one template is another."""
    shutil.copytree(example.path, folder)
    (path,) = folder.rglob(f"{stack}*.template.json")
    template = path.read_text()
    assert change in template
    path.write_text(template.replace(change, into))
    return folder


def test_a_difference_names_what_was_added_and_taken_away(
    example: Assembly, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = changed(example, tmp_path / "new", "devService", '"SCORE#*"', '"*"')
    assert permissions_page.main(["--diff", str(example.path), str(new)]) == 1
    start = "prompt-hub-dev-service: Role prompt-hub-dev-task: May `dynamodb:PutItem` on"
    table = "`arn:aws:dynamodb:us-east-1:{Account}:table/prompt-hub-dev-ledger`"
    where = f"{start} {table}, only where each value of `dynamodb:LeadingKeys` is like"
    assert capsys.readouterr().out.splitlines() == [f"+ {where} `*`.", f"- {where} `SCORE#*`."]


def test_another_trust_is_a_difference(example: Assembly, tmp_path: Path) -> None:
    new = changed(
        example, tmp_path / "new", "devRollback", '"lambda.amazonaws.com"', '"ec2.amazonaws.com"'
    )
    lines = permissions_page.difference(read_resources(example.path), read_resources(new))
    assert [line[0] for line in lines] == ["+", "-"]
    assert "May be assumed by the service `ec2.amazonaws.com`, only where" in lines[0]


def test_no_difference_is_said(example: Assembly, capsys: pytest.CaptureFixture[str]) -> None:
    assert permissions_page.main(["--diff", str(example.path), str(example.path)]) == 0
    assert capsys.readouterr().out == "no permission changes\n"


# --- Templates that are not ours today -----------------------------------------------------------

EXPORT = {"Fn::ImportValue": "other:ExportsOutputRefBucket01234567"}
ALLOW: Json = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST: Json = {
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
}


def resource(logical_id: str, kind: str, properties: Properties, stack: str = "a") -> Resource:
    return Resource(
        stack=stack, logical_id=logical_id, kind=kind, properties=properties, template={}
    )


def role(*statements: Json, logical_id: str = "Role01234567", **properties: object) -> Resource:
    policies = [{"PolicyDocument": {"Statement": list(statements)}}] if statements else []
    return resource(
        logical_id,
        "AWS::IAM::Role",
        {"AssumeRolePolicyDocument": TRUST, "Policies": policies, **properties},
    )


def policy(kind: str = "Policy", stack: str = "a", **properties: object) -> Resource:
    document = {"Statement": [ALLOW]}
    return resource(
        "Policy01234567", f"AWS::IAM::{kind}", {"PolicyDocument": document, **properties}, stack
    )


def words(grantee: Grantee) -> list[str]:
    return [fact.words for fact in grantee.statements]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (EXPORT, "<export other:ExportsOutputRefBucket01234567>"),
        (
            {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${Role.Arn}/${!x}"},
            "arn:{Partition}:iam::{Account}:role/<Role>/${x}",
        ),
        ({"Fn::Sub": ["${a}-${b89ABCDEF}", {"a": {"Ref": "AWS::Region"}}]}, "{Region}-<b>"),
        ({"Fn::GetAtt": ["Table01234567", "StreamArn"]}, "<Table.StreamArn>"),
        ({"Fn::GetAtt": "Table01234567.Arn"}, "<Table>"),
        ({"Fn::Select": [0, {"Ref": "A"}]}, '{"Fn::Select": [0, {"Ref": "A"}]}'),
        (
            {"Fn::Join": ["/", [{"Fn::FindInMap": ["A", "b", "c"]}, "d"]]},
            '{"Fn::FindInMap": ["A", "b", "c"]}/d',
        ),
        ({"Fn::Join": ["/", {"Ref": "List"}]}, '{"Fn::Join": ["/", {"Ref": "List"}]}'),
    ],
)
def test_a_calculated_value_is_said_by_what_it_is(value: Json, said: str) -> None:
    (grantee,) = Reader([role({**ALLOW, "Resource": value})]).roles()
    assert words(grantee) == [f"May `s3:GetObject` on `{said}`."]


def test_siblings_that_would_be_called_alike_keep_their_hash() -> None:
    siblings = [resource(f"Logs{end * 8}", "AWS::Logs::LogGroup", {}) for end in "AB"]
    alone = resource("LogsCCCCCCCC", "AWS::Logs::LogGroup", {}, "b")
    one = role({**ALLOW, "Resource": {"Ref": "LogsAAAAAAAA"}})
    (grantee,) = Reader([one, *siblings, alone]).roles()
    assert words(grantee) == ["May `s3:GetObject` on `<LogsAAAAAAAA>`."]
    (grantee,) = Reader([one, siblings[0], alone]).roles()
    assert words(grantee) == ["May `s3:GetObject` on `<Logs>`."]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (EXPORT, {"Fn::ImportValue": "other:ExportsOutputRefBucket89ABCDEF"}),
        ({"Ref": "LogsAAAAAAAA"}, {"Ref": "LogsBBBBBBBB"}),
        ({"Fn::GetAtt": ["A", "Arn"]}, {"Fn::GetAtt": ["A", "StreamArn"]}),
        ({"Fn::Select": [0, {"Ref": "A"}]}, {"Fn::Select": [1, {"Ref": "A"}]}),
        ({"Fn::Sub": "${AWS::Partition}"}, {"Fn::Sub": "${AWS::Region}"}),
        # The words are the same; the JSON that follows them is not.
        ({"Ref": "A"}, {"Fn::GetAtt": ["A", "Arn"]}),
        ({"Ref": "AWS::Region"}, "{Region}"),
    ],
)
def test_any_other_value_is_a_difference(before: object, after: object) -> None:
    old, new = ([role({**ALLOW, "Resource": value})] for value in (before, after))
    lines = permissions_page.difference(old, new)
    assert sorted(line[0] for line in lines) == ["+", "-"]
    assert lines[0][2:] != lines[1][2:]
    assert permissions_page.difference(old, old) == []


def test_what_words_leave_out_is_a_difference() -> None:
    permission = resource(
        "Permission",
        "AWS::Lambda::Permission",
        {
            "FunctionName": {"Ref": "F"},
            "Action": "lambda:InvokeFunction",
            "Principal": "lambda.alarms.cloudwatch.amazonaws.com",
            "SourceArn": {"Fn::GetAtt": ["AlarmAAAAAAAA", "Arn"]},
        },
    )
    alarms = [resource(f"Alarm{end * 8}", "AWS::CloudWatch::Alarm", {}) for end in "AB"]
    other = {**permission.properties, "SourceArn": {"Fn::GetAtt": ["AlarmBBBBBBBB", "Arn"]}}
    anywhere = {key: value for key, value in other.items() if key != "SourceArn"}
    old = [permission, *alarms]
    for properties in (other, anywhere, {**permission.properties, "SourceAccount": "1"}):
        new = [replace(permission, properties=properties), *alarms]
        assert len(permissions_page.difference(old, new)) == 2


@pytest.mark.parametrize(
    ("owner", "attached"),
    [
        ({}, policy(Roles=[{"Ref": "Role01234567"}])),
        ({}, policy("ManagedPolicy", Roles=[{"Ref": "Role01234567"}])),
        ({"RoleName": "ours"}, policy(Roles=["ours"])),
        ({"RoleName": "ours"}, policy(stack="b", Roles=["ours"])),
        ({"RoleName": "ours"}, policy("RolePolicy", RoleName="ours")),
        ({"ManagedPolicyArns": [{"Ref": "Policy01234567"}]}, policy("ManagedPolicy")),
    ],
)
def test_a_policy_is_the_roles_however_it_is_attached(owner: Json, attached: Resource) -> None:
    (grantee,) = Reader([role(**owner), attached]).roles()
    assert words(grantee) == ["May `s3:GetObject` on `*`."]


@pytest.mark.parametrize(
    ("attached", "name"),
    [
        (policy(Roles=["theirs"]), "Role theirs, which is not made here"),
        (policy(Roles=[EXPORT]), f"Role <export {EXPORT['Fn::ImportValue']}>, which is not made"),
        (policy(stack="b", Roles=[{"Ref": "Role01234567"}]), "Role <Role>, which is not made here"),
        (policy(Users=["Ann"]), "User Ann, which is not made here"),
        (policy(Groups=["people"]), "Group people, which is not made here"),
        (policy("ManagedPolicy"), "Policy Policy, which no role here has"),
    ],
)
def test_a_policy_of_anybody_else_is_not_lost(attached: Resource, name: str) -> None:
    ours, other = Reader([role(), attached]).roles()
    assert words(ours) == []
    assert other.name.startswith(name)
    assert words(other) == ["May `s3:GetObject` on `*`."]


def test_what_the_page_cannot_say_is_refused() -> None:
    user = resource("Ann", "AWS::IAM::User", {"Policies": []})
    with pytest.raises(PermissionsError, match="a: Ann is an AWS::IAM::User, which the page of"):
        Reader([user])
    sealed = resource("Logs", "AWS::Logs::ResourcePolicy", {"PolicyDocument": "{}"})
    with pytest.raises(PermissionsError, match=r"a: Logs\.PolicyDocument is .* cannot read"):
        Reader([sealed]).resource_policies()


@pytest.mark.parametrize(
    ("kind", "properties", "name"),
    [
        ("AWS::ECR::Repository", {"RepositoryName": "r", "RepositoryPolicyText": ...}, "ECR r"),
        ("AWS::EC2::VPCEndpoint", {"PolicyDocument": ...}, "EC2 <Thing>"),
        ("AWS::SQS::QueuePolicy", {"Queues": [{"Ref": "Q"}], "PolicyDocument": ...}, "SQS <Q>"),
        ("AWS::KMS::Key", {"Description": "d", "KeyPolicy": ...}, "KMS d"),
        (
            "AWS::DynamoDB::Table",
            {"TableName": "t", "ResourcePolicy": {"PolicyDocument": ...}},
            "DynamoDB t",
        ),
    ],
)
def test_the_policy_of_any_resource_is_on_the_page(kind: str, properties: Json, name: str) -> None:
    document = {"Statement": [{**ALLOW, "Principal": {"AWS": "1"}}]}
    filled = {
        key: document
        if value is ...
        else {"PolicyDocument": document}
        if key == "ResourcePolicy"
        else value
        for key, value in properties.items()
    }
    (grantee,) = Reader([resource("Thing", kind, filled)]).resource_policies()
    assert grantee.name == name
    assert words(grantee) == ["`1` may `s3:GetObject` on `*`."]


def test_every_kind_of_statement_becomes_a_sentence() -> None:
    statement: Json = {
        "Effect": "Deny",
        "NotAction": ["s3:Get*", "s3:List*"],
        "NotResource": {"Fn::Sub": "arn:aws:s3:::a-${AWS::AccountId}"},
        "Condition": {"ForAnyValue:StringNotEqualsIfExists": {"aws:TagKeys": "a"}},
    }
    trust = {
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": ["sts:AssumeRole", "sts:TagSession"]},
            {"Effect": "Deny", "NotPrincipal": {"AWS": "1"}, "Action": "sts:AssumeRole"},
        ]
    }
    (grantee,) = Reader(
        [
            role(
                statement,
                {"Fn::If": ["Wanted", ALLOW, {"Ref": "AWS::NoValue"}]},
                AssumeRolePolicyDocument=trust,
                ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"],
                PermissionsBoundary="arn:aws:iam::1:policy/edge",
            )
        ]
    ).roles()
    assert [fact.words for fact in grantee.about] == [
        "May be assumed by anybody, with `sts:TagSession`.",
        "May **never** be assumed by anybody but `1`.",
        "Never more than its boundary `arn:aws:iam::1:policy/edge` allows.",
        "Has the managed policy `arn:aws:iam::aws:policy/AdministratorAccess` too.",
    ]
    denied, calculated = words(grantee)
    assert denied == (
        "May **never** everything but `s3:Get*` and `s3:List*` on everything but"
        " `arn:aws:s3:::a-{Account}`, where a value of `aws:TagKeys` (where there is one) is not"
        " `a`."
    )
    assert json.loads(calculated[1:-2])["Fn::If"][1] == ALLOW
