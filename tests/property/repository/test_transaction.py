"""Several files change together or not at all, wherever the write is cut off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from prompt_hub.repository.transaction import FOLDER, apply, recover
from tests.unit.repository.faults import KILLED, both, dies_at, full_from, in_child
from tests.unit.repository.trees import CHANGES, NEW, OLD, contents, make


def fresh_roots(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Old trees without end, each thrown away when the next is asked for."""
    for number in range(1000):
        root = make(tmp_path / str(number))
        yield number, root
        shutil.rmtree(root)


def committed(root: Path) -> bool:
    return (root / FOLDER / "journal.json").exists()


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
