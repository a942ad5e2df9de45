#!/usr/bin/env bash
# How often a line of a CDK app in Python calls the process in which CDK really runs.
#
# Matters here: a synthesis of ours called Node 1,271 times, most of it from a few helpers in loops.
#
# Guess: one call for each method, none for what only names a value (a duration, an enum) and none for what was asked
# before: the account of a stack, the node of a construct, a constant of a class do not change.
#
# Seen, 2026-11-27: a method is one call, unless its answer is a structure: CDK makes it, and Python then asks for each
# of its fields, wanted or not, so `add_to_principal_policy` is three calls where `add_to_policy` is one. A duration is
# a call, and so is each turn of it into seconds. An enum is none, a constant of a class is one, and nothing that was
# asked before is remembered: neither account, node nor constant.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  aws-cdk-lib==2.270.0 constructs==10.8.1 jsii==1.142.0

cd "$work"
cat >look.py <<'PY'
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from jsii._kernel.providers import process

calls = []
send = process._NodeProcess.send


def counted(self, request, answer):
    calls.append(type(request).__name__)
    return send(self, request, answer)


process._NodeProcess.send = counted
stack = Stack(App(), "S")
role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
minutes = Duration.minutes(5)


def statement(number):
    return iam.PolicyStatement(actions=["s3:GetObject"], resources=[f"arn:aws:s3:::bucket/{number}"])


made = [statement(number) for number in range(4)]
LINES = {
    "role.add_to_policy(statement)": lambda: role.add_to_policy(made.pop()),
    "role.add_to_principal_policy(statement)": lambda: role.add_to_principal_policy(made.pop()),
    "Duration.minutes(5)": lambda: Duration.minutes(5),
    "duration.to_seconds()": lambda: minutes.to_seconds(),
    "RetentionDays.ONE_MONTH": lambda: logs.RetentionDays.ONE_MONTH,
    "Runtime.PYTHON_3_13": lambda: lambda_.Runtime.PYTHON_3_13,
    "stack.account": lambda: stack.account,
    "role.node.path": lambda: role.node.path,
}
for words, line in LINES.items():
    counts = []
    for _ in range(2):
        calls.clear()
        line()
        counts.append(len(calls))
    print(f"  {words}: {counts[0]}, again {counts[1]}")
PY
{
  for package in aws-cdk-lib jsii; do
    echo "$package $("$work/venv/bin/pip" show "$package" | sed -n 's/^Version: //p')"
  done
  JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 "$work/venv/bin/python" look.py 2>"$work/errors"
} >"$work/seen" || { cat "$work/errors" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
aws-cdk-lib 2.270.0
jsii 1.142.0
  role.add_to_policy(statement): 1, again 1
  role.add_to_principal_policy(statement): 3, again 3
  Duration.minutes(5): 1, again 1
  duration.to_seconds(): 1, again 1
  RetentionDays.ONE_MONTH: 0, again 0
  Runtime.PYTHON_3_13: 1, again 1
  stack.account: 1, again 1
  role.node.path: 2, again 2
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
