"""`make clean` removes what `make up` made, and nothing that somebody has paid for or graded."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.processes
@pytest.mark.shipped
def test_clean_leaves_answers_and_grades_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    ours = [
        tmp_path / ".local" / "run.html",
        tmp_path / ".local" / "bench-loader" / "environment",
        tmp_path / "cdk.out" / "manifest.json",
    ]
    theirs = [
        tmp_path / ".prompt-hub" / "labels" / "part-class.jsonl",
        tmp_path / ".prompt-hub" / "responses" / "part-class.jsonl",
        tmp_path / "cache" / "prompt-hub" / "models" / "weights.gguf",
    ]
    for file in (*ours, *theirs):
        file.parent.mkdir(parents=True)
        file.write_text("{}\n", encoding="utf-8")
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--no-print-directory", "clean"],
        cwd=tmp_path,
        env={**outside, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [".prompt-hub", "Makefile", "cache"]
    assert all(file.is_file() for file in theirs)
    assert done.stdout.splitlines() == [
        "kept .prompt-hub: paid answers, open batches, grades",
        f"kept {tmp_path}/cache/prompt-hub/models: weights of the local models",
    ]
