"""One whole synthesis through the command line: validated, without credentials, then linted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infrastructure.synthesised import CONTEXT, ROOT

pytestmark = pytest.mark.synth

NOBODY = "http://127.0.0.1:9"
"""A proxy at which nobody listens: whatever asks the network fails at once."""


def environment(home: Path) -> dict[str, str]:
    """An environment that holds nothing to sign a request with, and no network to send it to."""
    node = shutil.which("node")
    assert node is not None, "Node.js 20 or newer is needed for the CDK"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join(
            [str(Path(sys.executable).parent), str(Path(node).parent), os.defpath]
        ),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTPS_PROXY": NOBODY,
        "HTTP_PROXY": NOBODY,
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        # Unpacked once for all homes; otherwise each run would pay some seconds for it.
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(cache / "aws" / "jsii" / "package-cache"),
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `cdk synth` wrote."""
    home, output = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("cdk.out")
    cdk = str(ROOT / "node_modules" / ".bin" / "cdk")
    done = subprocess.run(
        [cdk, "synth", "--quiet", "--no-notices", "--output", str(output)],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    assert "not configured" not in done.stderr, "a feature flag is undecided: say it in cdk.json"
    return output


def test_every_template_of_every_stage_is_written(written: Path) -> None:
    templates = {file.relative_to(written).parts[0] for file in written.rglob("*.template.json")}
    assert "prompt-hub-pipeline.template.json" in templates
    assert "assembly-dev" in templates


def test_no_construct_accepts_a_finding_twice(written: Path) -> None:
    accepted = [
        (path, rule)
        for file in written.rglob("*.metadata.json")
        for path, entries in json.loads(file.read_text("utf-8")).items()
        for entry in entries
        if entry["type"] == "aws:cdk:acknowledged-rules"
        for rule in entry["data"]
    ]
    assert len(accepted) > 50
    assert sorted(accepted) == sorted(set(accepted))


def test_synthesis_reads_no_code_that_calls_models_or_checks_answers(tmp_path: Path) -> None:
    code = (
        "import json, sys, app; app.main();"
        " print(json.dumps([name for name in sys.modules if '.' not in name]))"
    )
    changed = {"CDK_VALIDATION": "false", "CDK_OUTDIR": str(tmp_path / "cdk.out")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(tmp_path) | changed | {"CDK_CONTEXT_JSON": json.dumps(CONTEXT)},
        capture_output=True,
        text=True,
        check=True,
    )
    read = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"aws_cdk", "pydantic", "cdk_app"} <= read
    unwanted = {"openai", "httpx2", "aiohttp", "boto3", "jsonschema", "fastjsonschema", "cdk_nag"}
    assert not read & unwanted


def test_the_app_does_not_pass_cdk_nag_without_its_acknowledgements(tmp_path: Path) -> None:
    # Started without CDK's own rules, which are not asked about and take twice as long.
    code = (
        "import os, app; from cdk_app import nag; nag.acknowledge = lambda *_: None;"
        " del os.environ['CDK_VALIDATION']; app.main()"
    )
    changed = {"CDK_VALIDATION": "false", "CDK_CONTEXT_JSON": json.dumps(CONTEXT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(tmp_path) | changed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    for path in ("prompt-hub-pipeline/Pipeline/Assets/", "dev/Service/Prompts/TaskDefinition"):
        assert path in done.stderr, "stages inside the app are checked as well as the toolchain"
    assert "AwsSolutions-IAM5" in done.stderr


def test_cfn_lint_finds_nothing(written: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), *written.rglob("*.template.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


BROKEN_APP = """
from aws_cdk import App, CfnResource, Stack

app = App()
CfnResource(Stack(app, "Broken"), "Bucket", type="AWS::S3::Bucket", properties={"NoSuch": 1})
app.synth()
"""
RULES = {"@aws-cdk/core:validateAgainstDefaultRules": True}


def test_templates_that_fail_the_rules_end_synth_red_and_are_not_remembered(tmp_path: Path) -> None:
    for name, text in {
        "app.py": BROKEN_APP,
        "cdk.json": json.dumps({"app": "no such app", "context": RULES}),
        ".gitignore": "cdk.out/\n.prompt-hub/\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    cdk = str(ROOT / "node_modules" / ".bin" / "cdk")
    app = "python -m prompt_hub.release.checked_templates python app.py"
    release = {"PROMPT_HUB_RELEASE": "51b5d4ed-e192-4d1e-9964-484aa37202ba"}
    done = subprocess.run(
        [cdk, "synth", "--quiet", "--no-notices", "--app", app],
        cwd=tmp_path,
        env=environment(tmp_path) | release | {"PYTHONPATH": str(ROOT / "pipeline_image")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "no green templates of this code are remembered" in done.stderr
    assert "NoSuch" in done.stderr
    report = json.loads((tmp_path / "cdk.out" / "validation-report.json").read_text("utf-8"))
    assert "failure" in [each["conclusion"] for each in report["pluginReports"]]
    assert not (tmp_path / ".prompt-hub").exists()
