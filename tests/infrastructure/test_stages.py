"""The number of stages is data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from prompt_hub.core import aws_names
from stacks.pipeline import project_name
from tests.infrastructure.synthesised import CONTEXT, ROOT, Assembly, Json, listed


@pytest.fixture(scope="module")
def two_stages(synthesise: Callable[..., Assembly]) -> Assembly:
    zones = ["us-east-1a", "us-east-1b"]
    return synthesise(
        {
            "stages": [
                {"name": "dev", "availability_zones": zones, "soak": {"rounds": 2}},
                {
                    "name": "prod",
                    "availability_zones": zones,
                    "vpc_cidr": "10.21.0.0/16",
                    "approval": True,
                    "notification_emails": ["people@example.com"],
                },
            ]
        }
    )


def test_a_second_stage_is_a_line_in_the_settings(assembly: Assembly, two_stages: Assembly) -> None:
    added = set(two_stages.templates) - set(assembly.templates)
    assert added == {
        "prompt-hub-prod-ledger",
        "prompt-hub-prod-rollback",
        "prompt-hub-prod-service",
    }


def test_every_stage_of_cdk_json_has_its_stacks_and_actions(assembly: Assembly) -> None:
    for stage in CONTEXT["prompt-hub"]["stages"]:
        name = stage["name"]
        stacks = {f"prompt-hub-{name}-{part}" for part in ("ledger", "rollback", "service")}
        assert stacks <= set(assembly.templates)
        assert f"{name}/Activate" in assembly.actions
        assert (f"{name}/Approve" in assembly.actions) == stage.get("approval", False)


def test_a_release_passes_the_stages_in_order_and_ends_with_the_verdict(
    two_stages: Assembly,
) -> None:
    stages = list(dict.fromkeys(name.split("/")[0] for name in two_stages.actions))
    assert stages[-3:] == ["dev", "prod", "Verdict"]


def test_a_person_lets_a_release_into_a_stage_that_asks_for_it(two_stages: Assembly) -> None:
    prod = [name for name in two_stages.actions if name.startswith("prod/")]
    assert prod[0] == "prod/Approve"
    assert two_stages.actions["prod/Approve"]["ActionTypeId"]["Provider"] == "Manual"
    assert "dev/Approve" not in two_stages.actions


def test_an_approval_that_waits_tells_people_with_a_link_and_what_is_in_the_release(
    two_stages: Assembly,
) -> None:
    shown = two_stages.actions["prod/Approve"]["Configuration"]
    release = "#{codepipeline.PipelineExecutionId}"
    namespace = two_stages.actions["Image/Image"]["Namespace"]
    assert shown["CustomData"] == (
        f"Let release {release} into prod? #{{{namespace}.CHANGES_PROD}}"
    )
    assert shown["ExternalEntityLink"] == f"#{{{namespace}.RELEASED}}"
    build = two_stages.build_spec("Image/Image")
    assert sorted(build["env"]["exported-variables"]) == ["CHANGES_PROD", "RELEASED"]
    assert build["phases"]["build"]["commands"] == [
        "python -m prompt_hub.cli image --notes .prompt-hub/notes",
        'export CHANGES_PROD="$(cat .prompt-hub/notes/prod)"',
        'export RELEASED="https://github.com/example/gpt-pipeline-hub/commit/'
        '$(cat .prompt-hub/notes/commit)"',
    ]
    # The pipeline's own topic: the stage's is not there before the stage's first release.
    topic = two_stages.only("pipeline", "AWS::SNS::Topic")["TopicName"]
    assert json.dumps(shown["NotificationArn"]).endswith(f':{topic}"]]}}')
    role = two_stages.actions["prod/Approve"]["RoleArn"]["Fn::GetAtt"][0]
    (statement,) = two_stages.statements("pipeline")[role]
    assert (statement["Action"], statement["Resource"]) == (
        "sns:Publish",
        shown["NotificationArn"],
    )


def test_each_stage_has_names_of_its_own(two_stages: Assembly) -> None:
    for stage in ("dev", "prod"):
        table = two_stages.only(f"{stage}-ledger", "AWS::DynamoDB::Table")
        assert table["TableName"] == aws_names.ledger_table(stage)
        project = two_stages.project(f"{stage}/Activate")["Environment"]["EnvironmentVariables"]
        assert {"Name": aws_names.ENV_STAGE, "Type": "PLAINTEXT", "Value": stage} in project


def test_each_action_has_a_project_whatever_the_stages_are_called(two_stages: Assembly) -> None:
    projects = two_stages.resources("pipeline", "AWS::CodeBuild::Project").values()
    names = [project["Name"] for project in projects]
    assert len(set(names)) == len(names)
    assert {"prompt-hub-build-synth", "prompt-hub-build-prod-activate"} <= set(names)
    # As the folders are called in which CDK keeps what is not a stage's.
    assert project_name("/Pipeline/Build/Synth/CdkBuildProject/Resource") in names
    for stage in ("build", "pipeline", "activate"):
        name = project_name(f"/Pipeline/{stage}/Activate/Activate/Resource")
        assert name == f"prompt-hub-build-{stage}-activate"


def test_people_of_a_stage_are_told_by_mail(two_stages: Assembly) -> None:
    subscription = two_stages.only("prod-rollback", "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "people@example.com")
    assert two_stages.resources("dev-rollback", "AWS::SNS::Subscription") == {}


def test_the_image_is_made_for_every_stage(two_stages: Assembly) -> None:
    variables = two_stages.project("Image/Image")["Environment"]["EnvironmentVariables"]
    assert {"Name": aws_names.ENV_STAGES, "Type": "PLAINTEXT", "Value": "dev,prod"} in variables
    reading = [
        item for item in two_stages.role_of("Image/Image") if "dynamodb:Query" in item["Action"]
    ]
    tables = json.dumps([node["Resource"] for node in reading])
    assert all(aws_names.ledger_table(stage) in tables for stage in ("dev", "prod"))


def tables(statements: list[Json]) -> dict[str, set[str]]:
    """The ledgers that statements name, and what may be done to each."""
    found: dict[str, set[str]] = {}
    for statement in statements:
        actions = [name for name in listed(statement["Action"]) if name.startswith("dynamodb:")]
        for resource in listed(statement["Resource"]) if actions else ():
            table = json.dumps(resource).partition(":table/")[2].partition('"')[0]
            found.setdefault(table, set()).update(actions)
    return found


READ = {"dynamodb:GetItem", "dynamodb:Query"}


def test_activation_reads_the_ledgers_of_earlier_stages_and_changes_its_own(
    two_stages: Assembly,
) -> None:
    dev, prod = (aws_names.ledger_table(stage) for stage in ("dev", "prod"))
    change = {*READ, "dynamodb:PutItem", "dynamodb:ConditionCheckItem"}
    assert tables(two_stages.role_of("dev/Activate")) == {dev: change}
    assert tables(two_stages.role_of("prod/Activate")) == {dev: READ, prod: change}
    earlier = [
        {item["Name"]: item["Value"] for item in project["Environment"]["EnvironmentVariables"]}
        for project in map(two_stages.project, ("dev/Activate", "prod/Activate"))
    ]
    assert aws_names.ENV_EARLIER_STAGES not in earlier[0]
    assert earlier[1][aws_names.ENV_EARLIER_STAGES] == "dev"


def test_a_stage_that_asks_for_it_is_left_last_of_all_after_its_soak(two_stages: Assembly) -> None:
    dev = [name for name in two_stages.actions if name.startswith("dev/")]
    assert dev[-1] == "dev/Soak"
    orders = [two_stages.actions[f"dev/{name}"]["RunOrder"] for name in ("Record", "Soak")]
    assert orders == sorted(set(orders))
    assert "prod/Soak" not in two_stages.actions
    command = "python -m prompt_hub.cli soak --rounds 2 --minutes 0 --limit-minutes 180"
    assert two_stages.build_spec("dev/Soak")["phases"]["build"]["commands"] == [command]
    # The command gives up before its build is ended, and CodeBuild takes eight hours at most.
    assert 180 < two_stages.project("dev/Soak")["TimeoutInMinutes"] <= 8 * 60
    assert tables(two_stages.role_of("dev/Soak")) == {aws_names.ledger_table("dev"): READ}


@pytest.mark.shipped
def test_the_page_takes_out_every_stack_of_a_stage(records_elsewhere: Assembly) -> None:
    """What is no longer in cdk.json is in no synthesis either, and `make destroy` leaves it."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    section = page.split("\n## Taking one stage out\n")[1].split("\n## ")[0]
    stacks = set(records_elsewhere.templates)
    own = {name for name in stacks if name.startswith("prompt-hub-prod-")}
    assert len(own) == 5
    assert set(re.findall(r"prompt-hub-prod-[a-z]+", section)) == own
    (support,) = re.findall(r"prompt-hub-pipeline-\w+-REGION", section)
    assert support.replace("REGION", "eu-west-1") in stacks
