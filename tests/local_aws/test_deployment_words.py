"""The words with which the README deploys, run as they stand there, where nothing is installed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prompt_hub.core import aws_names
from tests.local_aws.checkout import REPOSITORY, bare_shell, git, make_checkout
from tests.local_aws.emulator import ROOT, LocalAws, eventually

pytestmark = [pytest.mark.lifecycle, pytest.mark.shipped]


def commands_of_the_readme() -> list[str]:
    """Every line of shell in the section about deploying."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Deploying to your account\n(.*?)^## ", text, re.M | re.S)
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", section, re.M | re.S)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def cloud(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    remote = tmp_path_factory.mktemp("remote") / "prompts.git"
    git("clone", "--quiet", "--bare", str(checkout), str(remote))
    emulator = LocalAws(
        state=tmp_path_factory.mktemp("local-aws"), repositories={REPOSITORY: remote}
    )
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="module")
def environment(cloud: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return bare_shell(cloud, tmp_path_factory.mktemp("bin"))


def stacks(cloud: LocalAws) -> set[str]:
    found: list[dict[str, Any]] = cloud.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"] for stack in found if stack["StackStatus"] != "DELETE_COMPLETE"}


def test_the_readmes_words_deploy_from_a_checkout_that_has_nothing(
    cloud: LocalAws, checkout: Path, environment: dict[str, str]
) -> None:
    words = commands_of_the_readme()
    deployments = [line for line in words if line.startswith("make ")]
    assert deployments == [
        "make bootstrap",
        "make deploy STACK=prompt-hub-source",
        "make deploy",
    ], "people wait for the connection between the two, so that nothing is red"

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout + done.stderr

    run(deployments[0])
    assert stacks(cloud) == {"CDKToolkit"}
    run(deployments[1])
    assert stacks(cloud) == {"CDKToolkit", "prompt-hub-source"}
    run(deployments[2])
    assert "prompt-hub-pipeline" in stacks(cloud)

    pipeline = cloud.client("codepipeline")
    (execution,) = pipeline.list_pipeline_executions(pipelineName=aws_names.pipeline())[
        "pipelineExecutionSummaries"
    ]
    assert execution["trigger"]["triggerType"] == "CreatePipeline", "it needs no push"

    def source() -> bool:
        state = pipeline.get_pipeline_state(name=aws_names.pipeline())["stageStates"][0]
        return bool(state["actionStates"][0]["latestExecution"]["status"] == "Succeeded")

    eventually(source, seconds=60, what="the first execution's Source")
    pipeline.stop_pipeline_execution(
        pipelineName=aws_names.pipeline(),
        pipelineExecutionId=execution["pipelineExecutionId"],
        abandon=True,
    )

    changes = run("make diff")
    assert "Number of stacks with differences: 3" in changes, "the stages' own, still to come"

    # Whatever the checks have against what is to go: it goes.
    app = checkout / "app.py"
    unacknowledged = "    nag.acknowledge = lambda *_: None\n    app = App()\n"
    before, made, after = app.read_text("utf-8").partition("    app = App()\n")
    assert made
    app.write_text(before + unacknowledged + after, "utf-8")
    run("make destroy")
    assert stacks(cloud) == {"CDKToolkit"}
