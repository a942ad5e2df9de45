"""What an account asks of every role holds for the roles of the CDK's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY = "@aws-cdk/core:permissionsBoundary"


@pytest.mark.processes
@pytest.mark.shipped
@pytest.mark.parametrize(
    ("context", "words", "options"),
    [
        ({}, [], ""),
        (
            {},
            ["PLACE=aws://222222222222/eu-west-1", "TRUST=111111111111"],
            "aws://222222222222/eu-west-1 --trust 111111111111"
            " --cloudformation-execution-policies arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        (
            {KEY: {"name": "team-boundary"}},
            [],
            "--custom-permissions-boundary 'team-boundary'"
            " --apply-permissions-boundary-to-all-roles",
        ),
    ],
)
def test_bootstrap_keeps_to_the_boundary_of_cdk_json(
    tmp_path: Path, context: dict[str, object], words: list[str], options: str
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "cdk.json").write_text(json.dumps({"context": context}), encoding="utf-8")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "bootstrap", *words],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    )
    _, _, said = done.stdout.splitlines()[-1].partition("node_modules/.bin/cdk ")
    assert said.split() == ["bootstrap", *options.split()]
