"""The two stuck states of `docs/operations.md` that `make deploy` gets out of, in a checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.local_aws.checkout import REPOSITORY, bare_shell, commit, git, make_checkout
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, eventually
from tests.local_aws.pipelines import FINAL
from tests.stuck_states import page

pytestmark = pytest.mark.shipped

PIPELINE, EVALUATION = "prompt-hub", "prompt-hub-evaluation"
BUCKET = f"prompt-hub-results-{ACCOUNT}-{REGION}"
PINNED = "cli_version=toolchain.cdk_version(root)"
NOWHERE = 'cli_version="2.999999.0"'
"""A command line that no registry has: a pipeline that was deployed so cannot change itself."""


def test_make_deploy_again(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout")
    pipeline = checkout / "stacks" / "pipeline.py"
    right = pipeline.read_text(encoding="utf-8")
    assert PINNED in right
    pipeline.write_text(right.replace(PINNED, NOWHERE), encoding="utf-8")
    commit(checkout, "a pipeline that cannot change itself")
    remote = tmp_path / "prompts.git"
    git("clone", "--quiet", "--bare", str(checkout), str(remote))
    git("remote", "add", "origin", str(remote), cwd=checkout)
    tools = tmp_path / "bin"
    tools.mkdir()
    cloud = LocalAws(state=tmp_path / "local-aws", repositories={REPOSITORY: remote})
    cloud.start()
    try:
        shell = bare_shell(cloud, tools)
        run(checkout, shell, "make bootstrap")
        _first_creation_by_hand(cloud, checkout, shell)
        pipeline.write_text(right, encoding="utf-8")
        _pipeline_that_cannot_change_itself(cloud, checkout, shell)
    finally:
        cloud.stop()


def _first_creation_by_hand(cloud: LocalAws, checkout: Path, shell: dict[str, str]) -> None:
    """A bucket of the same name is there already, until somebody removes it."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    (again,) = page.commands(page.way_out("first creation by hand"))
    run(checkout, shell, again, fails=True)
    assert status(cloud, EVALUATION) == "ROLLBACK_COMPLETE"

    s3.delete_bucket(Bucket=BUCKET)
    run(checkout, shell, again)

    assert status(cloud, EVALUATION) == "CREATE_COMPLETE"


def _pipeline_that_cannot_change_itself(
    cloud: LocalAws, checkout: Path, shell: dict[str, str]
) -> None:
    first = executions(cloud)[0]
    assert ended(cloud, first) == "Failed"
    assert "SelfMutate" in red(cloud, first)
    commit(checkout, "a command line that there is")
    git("push", "--quiet", "origin", "HEAD:main", cwd=checkout)
    second = eventually(lambda: set(executions(cloud)) - {first}, what="an execution of the push")
    (pushed,) = second
    assert ended(cloud, pushed) == "Failed"
    assert "SelfMutate" in red(cloud, pushed), "the mend in the branch does not reach it"

    (deploy,) = page.commands(page.way_out("pipeline cannot change itself"))
    run(checkout, shell, deploy)

    (third,) = eventually(
        lambda: set(executions(cloud)) - {first, pushed}, what="an execution of the deployment"
    )
    eventually(
        lambda: actions(cloud, third).get("SelfMutate") == "Succeeded",
        seconds=600,
        every=1,
        what="the pipeline's change of itself",
    )
    cloud.client("codepipeline").stop_pipeline_execution(
        pipelineName=PIPELINE, pipelineExecutionId=third, abandon=True
    )


def run(checkout: Path, shell: dict[str, str], command: str, *, fails: bool = False) -> None:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=checkout,
        env=shell,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    said = f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    assert (done.returncode != 0) == fails, said


def status(cloud: LocalAws, stack: str) -> str:
    (found,) = cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return str(found["StackStatus"])


def executions(cloud: LocalAws) -> list[str]:
    """Newest first."""
    listed = cloud.client("codepipeline").list_pipeline_executions(pipelineName=PIPELINE)
    return [item["pipelineExecutionId"] for item in listed["pipelineExecutionSummaries"]]


def ended(cloud: LocalAws, execution: str) -> str:
    def probe() -> str | None:
        found = cloud.client("codepipeline").get_pipeline_execution(
            pipelineName=PIPELINE, pipelineExecutionId=execution
        )["pipelineExecution"]["status"]
        return found if found in FINAL else None

    return eventually(probe, seconds=600, every=1, what=f"the end of {execution}") or ""


def actions(cloud: LocalAws, execution: str) -> dict[str, str]:
    details = cloud.client("codepipeline").list_action_executions(
        pipelineName=PIPELINE, filter={"pipelineExecutionId": execution}
    )["actionExecutionDetails"]
    return {item["actionName"]: item["status"] for item in details}


def red(cloud: LocalAws, execution: str) -> set[str]:
    found = actions(cloud, execution)
    return {name for name, status in found.items() if status == "Failed"}
