"""The pages made from the templates say what the templates say."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from docs import costs_page, permissions_page
from docs.synthesised import AssemblyError, Resource, read_resources
from tests.infrastructure.synthesised import Assembly, Json, listed

pytestmark = pytest.mark.shipped


@pytest.fixture(scope="session")
def resources(assembly: Assembly) -> list[Resource]:
    return read_resources(assembly.path)


def rows(page: str) -> dict[str, list[tuple[str, str, float]]]:
    """The lines of each bill on the page: what, formula and sum."""
    return {
        name: [
            (what, formula, float(usd.replace(",", "")))
            for what, formula, usd in re.findall(
                r"^\| ([^|*]+) \| (.+) \| ([\d,.]+) \|$", table, re.M
            )
        ]
        for name, table in re.findall(r"^## (Idle|Busy)\n(.*?)(?=^## )", page, re.M | re.S)
    }


# --- Costs -------------------------------------------------------------------------------------


def test_the_page_of_costs_is_up_to_date(resources: list[Resource]) -> None:
    page = costs_page.PAGE.read_text(encoding="utf-8")
    assert page == costs_page.costs_page(costs_page.count(resources)), "run `make pages`"


@pytest.mark.parametrize("name", ["Idle", "Busy"])
def test_each_formula_on_the_page_gives_its_sum(name: str) -> None:
    page = costs_page.PAGE.read_text(encoding="utf-8")
    lines = rows(page)[name]
    assert len(lines) == 10
    for what, formula, usd in lines:
        assert worth(what, formula) == pytest.approx(usd, abs=0.06), formula
    (total,) = re.findall(rf"^## {name}\n.*?\*\*([\d,.]+)\*\*", page, re.M | re.S)
    assert float(total.replace(",", "")) == pytest.approx(sum(usd for *_, usd in lines), abs=0.06)


def worth(what: str, formula: str) -> float:
    """Calculate a formula as it is printed: the page may be read without its code."""
    if what == "score watch, its containers":
        rounds, minutes = re.findall(r"\d+", formula)
        return int(rounds) * int(minutes) / 60 * (0.25 * 0.04048 + 0.5 * 0.004445)
    text = re.sub(r"= [\d,]+ calls ", "", formula).replace(",", "").replace("×", "*")
    if "million" in text:
        text = text.replace("million", "")
    arithmetic = re.sub(r"[A-Za-z][A-Za-z ]*", "", text)
    assert re.fullmatch(r"[\d.+*/() ]+", arithmetic), arithmetic
    return float(eval(arithmetic))


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("AWS::EC2::NatGateway", "nat_gateways"),
        ("AWS::EC2::EIP", "addresses"),
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", "balancers"),
        ("AWS::CloudWatch::Alarm", "alarms_of_a_stage"),
    ],
)
def test_one_resource_more_is_counted(resources: list[Resource], kind: str, field: str) -> None:
    before = costs_page.count(resources)
    more = next(resource for resource in resources if resource.kind == kind)
    after = costs_page.count([*resources, replace(more, properties={})])
    assert getattr(after, field) == getattr(before, field) + 1
    assert costs_page.total(costs_page.bill(after, costs_page.IDLE)) > costs_page.total(
        costs_page.bill(before, costs_page.IDLE)
    )


def test_the_counts_are_those_of_the_templates(
    assembly: Assembly, resources: list[Resource]
) -> None:
    counts = costs_page.count(resources)
    stages = assembly.only("pipeline", "AWS::CodePipeline::Pipeline")["Stages"]
    paid = [
        action
        for stage in stages
        for action in stage["Actions"]
        if stage["Name"] != "Evaluate" and action["ActionTypeId"]["Category"] != "Approval"
    ]
    assert counts.actions == len(paid)
    assert counts.alarms_of_a_task == 2
    assert counts.service_tasks == 1
    assert counts.watch_rounds == 730 * 4


def test_a_service_that_scales_is_counted_at_its_least(resources: list[Resource]) -> None:
    service = next(resource for resource in resources if resource.kind == "AWS::ECS::Service")
    others = [resource for resource in resources if resource is not service]
    scaled = [
        replace(service, properties={}),
        replace(
            service,
            kind="AWS::ApplicationAutoScaling::ScalableTarget",
            properties={"MinCapacity": 3},
        ),
    ]
    assert costs_page.count([*others, *scaled]).service_tasks == 3


# --- Permissions -------------------------------------------------------------------------------


def test_the_page_of_permissions_is_up_to_date(resources: list[Resource]) -> None:
    page = permissions_page.PAGE.read_text(encoding="utf-8")
    assert page == permissions_page.permissions_page(resources), "run `make pages`"


def test_every_action_of_every_policy_is_on_the_page(assembly: Assembly) -> None:
    page = permissions_page.PAGE.read_text(encoding="utf-8")
    statements = [
        statement
        for template in assembly.templates.values()
        for resource in template["Resources"].values()
        if "PolicyDocument" in resource.get("Properties", {})
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    ]
    assert len(statements) > 100
    for statement in statements:
        for name in listed(statement["Action"]):
            assert f"`{name}`" in page
        for tests in statement.get("Condition", {}).values():
            assert all(f"`{key}`" in page for key in tests)


def changed(assembly: Assembly, folder: Path, stack: str, change: str, into: str) -> Path:
    """A copy of the assembly in which a text of one template is another."""
    shutil.copytree(assembly.path, folder)
    (path,) = folder.rglob(f"{stack}*.template.json")
    template = path.read_text()
    assert change in template
    path.write_text(template.replace(change, into))
    return folder


def test_a_difference_names_what_was_added_and_taken_away(
    assembly: Assembly, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = changed(assembly, tmp_path / "new", "devService", '"SCORE#*"', '"*"')
    assert permissions_page.main(["--diff", str(assembly.path), str(new)]) == 1
    start = "prompt-hub-dev-service: Role prompt-hub-dev-task: May `dynamodb:PutItem` on"
    table = "`arn:aws:dynamodb:us-east-1:{Account}:table/prompt-hub-dev-ledger`"
    where = f"{start} {table}, only where each value of `dynamodb:LeadingKeys` is like"
    assert capsys.readouterr().out.splitlines() == [f"+ {where} `*`.", f"- {where} `SCORE#*`."]


def test_another_trust_is_a_difference(assembly: Assembly, tmp_path: Path) -> None:
    new = changed(
        assembly, tmp_path / "new", "devRollback", '"lambda.amazonaws.com"', '"ec2.amazonaws.com"'
    )
    lines = permissions_page.difference(read_resources(assembly.path), read_resources(new))
    assert [line[0] for line in lines] == ["+", "-"]
    assert "May be assumed by the service `ec2.amazonaws.com`." in lines[0]


def test_no_difference_is_said(assembly: Assembly, capsys: pytest.CaptureFixture[str]) -> None:
    assert permissions_page.main(["--diff", str(assembly.path), str(assembly.path)]) == 0
    assert capsys.readouterr().out == "no permission changes\n"


def test_a_folder_without_an_app_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match="found no synthesised stack; expected a folder"):
        read_resources(tmp_path)


def test_every_kind_of_policy_becomes_a_sentence() -> None:
    """What our templates do not hold today, a change may bring."""
    statement: Json = {
        "Effect": "Deny",
        "NotAction": ["s3:Get*", "s3:List*"],
        "NotResource": {"Fn::Sub": "arn:aws:s3:::a-${AWS::AccountId}"},
        "Condition": {"ForAnyValue:StringNotEqualsIfExists": {"aws:TagKeys": "a"}},
    }
    role = Resource(
        stack="a",
        logical_id="Role01234567",
        kind="AWS::IAM::Role",
        properties={
            "AssumeRolePolicyDocument": {
                "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
            },
            "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"],
            "PermissionsBoundary": "arn:aws:iam::1:policy/edge",
            "Policies": [{"PolicyDocument": {"Statement": [statement]}}],
        },
        template=json.loads("{}"),
    )
    (grantee,) = permissions_page.roles([role])
    assert grantee.about == (
        "May be assumed by anybody.",
        "Never more than its boundary `arn:aws:iam::1:policy/edge` allows.",
        "Has AWS's own policies `arn:aws:iam::aws:policy/AdministratorAccess` too.",
    )
    assert grantee.statements == (
        "May **never** everything but `s3:Get*` and `s3:List*` on everything but"
        " `arn:aws:s3:::a-{Account}`, where a value of `aws:TagKeys` (where there is one) is not"
        " `a`.",
    )
