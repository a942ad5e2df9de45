"""The workflow that merges what promotion wrote, run as its file states it, but for GitHub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from prompt_hub.core import aws_names
from prompt_hub.promotion.git_promotion import BOT_PATHS
from tests.unit.promotion.checkouts import World, git

pytestmark = pytest.mark.processes

BRANCH = aws_names.PROMOTION_BRANCH
FILE = Path(__file__).resolve().parents[3] / ".github" / "workflows" / "promotion.yml"
WORKFLOW = yaml.safe_load(FILE.read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in WORKFLOW["jobs"]["merge"]["steps"] if "run" in step}
WHICH, GUARD, MERGE = STEPS.values()

GH = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$1 $2" in
"pr list") for word; do query=$word; done; echo "$OPEN" | jq -r "$query" ;;
"pr merge") case "$*" in *--auto) exit "${CLEAN:-0}" ;; esac ;;
esac
"""


def run(step: dict[str, str], where: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub's shell does: it ends at the first command that fails."""
    return subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=where,
        env={**os.environ, "BASE": "main", "HEAD": BRANCH, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def waiting(world: World) -> Path:
    """Let promotion wait for its merge, and return a clone that has its branch checked out."""
    world.evaluated("e1", world.push("candidate"), waits_in=BRANCH)
    world.promote("e1", waits_in=BRANCH)
    clone = world.folder / "runner"
    git(world.folder, "clone", "--quiet", "--branch", BRANCH, str(world.remote), str(clone))
    return clone


def test_it_starts_with_the_bots_branch_and_lets_through_what_promotion_writes(
    world: World,
) -> None:
    # YAML 1.1 reads the key `on` as true.
    assert WORKFLOW[True] == {"push": {"branches": [BRANCH]}}
    # The branch that the pipeline follows: no expression of GitHub's can read `cdk.json`.
    base = WORKFLOW["jobs"]["merge"]["env"]["BASE"]
    named = f"vars.{aws_names.ENV_BRANCH}"
    assert base == f"${{{{ {named} || github.event.repository.default_branch }}}}"
    assert [word for word in BOT_PATHS if f"':!{word}'" not in GUARD["run"]] == []
    assert GUARD["run"].count("':!") == len(BOT_PATHS)
    clone = waiting(world)
    assert run(GUARD, clone).returncode == 0
    # What people pushed to the main branch meanwhile is none of its business.
    world.author.write("README.md", "of a person\n")
    world.push("human commit")
    git(clone, "fetch", "--quiet", "origin")
    assert run(GUARD, clone).returncode == 0


def test_code_in_the_bots_branch_is_merged_by_nobody(world: World) -> None:
    clone = waiting(world)
    (clone / "app.py").write_text("import os\n", encoding="utf-8")
    git(clone, "add", "app.py")
    git(clone, "commit", "--quiet", "-m", "Promote brand 1.0.0")
    refused = run(GUARD, clone)
    assert refused.returncode == 1
    assert refused.stdout.startswith("::error::app.py is not what promotion writes")
    # Nor by the merge that an earlier push let wait for its checks.
    environment, calls = stand_in(world)
    assert run(GUARD, clone, NUMBER="7", **environment).returncode == 1
    assert calls.read_text("utf-8") == "pr merge 7 --disable-auto\n"


def stand_in(world: World) -> tuple[dict[str, str], Path]:
    """Put a `gh` first on the path: what to run steps with, and the file of its calls."""
    gh = world.folder / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH, encoding="utf-8")
    gh.chmod(0o755)
    calls = world.folder / "calls"
    path = f"{gh.parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "CALLS": str(calls)}, calls


def test_one_pull_request_is_opened_and_merged_with_or_without_rules_to_wait_for(
    world: World,
) -> None:
    clone = waiting(world)
    environment, calls = stand_in(world)

    def merged(number: str, clean: str) -> list[str]:
        calls.write_text("", encoding="utf-8")
        done = run(MERGE, clone, NUMBER=number, CLEAN=clean, **environment)
        assert done.returncode == 0, done.stderr
        return [line for line in calls.read_text("utf-8").splitlines() if line.startswith("pr ")]

    # What is pushed after this run has looked at the branch is not merged by it.
    looked_at = f"--merge --match-head-commit {git(clone, 'rev-parse', 'HEAD')}"
    create, *merge = merged("", "0")
    assert create.startswith(
        f"pr create --base main --head {BRANCH} --title Promote part-class 1.2.0 --body"
    )
    assert merge == [f"pr merge {BRANCH} {looked_at} --auto"]
    assert merged("7", "0") == [f"pr merge 7 {looked_at} --auto"]
    assert merged("7", "1") == [f"pr merge 7 {looked_at} --auto", f"pr merge 7 {looked_at}"]


@pytest.mark.skipif(shutil.which("jq") is None, reason="the stand-in for gh asks jq")
def test_a_forks_pull_request_from_a_branch_of_that_name_is_not_the_bots(world: World) -> None:
    environment, _ = stand_in(world)
    output = world.folder / "output"

    def number(*pulls: dict[str, object]) -> str:
        output.write_text("", encoding="utf-8")
        told = {"OPEN": json.dumps(pulls), "GITHUB_OUTPUT": str(output)}
        assert run(WHICH, world.folder, **told, **environment).returncode == 0
        return output.read_text("utf-8")

    forks, own = ({"number": n, "isCrossRepository": n == 8} for n in (8, 7))
    assert number() == number(forks) == "number=\n"
    assert number(forks, own) == "number=7\n"
