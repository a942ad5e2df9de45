"""The workflow that merges what promotion wrote, run as its file states it, but for GitHub."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml

from prompt_hub.core import aws_names
from prompt_hub.promotion.git_promotion import BOT_PATHS
from tests.unit.promotion.checkouts import World, git

BRANCH = aws_names.PROMOTION_BRANCH
FILE = Path(__file__).resolve().parents[3] / ".github" / "workflows" / "promotion.yml"
WORKFLOW = yaml.safe_load(FILE.read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in WORKFLOW["jobs"]["merge"]["steps"] if "run" in step}
GUARD, MERGE = STEPS.values()

GH = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$1 $2" in
"pr list") echo "$OPEN" ;;
"pr merge") case "$*" in *--auto) exit "$CLEAN" ;; esac ;;
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


def test_one_pull_request_is_opened_and_merged_with_or_without_rules_to_wait_for(
    world: World,
) -> None:
    clone = waiting(world)
    gh = world.folder / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH, encoding="utf-8")
    gh.chmod(0o755)
    calls = world.folder / "calls"
    path = f"{gh.parent}{os.pathsep}{os.environ['PATH']}"

    def merged(count: str, clean: str) -> list[str]:
        calls.write_text("", encoding="utf-8")
        done = run(MERGE, clone, PATH=path, CALLS=str(calls), OPEN=count, CLEAN=clean)
        assert done.returncode == 0, done.stderr
        return [
            " ".join(line.split()[:2])
            for line in calls.read_text("utf-8").splitlines()
            if line.startswith("pr ")
        ]

    assert merged("0", "0") == ["pr list", "pr create", "pr merge"]
    assert "--title Promote part-class 1.2.0" in calls.read_text("utf-8")
    assert merged("1", "0") == ["pr list", "pr merge"]
    assert merged("1", "1") == ["pr list", "pr merge", "pr merge"]
