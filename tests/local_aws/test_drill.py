"""The rollback drill on the local AWS: real service, watch, alarm, Lambda and ledger."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from tests.local_aws.emulator import LocalAws, eventually
from tests.local_aws.running_stage import DRILL, STAGE, Stage, running_stage


@pytest.fixture(scope="module")
def stage(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with running_stage(aws, tmp_path_factory.mktemp("stage")) as made:
        yield made


def test_a_bad_version_is_taken_back_by_the_stage_itself_again_and_again(stage: Stage) -> None:
    """The watch's own call is what acts, so that no alarm rings that the next drill would find."""
    before = stage.untouched()
    for _ in range(2):
        said = stage.run("drill", "--within", "90")
        assert "the drill's own task has its bad version" in said
        assert "s  service: the first good answer" in said
        assert f"stage {STAGE} took back a bad version" in said
        assert stage.put_back()
    kinds = [event.kind.value for event in stage.ledger.events(DRILL)]
    assert kinds == ["retired", "rolled-back", "seeded"] * 2
    assert {event.notify.value for event in stage.ledger.events(DRILL)} == {"not-needed"}
    assert stage.untouched() == before


def test_a_drill_needs_nothing_from_a_checkout(stage: Stage, tmp_path: Path) -> None:
    """As the page for people on call has it: a region and credentials, in any folder."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PROMPT_HUB_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "prompt_hub.cli", "drill", "--stage", STAGE, "--within", "90"],
        cwd=tmp_path,
        env={**inherited, **stage.aws.environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert f"stage {STAGE} took back a bad version" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


def test_a_drill_that_was_killed_is_put_back_by_the_next_activation(stage: Stage) -> None:
    before = stage.untouched()
    killed = stage.start("drill", "--within", "90")
    eventually(lambda: stage.ledger.pointer(DRILL), what="the bad version")
    killed.kill()
    killed.wait(60)
    assert stage.ledger.pointer(DRILL) is not None
    assert "an earlier rollback drill was broken off; it is put back" in stage.run(
        "activate", "--no-watch"
    )
    assert stage.put_back()
    assert stage.untouched() == before


def test_a_chain_that_is_broken_ends_the_release_red_and_is_put_back(stage: Stage) -> None:
    # The container of the killed drill may still be looking on: let it end.
    time.sleep(3)
    stage.put_alarm()
    stage.aws.client("lambda").delete_function(FunctionName=aws_names.rollback_function(STAGE))
    said = stage.run("drill", "--within", "4", code=1)
    assert "problem: nothing rolled the bad version back in time." in said
    assert f"stage {STAGE} did not take back a bad version" in said
    assert stage.put_back()
