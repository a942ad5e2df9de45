"""Checkouts, of this repository and small ones, and a shell where nothing is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from local_aws.isolation import isolated
from local_aws.stack import LocalStack
from tests.local_aws.emulator import REGION, ROOT, LocalAws

REPOSITORY = "example/prompts"
TOOLS = ("make", "git", "node", "npm", "npx")
AUTHOR = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")

StackT = TypeVar("StackT", bound=LocalStack)


def git(*words: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout


def make_checkout(root: Path) -> Path:
    """Fill `root` with what a clone would have, with the settings that the README asks for."""
    for name in git("ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    settings = json.loads((root / "cdk.json").read_text(encoding="utf-8"))
    (stage,) = settings["context"]["prompt-hub"]["stages"]
    stage["availability_zones"] = [f"{REGION}a", f"{REGION}b"]
    settings["context"]["prompt-hub"] |= {"region": REGION, "repository": REPOSITORY}
    (root / "cdk.json").write_text(json.dumps(settings), encoding="utf-8")
    git("init", "--quiet", "--initial-branch", "main", cwd=root)
    commit(root, "settings")
    return root


def small_stack(kind: type[StackT], folder: Path, files: Mapping[str, str]) -> StackT:
    """Return a local stack before its first run, of a checkout below `folder` with one commit."""
    root = folder / "checkout"
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    git("init", "--quiet", "--initial-branch", "main", cwd=root)
    commit(root, "First")
    stack = kind(root, folder / "state")
    stack.state.mkdir()
    return stack


def commit(root: Path, subject: str) -> None:
    git("add", "--all", cwd=root)
    git(*AUTHOR, "commit", "--quiet", "--message", subject, cwd=root)


def bare_shell(cloud: LocalAws, tools: Path) -> dict[str, str]:
    """Return a shell without an active virtual environment, whose `python` has nothing installed.

    `tools` is an empty folder for what it finds.
    """
    for name in TOOLS:
        found = shutil.which(name)
        assert found, f"{name} is needed"
        (tools / name).symlink_to(found)
    (tools / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    (tools / "python").write_text("#!/bin/sh\necho 'python: nothing is installed' >&2; exit 1\n")
    (tools / "python").chmod(0o755)
    kept = {name: value for name, value in isolated(os.environ).items() if name != "VIRTUAL_ENV"}
    path = os.pathsep.join([str(tools), os.defpath])
    return {**kept, **cloud.environment, "PATH": path, "ASK": "never"}
