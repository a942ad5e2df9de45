"""One evaluation reads each file of its task once: a large set of examples takes a while."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.building import RepositoryFolder
from tests.unit.judging import TASK, add_judge, use_judge

ROOT = Path(__file__).parents[3]


@pytest.mark.processes
def test_an_evaluation_with_judge_and_shots_opens_every_file_once(
    healthy: RepositoryFolder,
) -> None:
    add_judge(healthy)
    use_judge(healthy)
    assert healthy.repository.draft("part-class").few_shot is not None
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.unit.evaluation.count_reads",
            str(healthy.root),
            "part-class",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    opened = json.loads(done.stdout)
    assert {
        "prompts/01-examples/part-class.jsonl",
        "prompts/03-metadata/part-class.yaml",
        "prompts/00-templates/part-class.yaml",
        "prompts/02-production/part-class.yaml",
        f"prompts/02-production/{TASK}.yaml",
        f"prompts/04-evals/{TASK}/1.0.0.json",
        "prompt_registry.yaml",
    } <= opened.keys()
    assert {name: times for name, times in opened.items() if times > 1} == {}
