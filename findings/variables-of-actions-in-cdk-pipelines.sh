#!/usr/bin/env bash
# Where CDK Pipelines puts a variable that an earlier build exports: a build's environment, and an approval's text.
#
# Matters here: an approval should say what is in the release, which only an earlier action knows. CodePipeline takes
# variables in both places.
#
# Guess: `exported_variable` of a CodeBuildStep becomes #{namespace.NAME} in the environment of a later build, and in
# the comment and the review URL of a ManualApprovalStep just as well.
#
# Seen, 2026-11-27: in an environment and in a comment it does. A review URL with the same variable is not
# synthesised: "Output for step CodeBuildStep(Notes) not configured". It is, as soon as the comment beside it has the
# variable as well: only the comment is searched for what it refers to.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aws-cdk-lib==2.270.0 constructs==10.8.1

cd "$work"
cat >look.py <<'PY'
import json
import pathlib
import re
import sys

from aws_cdk import App, Stack, aws_s3, pipelines


def build(name, source, env):
    return pipelines.CodeBuildStep(name, input=source, commands=["true"], env=env)


def look(place):
    stack = Stack(App(outdir=place), "S")
    bucket = aws_s3.Bucket.from_bucket_name(stack, "B", "sources")
    source = pipelines.CodePipelineSource.s3(bucket, "source.zip")
    synth = pipelines.ShellStep("Synth", input=source, commands=["true"])
    pipeline = pipelines.CodePipeline(stack, "P", synth=synth, self_mutation=False)
    notes = build("Notes", source, {})
    told = notes.exported_variable("TOLD")
    pipeline.add_wave("One", post=[notes])
    if place == "environment":
        pipeline.add_wave("Two", post=[build("Next", source, {"TOLD": told})])
    else:
        texts = {name: told for name in place.split(" and ")}
        pipeline.add_wave("Two", post=[pipelines.ManualApprovalStep("Next", **texts)])
    try:
        stack.node.root.synth()
    except Exception as error:
        return re.search(r"Output for step \S+ not configured", str(error)).group()
    resources = json.loads(pathlib.Path(place, "S.template.json").read_text())["Resources"].values()
    (made,) = (item["Properties"] for item in resources if item["Type"].endswith("Pipeline::Pipeline"))
    (action,) = (item for stage in made["Stages"] for item in stage["Actions"] if item["Name"] == "Next")
    return " ".join(re.findall(r"#\{[^}]*\}", json.dumps(action["Configuration"])))


for place in ("environment", "comment", "review_url", "comment and review_url"):
    print(f"  {place}: {look(place)}")
PY
{
  echo "aws-cdk-lib $("$work/venv/bin/pip" show aws-cdk-lib | sed -n 's/^Version: //p')"
  JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20 "$work/venv/bin/python" look.py 2>"$work/errors"
} >"$work/seen" || { cat "$work/errors" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
aws-cdk-lib 2.270.0
  environment: #{One@Notes.TOLD}
  comment: #{One@Notes.TOLD}
  review_url: Output for step CodeBuildStep(Notes) not configured
  comment and review_url: #{One@Notes.TOLD} #{One@Notes.TOLD}
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
