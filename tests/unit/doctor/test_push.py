"""The doctor's push, with a real git: nothing stays, and no answer is not a refusal."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from boto3 import Session

from prompt_hub.doctor.base import Finding, NotCheckedError
from prompt_hub.doctor.checks import push
from prompt_hub.doctor.installation import CdkJson
from prompt_hub.doctor.readers import Readers
from prompt_hub.promotion import git_promotion
from tests.unit.promotion.checkouts import git

pytestmark = pytest.mark.processes

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def clone_of(folder: Path, remote: str) -> Path:
    clone = folder / "clone"
    clone.mkdir()
    git(clone, "init", "-q")
    git(clone, "remote", "add", "origin", remote)
    return clone


def examined(clone: Path) -> list[Finding]:
    nobody = cast("Session", None)
    return list(push.CHECK.examine(Readers("dev", clone, nobody, CdkJson(), NOW)))


def test_what_a_killed_doctor_left_is_deleted_and_what_may_be_in_use_is_not(
    tmp_path: Path,
) -> None:
    remote = tmp_path / "remote.git"
    remote.mkdir()
    git(remote, "init", "-q", "--bare")
    clone = clone_of(tmp_path, str(remote))
    git(clone, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-mx")
    kept = ["prompt-hub-doctor-20261128T1130-ab", "prompt-hub-doctor-of-ann"]
    for name in ["prompt-hub-doctor-20261128T1030-cd", *kept]:
        git(clone, "push", "-q", "origin", f"HEAD:refs/heads/{name}")
    assert examined(clone) == []
    found = git(remote, "for-each-ref", "--format=%(refname:short)").split()
    assert found == sorted(kept)


def test_a_remote_that_is_not_reached_has_refused_nothing(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"https://user:s3cret@127.0.0.1:{closed.getsockname()[1]}/hub.git"
        with pytest.raises(NotCheckedError, match="the remote was not reached: ") as raised:
            examined(clone_of(tmp_path, address))
    assert "s3cret" not in str(raised.value)


def test_a_remote_that_says_nothing_is_waited_for_so_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_promotion, "REMOTE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/hub.git"
        with pytest.raises(NotCheckedError, match=r"did not answer within 0\.3 s"):
            examined(clone_of(tmp_path, address))
