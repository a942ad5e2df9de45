"""Whoever runs it, a local run stays on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from local_aws.isolation import isolated

ROOT = Path(__file__).resolve().parents[2]


def git(where: Path, *arguments: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_accounts_named_in_the_shell_or_in_files_are_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\nignore_configured_endpoint_urls = true\n"
    )
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = REAL\naws_secret_access_key = real\n"
    )
    user = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "AWS_PROFILE": "prod",
        "AWS_SESSION_TOKEN": "real",
        "CDK_DEFAULT_ACCOUNT": "123456789012",
        "PROMPT_HUB_LEDGER_TABLE": "prompt-hub-prod-ledger",
        "PROMPT_HUB_LOCAL_STATE": "/somewhere",
    }
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in isolated(user).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert boto3.Session().get_credentials() is None
    client = boto3.Session().client("sts", region_name="us-east-1")
    assert client.meta.endpoint_url == "http://127.0.0.1:9"
    assert "CDK_DEFAULT_ACCOUNT" not in os.environ
    assert "PROMPT_HUB_LEDGER_TABLE" not in os.environ
    assert os.environ["PROMPT_HUB_LOCAL_STATE"] == "/somewhere"


def test_a_proxy_never_stands_between_two_processes_of_a_run() -> None:
    outside = {"PATH": os.environ["PATH"], "HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": "a.b"}
    inside = isolated(outside)
    assert inside["HTTP_PROXY"] == "http://127.0.0.1:9"
    code = "import urllib.request as r; print(r.proxy_bypass('127.0.0.1'), r.proxy_bypass('a.b'))"
    process = subprocess.run(
        [sys.executable, "-c", code], env=inside, capture_output=True, text=True, check=True
    )
    assert process.stdout.split() == ["1", "1"] or process.stdout.split() == ["True", "True"]


def test_a_commit_goes_neither_into_the_users_repository_nor_through_their_hooks(
    tmp_path: Path,
) -> None:
    bare = isolated({"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    theirs, ours, hooks = tmp_path / "theirs", tmp_path / "ours", tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    (tmp_path / ".gitconfig").write_text(
        f"[core]\nhooksPath = {hooks}\n[commit]\ngpgsign = true\n[user]\nname = me\nemail = a@b.c\n"
    )
    for where in (theirs, ours):
        where.mkdir()
        git(where, "init", "--quiet", environment=bare)
    user = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_DIR": str(theirs / ".git")}
    who = ["-c", "user.name=author", "-c", "user.email=a@example.com"]
    git(ours, *who, "commit", "--quiet", "--allow-empty", "-m", "first", environment=isolated(user))
    assert git(ours, "log", "--format=%an", environment=bare) == "author"
    assert git(theirs, "rev-list", "--all", environment=bare) == ""
