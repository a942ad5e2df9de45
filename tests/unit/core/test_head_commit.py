"""What git is asked: the commit of a tree where it can know, and what commits brought."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.git import UNKNOWN_COMMIT, added_and_removed, head_commit, tracks

pytestmark = pytest.mark.processes


def git(where: Path, *words: str) -> str:
    author = ["-c", "user.name=Author", "-c", "user.email=author@example.com"]
    command = ["git", *author, *words]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "tree")
    git(tmp_path / "tree", "commit", "--quiet", "--allow-empty", "--message", "one")
    return tmp_path / "tree"


@pytest.fixture(autouse=True)
def no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODEBUILD_RESOLVED_SOURCE_VERSION", raising=False)


def test_a_folder_inside_a_work_tree_has_its_commit(committed: Path) -> None:
    inside = committed / "prompts" / "production"
    inside.mkdir(parents=True)
    assert head_commit(committed) == head_commit(inside) == git(committed, "rev-parse", "HEAD")


def test_a_linked_work_tree_and_a_bare_repository_have_theirs(committed: Path) -> None:
    head = git(committed, "rev-parse", "HEAD")
    git(committed, "worktree", "add", "--quiet", "../linked")
    git(committed, "clone", "--quiet", "--bare", ".", "../bare")
    assert head_commit(committed.parent / "linked") == head
    assert head_commit(committed.parent / "bare") == head


def test_a_repository_that_the_environment_names_is_asked(
    committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(committed, "rev-parse", "HEAD")
    assert head_commit(tmp_path) == UNKNOWN_COMMIT
    monkeypatch.setenv("GIT_DIR", str(committed / ".git"))
    assert head_commit(tmp_path) == head


def test_where_no_git_is_a_folder_outside_git_has_no_commit_and_one_inside_says_so(
    committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert head_commit(tmp_path) == UNKNOWN_COMMIT
    with pytest.raises(PromptHubError, match="git does not run"):
        head_commit(committed)


@pytest.mark.parametrize("setting", ["log.showRoot", "log.showSignature", "i18n.logOutputEncoding"])
def test_what_people_set_for_their_own_eyes_hides_no_file(tmp_path: Path, setting: str) -> None:
    git(tmp_path, "init", "--quiet", ".")
    values = {"log.showRoot": "false", "log.showSignature": "true"}
    git(tmp_path, "config", setting, values.get(setting, "utf-16"))
    (tmp_path / "prompts").mkdir()
    for name in ("first", "second"):
        (tmp_path / "prompts" / name).write_text(name)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--message", name)
    assert list(added_and_removed(tmp_path, "prompts")) == [
        ("prompts/second", True),
        ("prompts/first", True),
    ]


@pytest.mark.parametrize(
    "asked",
    [
        head_commit,
        lambda root: tracks(root, "file"),
        lambda root: [*added_and_removed(root, "file")],
    ],
    ids=["head_commit", "tracks", "added_and_removed"],
)
def test_what_git_does_not_say_of_another_users_checkout_is_not_taken_for_nothing(
    committed: Path, monkeypatch: pytest.MonkeyPatch, asked: Callable[[Path], object]
) -> None:
    (committed / "file").touch()
    for name in ("GIT_TEST_ASSUME_DIFFERENT_OWNER", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    # By it the git of all tests reads whoever's checkout it is.
    monkeypatch.delenv("GIT_CONFIG_COUNT", raising=False)
    with pytest.raises(PromptHubError, match="belongs to another user") as caught:
        asked(committed)
    assert f"git config --global --add safe.directory {committed}" in str(caught.value)
