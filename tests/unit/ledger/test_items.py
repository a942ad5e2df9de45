"""What the ledger writes, it reads back the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prompt_hub.core import aws_names
from prompt_hub.ledger.errors import LedgerConflictError
from prompt_hub.ledger.items import (
    Deployed,
    ReleaseRef,
    ScoreSample,
    VersionRef,
    VersionState,
    timestamp,
)
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.ledger.wire import pack
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, ledger_on


def test_a_value_that_dynamodb_has_no_place_for_is_refused() -> None:
    with pytest.raises(TypeError, match="datetime"):
        pack({"at": datetime.now(UTC)})


@pytest.fixture
def ledger() -> Ledger:
    return ledger_on(FakeDynamoDB())


def sample(version: str, score: float, minute: int) -> ScoreSample:
    at = timestamp(datetime(2026, 11, 3, 9, tzinfo=UTC) + timedelta(minutes=minute))
    return ScoreSample(
        task="brand",
        version=version,
        score=score,
        threshold=0.8,
        n=40,
        interval=(score - 0.1, score + 0.1),
        evaluation=f"round-{minute}",
        at=at,
    )


def test_samples_come_newest_first_and_a_round_is_written_whole_or_not_at_all(
    ledger: Ledger,
) -> None:
    ledger.add_samples([sample("1.1.0", 0.9, 0)])
    ledger.add_samples([sample("1.1.0", 0.5, 1), sample("1.0.0", 0.85, 1)])

    newest = ledger.samples("brand", limit=2)
    assert {score_sample.version: score_sample.below_threshold for score_sample in newest} == {
        "1.1.0": True,
        "1.0.0": False,
    }
    assert len(ledger.samples("brand", limit=10)) == 3

    with pytest.raises(LedgerConflictError):
        ledger.add_samples([sample("1.0.0", 0.8, 2), sample("1.1.0", 0.9, 0)])
    assert len(ledger.samples("brand", limit=10)) == 3


def test_a_deployed_release_makes_its_versions_known_and_leaves_known_ones_alone(
    ledger: Ledger,
) -> None:
    def deployed(release: str, hour: int, **carries: str) -> Deployed:
        at = timestamp(datetime(2026, 11, 3, hour, tzinfo=UTC))
        return Deployed(
            release=ReleaseRef(release=release, made_at=at),
            commit="c0ffee",
            carries={"brand": {version.replace("_", "."): sha for version, sha in carries.items()}},
            at=at,
        )

    ledger.deploy(deployed("r1", 9, **{"1_0_0": "a"}), by="pipeline")
    ledger.seed(
        "brand",
        VersionRef(version="1.0.0", sha256="a"),
        previous=None,
        release=ReleaseRef(release="r1", made_at="2026"),
        cause=Cause(by="pipeline", reason="first", at="2026"),
    )
    second = deployed("r2", 10, **{"1_0_0": "a", "1_1_0": "b"})
    ledger.deploy(second, by="pipeline")

    assert ledger.deployed() == second
    assert second.has("brand", VersionRef(version="1.1.0", sha256="b"))
    assert not second.has("brand", VersionRef(version="1.1.0", sha256="other"))
    assert ledger.version_states("brand") == {
        "1.0.0": VersionState.ACTIVE,
        "1.1.0": VersionState.RELEASED,
    }


def test_scores_lie_in_partitions_of_their_own_which_is_all_that_the_service_may_write() -> None:
    table = FakeDynamoDB()
    ledger = ledger_on(table)
    release = ReleaseRef(release="r1", made_at="2026")
    first = VersionRef(version="1.0.0", sha256="a")
    carries = {"brand": {"1.0.0": "a", "1.1.0": "b"}}
    ledger.deploy(Deployed(release=release, commit="c", carries=carries, at="2026"), by="pipeline")
    cause = Cause(by="pipeline", reason="first", at="2026")
    ledger.seed("brand", first, previous=None, release=release, cause=cause)
    before = set(table.items)
    assert not [key for key in before if key[0].startswith(aws_names.LEDGER_SCORES)]

    ledger.add_samples([sample("1.0.0", 0.5, 1), sample("1.1.0", 0.9, 1)])
    assert {partition for partition, _ in set(table.items) - before} == {
        f"{aws_names.LEDGER_SCORES}brand"
    }


def test_a_sample_keeps_who_answered_and_one_without_it_is_read() -> None:
    told = replace(sample("1.1.0", 0.9, 0), answered_by=("weak", "other"), judged_on=("good",))
    assert ScoreSample.from_attributes("brand", told.to_attributes()) == told
    silent = sample("1.1.0", 0.9, 0)
    assert not silent.to_attributes().keys() & {"answered_by", "judged_on"}
    assert ScoreSample.from_attributes("brand", silent.to_attributes()) == silent
    assert not silent.answered_by_others
