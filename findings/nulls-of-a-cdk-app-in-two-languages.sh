#!/usr/bin/env bash
# What becomes of a null that a CDK app says inside free JSON: one app, written in Python and in JavaScript.
#
# Matters here: null means something in what we hand to CDK. `"ResultPath": null` throws a task's result away, and
# without it the result replaces the state's input. In a pattern it is a value to match, in an `enum` one to allow.
#
# Guess: a None in Python is null in the template wherever JSON is free, and is left out only where CloudFormation has
# a property of that name. `to_json_string`, seen to drop it, does so in every language. In a list it keeps its place.
#
# Seen, 2026-11-28: Python loses every one of them, in lists too, so that what follows moves up: `[null]` is `[]`, and
# the enumeration no longer allows null. JavaScript keeps all but those of objects in a state's parameters. Neither
# says a word. `JsonPath.DISCARD`, and a definition that is text already, keep theirs in both.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check aws-cdk-lib==2.270.0 constructs==10.8.1 \
  aws-cdk-cloud-assembly-schema==54.26.0
# The package for Python carries the one for JavaScript: it is the very same code that runs.
packages=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
for name in aws-cdk-lib:aws_cdk constructs:constructs @aws-cdk/cloud-assembly-schema:aws_cdk/cloud_assembly_schema; do
  mkdir -p "$work/node_modules/${name%%:*}"
  tar -xzf "$packages/${name##*:}"/_jsii/*.tgz -C "$work/node_modules/${name%%:*}" --strip-components=1
done

cat >"$work/app.py" <<'PY'
import json

from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_apigateway as api
from aws_cdk import aws_events as events
from aws_cdk import aws_stepfunctions as sfn

app = App()
stack = Stack(app, "stack")
said = {"a": None, "list": ["x", None, "y"]}
state = {"Type": "Pass", "ResultPath": None, "End": True}


def machine(name, body):
    sfn.StateMachine(stack, name, definition_body=body)


def chain(name, one):
    machine(name, sfn.DefinitionBody.from_chainable(one))


chain("result", sfn.Pass(stack, "1", result=sfn.Result.from_object(said)))
chain("parameters", sfn.Pass(stack, "2", parameters=said))
chain("custom", sfn.CustomState(stack, "3", state_json=state))
chain("discard", sfn.Pass(stack, "4", result_path=sfn.JsonPath.DISCARD))
machine("text", sfn.DefinitionBody.from_string(json.dumps({"StartAt": "5", "States": {"5": state}})))
events.Rule(stack, "pattern", event_pattern=events.EventPattern(detail={"a": [None], "b": ["x", None]}))
gate = api.RestApi.from_rest_api_id(stack, "gate", "g")
api.Model(stack, "model", rest_api=gate, schema=api.JsonSchema(enum=["x", None]))
CfnOutput(stack, "json", value=stack.to_json_string(said))
with open("python.json", "w", encoding="utf-8") as out:
    json.dump(app.synth().get_stack_by_name("stack").template, out)
PY
cat >"$work/app.cjs" <<'JS'
const { App, CfnOutput, Stack } = require("aws-cdk-lib");
const api = require("aws-cdk-lib/aws-apigateway");
const events = require("aws-cdk-lib/aws-events");
const sfn = require("aws-cdk-lib/aws-stepfunctions");

const app = new App();
const stack = new Stack(app, "stack");
const said = { a: null, list: ["x", null, "y"] };
const state = { Type: "Pass", ResultPath: null, End: true };
const machine = (name, definitionBody) => new sfn.StateMachine(stack, name, { definitionBody });
const chain = (name, one) => machine(name, sfn.DefinitionBody.fromChainable(one));

chain("result", new sfn.Pass(stack, "1", { result: sfn.Result.fromObject(said) }));
chain("parameters", new sfn.Pass(stack, "2", { parameters: said }));
chain("custom", new sfn.CustomState(stack, "3", { stateJson: state }));
chain("discard", new sfn.Pass(stack, "4", { resultPath: sfn.JsonPath.DISCARD }));
machine("text", sfn.DefinitionBody.fromString(JSON.stringify({ StartAt: "5", States: { 5: state } })));
new events.Rule(stack, "pattern", { eventPattern: { detail: { a: [null], b: ["x", null] } } });
const restApi = api.RestApi.fromRestApiId(stack, "gate", "g");
new api.Model(stack, "model", { restApi, schema: { enum: ["x", null] } });
new CfnOutput(stack, "json", { value: stack.toJsonString(said) });
require("fs").writeFileSync("javascript.json", JSON.stringify(app.synth().getStackByName("stack").template));
JS
cat >"$work/show.py" <<'PY'
import json
import sys

template = json.load(open(sys.argv[1], encoding="utf-8"))
resources = {item["Type"]: item["Properties"] for item in template["Resources"].values()}
for item in template["Resources"].values():
    if item["Type"] == "AWS::StepFunctions::StateMachine":
        for number, state in json.loads(item["Properties"]["DefinitionString"])["States"].items():
            name = ["result", "parameters", "custom", "discard", "text"][int(number) - 1]
            kept = {key: state[key] for key in ("Result", "Parameters", "ResultPath") if key in state}
            print(f"  state, {name}: {json.dumps(kept)}")
print("  pattern:", json.dumps(resources["AWS::Events::Rule"]["EventPattern"]["detail"]))
print("  model:", json.dumps(resources["AWS::ApiGateway::Model"]["Schema"]["enum"]))
print("  to JSON:", template["Outputs"]["json"]["Value"])
PY
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 CDK_VALIDATION=false
cd "$work"
{ venv/bin/python app.py && node app.cjs; } >out 2>&1 || { cat out >&2; exit 1; }
{
  echo "aws-cdk-lib $(venv/bin/pip show aws-cdk-lib | sed -n 's/^Version: //p')"
  for language in python javascript; do
    echo " $language"
    venv/bin/python show.py "$language.json"
  done
} >seen
cat seen

if ! diff --unified - seen >&2 <<'EXPECTED'; then
aws-cdk-lib 2.270.0
 python
  state, result: {"Result": {"list": ["x", "y"]}}
  state, parameters: {"Parameters": {"list": ["x", "y"]}}
  state, custom: {}
  state, discard: {"ResultPath": null}
  state, text: {"ResultPath": null}
  pattern: {"a": [], "b": ["x"]}
  model: ["x"]
  to JSON: {"list":["x","y"]}
 javascript
  state, result: {"Result": {"a": null, "list": ["x", null, "y"]}}
  state, parameters: {"Parameters": {"list": ["x", null, "y"]}}
  state, custom: {"ResultPath": null}
  state, discard: {"ResultPath": null}
  state, text: {"ResultPath": null}
  pattern: {"a": [null], "b": ["x", null]}
  model: ["x", null]
  to JSON: {"a":null,"list":["x",null,"y"]}
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
