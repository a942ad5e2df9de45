#!/usr/bin/env bash
# What four packages write to the log for one metric `Score` of `Task=a`, in CloudWatch's embedded metric format.
#
# Matters here: an alarm finds a metric by all of its dimensions, and one with another set is another metric. Our alarms
# on scores and failures stand on lines of this format, which a few lines of our own write.
#
# Guess: all four write the one dimension that was said; Powertools adds its own `service` only where a service is
# named. 150 values of one metric are 100 and 50 of it. What is not a number is refused.
#
# Seen, 2026-11-28: only Powertools for Python writes the dimension alone. Its twin for TypeScript adds a service called
# "service_undefined", and AWS's own package three more in both languages. Of 150 values the twin writes the last 50
# without `Task`, so that they are another metric's. NaN is refused by AWS's package; the one Powertools writes it as
# it is, which is no JSON, and the twin as null.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  aws-embedded-metrics==3.5.0 aws-lambda-powertools==3.37.0
npm install --silent --no-audit --no-fund --prefix "$work" \
  aws-embedded-metrics@4.2.1 @aws-lambda-powertools/metrics@2.36.0 >"$work/npm"

cd "$work"
export AWS_EMF_ENVIRONMENT=Local
unset POWERTOOLS_SERVICE_NAME POWERTOOLS_METRICS_NAMESPACE
cat >write.py <<'PY'
import asyncio
import sys

from aws_embedded_metrics.logger.metrics_logger_factory import create_metrics_logger
from aws_lambda_powertools import Metrics


def embedded(values):
    async def write():
        logger = create_metrics_logger()
        logger.set_namespace("N")
        logger.put_dimensions({"Task": "a"})
        for value in values:
            logger.put_metric("Score", value, "None")
        await logger.flush()

    asyncio.run(write())


def powertools(values):
    metrics = Metrics(namespace="N")
    metrics.add_dimension("Task", "a")
    for value in values:
        metrics.add_metric("Score", "None", value)
    metrics.flush_metrics()


write = {"aws-embedded-metrics": embedded, "powertools": powertools}[sys.argv[1]]
write([0.7] * 150 if sys.argv[2] == "150 values" else [float("nan")])
PY
cat >write.cjs <<'JS'
const { createMetricsLogger } = require("aws-embedded-metrics");
const { Metrics } = require("@aws-lambda-powertools/metrics");

async function embedded(values) {
  const logger = createMetricsLogger();
  logger.setNamespace("N");
  logger.putDimensions({ Task: "a" });
  for (const value of values) logger.putMetric("Score", value, "None");
  await logger.flush();
}

async function powertools(values) {
  const metrics = new Metrics({ namespace: "N" });
  metrics.addDimension("Task", "a");
  for (const value of values) metrics.addMetric("Score", "Count", value);
  metrics.publishStoredMetrics();
}

const write = { "aws-embedded-metrics": embedded, powertools }[process.argv[2]];
write(process.argv[3] === "150 values" ? Array(150).fill(0.7) : [NaN]);
JS
cat >show.py <<'PY'
import json
import sys

for line in filter(str.strip, sys.stdin):
    written = json.loads(line)
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    values = written["Score"]
    shown = f"{len(values)} values" if values and len(values) > 1 else json.dumps(values)
    print(f"    {', '.join(directive['Dimensions'][0])}: {shown}")
PY
{
  venv/bin/pip list | grep --only-matching --extended-regexp '^aws.(embedded|lambda).*' | tr --squeeze-repeats ' '
  npm list --depth 0 | grep --only-matching --extended-regexp 'aws-embedded.*|@aws-lambda.*'
  for package in aws-embedded-metrics powertools; do
    for language in python node; do
      echo "$package, $language"
      for what in "150 values" "NaN"; do
        echo "  $what"
        if [ $language = python ]; then run="venv/bin/python write.py"; else run="node write.cjs"; fi
        $run $package "$what" >out 2>log || echo "    refused"
        venv/bin/python show.py <out
      done
    done
  done
} >seen
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
aws-embedded-metrics 3.5.0
aws_lambda_powertools 3.37.0
@aws-lambda-powertools/metrics@2.36.0
aws-embedded-metrics@4.2.1
aws-embedded-metrics, python
  150 values
    LogGroup, ServiceName, ServiceType, Task: 100 values
    LogGroup, ServiceName, ServiceType, Task: 50 values
  NaN
    refused
aws-embedded-metrics, node
  150 values
    LogGroup, ServiceName, ServiceType, Task: 100 values
    LogGroup, ServiceName, ServiceType, Task: 50 values
  NaN
    refused
powertools, python
  150 values
    Task: 100 values
    Task: 50 values
  NaN
    Task: [NaN]
powertools, node
  150 values
    service, Task: 100 values
    service: 50 values
  NaN
    service, Task: null
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
