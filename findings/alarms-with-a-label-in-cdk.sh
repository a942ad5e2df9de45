#!/usr/bin/env bash
# In which of CloudWatch's two forms an alarm of a CDK app is written: by the metric's name, or as a list of metrics.
#
# Matters here: what reads alarms (our rollback, the page of costs, local evaluators) finds task and stage in the name and
# dimensions of the alarm. An alarm in the other form has neither, and is passed over as one on an expression.
#
# Guess: the list is for metric math. An alarm on one metric has its name and dimensions, whoever makes it; a label is for
# graphs. cdk-monitoring-constructs treats missing data of a count of failures as not breaching.
#
# Seen, 2026-11-28: a label is enough for the list. Alarms of cdk-monitoring-constructs, whose metrics have one, are all in the
# list's form. Missing data is not breaching for failures of a function, and "missing" for those of a topic.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aws-cdk-lib==2.270.0 constructs==10.8.1 \
  cdk-monitoring-constructs==10.3.3

export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 CDK_VALIDATION=false
(cd "$work" && "$work/venv/bin/python" - >"$work/seen" 2>"$work/err") <<'PY' || { cat "$work/err" >&2; exit 1; }
from importlib.metadata import version

import cdk_monitoring_constructs as monitoring
from aws_cdk import App, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns

for package in ("aws-cdk-lib", "cdk-monitoring-constructs"):
    print(f"{package} {version(package)}")

app = App()
stack = Stack(app, "stack")
for name, label in (("cdk plain", None), ("cdk labelled", "Failed")):
    metric = cloudwatch.Metric(
        namespace="AWS/SNS", metric_name="NumberOfNotificationsFailed", statistic="Sum", label=label,
        dimensions_map={"TopicName": "t"},
    )
    cloudwatch.Alarm(stack, name, alarm_name=name, metric=metric, threshold=0, evaluation_periods=1)
facade = monitoring.MonitoringFacade(
    stack,
    "Facade",
    alarm_factory_defaults=monitoring.AlarmFactoryDefaults(actions_enabled=True, alarm_name_prefix="x"),
)
facade.monitor_sns_topic(
    topic=sns.Topic(stack, "Topic"),
    add_message_notifications_failed_alarm={
        "Any": monitoring.NotificationsFailedThreshold(
            max_notifications_failed_count=0, alarm_name_override="constructs sns"
        )
    },
)
facade.monitor_lambda_function(
    lambda_function=lambda_.Function.from_function_name(stack, "Function", "f"),
    add_fault_count_alarm={
        "Any": monitoring.ErrorCountThreshold(max_error_count=0, alarm_name_override="constructs lambda")
    },
)
resources = app.synth().get_stack_by_name("stack").template["Resources"].values()
alarms = [item["Properties"] for item in resources if item["Type"] == "AWS::CloudWatch::Alarm"]
for alarm in sorted(alarms, key=lambda alarm: alarm["AlarmName"]):
    form = "by name" if "MetricName" in alarm else f"list of {len(alarm['Metrics'])}"
    print(f"  {alarm['AlarmName']}: {form}, missing data {alarm.get('TreatMissingData', 'not said')}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
aws-cdk-lib 2.270.0
cdk-monitoring-constructs 10.3.3
  cdk labelled: list of 1, missing data not said
  cdk plain: by name, missing data not said
  constructs lambda: list of 1, missing data notBreaching
  constructs sns: list of 1, missing data missing
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
