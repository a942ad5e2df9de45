"""No template has more than AWS takes, whatever the settings: linters count none of this."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from cdk_app.model_settings import models_json
from cdk_app.settings import CONTEXT_KEY, LONGEST_MODELS, Settings, SettingsError
from prompt_hub.core import aws_names
from tests.infrastructure.conftest import Synthesise
from tests.infrastructure.synthesised import CONTEXT, Assembly, Json, listed, task

HOME, OTHER = "111111111111", "222222222222"
LONGEST = aws_names.STAGE_LENGTHS[-1]
MODEL: Json = CONTEXT[CONTEXT_KEY]["models"]["catalogue-pinned"]


def models(count: int) -> Json:
    """So many aliases beside those of cdk.json."""
    more = {f"alias-{number:02}": MODEL for number in range(count)}
    return {**CONTEXT[CONTEXT_KEY]["models"], **more}


def as_many_models_as_fit() -> Json:
    fitting = models(0)
    for number in range(1, 100):
        try:
            Settings.from_context({**CONTEXT[CONTEXT_KEY], "models": models(number)})
        except SettingsError:
            break
        fitting = models(number)
    return fitting


def stage(letter: str, number: int, **changes: object) -> Json:
    return {
        "name": letter * LONGEST,
        "availability_zones": ["us-east-1a", "us-east-1b"],
        "vpc_cidr": f"10.{number}.0.0/16",
        "drill": True,
        "approval": True,
        "records": {},
        "soak": {"rounds": 2},
        "on_call": {
            "principals": [f"arn:aws:iam::{OTHER}:role/engineers"],
            "repair": True,
        },
        "notification_emails": ["people@example.com"],
        **changes,
    }


@pytest.fixture(scope="module")
def widest(synthesise: Synthesise) -> Assembly:
    """Every name as long as it may be, and all that a setting can ask for, in three places."""
    elsewhere = ["ap-southeast-1a", "ap-southeast-1b"]
    settings = {
        "installation": "i" * 16,
        "account": HOME,
        "promotion": "pull-request",
        "repository": f"{'o' * 39}/{'r' * 100}",
        "models": as_many_models_as_fit(),
        "stages": [
            stage("a", 20),
            stage("b", 21, account=OTHER, scaling={"max_count": 9}),
            stage("c", 22, account=OTHER, region="ap-southeast-1", availability_zones=elsewhere),
        ],
    }
    tasks = tuple(task(f"{number:02}".rjust(48, "t")) for number in range(30))
    return synthesise(settings, tasks=tasks)


def written(value: Any) -> Any:
    """A template as AWS gets it, each reference as long as an ARN with a generated name."""
    match value:
        case {"Fn::Join": [str(between), [*parts]]}:
            return between.join(str(written(part)) for part in parts)
        case {"Ref": "AWS::AccountId"}:
            return HOME
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::ImportValue": _} | {"Fn::Select": _}:
            return "x" * 120
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{[^}]+\}", HOME, text)
        case dict():
            return {key: written(item) for key, item in value.items()}
        case list():
            return [written(item) for item in value]
    return value


def found(assembly: Assembly, kind: str) -> dict[str, Json]:
    """The properties of each resource of a type, by stack and logical id."""
    return {
        f"{stack}/{name}": written(resource.get("Properties", {}))
        for stack, template in assembly.templates.items()
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def length(document: object) -> int:
    """Characters of a policy as IAM counts them: white space is none."""
    return len(re.sub(r"\s", "", json.dumps(document)))


# --- Names: the quotas of each service, and its model in botocore --------------------------------


@pytest.mark.parametrize(
    ("kind", "key", "most"),
    [
        ("AWS::CloudWatch::Alarm", "AlarmName", 255),
        ("AWS::CodeBuild::Project", "Name", 255),
        ("AWS::CodeConnections::Connection", "ConnectionName", 32),
        ("AWS::CodePipeline::Pipeline", "Name", 100),
        ("AWS::DynamoDB::Table", "TableName", 255),
        ("AWS::ECS::Service", "ServiceName", 255),
        ("AWS::ECS::TaskDefinition", "Family", 255),
        ("AWS::IAM::Role", "RoleName", 64),
        ("AWS::Lambda::Function", "FunctionName", 64),
        ("AWS::Logs::LogGroup", "LogGroupName", 512),
        ("AWS::S3::Bucket", "BucketName", 63),
        ("AWS::SNS::Topic", "TopicName", 256),
        ("AWS::StepFunctions::StateMachine", "StateMachineName", 80),
    ],
)
def test_a_name_is_no_longer_than_aws_takes(
    widest: Assembly, kind: str, key: str, most: int
) -> None:
    names = {
        place: str(properties[key])
        for place, properties in found(widest, kind).items()
        # One that AWS makes up fits.
        if key in properties
    }
    assert names
    assert {place: name for place, name in names.items() if len(name) > most} == {}


# --- Policies: "IAM and AWS STS quotas", "Lambda quotas" -----------------------------------------


def test_the_policies_of_a_role_have_10240_characters_together_at_most(widest: Assembly) -> None:
    sizes: dict[str, int] = {}
    for stack, template in widest.templates.items():
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::IAM::Policy":
                for role in map(json.dumps, resource["Properties"]["Roles"]):
                    document = written(resource["Properties"]["PolicyDocument"])
                    place = f"{stack} {role}"
                    sizes[place] = sizes.get(place, 0) + length(document)
    assert len(sizes) > 30
    assert {place: size for place, size in sizes.items() if size > 10_240} == {}


def test_the_trust_of_a_role_has_2048_characters_at_most(widest: Assembly) -> None:
    for place, role in found(widest, "AWS::IAM::Role").items():
        assert length(role["AssumeRolePolicyDocument"]) <= 2_048, place


def test_the_policy_of_a_function_has_20_kilobytes_at_most(widest: Assembly) -> None:
    sizes: dict[str, int] = {}
    for place, permission in found(widest, "AWS::Lambda::Permission").items():
        stack = place.partition("/")[0]
        # Beside what it says, the function's ARN, the statement's name and the words of JSON.
        sizes[stack] = sizes.get(stack, 0) + length(permission) + 300
    assert len(sizes) == 3
    assert max(sizes.values()) <= 20_480


# --- Builds and the pipeline ---------------------------------------------------------------------


def test_a_value_of_an_action_has_1000_characters_at_most(widest: Assembly) -> None:
    """`ActionConfigurationValue` in the API's model; with a longer one there is no pipeline."""
    (pipeline,) = found(widest, "AWS::CodePipeline::Pipeline").values()
    for part in pipeline["Stages"]:
        for action in part["Actions"]:
            assert len(action["Name"]) <= 100
            for key, value in action.get("Configuration", {}).items():
                assert len(str(value)) <= 1_000, (action["Name"], key)


def test_the_environment_of_a_build_has_5500_characters_at_most(widest: Assembly) -> None:
    """CodeBuild's guide, "Troubleshooting": it then fails to provision, and does not say why."""
    (pipeline,) = found(widest, "AWS::CodePipeline::Pipeline").values()
    added = [
        sum(len(load["name"]) + len(load["value"]) for load in json.loads(variables))
        for part in pipeline["Stages"]
        for action in part["Actions"]
        if (variables := action["Configuration"].get("EnvironmentVariables"))
    ]
    sizes = {
        place: sum(
            len(str(load["Name"])) + len(str(load["Value"]))
            for load in project["Environment"].get("EnvironmentVariables", [])
        )
        for place, project in found(widest, "AWS::CodeBuild::Project").items()
    }
    assert max(sizes.values()) > LONGEST_MODELS - 300, "as many models as fit"
    assert max(sizes.values()) + max(added) <= 5_500


def test_a_build_specification_has_25600_characters_at_most(widest: Assembly) -> None:
    """An inline one; CDK writes those of its own that grow into a file (aws-cdk #14974)."""
    for place, project in found(widest, "AWS::CodeBuild::Project").items():
        assert len(str(project["Source"].get("BuildSpec", ""))) <= 25_600, place


def test_an_evaluation_longer_than_any_build_is_refused() -> None:
    longest = task("brand", budget_seconds=129_000)
    assert longest.build_minutes == 36 * 60
    with pytest.raises(SettingsError, match=r"found 129001; expected at most 129,000"):
        task("brand", budget_seconds=129_001)


def test_models_that_no_build_can_be_told_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"\.models make \d+ characters of JSON; 4000 fit"):
        Settings.from_context({**CONTEXT[CONTEXT_KEY], "models": models(40)})
    fit = Settings.from_context({**CONTEXT[CONTEXT_KEY], "models": as_many_models_as_fit()})
    assert len(models_json(fit.models)) <= LONGEST_MODELS


def test_models_of_a_stage_that_no_build_can_be_told_are_refused() -> None:
    more = {"price_per_million": {"input": 1.25, "output": 10.5}, "tokens_per_minute": 1_000_000}
    changed = stage("a", 20, models={a: {**entry, **more} for a, entry in models(20).items()})
    with pytest.raises(SettingsError, match=r"stages\[0\] has models that make \d+ characters"):
        Settings.from_context({**CONTEXT[CONTEXT_KEY], "models": models(20), "stages": [changed]})


def test_a_stage_that_says_less_of_its_models_makes_no_room_for_those_that_are_measured() -> None:
    """Builds that evaluate are told the installation's own, whatever a stage says instead."""
    less = {key: MODEL[key] for key in ("provider", "model")}
    more = {**less, "requests_per_minute": 1_000, "tokens_per_minute": 1_000_000}
    aliases = models(30)
    changed = stage("a", 20, models=dict.fromkeys(aliases, less))
    with pytest.raises(SettingsError, match=r"\.models make \d+ characters"):
        Settings.from_context(
            {
                **CONTEXT[CONTEXT_KEY],
                "models": dict.fromkeys(aliases, more),
                "stages": [changed],
            }
        )


# --- Events --------------------------------------------------------------------------------------


def test_a_pattern_of_events_has_2048_characters_at_most(widest: Assembly) -> None:
    """Amazon EventBridge quotas; the tasks that a watch may be asked for are many."""
    patterns = [
        rule["EventPattern"]
        for rule in found(widest, "AWS::Events::Rule").values()
        if "EventPattern" in rule
    ]
    assert max(len(listed(each.get("detail", {}).get("task", []))) for each in patterns) == 25
    assert max(length(each) for each in patterns) <= 2_048


# --- Dashboards: "CloudWatch service quotas" -----------------------------------------------------


@pytest.mark.parametrize(("count", "graphs"), [(150, 3), (160, 2)])
def test_a_dashboard_has_500_widgets_at_most(
    synthesise: Synthesise, count: int, graphs: int
) -> None:
    """Of many tasks each has a graph less, in which nothing is missing."""
    tasks = tuple(task(f"task-{number}") for number in range(count))
    many = synthesise({"stages": [stage("a", 20)]}, tasks=tasks)
    boards = found(many, "AWS::CloudWatch::Dashboard").values()
    widgets = [json.loads(board["DashboardBody"])["widgets"] for board in boards]
    assert max(map(len, widgets)) <= 500
    titles = [str(item["properties"].get("title")) for board in widgets for item in board]
    assert sum(title.startswith("task-") for title in titles) == graphs * count
    assert json.dumps(widgets).count("', 'p90', ") == count, "the seconds of each task"
