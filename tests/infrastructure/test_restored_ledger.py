"""A ledger that was restored under another name: everything asks that one alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdk_app.settings import Settings, SettingsError
from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import CONTEXT, Assembly, build

REGION = CONTEXT["prompt-hub"]["region"]
RESTORED = "dev-after-the-loss"
OWN = aws_names.ledger_table("dev")
STEPS = ("Activate", "SmokeTest", "Drill", "Record", "Soak")
ZONES = [f"{REGION}a", f"{REGION}b"]
PROD = {"name": "prod", "availability_zones": ZONES, "vpc_cidr": "10.21.0.0/16"}


def synthesised(folder: Path, **dev: object) -> Assembly:
    stage = {"name": "dev", "availability_zones": ZONES, "drill": True, "soak": {}, **dev}
    build(folder, {"stages": [stage, PROD]}).synth()
    return Assembly(folder)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesised(tmp_path_factory.mktemp("before"))


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesised(tmp_path_factory.mktemp("after"), ledger_table=RESTORED)


def uses(template: object, table: str) -> int:
    """How often a template names a table, in ARNs, in environments and on a dashboard."""
    text = json.dumps(template)
    return (
        text.count(f':table/{table}"')
        + text.count(f'\\"value\\":\\"{table}\\"')
        + text.count(f'\\"TableName\\",\\"{table}\\"')
        + sum(text.count(f'"{key}": "{table}"') for key in ("Value", aws_names.ENV_LEDGER_TABLE))
    )


def test_every_use_of_the_table_names_the_restored_one(before: Assembly, after: Assembly) -> None:
    assert set(before.templates) == set(after.templates)
    counted = {name: uses(template, OWN) for name, template in before.templates.items()}
    assert {name for name, count in counted.items() if count} >= {
        "prompt-hub-dev-rollback",
        "prompt-hub-dev-service",
        "prompt-hub-evaluation",
        "prompt-hub-pipeline",
    }
    assert {name: uses(it, RESTORED) for name, it in after.templates.items()} == counted
    assert {name for name, it in after.templates.items() if uses(it, OWN)} == set()


def test_the_dashboard_shows_the_restored_one(before: Assembly, after: Assembly) -> None:
    def shown(assembly: Assembly) -> str:
        return json.dumps(assembly.only("dev-service", "AWS::CloudWatch::Dashboard"))

    assert OWN in shown(before)
    assert RESTORED in shown(after)
    assert OWN not in shown(after)


def test_the_stages_own_table_and_other_stages_stay_as_they_are(
    before: Assembly, after: Assembly
) -> None:
    for name in ("prompt-hub-dev-ledger", "prompt-hub-prod-ledger", "prompt-hub-prod-rollback"):
        assert before.templates[name] == after.templates[name], name


def variables(assembly: Assembly, action: str) -> dict[str, str]:
    listed = assembly.project(action)["Environment"]["EnvironmentVariables"]
    return {item["Name"]: item["Value"] for item in listed} | assembly.environment(action)


def container(assembly: Assembly, stage: str) -> dict[str, str]:
    definition = assembly.only(f"{stage}-service", "AWS::ECS::TaskDefinition")
    (found,) = definition["ContainerDefinitions"]
    return {item["Name"]: item["Value"] for item in found["Environment"]}


def evaluation(assembly: Assembly, _: str) -> dict[str, str]:
    project = assembly.only("evaluation", "AWS::CodeBuild::Project")
    return {item["Name"]: item["Value"] for item in project["Environment"]["EnvironmentVariables"]}


@pytest.mark.parametrize(
    ("of", "who"),
    [
        *((variables, f"dev/{name}") for name in STEPS),
        (variables, "prod/Activate"),
        (variables, "Image/Image"),
        (variables, "Promote/Promote"),
        (evaluation, "evaluation"),
        (container, "dev"),
        (container, "prod"),
    ],
)  # fmt: skip
def test_whoever_names_a_stage_is_told_its_table(
    before: Assembly, after: Assembly, of: Callable[[Assembly, str], dict[str, str]], who: str
) -> None:
    assert aws_names.ENV_LEDGER_TABLES not in of(before, who)
    assert of(after, who)[aws_names.ENV_LEDGER_TABLES] == f"dev={RESTORED}"


@pytest.mark.parametrize(
    ("stages", "sentence"),
    [
        ([{"ledger_table": "a table"}, {}], "ledger_table"),
        ([{"ledger_table": "one"}, {"ledger_table": "one"}], "two stages have the ledger 'one'"),
        ([{"ledger_table": "prompt-hub-prod-ledger"}, {}], "two stages have the ledger 'prompt-"),
    ],
)
def test_a_table_that_two_stages_would_share_is_refused(
    stages: list[dict[str, Any]], sentence: str
) -> None:
    dev, prod = stages
    both = [{**PROD, **prod}, {"name": "dev", "availability_zones": ZONES, **dev}]
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_context({**CONTEXT["prompt-hub"], "stages": both})


def test_another_installations_names_are_not_taken_for_ours() -> None:
    dev = {"name": "dev", "availability_zones": ZONES}
    hub = {**CONTEXT["prompt-hub"], "installation": "shop"}
    taken = {**hub, "stages": [dev, {**PROD, "ledger_table": "shop-dev-ledger"}]}
    with pytest.raises(SettingsError, match="two stages have the ledger 'shop-dev-ledger'"):
        Settings.from_context(taken)
    free = {**hub, "stages": [dev, {**PROD, "ledger_table": "prompt-hub-dev-ledger"}]}
    assert Settings.from_context(free).ledger_tables == {"prod": "prompt-hub-dev-ledger"}


def test_tables_of_one_name_in_two_places_are_two() -> None:
    zones = ["eu-west-1a", "eu-west-1b"]
    there = {"account": "222222222222", "region": "eu-west-1", "availability_zones": zones}
    stages = [
        {"name": "dev", "availability_zones": ZONES, "ledger_table": "restored"},
        {**PROD, **there, "ledger_table": "restored"},
    ]
    hub = {**CONTEXT["prompt-hub"], "account": "111111111111", "stages": stages}
    assert Settings.from_context(hub).ledger_tables == {"dev": "restored", "prod": "restored"}


def test_a_stage_may_say_its_own_name() -> None:
    stage = {"name": "dev", "availability_zones": ZONES, "ledger_table": OWN}
    settings = Settings.from_context({**CONTEXT["prompt-hub"], "stages": [stage]})
    assert settings.ledger_tables == {"dev": OWN}
