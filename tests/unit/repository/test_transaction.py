"""Several files change together or not at all, wherever the write is cut off."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository import transaction
from prompt_hub.repository.transaction import FOLDER, LOCK, apply, exclusive, recover
from tests.unit.repository.faults import KILLED, both, dies_at, full_from, in_child

OLD = {"a.txt": "old a", "sub/b.txt": "old b", "gone.txt": "old c"}
CHANGES = {"a.txt": "new a", "sub/b.txt": "new b", "fresh/deep/d.txt": "new d", "gone.txt": None}
NEW = {"a.txt": "new a", "sub/b.txt": "new b", "fresh/deep/d.txt": "new d"}


def contents(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.is_file() and ".prompt-hub" not in path.relative_to(root).parts
    }


def make(root: Path) -> Path:
    for name, text in OLD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "root")


def fresh_roots(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Old trees without end, each thrown away when the next is asked for."""
    for number in range(1000):
        root = make(tmp_path / str(number))
        yield number, root
        shutil.rmtree(root)


def committed(root: Path) -> bool:
    return (root / FOLDER / "journal.json").exists()


def test_all_changes_are_made_and_nothing_else_is_left(root: Path) -> None:
    apply(root, CHANGES)
    assert contents(root) == NEW
    assert not (root / FOLDER).exists()


def test_a_kill_at_any_step_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    """And a kill at any step of the recovery, too: the next one ends where that one would have."""
    ends, recoveries = [], 0
    for step, root in fresh_roots(tmp_path):
        if in_child(root, partial(apply, root, CHANGES), dies_at(step)) != KILLED:
            assert contents(root) == NEW
            break
        left = tmp_path / "left"
        shutil.copytree(root, left)
        decided = committed(root)
        recover(root)
        ends.append(contents(root))
        assert ends[-1] in (OLD, NEW), f"killed at step {step}"
        assert not decided or ends[-1] == NEW
        assert not (root / FOLDER).exists()
        for second in range(100):
            again = tmp_path / "again"
            shutil.copytree(left, again)
            ended = in_child(again, partial(recover, again), dies_at(second))
            recover(again)
            assert contents(again) == ends[-1], f"killed at step {step}, then at {second}"
            shutil.rmtree(again)
            recoveries += 1
            if ended != KILLED:
                break
        shutil.rmtree(left)
    # Every point was tried, and there is one single point at which the old becomes the new.
    assert len(ends) > 30
    assert recoveries > 200
    assert ends == [OLD] * ends.count(OLD) + [NEW] * ends.count(NEW)
    assert ends.count(NEW) > 5


@pytest.mark.parametrize("steps", [1, 1000], ids=["for a moment", "for good"])
def test_a_full_disk_at_any_step_changes_nothing_or_is_finished_later(
    tmp_path: Path, steps: int
) -> None:
    ends = []
    for step, root in fresh_roots(tmp_path):
        ended = in_child(root, partial(apply, root, CHANGES), full_from(step, steps=steps))
        if not committed(root):
            assert contents(root) == (NEW if ended == 0 else OLD), f"full at step {step}"
        recover(root)
        ends.append(contents(root))
        assert ends[-1] in (OLD, NEW)
        if ends[-1] == OLD:
            apply(root, CHANGES)  # nothing of the failed attempt is in the way
            assert contents(root) == NEW
        if step > 60:
            break
    assert ends[0] == OLD
    assert ends[-1] == NEW


def test_a_kill_while_a_failed_attempt_is_cleared_away_leaves_the_old_state(tmp_path: Path) -> None:
    killed = 0
    for step, root in fresh_roots(tmp_path):
        fault = full_from(step)
        if in_child(root, partial(apply, root, CHANGES), fault) == 0 or contents(root) == NEW:
            break
        for later in range(step + 1, step + 40):
            again = make(tmp_path / "again")
            ended = in_child(again, partial(apply, again, CHANGES), both(fault, dies_at(later)))
            decided = committed(again)
            recover(again)
            assert contents(again) == (NEW if decided else OLD)
            shutil.rmtree(again)
            killed += ended == KILLED
            if ended != KILLED:
                break
    assert killed > 50


def test_a_write_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    sizes = set()
    for size, root in fresh_roots(tmp_path):
        ended = in_child(root, partial(apply, root, CHANGES), bytes_left=size)
        assert contents(root) == (OLD if ended else NEW)
        sizes.add(ended)
        if not ended:
            break
    assert sizes == {0, 1}


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
