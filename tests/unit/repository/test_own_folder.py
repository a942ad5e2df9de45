"""What a machine keeps for itself in a clone leads nowhere else, whoever packed it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.own_folder import require_own
from tests.unit.building import RepositoryFolder

RESPONSES = ".prompt-hub/responses/part-class"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user's, with a file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    return folder


def refused(folder: RepositoryFolder, name: str, found: str) -> None:
    with pytest.raises(PromptHubError) as error:
        require_own(folder.root)
    assert error.value.message.startswith(f"{name} is {found}; expected ")
    assert error.value.exit_code is ExitCode.BLOCKED


def test_a_clone_without_the_folder_and_one_with_files_are_fine(healthy: RepositoryFolder) -> None:
    require_own(healthy.root)
    healthy.write(f"{RESPONSES}/0.jsonl", "{}\n")
    require_own(healthy.root)


@pytest.mark.parametrize(
    "name", [RESPONSES, f"{RESPONSES}/0.jsonl", ".prompt-hub/results/verdicts/0.json"]
)
def test_a_link_out_of_the_folder_is_refused_at_any_depth(
    healthy: RepositoryFolder, outside: Path, name: str
) -> None:
    link = healthy.path(name)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / "notes.txt" if link.suffix else outside)
    refused(healthy, name, "a symbolic link out of .prompt-hub")


def test_a_link_to_nothing_out_of_the_folder_is_refused(
    healthy: RepositoryFolder, outside: Path
) -> None:
    """Whoever writes through it makes the file there."""
    healthy.path(RESPONSES).mkdir(parents=True)
    healthy.path(f"{RESPONSES}/0.jsonl").symlink_to(outside / "new.jsonl")
    refused(healthy, f"{RESPONSES}/0.jsonl", "a symbolic link out of .prompt-hub")


def test_a_link_that_leads_in_a_circle_is_refused(healthy: RepositoryFolder) -> None:
    healthy.path(RESPONSES).mkdir(parents=True)
    healthy.path(f"{RESPONSES}/0.jsonl").symlink_to("0.jsonl")
    refused(healthy, f"{RESPONSES}/0.jsonl", "a symbolic link that leads in a circle")


def test_the_folder_itself_is_no_link(healthy: RepositoryFolder, outside: Path) -> None:
    shutil.rmtree(healthy.path(".prompt-hub"))
    healthy.path(".prompt-hub").symlink_to(outside)
    refused(healthy, ".prompt-hub", "a symbolic link")


def test_a_link_that_stays_in_the_folder_is_fine(healthy: RepositoryFolder) -> None:
    healthy.write(f"{RESPONSES}/0.jsonl", "{}\n")
    healthy.path(f"{RESPONSES}/1.jsonl").symlink_to("0.jsonl")
    require_own(healthy.root)


def test_what_is_no_file_is_refused_unread(healthy: RepositoryFolder) -> None:
    """To open a pipe would wait for whoever writes into it."""
    healthy.path(RESPONSES).mkdir(parents=True)
    os.mkfifo(healthy.path(f"{RESPONSES}/0.jsonl"))
    refused(healthy, f"{RESPONSES}/0.jsonl", "no file")


def test_a_folder_of_another_user_is_a_sentence(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = healthy.path(".prompt-hub/records")
    closed.mkdir(parents=True)
    scan = os.scandir

    def scan_as_another_user(path: Path) -> object:
        if path == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_as_another_user)
    with pytest.raises(PromptHubError) as error:
        require_own(healthy.root)
    assert error.value.message == f"{closed} cannot be read: Permission denied."
    assert "chown" in error.value.hint


def test_an_evaluation_asks_nothing_and_writes_nothing_through_a_link(
    healthy: RepositoryFolder,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    healthy.path(RESPONSES).parent.mkdir(parents=True, exist_ok=True)
    healthy.path(RESPONSES).symlink_to(outside)
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    assert main(["evaluate", "part-class"]) == ExitCode.BLOCKED
    assert f"{RESPONSES} is a symbolic link out of .prompt-hub" in capsys.readouterr().err
    assert [path.name for path in outside.iterdir()] == ["notes.txt"]
    assert (outside / "notes.txt").read_text(encoding="utf-8") == "mine"
