"""GitHub's workflows: actions by their commit, no right that a job does not need, no secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdk_app.settings import CONTEXT_KEY, Settings

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WRITES = {
    ("evaluate", "id-token"),
    ("comment", "pull-requests"),
    ("merge", "contents"),
    ("merge", "pull-requests"),
}


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"]
    return found


def test_every_workflow_is_there() -> None:
    assert [file.name for file in FILES] == ["main.yml", "promotion.yml", "pull-request.yml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_action_is_one_commit_and_says_its_version(file: Path) -> None:
    used = re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_is_the_same_commit_everywhere() -> None:
    found: dict[str, set[str]] = {}
    for file in FILES:
        for name, rest in re.findall(r"uses: ([^@]+)@(.*)", file.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(rest)
    assert {name: commits for name, commits in found.items() if len(commits) > 1} == {}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rights_are_given_job_by_job_and_none_by_the_workflow(file: Path) -> None:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert document["permissions"] == {}
    assert "concurrency" in document
    text = file.read_text(encoding="utf-8")
    assert "secrets." not in text
    assert "pull_request_target" not in text
    for name, job in jobs(file).items():
        writes = {(name, right) for right, how in job["permissions"].items() if how == "write"}
        assert writes <= WRITES, f"{file.name}: {name}"
        assert "timeout-minutes" in job


def test_the_job_that_writes_runs_nothing_of_the_pull_request() -> None:
    comment = jobs(ROOT / ".github/workflows/pull-request.yml")["comment"]
    assert "contents" not in comment["permissions"]
    assert not any("checkout" in step.get("uses", "") for step in comment["steps"])
    (script,) = [step["run"] for step in comment["steps"] if "run" in step]
    assert re.findall(r"^\s*(?:\{ )?(\w+)", script, re.M) == [
        "echo",
        "mine",
        "id",
        "if",
        "gh",
        "else",
        "gh",
        "fi",
    ]


def test_the_job_that_merges_runs_no_program_of_the_branch() -> None:
    """It has what promotion pushed checked out, and a token that may write."""
    merge = jobs(ROOT / ".github/workflows/promotion.yml")["merge"]
    scripts = "\n".join(step["run"] for step in merge["steps"] if "run" in step)
    started = set(re.findall(r"(?:^\s*|\$\(|\|\|? |\[ )(\w[\w.-]*)(?=[ ;]|$)", scripts, re.M))
    words = {"if", "then", "fi", "echo", "exit", "head"}
    assert started - words == {"git", "gh"}


def test_no_expression_stands_in_a_script() -> None:
    for file in FILES:
        for job in jobs(file).values():
            assert not [step for step in job["steps"] if "${{" in step.get("run", "")]


def test_the_models_of_the_settings_are_printed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cdk_app.models"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    assert done.stdout.strip() == Settings.from_context(context[CONTEXT_KEY]).models_json
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'pipeline_image'}"}
    wrong = subprocess.run(
        command, cwd=tmp_path, env=paths, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("cdk_app.models: cdk.json cannot be read: ")
