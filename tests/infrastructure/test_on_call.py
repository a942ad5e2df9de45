"""The role of people on call: off by default, held to who is named and to what the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cdk_app.settings import Settings, SettingsError
from tests.infrastructure.synthesised import CONTEXT, Assembly, Json, listed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
NAME = "prompt-hub-dev-on-call"
NUMBERS = [str(number) * 12 for number in range(1, 10)] + [f"{n}00000000000" for n in range(1, 9)]
HERE, THERE = "arn:aws:iam::111111111111:user/ann", "arn:aws:iam::222222222222:role/a/engineer"


def stages(**settings: object) -> Json:
    return {"stages": [{**CONTEXT["prompt-hub"]["stages"][0], **settings}]}


def role_of(assembly: Assembly) -> tuple[str, Json]:
    ((name, role),) = (
        (name, role)
        for name, role in assembly.resources("dev-rollback", "AWS::IAM::Role").items()
        if role.get("RoleName") == NAME
    )
    return name, role


@pytest.fixture(scope="module")
def on_call(synthesise: Callable[..., Assembly]) -> Assembly:
    who = {"principals": [HERE, THERE], "mfa": True, "repair": True}
    return synthesise(stages(on_call=who, records={}))


def test_by_default_there_is_no_such_role(assembly: Assembly) -> None:
    for role in assembly.resources("dev-rollback", "AWS::IAM::Role").values():
        assert role.get("RoleName") != NAME


def test_only_who_is_named_may_be_on_call_and_only_with_a_second_factor(on_call: Assembly) -> None:
    _, role = role_of(on_call)
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Condition"] == {
        "ArnEquals": {"aws:PrincipalArn": [HERE, THERE]},
        "Bool": {"aws:MultiFactorAuthPresent": "true"},
    }
    trusted = str(statement["Principal"]["AWS"])
    assert [f"iam::{arn.split(':')[4]}:root" in trusted for arn in (HERE, THERE)] == [True, True]


def test_a_second_factor_is_asked_for_where_the_setting_says_so(
    synthesise: Callable[..., Assembly],
) -> None:
    _, role = role_of(synthesise(stages(on_call={"principals": [HERE, HERE + "a"]})))
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:PrincipalArn": [HERE, HERE + "a"]}}


def test_no_more_are_on_call_than_a_trust_has_room_for(
    synthesise: Callable[..., Assembly],
) -> None:
    def settings(count: int) -> Json:
        people = [f"arn:aws:iam::{account}:role/{'engineer' * 8}" for account in NUMBERS[:count]]
        return stages(on_call={"principals": people, "mfa": True})

    with pytest.raises(SettingsError, match=r"a trust of 2\d+ characters; IAM takes 2048"):
        Settings.from_context({**CONTEXT["prompt-hub"], **settings(14)})
    _, role = role_of(synthesise(settings(13)))
    written = json.dumps(role["AssumeRolePolicyDocument"], separators=(",", ":"))
    joined = written.replace(
        '{"Fn::Join":["",["arn:",{"Ref":"AWS::Partition"},":iam', '"arn:aws:iam'
    )
    assert 1850 < len(joined.replace(':root"]]}', ':root"')) <= 2048


def actions(assembly: Assembly) -> dict[str, Json]:
    """The statement of each action."""
    name, _ = role_of(assembly)
    return {
        action: statement
        for statement in assembly.statements("dev-rollback")[name]
        for action in listed(statement["Action"])
    }


@pytest.mark.shipped
def test_it_may_do_what_the_page_says_and_no_more(on_call: Assembly) -> None:
    text = PAGE.read_text(encoding="utf-8").split("## Who is on call")[1].split("\n## ")[0]
    said = set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", text))
    assert set(actions(on_call)) == said - {"sts:AssumeRole"}


@pytest.mark.shipped
def test_it_may_run_every_command_about_a_run_over_a_file_of_records(on_call: Assembly) -> None:
    text = PAGE.read_text(encoding="utf-8").split("## A file of records that failed")[1]
    named = re.findall(r"aws stepfunctions ([a-z-]+)", text.split("\n## ")[0])
    called = {f"states:{name.title().replace('-', '')}" for name in named}
    assert {"states:RedriveExecution", "states:StopExecution"} <= called
    assert called <= set(actions(on_call))


def test_it_moves_pointers_and_forges_no_score(on_call: Assembly) -> None:
    found = actions(on_call)
    assert found["dynamodb:PutItem"]["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["HEAD", "ACTIVE", "TASK#*"]}
    }
    assert [str(role).split(":role/")[1] for role in found["iam:PassRole"]["Resource"]] == [
        "prompt-hub-dev-execution']]}",
        "prompt-hub-dev-watch']]}",
    ]


def test_it_reads_what_the_runbook_sends_people_to(on_call: Assembly) -> None:
    found = actions(on_call)
    groups = listed(found["logs:FilterLogEvents"]["Resource"])
    assert [str(group).split(":log-group:")[1] for group in groups] == [
        "/aws/lambda/prompt-hub-dev-rollback:*']]}",
        "/prompt-hub/dev/service:*']]}",
    ]
    (made,) = on_call.resources("dev-rollback", "AWS::Logs::LogGroup").values()
    assert made["LogGroupName"] == "/aws/lambda/prompt-hub-dev-rollback"
    keys = str(on_call.statements("dev-rollback")[role_of(on_call)[0]])
    assert "samples/dev/*/*.json'" in keys
    assert "samples/*" not in keys


def test_it_sees_our_pipeline_and_no_log_but_that_of_its_builds(on_call: Assembly) -> None:
    found = actions(on_call)
    for name in ("ListActionExecutions", "ListPipelineExecutions"):
        (pipeline,) = listed(found[f"codepipeline:{name}"]["Resource"])
        assert ":prompt-hub" in str(pipeline)
        assert "*" not in str(pipeline)
    logs = [str(group).split(":log-group:")[1] for group in found["logs:GetLogEvents"]["Resource"]]
    assert logs == ["/prompt-hub/evaluation:*']]}", "/prompt-hub/pipeline:*']]}"]
    keys = str(on_call.statements("dev-rollback")[role_of(on_call)[0]])
    assert "evaluations/*/*.json'" in keys
    assert "evaluations/*/*.jsonl'" in keys
    assert "examples/*.jsonl'" in keys


def test_a_stage_elsewhere_has_no_results_to_read(synthesise: Callable[..., Assembly]) -> None:
    """They lie where the pipeline is, and are read with what one has there."""
    found = synthesise(
        {
            "account": "111111111111",
            **stages(account="222222222222", on_call={"principals": [HERE]}),
        }
    )
    name = next(stack for stack in found.templates if stack.endswith("dev-rollback"))
    there = {"s3:GetObject", "ecr:DescribeImages", "logs:GetLogEvents", "codebuild:BatchGetBuilds"}
    assert not there & set(actions(found)), name
    assert {"cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"} <= set(actions(found)), name


@pytest.mark.parametrize(
    ("principals", "reason"),
    [
        ([], "must list at least one principal"),
        (["*"], "it must look like"),
        (["arn:aws:iam::111111111111:role/*"], "it must look like"),
        (["arn:aws:iam::111111111111:root"], "it must look like"),
    ],
)
def test_everybody_is_nobody_who_can_be_on_call(principals: list[str], reason: str) -> None:
    settings = {**CONTEXT["prompt-hub"], **stages(on_call={"principals": principals})}
    with pytest.raises(SettingsError, match=reason) as error:
        Settings.from_context(settings)
    assert "stages[0].on_call.principals" in str(error.value)
