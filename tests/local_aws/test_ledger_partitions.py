"""What moves pointers does all of its work with the partitions of the ledger that its role has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

import pytest
from botocore.exceptions import ClientError

from prompt_hub.core import aws_names
from prompt_hub.ledger.drill import DrillLedger
from prompt_hub.ledger.items import Deployed, ReleaseRef, ScoreSample, VersionRef
from prompt_hub.ledger.outbox import Outbox
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from tests.infrastructure.synthesised import Assembly, build
from tests.local_aws.assumed_roles import Session, assume, statements_of
from tests.local_aws.emulator import LocalAws, create_table

LEDGER = aws_names.ledger_table("dev")
OLD = VersionRef(version="1.0.0", sha256="old")
NEW = VersionRef(version="1.1.0", sha256="new")
NOW = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
AT = "2026-11-03T09:30:00.000000Z"
RELEASE = ReleaseRef(release="r-1", made_at=AT)
CAUSE = Cause(by="pipeline", reason="test", at=AT)
DEPLOYED = Deployed(release=RELEASE, commit="c", carries={"other": {"1.0.0": "old"}}, at=AT)
SAMPLE = ScoreSample(
    task="brand",
    version="1.1.0",
    score=1.0,
    threshold=0.5,
    n=10,
    interval=(0.9, 1.0),
    evaluation="e",
    at=AT,
)
TASKS = (f"task-{number}" for number in count(1))


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    emulator = LocalAws(
        state=tmp_path_factory.mktemp("run") / "cloud",
        permissions="enforce",
        overrides={"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"},
    )
    emulator.start()
    try:
        emulator.clients["dynamodb"] = Session(emulator.endpoint).client("dynamodb")
        create_table(emulator, LEDGER)
        yield emulator
    finally:
        emulator.stop()


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    path = tmp_path_factory.mktemp("cdk.out")
    build(path).synth()
    return Assembly(path)


@pytest.fixture(scope="module")
def clients(enforced: LocalAws, assembly: Assembly) -> dict[str, Session]:
    return {
        role: assume(enforced, statements_of(assembly, role))
        for role in ("rollback", "dev/Activate", "dev/Drill")
    }


@pytest.fixture
def rollback(clients: dict[str, Session]) -> Outbox:
    return Outbox(clients["rollback"].client("dynamodb"), LEDGER)


@pytest.fixture
def activate(clients: dict[str, Session]) -> DrillLedger:
    return DrillLedger(clients["dev/Activate"].client("dynamodb"), LEDGER)


@pytest.fixture
def drill(clients: dict[str, Session]) -> DrillLedger:
    return DrillLedger(clients["dev/Drill"].client("dynamodb"), LEDGER)


def seed(ledger: Ledger, task: str) -> int:
    return ledger.seed(task, NEW, previous=OLD, release=RELEASE, cause=CAUSE).revision


def test_an_activation_and_a_rollback_need_no_more(activate: DrillLedger, rollback: Outbox) -> None:
    task = next(TASKS)
    seen = seed(activate, task)
    activate.deploy(DEPLOYED, by="pipeline")
    paged = rollback.page(task, seen=seen, cause=CAUSE)
    rolled_back = rollback.roll_back(task, seen=seen, cause=CAUSE)
    claim = rollback.claim(at=NOW, seconds=20)
    assert claim is not None
    claim = rollback.renew(claim, at=NOW, seconds=20, telling=[paged])
    claim = rollback.told(claim, [paged, rolled_back], at=NOW)
    (waiting,) = (event for event in rollback.pending_events() if event.kind == rolled_back.kind)
    rollback.finished(claim, [waiting])
    rollback.release(claim)
    activate.retire(task, seen=rolled_back.revision, release=RELEASE, cause=CAUSE)
    assert set(activate.retired()) == {task}
    other = next(TASKS)
    rollback.freeze(other, seen=seed(activate, other), cause=CAUSE)


def test_a_drill_moves_its_own_task_and_no_other(
    activate: DrillLedger, drill: DrillLedger, rollback: Outbox
) -> None:
    begun = drill.begin(bad=NEW, good=OLD, release=RELEASE, cause=CAUSE)
    rollback.roll_back(aws_names.DRILL_TASK, seen=begun.revision, cause=CAUSE)
    assert drill.put_back(CAUSE)
    drill.begin(bad=NEW, good=OLD, release=RELEASE, cause=CAUSE)
    assert activate.put_back(CAUSE)
    task = next(TASKS)
    seen = seed(activate, task)
    with pytest.raises(ClientError, match="AccessDenied"):
        drill.roll_back(task, seen=seen, cause=CAUSE)
    pointer = activate.pointer(task)
    assert pointer is not None
    assert pointer.version == "1.1.0"


def test_who_moves_pointers_writes_no_sample(
    activate: DrillLedger, drill: DrillLedger, rollback: Outbox
) -> None:
    """Samples decide about a rollback: whoever acts on them makes none up."""
    for ledger in (activate, drill, rollback):
        with pytest.raises(ClientError, match="AccessDenied"):
            ledger.add_samples([SAMPLE])


def test_who_was_told_and_what_is_deployed_are_written_by_one_each(
    clients: dict[str, Session], rollback: Outbox
) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        rollback.deploy(DEPLOYED, by="rollback")
    outbox = Outbox(clients["dev/Activate"].client("dynamodb"), LEDGER)
    with pytest.raises(ClientError, match="AccessDenied"):
        outbox.claim(at=NOW, seconds=20)
