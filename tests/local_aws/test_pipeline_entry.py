"""Who may enter a stage of a pipeline: never an older execution after a newer one."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from local_aws.pipeline_engine import Execution, ExecutionEndedError, Pipeline, Pipelines
from local_aws.settings import CloudSettings


def execution(number: int) -> Execution:
    return Execution(
        id=f"e{number}", number=number, version=1, trigger={}, started=0.0, updated=0.0
    )


def test_who_waits_is_superseded_by_a_newer_one_that_finds_the_stage_free() -> None:
    pipelines = Pipelines(cast(CloudSettings, None))
    pipeline = Pipeline(pipelines, {"name": "p", "stages": [{"name": "Deploy"}]})
    pipeline._enter("Deploy", execution(1))
    ended: list[str] = []

    def older() -> None:
        try:
            pipeline._enter("Deploy", execution(2))
        except ExecutionEndedError as error:
            ended.append(error.status)

    with pipelines.changed:
        waits = threading.Thread(target=older)
        waits.start()
        pipelines.changed.wait_for(lambda: "Deploy" in pipeline.waiting)
        # With the lock in hand: whoever waits hears of both only afterwards.
        pipeline._leave("Deploy")
        pipeline._enter("Deploy", execution(3))
        pipeline._leave("Deploy")
    waits.join()

    assert ended == ["Superseded"]
    assert not pipeline.inside


def test_an_older_one_that_comes_late_does_not_wait_and_the_newer_one_may_come_again() -> None:
    pipelines = Pipelines(cast(CloudSettings, None))
    pipeline = Pipeline(pipelines, {"name": "p", "stages": [{"name": "Deploy"}]})
    newer = execution(2)
    pipeline._enter("Deploy", newer)
    with pytest.raises(ExecutionEndedError, match="e2 is newer and came to Deploy meanwhile"):
        pipeline._enter("Deploy", execution(1))
    assert not pipeline.waiting
    pipeline._leave("Deploy")
    pipeline._enter("Deploy", newer)
    assert pipeline.inside == {"Deploy": newer}
