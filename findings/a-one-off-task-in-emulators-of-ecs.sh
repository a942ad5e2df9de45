#!/usr/bin/env bash
# What emulators of ECS say of a task of its own whose command ends with 7, where nothing can run it.
#
# Matters here: smoke tests and score watches are such tasks, and their exit code decides a release. An emulator
# that never runs them must not be what shows that a failing one is noticed (local_aws/tasks.py runs them).
#
# Guess: moto, which runs nothing, says STOPPED with exit code 0, and no exit code before. ministack, without a
# container engine, says STOPPED, that the container could not be started, and no exit code.
#
# Seen, 2026-11-27: moto has the exit code 0 from the first look on, in a container that stays PENDING for ever. Each
# look moves the task one state on, and none of them is RUNNING. ministack says RUNNING for as long as one looks. So the
# waiter for stopped tasks succeeds at once in one, and never ends in the other; a failure is seen in neither.
set -euo pipefail

work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; wait "$server" || true; fi; rm -rf "$work"' EXIT
for name in moto ministack; do python3 -m venv "$work/$name"; done
"$work/moto/bin/pip" install --quiet --disable-pip-version-check moto==5.2.5 boto3==1.44.8
"$work/ministack/bin/pip" install --quiet --disable-pip-version-check ministack==1.5.33 boto3==1.43.106

cd "$work"
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-central-1
cat >look.py <<'PY'
import time

import boto3


def look(wait):
    ecs, ec2 = boto3.client("ecs"), boto3.client("ec2")
    ecs.create_cluster(clusterName="c")
    container = {"name": "app", "image": "app:1", "memory": 512, "command": ["sh", "-c", "exit 7"]}
    ecs.register_task_definition(
        family="t",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[container],
    )
    network = {
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroups": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    started = ecs.run_task(
        cluster="c",
        taskDefinition="t",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
    )
    arn = started["tasks"][0]["taskArn"]
    for number in range(1, 6):
        time.sleep(wait)
        task = ecs.describe_tasks(cluster="c", tasks=[arn])["tasks"][0]
        app = task["containers"][0]
        print(f"  look {number}: {task['lastStatus']}, container {app['lastStatus']}, exit code {app.get('exitCode')}")
PY
{
  echo "moto $("$work/moto/bin/pip" show moto | sed -n 's/^Version: //p')"
  "$work/moto/bin/python" -c 'from moto import mock_aws; from look import look; mock_aws()(look)(0)'
  echo "ministack $("$work/ministack/bin/pip" show ministack | sed -n 's/^Version: //p')"
} >"$work/seen"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
GATEWAY_PORT=$port DOCKER_HOST=unix://$work/none.sock "$work/ministack/bin/ministack" >"$work/log" 2>&1 &
server=$!
for _ in $(seq 100); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>"$work/none"; then break; fi
  sleep 0.2
done
AWS_ENDPOINT_URL=http://127.0.0.1:$port "$work/ministack/bin/python" -c 'from look import look; look(2)' >>"$work/seen"
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
moto 5.2.5
  look 1: DEACTIVATING, container PENDING, exit code 0
  look 2: STOPPING, container PENDING, exit code 0
  look 3: DEPROVISIONING, container PENDING, exit code 0
  look 4: STOPPED, container PENDING, exit code 0
  look 5: STOPPED, container PENDING, exit code 0
ministack 1.5.33
  look 1: RUNNING, container RUNNING, exit code None
  look 2: RUNNING, container RUNNING, exit code None
  look 3: RUNNING, container RUNNING, exit code None
  look 4: RUNNING, container RUNNING, exit code None
  look 5: RUNNING, container RUNNING, exit code None
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
