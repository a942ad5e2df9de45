"""Several files change together or not at all, wherever the write is cut off."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository import transaction
from prompt_hub.repository.transaction import FOLDER, LOCK, apply, exclusive, recover
from tests.unit.repository.faults import KILLED, in_child
from tests.unit.repository.trees import CHANGES, NEW, OLD, contents, make


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "root")


def test_all_changes_are_made_and_nothing_else_is_left(root: Path) -> None:
    apply(root, CHANGES)
    assert contents(root) == NEW
    assert not (root / FOLDER).exists()


def test_a_full_disk_is_said_in_one_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(transaction, "_write", full)
    with pytest.raises(PromptHubError, match="nothing was changed: No space left on device"):
        apply(root, CHANGES)
    assert contents(root) == OLD


def test_what_cannot_be_written_is_found_before_anything_is_changed(root: Path) -> None:
    with pytest.raises(PromptHubError, match=r"nothing was changed: sub is a folder"):
        apply(root, {"a.txt": "new", "sub": "a file"})
    with pytest.raises(PromptHubError, match="nothing was changed: File exists"):
        apply(root, {"a.txt": "new", "gone.txt/below.txt": "x"})
    for name in ("/etc/passwd", "../outside.txt", "sub/../../outside.txt"):
        with pytest.raises(ValueError, match="outside the repository"):
            apply(root, {"a.txt": "new", name: "x"})
    assert contents(root) == OLD


def test_a_file_keeps_its_mode(root: Path) -> None:
    (root / "a.txt").chmod(0o640)
    apply(root, CHANGES)
    assert stat.S_IMODE((root / "a.txt").stat().st_mode) == 0o640


def test_looking_for_something_to_recover_touches_nothing(root: Path) -> None:
    assert recover(root) is False
    assert not (root / ".prompt-hub").exists()


@pytest.mark.processes
def test_of_two_processes_at_once_none_overwrites_what_the_other_did(root: Path) -> None:
    rounds = 25
    (root / "a.txt").write_text(json.dumps([]), encoding="utf-8")

    def count(who: str) -> None:
        for number in range(rounds):
            with exclusive(root) as writer:
                seen = json.loads((root / "a.txt").read_text(encoding="utf-8"))
                seen.append(f"{who}{number}")
                writer.apply({"a.txt": json.dumps(seen), "sub/b.txt": str(len(seen))})

    children = []
    for who in "xy":
        child = os.fork()
        if not child:
            try:
                count(who)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    seen = json.loads((root / "a.txt").read_text(encoding="utf-8"))
    assert len(seen) == len(set(seen)) == 2 * rounds
    assert (root / "sub/b.txt").read_text(encoding="utf-8") == str(2 * rounds)


@pytest.mark.processes
def test_a_process_that_dies_gives_its_lock_back(root: Path) -> None:
    def hold() -> None:
        with exclusive(root):
            os._exit(KILLED)

    assert in_child(root, hold) == KILLED
    assert (root / LOCK).exists()
    apply(root, CHANGES)
    assert contents(root) == NEW


def test_waiting_for_another_process_ends_with_a_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "LOCK_SECONDS", 0.05)
    with (
        exclusive(root),
        pytest.raises(PromptHubError, match="another process is changing this repository"),
        exclusive(root),
    ):
        pass


def test_ctrl_c_after_the_commit_point_still_finishes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace
    pressed: list[Path] = []

    def replace(self: Path, target: Path) -> Path:
        if target.name == "b.txt" and not pressed:
            pressed.append(target)
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        apply(root, CHANGES)
    assert pressed
    assert contents(root) == NEW


@pytest.mark.parametrize(
    ("name", "staged", "reason"),
    [
        ("../outside.txt", "0.new", "lies outside the repository"),
        ("/etc/outside.txt", "0.new", "lies outside the repository"),
        (".git/hooks/post-checkout", "0.new", "no file that is changed here"),
        ("a.txt", "../../outside.txt", "names a file that was not written here"),
        ("link/outside.txt", "0.new", "is behind a symbolic link"),
    ],
)
def test_a_journal_that_a_clone_brought_leads_nowhere_else(
    root: Path, name: str, staged: str, reason: str
) -> None:
    outside = root.parent / "outside.txt"
    outside.write_text("kept", encoding="utf-8")
    (root / "link").symlink_to(root.parent)
    before = contents(root)
    folder = root / FOLDER
    folder.mkdir(parents=True)
    (folder / "0.new").write_text("theirs", encoding="utf-8")
    # The first change would be fine: all of them are looked at before one is made.
    journal = {"sub/b.txt": None, name: staged}
    (folder / "journal.json").write_text(json.dumps(journal), encoding="utf-8")
    with pytest.raises(PromptHubError, match=reason):
        recover(root)
    assert outside.read_text(encoding="utf-8") == "kept"
    shutil.rmtree(root / ".prompt-hub")
    assert contents(root) == before


@pytest.mark.parametrize("text", ["", "[]", '{"a.txt": 1}', "\\"])
def test_what_is_no_journal_is_said_in_one_sentence(root: Path, text: str) -> None:
    (root / FOLDER).mkdir(parents=True)
    (root / FOLDER / "journal.json").write_text(text, encoding="utf-8")
    with pytest.raises(PromptHubError, match="is none of a transaction"):
        recover(root)


@pytest.mark.parametrize("place", [LOCK.parent, LOCK, FOLDER], ids=str)
def test_no_link_is_written_through(root: Path, place: Path) -> None:
    folder = root.parent / "elsewhere"
    (folder / "transaction").mkdir(parents=True)
    theirs = folder / "lock"
    theirs.write_text("kept", encoding="utf-8")
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).symlink_to(theirs if place == LOCK else folder)
    with pytest.raises(PromptHubError, match=f"{place} is a symbolic link"):
        apply(root, CHANGES)
    assert theirs.read_text(encoding="utf-8") == "kept"
    assert (folder / "transaction").is_dir()
    assert (root / "a.txt").read_text(encoding="utf-8") == OLD["a.txt"]


def test_where_nothing_can_be_written_is_said_in_one_sentence(root: Path) -> None:
    before = contents(root)
    (root / ".prompt-hub").write_text("in the way", encoding="utf-8")
    with pytest.raises(PromptHubError, match=r"lock cannot be written: File exists\."):
        apply(root, CHANGES)
    (root / ".prompt-hub").unlink()
    assert contents(root) == before
