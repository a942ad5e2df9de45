#!/usr/bin/env bash
# What three local interpreters of Amazon's States Language make of the same calls of intrinsic functions.
#
# Matters here: our state machine makes keys, names and commands by such calls, and is only ever run locally before it
# is deployed. The local AWS refuses where these part over the machine's functions, so that a run shows what AWS does.
#
# Guess: they agree on whatever the language's documents show; an escaped brace in States.Format may fail in one.
#
# Seen, 2026-11-28: of twelve calls all agree on three: a hash, base64 and merging. Several separators are a set of
# characters in two and one word in the third, which also keeps the empty part between two of them. moto ends a text at
# an escaped apostrophe, takes braces for Python's, and loses null from an array; ministack writes Python's True and
# None. 0.7 plus 1 is 1.7, 2 and 1.
set -euo pipefail

work=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; wait "$server" || true; fi; rm -rf "$work"' EXIT
for name in moto ministack; do python3 -m venv "$work/$name"; done
"$work/moto/bin/pip" install --quiet --no-compile --disable-pip-version-check \
  moto==5.2.5 boto3==1.44.8 antlr4-python3-runtime==4.13.2 jsonpath-ng==1.16.0
"$work/ministack/bin/pip" install --quiet --no-compile --disable-pip-version-check ministack==1.5.33 boto3==1.43.106
npm install --silent --no-audit --no-fund --prefix "$work" aws-local-stepfunctions@3.0.0 >"$work/npm"

cd "$work"
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-central-1
cat >calls.json <<'JSON'
{"input": {"part": "4k7-0603/reel", "path": "jobs//out", "number": 3, "score": 0.7, "passed": true, "reason": null,
           "parts": [{"id": 1}, {"id": 2}], "left": {"a": 1}, "right": {"b": 2}},
 "calls": ["States.Format('it\\'s {}', $.number)", "States.Format('\\{{}\\}', $.number)",
           "States.Format('{}', $.passed)", "States.Format('{}', $.reason)", "States.StringSplit($.part, '-/')",
           "States.StringSplit($.path, '/')", "States.Array($.number, null, 'x')", "States.MathAdd($.score, 1)",
           "States.ArrayUnique($.parts)", "States.Hash($.part, 'MD5')", "States.Base64Encode($.part)",
           "States.JsonMerge($.left, $.right, false)"]}
JSON
cat >run.cjs <<'JS'
const { StateMachine } = require("aws-local-stepfunctions");
const { version } = require("./node_modules/aws-local-stepfunctions/package.json");
const { input, calls } = require("./calls.json");
(async () => {
  console.log("aws-local-stepfunctions", version);
  for (const call of calls) {
    let made = "an error";
    try {
      const one = { Type: "Pass", Parameters: { "made.$": call }, End: true };
      made = JSON.stringify((await new StateMachine({ StartAt: "One", States: { One: one } }).run(input).result).made);
    } catch {}
    console.log(`  ${call}: ${made}`);
  }
})();
JS
cat >run.py <<'PY'
import json
import sys
import time
from importlib.metadata import version

import boto3


def run():
    states = boto3.client("stepfunctions")
    given = json.load(open("calls.json", encoding="utf-8"))
    print(sys.argv[1], version(sys.argv[1]))
    for number, call in enumerate(given["calls"]):
        one = {"Type": "Pass", "Parameters": {"made.$": call}, "End": True}
        machine = states.create_state_machine(
            name=f"m{number}",
            roleArn="arn:aws:iam::123456789012:role/r",
            definition=json.dumps({"StartAt": "One", "States": {"One": one}}),
        )
        execution = states.start_execution(
            stateMachineArn=machine["stateMachineArn"], input=json.dumps(given["input"])
        )
        while (seen := states.describe_execution(executionArn=execution["executionArn"]))["status"] == "RUNNING":
            time.sleep(0.05)
        made = json.dumps(json.loads(seen["output"])["made"], separators=(",", ":")) if "output" in seen else "an error"
        print(f"  {call}: {made}")


if sys.argv[1] == "moto":
    from moto import mock_aws

    run = mock_aws(config={"stepfunctions": {"execute_state_machine": True}})(run)
run()
PY
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
GATEWAY_PORT=$port DOCKER_HOST=unix://$work/none.sock ministack/bin/ministack >log 2>&1 &
server=$!
for _ in $(seq 100); do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>none; then break; fi
  sleep 0.2
done
{
  node run.cjs
  moto/bin/python run.py moto 2>log.moto
  AWS_ENDPOINT_URL=http://127.0.0.1:$port ministack/bin/python run.py ministack
} >seen
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
aws-local-stepfunctions 3.0.0
  States.Format('it\'s {}', $.number): "it's 3"
  States.Format('\{{}\}', $.number): "{3}"
  States.Format('{}', $.passed): "true"
  States.Format('{}', $.reason): "null"
  States.StringSplit($.part, '-/'): ["4k7-0603/reel"]
  States.StringSplit($.path, '/'): ["jobs","","out"]
  States.Array($.number, null, 'x'): [3,null,"x"]
  States.MathAdd($.score, 1): 1.7
  States.ArrayUnique($.parts): [{"id":1},{"id":2}]
  States.Hash($.part, 'MD5'): "95e89ec167dcd8030af1017f4d071311"
  States.Base64Encode($.part): "NGs3LTA2MDMvcmVlbA=="
  States.JsonMerge($.left, $.right, false): {"a":1,"b":2}
moto 5.2.5
  States.Format('it\'s {}', $.number): "it\\\\"
  States.Format('\{{}\}', $.number): an error
  States.Format('{}', $.passed): "true"
  States.Format('{}', $.reason): "null"
  States.StringSplit($.part, '-/'): ["4k7","0603","reel"]
  States.StringSplit($.path, '/'): ["jobs","out"]
  States.Array($.number, null, 'x'): [3,"x"]
  States.MathAdd($.score, 1): 2
  States.ArrayUnique($.parts): an error
  States.Hash($.part, 'MD5'): "95e89ec167dcd8030af1017f4d071311"
  States.Base64Encode($.part): "NGs3LTA2MDMvcmVlbA=="
  States.JsonMerge($.left, $.right, false): {"a":1,"b":2}
ministack 1.5.33
  States.Format('it\'s {}', $.number): "it's 3"
  States.Format('\{{}\}', $.number): "{3}"
  States.Format('{}', $.passed): "True"
  States.Format('{}', $.reason): "None"
  States.StringSplit($.part, '-/'): ["4k7","0603","reel"]
  States.StringSplit($.path, '/'): ["jobs","out"]
  States.Array($.number, null, 'x'): [3,null,"x"]
  States.MathAdd($.score, 1): 1
  States.ArrayUnique($.parts): [{"id":1},{"id":2}]
  States.Hash($.part, 'MD5'): "95e89ec167dcd8030af1017f4d071311"
  States.Base64Encode($.part): "NGs3LTA2MDMvcmVlbA=="
  States.JsonMerge($.left, $.right, false): {"a":1,"b":2}
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
