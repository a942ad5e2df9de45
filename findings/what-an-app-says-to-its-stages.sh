#!/usr/bin/env bash
# Which rules that are said once of a CDK app reach the stacks inside a stage of its pipeline.
#
# Matters here: an organisation asks for tags and a permissions boundary on everything. Said in the wrong place they are
# missing in exactly the stacks that run in production, and nothing warns.
#
# Guess: aspects stop at a stage, so Tags.of(app), PermissionsBoundary.of(app) and RemovalPolicies.of(app) reach the
# toolchain alone. The context key reaches everything. Tags.of(stage) reaches the stage, before and after it is added to
# the pipeline, since all of it is synthesised at the end.
#
# Seen, 2026-11-27: aspects do stop at a stage, and the context key reaches everything. But add_stage synthesises the
# stage at once: tags that it gets in the very next line are lost, without a warning.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aws-cdk-lib==2.270.0 constructs==10.8.1

export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 CDK_VALIDATION=false
(cd "$work" && "$work/venv/bin/python" - >"$work/seen" 2>"$work/err") <<'PY' || { cat "$work/err" >&2; exit 1; }
import json
import tempfile
from importlib.metadata import version
from pathlib import Path

from aws_cdk import App, RemovalPolicies, Stack, Stage, Tags, pipelines
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

print(f"aws-cdk-lib {version('aws-cdk-lib')}")
BOUNDARY = "@aws-cdk/core:permissionsBoundary"


def parts(stack):
    iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
    s3.Bucket(stack, "Bucket")


def boundary(scope):
    iam.PermissionsBoundary.of(scope).apply(iam.ManagedPolicy.from_managed_policy_name(Stack.of(tool), "B", "rule"))


def reached(name, *, early=None, in_stage=None, late=None, context=None):
    global tool
    folder = Path(tempfile.mkdtemp())
    app = App(outdir=str(folder), context=context or {})
    tool = Stack(app, "tool")
    parts(tool)
    if early:
        early(app)
    source = pipelines.CodePipelineSource.connection("a/b", "main", connection_arn="arn:aws:x:us-east-1:1:c")
    pipeline = pipelines.CodePipeline(tool, "P", synth=pipelines.ShellStep("S", input=source, commands=["x"]))
    stage = Stage(app, "prod")
    parts(Stack(stage, "service"))
    if in_stage:
        in_stage(stage)
    pipeline.add_stage(stage)
    if late:
        late(stage)
    app.synth()
    found = []
    for where, pattern in (("toolchain", "tool.template.json"), ("stage", "assembly-prod/*.template.json")):
        (template,) = folder.glob(pattern)
        resources = json.loads(template.read_text())["Resources"]
        marked = [
            resource
            for key, resource in resources.items()
            if key.startswith(("Role", "Bucket"))
            and ("rule" in json.dumps(resource.get("Properties", {})) or resource.get("DeletionPolicy") == "Delete")
        ]
        found.append(f"{where} {'yes' if marked else 'no'}")
    print(f"  {name}: {', '.join(found)}")


reached("Tags.of(app)", early=lambda app: Tags.of(app).add("k", "rule"))
reached("Tags.of(stage) before add_stage", in_stage=lambda stage: Tags.of(stage).add("k", "rule"))
reached("Tags.of(stage) after add_stage", late=lambda stage: Tags.of(stage).add("k", "rule"))
reached("PermissionsBoundary.of(app)", early=boundary)
reached("permissionsBoundary in the context", context={BOUNDARY: {"name": "rule"}})
reached("RemovalPolicies.of(app)", early=lambda app: RemovalPolicies.of(app).destroy())
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
aws-cdk-lib 2.270.0
  Tags.of(app): toolchain yes, stage no
  Tags.of(stage) before add_stage: toolchain no, stage yes
  Tags.of(stage) after add_stage: toolchain no, stage no
  PermissionsBoundary.of(app): toolchain yes, stage no
  permissionsBoundary in the context: toolchain yes, stage yes
  RemovalPolicies.of(app): toolchain yes, stage no
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
