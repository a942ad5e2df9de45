"""A bad score calls the rollback, silence calls people, and both are looked at again."""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from cdk_app.alarm_names import require_one_alarm_a_name
from cdk_app.score_watch import watch_schedule
from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
from cdk_app.tasks import require_drills_to_be_told_apart
from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import CONTEXT, TASKS, Assembly, Json, build, task


def alarms(assembly: Assembly) -> dict[str, Json]:
    """The alarms on scores, by name."""
    found = assembly.resources("dev-rollback", "AWS::CloudWatch::Alarm").values()
    return {alarm["AlarmName"]: alarm for alarm in found}


def _measured(alarm: Json) -> Json:
    """An alarm without its words and actions."""
    aside = {"AlarmDescription", "AlarmActions", "InsufficientDataActions"}
    return {k: v for k, v in alarm.items() if k not in aside}


def test_every_task_has_alarms_on_its_score_its_contract_and_silence(assembly: Assembly) -> None:
    expected = {aws_names.score_alarm("dev", task.name) for task in TASKS}
    expected |= {aws_names.contract_alarm("dev", task.name) for task in TASKS}
    expected |= {aws_names.freshness_alarm("dev", task.name) for task in TASKS}
    expected |= {aws_names.watch_budget_alarm("dev")}
    expected |= {aws_names.score_alarm("dev", aws_names.DRILL_TASK)}
    assert set(alarms(assembly)) == expected


def test_a_score_below_its_locked_threshold_fires(assembly: Assembly) -> None:
    alarm = alarms(assembly)["prompt-hub-dev-score-shop-category"]
    assert _measured(alarm) == {
        "AlarmName": "prompt-hub-dev-score-shop-category",
        "Namespace": "PromptHub",
        "MetricName": "ScoreMargin",
        "Dimensions": [
            {"Name": "Stage", "Value": "dev"},
            {"Name": "Task", "Value": "shop-category"},
        ],
        "Statistic": "Minimum",
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": 0,
        "Period": 3600,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "TreatMissingData": "notBreaching",
    }


def test_broken_contracts_fire_by_their_share_and_only_where_there_are_some(
    assembly: Assembly,
) -> None:
    def calls(name: str, statistic: str) -> Json:
        metric = {
            "Namespace": "PromptHub/Calls",
            "MetricName": "contract_failed",
            "Dimensions": [
                {"Name": "stage", "Value": "dev"},
                {"Name": "task", "Value": "part-class"},
            ],
        }
        stat = {"Metric": metric, "Period": 900, "Stat": statistic}
        return {"Id": name, "MetricStat": stat, "ReturnData": False}

    alarm = alarms(assembly)["prompt-hub-dev-contract-part-class"]
    assert _measured(alarm) == {
        "AlarmName": "prompt-hub-dev-contract-part-class",
        "Metrics": [
            {
                "Id": "expr_1",
                "Expression": "IF(broken >= 5, 100 * broken / calls, 0)",
                "Label": "broken contracts, percent",
                "ReturnData": True,
            },
            calls("broken", "Sum"),
            calls("calls", "SampleCount"),
        ],
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 5,
        "EvaluationPeriods": 1,
        "TreatMissingData": "notBreaching",
    }


def test_silence_of_the_watch_fires_and_a_task_with_nothing_active_is_no_silence(
    assembly: Assembly,
) -> None:
    alarm = alarms(assembly)["prompt-hub-dev-freshness-part-class"]
    assert _measured(alarm) == {
        "AlarmName": "prompt-hub-dev-freshness-part-class",
        "Namespace": "PromptHub",
        "MetricName": "WatchHeartbeat",
        "Dimensions": [
            {"Name": "Stage", "Value": "dev"},
            {"Name": "Task", "Value": "part-class"},
        ],
        # The sweep counts 0 for what is active: nothing counted is nobody's silence yet.
        "Statistic": "Sum",
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": 1,
        "Period": 900,
        "EvaluationPeriods": 3,
        "TreatMissingData": "missing",
    }


def test_what_a_prompt_does_wrong_calls_the_lambda_and_people_silence_only_people(
    assembly: Assembly,
) -> None:
    (function,) = assembly.resources("dev-rollback", "AWS::Lambda::Function")
    (topic,) = assembly.resources("dev-rollback", "AWS::SNS::Topic")
    people, rollback = {"Ref": topic}, {"Fn::GetAtt": [function, "Arn"]}
    for name, alarm in alarms(assembly).items():
        of_prompt = name.startswith(
            (aws_names.score_alarm_prefix("dev"), aws_names.contract_alarm_prefix("dev"))
        )
        drill = name == aws_names.score_alarm("dev", aws_names.DRILL_TASK)
        told = [] if drill else [people]
        assert alarm["AlarmActions"] == ([rollback, *told] if of_prompt else [people])
        # Where watch and sweep are both dead there is no data any more.
        silence = name.startswith(aws_names.freshness_alarm("dev", ""))
        assert alarm.get("InsufficientDataActions", []) == ([people] if silence else [])


def callers(assembly: Assembly) -> dict[str, str]:
    """Who may call the Lambda: the pattern of an alarm's name, or another kind of resource."""
    found = {}
    for resource in assembly.resources("dev-rollback", "AWS::Lambda::Permission").values():
        match resource["SourceArn"]:
            case {"Fn::Join": ["", [*_, str(end)]]}:
                assert resource["SourceAccount"] == {"Ref": "AWS::AccountId"}
                found[end.removeprefix(":alarm:")] = resource["Principal"]
            case {"Fn::GetAtt": [name, "Arn"]}:
                template = assembly.templates["prompt-hub-dev-rollback"]
                found[template["Resources"][name]["Type"]] = resource["Principal"]
    return found


def test_every_alarm_on_a_prompt_may_call_the_lambda_and_nothing_else_may(
    assembly: Assembly,
) -> None:
    cloudwatch = "lambda.alarms.cloudwatch.amazonaws.com"
    found = callers(assembly)
    assert found == {
        "prompt-hub-dev-score-*": cloudwatch,
        "prompt-hub-dev-contract-*": cloudwatch,
        "AWS::Events::Rule": "events.amazonaws.com",
    }
    (function,) = assembly.resources("dev-rollback", "AWS::Lambda::Function")
    for name, alarm in alarms(assembly).items():
        calls = {"Fn::GetAtt": [function, "Arn"]} in alarm["AlarmActions"]
        assert any(fnmatch(name, pattern) for pattern in found) == calls, name


def test_the_policy_of_the_lambda_does_not_grow_with_the_tasks(
    assembly: Assembly, synthesise: Callable[..., Assembly]
) -> None:
    """It takes 20 KB, and a statement for each of two alarms of forty tasks would be twice that."""
    many = synthesise(tasks=tuple(task(f"task-{number}") for number in range(40)))
    assert len(alarms(many)) > 3 * 40
    few, more = (
        len(app.resources("dev-rollback", "AWS::Lambda::Permission")) for app in (assembly, many)
    )
    assert few == more == 3


def test_alarms_that_keep_firing_are_swept_every_shortest_period(assembly: Assembly) -> None:
    rule = assembly.only("dev-rollback", "AWS::Events::Rule")
    assert rule["ScheduleExpression"] == "rate(15 minutes)"
    (target,) = rule["Targets"]
    (function,) = assembly.resources("dev-rollback", "AWS::Lambda::Function")
    assert target["Arn"] == {"Fn::GetAtt": [function, "Arn"]}
    assert "Input" not in target, "the handler knows a schedule by the event's own source"


def watch_rule(assembly: Assembly, by: str) -> Json:
    """The rule that starts the score watch by its schedule, or by a pattern."""
    rules = assembly.resources("dev-service", "AWS::Events::Rule").values()
    (rule,) = (rule for rule in rules if by in rule)
    return rule


def test_the_rollback_lambda_has_a_task_of_its_stage_compared_and_nothing_else_started(
    assembly: Assembly,
) -> None:
    rule = watch_rule(assembly, "EventPattern")
    assert rule["EventPattern"] == {
        "source": ["prompt-hub.rollback"],
        "detail-type": ["PromptToCompare"],
        # What an event says goes into a command as it is: only names that are known.
        "detail": {"stage": ["dev"], "task": [task.name for task in TASKS]},
    }
    (target,), (scheduled,) = (
        watch_rule(assembly, by)["Targets"] for by in ("EventPattern", "ScheduleExpression")
    )
    started = target["InputTransformer"]
    assert {**target, "InputTransformer": None} == {
        **{name: value for name, value in scheduled.items() if name != "Input"},
        "InputTransformer": None,
    }
    assert started["InputPathsMap"] == {"task": "$.detail.task"}
    before, account, after = started["InputTemplate"]["Fn::Join"][1]
    assert account == {"Ref": "AWS::AccountId"}
    assert json.loads(f"{before}1{after}") == {
        "containerOverrides": [
            {
                "name": aws_names.CONTAINER,
                "command": ["prompt-hub", "watch", "<task>", "--compare"],
            }
        ],
        "taskRoleArn": "arn:aws:iam::1:role/prompt-hub-dev-watch",
    }


def test_the_score_watch_runs_the_service_s_own_task_definition(assembly: Assembly) -> None:
    (definition,) = assembly.resources("dev-service", "AWS::ECS::TaskDefinition")
    service = assembly.only("dev-service", "AWS::ECS::Service")
    (target,) = watch_rule(assembly, "ScheduleExpression")["Targets"]
    ecs = target["EcsParameters"]
    assert ecs["TaskDefinitionArn"] == {"Ref": definition}
    network = ecs["NetworkConfiguration"]["AwsVpcConfiguration"]
    expected = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert {**network, "Subnets": sorted(map(json.dumps, network["Subnets"]))} == {
        **expected,
        "Subnets": sorted(map(json.dumps, expected["Subnets"])),
    }
    before, account, after = target["Input"]["Fn::Join"][1]
    assert account == {"Ref": "AWS::AccountId"}
    # ECS's own names: what CDK's parameter writes, `taskRole`, is none.
    assert json.loads(f"{before}1{after}") == {
        "containerOverrides": [
            {"name": aws_names.CONTAINER, "command": ["prompt-hub", "watch", "--due"]}
        ],
        "taskRoleArn": "arn:aws:iam::1:role/prompt-hub-dev-watch",
    }


@pytest.mark.parametrize(
    ("minutes", "names", "expressions"),
    [
        ((15, 60), ["dev"], ["cron(3/15 * * * ? *)"]),
        ((15, 60), ["dev", "prod"], ["cron(1/15 * * * ? *)", "cron(5/15 * * * ? *)"]),
        ((7,), ["dev"], ["cron(1/6 * * * ? *)"]),
        ((1,), ["dev", "prod"], ["cron(0/1 * * * ? *)", "cron(0/1 * * * ? *)"]),
        ((90, 1440), ["dev", "prod"], ["cron(7 0/1 * * ? *)", "cron(22 0/1 * * ? *)"]),
        ((1440,), ["dev"], ["cron(15 0 * * ? *)"]),
    ],
)
def test_one_run_a_stage_often_enough_for_every_task_and_not_with_the_other_stages(
    minutes: tuple[int, ...], names: list[str], expressions: list[str]
) -> None:
    tasks = [task(f"every-{every}", every_minutes=every) for every in minutes]
    first = Settings.from_context(CONTEXT[CONTEXT_KEY]).stages[0]
    stages = [first.model_copy(update={"name": name}) for name in names]
    found = [watch_schedule(tasks, stage=stage, stages=stages) for stage in stages]
    assert [schedule.expression_string for schedule in found] == expressions


def test_a_day_without_calls_left_is_told_once_an_hour_at_most(assembly: Assembly) -> None:
    alarm = alarms(assembly)[aws_names.watch_budget_alarm("dev")]
    assert _measured(alarm) == {
        "AlarmName": "prompt-hub-dev-watch-budget",
        "Namespace": "PromptHub",
        "MetricName": "RoundsRefused",
        "Dimensions": [{"Name": "Stage", "Value": "dev"}],
        "Statistic": "Sum",
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1,
        "Period": 3600,
        "EvaluationPeriods": 1,
        "TreatMissingData": "notBreaching",
    }


@pytest.mark.parametrize(("minutes", "periods"), [(1, 1440), (59, 24), (60, 168), (1440, 7)])
def test_the_shortest_and_the_longest_watch_make_valid_alarms(
    synthesise: Callable[..., Assembly], minutes: int, periods: int
) -> None:
    edge = synthesise(tasks=(task("edge", every_minutes=minutes, evaluation_periods=periods),))
    found = alarms(edge)
    for name in (aws_names.score_alarm("dev", "edge"), aws_names.freshness_alarm("dev", "edge")):
        alarm = found[name]
        assert alarm["Period"] == minutes * 60
        longest = 604_800 if alarm["Period"] >= 3600 else 86_400
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= longest


def test_alarms_may_publish_to_the_topic_that_nobody_else_may_publish_to(
    assembly: Assembly,
) -> None:
    policy = assembly.only("dev-rollback", "AWS::SNS::TopicPolicy")["PolicyDocument"]
    (allowed,) = (entry for entry in policy["Statement"] if entry["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    (denied,) = (item for item in policy["Statement"] if item["Effect"] == "Deny")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_what_the_lambda_cannot_finish_reaches_people(assembly: Assembly) -> None:
    config = assembly.only("dev-rollback", "AWS::Lambda::EventInvokeConfig")
    (topic,) = assembly.resources("dev-rollback", "AWS::SNS::Topic")
    assert config["DestinationConfig"] == {"OnFailure": {"Destination": {"Ref": topic}}}
    assert config["MaximumRetryAttempts"] == 2


@pytest.mark.parametrize(("name", "drill"), [("drill", True), ("drill", False), ("drills", True)])
def test_a_task_called_as_the_drills_alarm_is_refused_where_a_stage_drills(
    name: str, drill: bool
) -> None:
    settings = CONTEXT[CONTEXT_KEY]
    (stage, *_) = settings["stages"]
    stages = Settings.from_context({**settings, "stages": [{**stage, "drill": drill}]}).stages
    if (name, drill) != ("drill", True):
        require_drills_to_be_told_apart([task(name)], stages)
        return
    with pytest.raises(SettingsError) as caught:
        require_drills_to_be_told_apart([task(name)], stages)
    assert str(caught.value).startswith("prompt-hub.stages[0].drill is true, and prompts/03-meta")
    assert caught.value.file == "cdk.json"


@pytest.mark.parametrize(
    ("other", "one_task", "other_task", "places"),
    [
        ("dev-score", "score-x", "x", "dev/Rollback/Score-score-x and dev-score/Rollback/Score-x"),
        ("dev-score", "unhealthy", "x", "dev/Rollback/Score-unhealthy and dev-score/Service/"),
        ("dev-score", "x", "y", None),
    ],
)
def test_two_stages_that_would_call_an_alarm_the_same_are_refused(
    tmp_path: Path, other: str, one_task: str, other_task: str, places: str | None
) -> None:
    (stage, *_) = CONTEXT[CONTEXT_KEY]["stages"]
    stages = [stage, {**stage, "name": other, "vpc_cidr": "10.21.0.0/16"}]
    app = build(tmp_path, {"stages": stages}, tasks=(task(one_task), task(other_task)))
    if places is None:
        require_one_alarm_a_name(app)
        return
    with pytest.raises(SettingsError, match=places):
        require_one_alarm_a_name(app)
