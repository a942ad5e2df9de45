"""No two alarms of an account and region have one name: the second could not be made."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import IConstruct

from cdk_app.settings import CONTEXT_KEY, SettingsError
from prompt_hub.core import aws_names


def require_one_alarm_a_name(scope: IConstruct) -> None:
    """Raise `SettingsError` where two stages would call an alarm the same.

    Names of stages and tasks may have hyphens, and so do those that are made of them: a task
    `score-x` in `dev` has the alarm of a task `x` in `dev-score`.
    """
    owners: dict[tuple[str, str], str] = {}
    for alarm in scope.node.find_all():
        if not isinstance(alarm, cloudwatch.CfnAlarm) or alarm.alarm_name is None:
            continue
        place = alarm.node.path.removesuffix("/Resource").removesuffix("/Alarm")
        other = owners.setdefault((Stack.of(alarm).environment, alarm.alarm_name), place)
        if other != place:
            raise SettingsError(
                f"{CONTEXT_KEY}.stages make one name, {alarm.alarm_name}, of two alarms, {other}"
                f" and {place}: give a stage or a task another name.",
                file=aws_names.CONTEXT_FILE,
            )
