"""What an approval shows of a release: one line that CodePipeline takes whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from prompt_hub.core import aws_names
from prompt_hub.ledger.items import Pointer, ReleaseRef, VersionRef
from prompt_hub.release.manifest import CarriedTask, CarriedVersion, Release
from prompt_hub.release.notes import LONGEST, changes
from prompt_hub.repository.registry import RegisteredModel, VersionState

AT = datetime(2026, 11, 3, 9, tzinfo=UTC)
HASH = "0" * 64


def release(tasks: int) -> Release:
    version = CarriedVersion(
        version="1.1.0",
        sha256=HASH,
        state=VersionState.RELEASED,
        threshold=0.8,
        score=None,
        model=RegisteredModel(alias="catalogue-pinned", identity="openai:small"),
        decided_at=AT,
    )
    task = CarriedTask(champion="1.1.0", versions=(version,))
    return Release(
        schema_="prompt-hub/release@1",
        release="exec-1",
        commit="c0ffee",
        made_at=AT,
        tasks={f"task-{number:03}": task for number in range(tasks)},
    )


def pointer(task: str) -> Pointer:
    return Pointer(
        task=task,
        active=VersionRef(version="1.1.0", sha256=HASH),
        previous=None,
        frozen=False,
        revision=1,
        changed_by="pipeline",
        reason="first",
        at="2026",
        release=ReleaseRef(release="exec-0", made_at="2026"),
    )


def test_code_alone_is_said() -> None:
    same = [pointer("task-000")]
    assert changes(release(1), same) == "no prompt changes, only code and settings"


def test_a_task_that_git_has_archived_goes_out_of_service() -> None:
    made = release(1)
    archived = made.tasks["task-000"].model_copy(update={"champion": None})
    made = made.model_copy(update={"tasks": {"task-000": archived}})
    assert changes(made, [pointer("task-000")]) == "task-000 1.1.0 goes out of service"


def test_a_drill_that_is_on_meanwhile_is_no_change_of_the_release() -> None:
    live = [pointer("task-000"), pointer(aws_names.DRILL_TASK)]
    made = release(1)
    drills = made.tasks["task-000"].model_copy(update={"champion": None})
    carried = made.model_copy(update={"tasks": {**made.tasks, aws_names.DRILL_TASK: drills}})
    for item in (made, carried):
        assert changes(item, live) == "no prompt changes, only code and settings"


@pytest.mark.parametrize("tasks", [1, 12, 13, 14, 15, 16, 50])
def test_it_is_never_too_long_and_says_how_many_it_leaves_out(tasks: int) -> None:
    text = changes(release(tasks), [])
    assert len(text) <= LONGEST
    *shown, last = text.split("; ")
    if last.startswith("and "):
        assert last == f"and {tasks - len(shown)} more"
    else:
        assert len(shown) + 1 == tasks
    assert (
        shown == [] or shown[0] == "task-000 1.1.0 (not measured, threshold 0.800), the first here"
    )
