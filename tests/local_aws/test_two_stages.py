"""One release on its way through two stages: what the first rolls back the second leaves out.

Real commands on the local AWS's ledgers, alarms and results; the rollback is the Lambda's own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from prompt_hub.core import aws_names
from prompt_hub.ledger.items import VersionState
from tests.local_aws.emulator import REGION, LocalAws, eventually, free_port
from tests.local_aws.stage_commands import BUCKET, Stage, newer_is_wrong
from tests.unit.building import build, catalogue_answer
from tests.unit.service.fake_provider import fake_provider

MakeStage = Callable[[str, str], Stage]
ON_PROD = ("--earlier-stages", "dev", "--no-watch")


@pytest.fixture(scope="module")
def made(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStage]:
    """Make a stage on which a release is deployed; all stages have one tree and one model."""
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    folder = build(tmp_path_factory.mktemp("tree"))
    with fake_provider() as provider:

        def make(name: str, release: str) -> Stage:
            provider.thinks = catalogue_answer
            stage = Stage(
                aws=aws, folder=folder, provider=provider, port=free_port(), release="", name=name
            )
            stage.create()
            stage.promoted(release)
            return stage

        yield make


def test_what_the_first_stage_rolled_back_does_not_reach_the_second(
    made: MakeStage,
) -> None:
    dev, prod = made("dev", "exec-1"), made("prod", "exec-1")
    dev.put_alarm()
    message = dev.run("activate", "--no-watch")
    assert "part-class: 1.1.0 is active, the first here (way back: 1.0.0)" in message

    # The soak waits in the pipeline while the rollback is on its way.
    ended: list[str] = []

    def soak() -> None:
        ended.append(dev.run("soak", "--rounds", "2", "--limit-minutes", "5", code=1))

    waiting = threading.Thread(target=soak)
    waiting.start()
    dev.provider.thinks = newer_is_wrong
    dev.run("watch", "part-class")
    eventually(lambda: dev.alarm() == "ALARM", what="the score alarm")
    outcome = dev.rolled_back_when_shown("part-class")
    assert [item["code"] for item in outcome["outcomes"]] == ["below-threshold"]
    waiting.join(60)
    assert "release exec-1 has not held in stage dev: part-class: rolled-back at" in ended[0]

    message = prod.run("activate", *ON_PROD)
    assert "part-class: left alone, stage dev has 1.1.0 quarantined since" in message
    assert "brand: 1.0.0 is active, the first here" in message
    assert set(prod.ledger.pointers()) == {"brand"}
    # A new execution, an older one again, and a ledger that lost what it knew: all the same.
    prod.promoted("exec-2")
    assert "stage dev has 1.1.0 quarantined" in prod.run("activate", *ON_PROD)
    prod.deploy("exec-1")
    message = prod.run("activate", "--release", "exec-1", *ON_PROD)
    assert "stage dev has 1.1.0 quarantined" in message
    assert set(prod.ledger.pointers()) == {"brand"}

    # A person's word in the first stage wins.
    by_ann = ["--person", "ann", "--reason", "labels wrong"]
    dev.run("ledger", "activate", "part-class", "--no-watch", "--to", "1.1.0", *by_ann)
    assert "part-class: 1.1.0 is active, the first here" in prod.run(
        "activate", "--release", "exec-1", *ON_PROD
    )
    # Taken out once more: it is active in the second stage already, which is said.
    dev.run("ledger", "downgrade", "part-class", "--to", "1.0.0", *by_ann)
    message = prod.run("activate", "--release", "exec-1", *ON_PROD)
    assert "1.1.0 is active already, although stage dev has 1.1.0 downgraded since" in message
    assert prod.ledger.version_states("part-class")["1.1.0"] is VersionState.ACTIVE

    # An earlier stage that cannot be asked is no answer.
    message = prod.run("activate", "--release", "exec-1", "--earlier-stages", "none", code=2)
    assert f"there is no table {aws_names.ledger_table('none')}" in message


def test_a_release_that_holds_goes_on(made: MakeStage) -> None:
    qa = made("qa", "exec-5")
    qa.run("activate", "--no-watch")
    started = time.monotonic()
    message = qa.run("soak", "--rounds", "1", "--limit-minutes", "0", code=3)
    assert "part-class: 1.1.0 has 0 of 1 good rounds in a row" in message
    assert "nobody can say that it holds" in message
    for task in ("part-class", "brand"):
        qa.run("watch", task)
    message = qa.run("soak", "--rounds", "1", "--limit-minutes", "5")
    assert "release exec-5 has held in stage qa since" in message
    assert time.monotonic() - started < 60
    qa.deploy("exec-9")
    results = json.loads(qa.results.get(aws_names.manifest_key("exec-5")) or "")
    qa.results.put(aws_names.manifest_key("exec-9"), json.dumps({**results, "release": "exec-9"}))
    qa.run("activate", "--release", "exec-9", "--no-watch")
    assert "stage qa runs exec-9, not exec-5" in qa.run("soak", code=1)
