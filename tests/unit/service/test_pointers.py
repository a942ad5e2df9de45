"""The pointer follower: what it serves when the ledger moves, lies, is late or goes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pytest

from prompt_hub.ledger.items import VersionRef
from prompt_hub.release import ledger_poller
from prompt_hub.release.carried import CarriedHashes
from prompt_hub.release.ledger_poller import (
    MOST_LOOKS,
    REPORT_EVERY_SECONDS,
    SNAPSHOT_AFTER_SECONDS,
    LedgerPoller,
)
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.heard import Heard

OLD = VersionRef(version="1.0.0", sha256="old")
NEW = VersionRef(version="1.1.0", sha256="new")
BRAND = VersionRef(version="1.0.0", sha256="brand")
CARRIES = {"part-class": {"1.0.0": "old", "1.1.0": "new"}, "brand": {"1.0.0": "brand"}}
CHAMPIONS = {"part-class": NEW, "brand": BRAND}
IMAGE = CarriedHashes(release="exec-2", carries=CARRIES, champions=CHAMPIONS, snapshot=CHAMPIONS)


@dataclass
class Files:
    """The image's prompts; a file in `gone` cannot be read."""

    gone: set[str] = field(default_factory=set)
    tried: int = 0

    def prepare(self, task: str, version: str) -> bytes:
        self.tried += 1
        if version in self.gone:
            raise OSError("too many open files")
        return b""

    def forget(self, keys: Collection[tuple[str, str]]) -> None:
        """Nothing is held here."""


@dataclass
class World:
    """A follower with its ledger and a clock that is set by hand."""

    ledger: FakeLedger = field(default_factory=FakeLedger)
    heard: Heard = field(default_factory=Heard)
    files: Files = field(default_factory=Files)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.follower = LedgerPoller(
            IMAGE, self.ledger, self.heard, self.files, clock=lambda: self.now
        )

    def poll(self, after: float = 0.0) -> None:
        self.now += after
        self.follower.poll()

    def served(self) -> dict[str, tuple[str, str]]:
        return {
            task: (version.reference.version, version.source)
            for task, version in self.follower.state.served.items()
        }


@pytest.fixture
def world() -> World:
    return World()


def test_it_serves_what_the_ledger_points_to_and_follows_a_change(world: World) -> None:
    world.ledger.move(NEW)
    world.poll()
    assert world.served() == {"part-class": ("1.1.0", "ledger")}

    world.ledger.move(OLD)
    world.poll()
    assert world.served() == {"part-class": ("1.0.0", "ledger")}
    assert world.heard.messages == [
        "found 1",
        "part-class None -> 1.1.0 at 1",
        "part-class 1.1.0 -> 1.0.0 at 2",
    ]


def test_pointers_are_read_only_when_the_head_moved(world: World) -> None:
    world.ledger.move(NEW)
    for _ in range(10):
        world.poll(5)
    assert world.ledger.table.queries == 1


def test_an_empty_ledger_is_ready_and_serves_nothing(world: World) -> None:
    world.poll()
    assert world.follower.state.ready
    assert world.served() == {}

    world.ledger.move(NEW)
    world.poll()
    assert world.served() == {"part-class": ("1.1.0", "ledger")}


@pytest.mark.parametrize(
    "wanted",
    [VersionRef(version="2.0.0", sha256="x"), replace(OLD, sha256="tampered")],
    ids=["a version it lacks", "another hash"],
)
def test_what_the_image_lacks_is_refused_and_the_last_good_kept(
    world: World, wanted: VersionRef
) -> None:
    world.ledger.move(OLD)
    world.poll()
    world.ledger.move(wanted)
    world.poll()

    assert world.served() == {"part-class": ("1.0.0", "ledger")}
    assert world.follower.state.refused == {"part-class": wanted}
    assert world.heard.messages[-1] == f"refused part-class {wanted.version}, kept 1.0.0"

    world.poll(1)
    assert world.heard.messages.count(world.heard.messages[-1]) == 1
    world.poll(REPORT_EVERY_SECONDS)
    assert world.heard.messages.count(world.heard.messages[-1]) == 2

    world.ledger.move(NEW)
    world.poll()
    assert world.follower.state.refused == {}
    assert world.served() == {"part-class": ("1.1.0", "ledger")}


GONE = VersionRef(version="0.9.0", sha256="gone")


def test_a_file_that_cannot_be_read_is_tried_again_soon_and_then_each_minute(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To look for a file takes long: neither the ledger nor workers, nor logs, have more of it."""
    world.ledger.move(NEW)
    world.poll()
    world.ledger.move(OLD)
    world.files.gone = {"1.0.0"}
    tries: list[int] = []
    logged: list[object] = []
    monkeypatch.setattr(ledger_poller.logger, "warning", lambda *words: logged.append(words))
    world.poll(5)
    refused = world.follower.state
    for look in range(1, 50):
        before = world.files.tried
        world.poll(5)
        tries += [look] if world.files.tried > before else []
    assert tries == [1, 3, 7, 15, 15 + MOST_LOOKS, 15 + 2 * MOST_LOOKS]
    assert world.follower.state is refused, "there is nothing to tell workers"
    assert world.served() == {"part-class": ("1.1.0", "ledger")}
    assert world.ledger.table.queries == 2
    assert 0 < len(logged) <= 50 * 5 / REPORT_EVERY_SECONDS

    world.files.gone.clear()
    for _ in range(MOST_LOOKS):
        world.poll(5)
    assert world.served() == {"part-class": ("1.0.0", "ledger")}
    assert world.follower.state.served["part-class"].revision == 2
    assert not world.follower.state.refused
    assert world.ledger.table.queries == 2


def test_a_new_container_gets_ready_when_its_last_file_can_be_read(world: World) -> None:
    world.ledger.move(BRAND, "brand")
    world.ledger.move(NEW)
    world.files.gone = {"1.0.0", "1.1.0"}
    world.poll()
    for left, ready in ({"1.1.0"}, False), (set[str](), True):
        world.files.gone = left
        for _ in range(MOST_LOOKS):
            world.poll(5)
        assert world.follower.state.ready is ready
    assert set(world.served()) == {"brand", "part-class"}


def test_a_new_release_that_lacks_what_is_active_stays_unready_and_serves_nothing_else_instead(
    world: World,
) -> None:
    world.ledger.activated("exec-1")
    world.ledger.move(GONE)
    world.ledger.move(BRAND, "brand")
    world.poll()
    assert world.served() == {"brand": ("1.0.0", "ledger")}
    assert world.follower.state.unserved == {"part-class": GONE}
    assert not world.follower.state.ready
    assert world.heard.messages[-1] == "refused part-class 0.9.0, kept none"

    # The ledger has answered: going away later does not make the image's own word better.
    world.ledger.table.away = True
    world.poll(SNAPSHOT_AFTER_SECONDS)
    assert world.served() == {"brand": ("1.0.0", "ledger")}
    assert not world.follower.state.ready

    world.ledger.table.away = False
    world.ledger.move(OLD)
    world.poll()
    assert world.follower.state.ready
    assert world.served() == {"part-class": ("1.0.0", "ledger"), "brand": ("1.0.0", "ledger")}


@pytest.mark.parametrize("seen_first", [False, True], ids=["at the start", "while it waits"])
def test_one_refused_task_does_not_keep_a_replacement_of_the_live_release_from_the_others(
    world: World, seen_first: bool
) -> None:
    world.ledger.move(GONE)
    world.ledger.move(BRAND, "brand")
    if seen_first:
        world.poll()
        assert not world.follower.state.ready
    world.ledger.activated("exec-2")
    world.poll()
    assert world.follower.state.ready
    assert world.served() == {"brand": ("1.0.0", "ledger")}


def test_once_ready_it_stays_ready(world: World) -> None:
    world.ledger.move(BRAND, "brand")
    world.poll()
    world.ledger.move(GONE)
    world.poll()
    assert world.follower.state.ready
    assert world.follower.state.unserved == {"part-class": GONE}


def test_what_was_served_from_the_image_is_no_last_good_version(world: World) -> None:
    world.ledger.table.away = True
    world.poll(SNAPSHOT_AFTER_SECONDS)
    assert world.served()["part-class"] == ("1.1.0", "snapshot")
    world.ledger.table.away = False
    world.ledger.move(GONE)
    world.poll()
    assert world.served() == {}
    assert world.follower.state.ready


def test_without_a_ledger_it_is_unready_for_a_minute_then_serves_the_image(world: World) -> None:
    world.ledger.table.away = True
    world.poll(SNAPSHOT_AFTER_SECONDS - 1)
    assert not world.follower.state.ready
    assert world.served() == {}

    world.poll(1)
    assert world.follower.state.ready
    assert world.served() == {"part-class": ("1.1.0", "snapshot"), "brand": ("1.0.0", "snapshot")}
    assert world.heard.messages.count("snapshot") == 1

    world.poll(1)
    assert world.heard.messages.count("snapshot") == 1
    world.poll(REPORT_EVERY_SECONDS)
    assert world.heard.messages.count("snapshot") == 2

    world.ledger.table.away = False
    world.ledger.move(OLD)
    world.poll()
    assert world.served() == {"part-class": ("1.0.0", "ledger")}


def test_a_ledger_that_stays_away_is_reported_every_minute(world: World) -> None:
    world.ledger.move(OLD)
    world.poll()
    world.ledger.table.away = True
    for _ in range(7):
        world.poll(REPORT_EVERY_SECONDS / 3)
    assert world.heard.messages.count("unreachable") == 3

    world.ledger.table.away = False
    world.poll(REPORT_EVERY_SECONDS)
    assert world.heard.messages.count("unreachable") == 3


@pytest.mark.parametrize("poll_seconds", [1, 5, 7, 31, 45, 51, 59, 60])
def test_no_minute_of_a_lasting_trouble_is_without_a_report(
    world: World, poll_seconds: int
) -> None:
    """Alarms count minutes: those without a report would end one that rang, or keep it silent."""
    world.ledger.move(OLD)
    world.poll()
    world.ledger.table.away = True
    minutes: set[int] = set()
    while world.now < 3600:
        before = world.heard.messages.count("unreachable")
        world.poll(poll_seconds)
        if world.heard.messages.count("unreachable") > before:
            minutes.add(int(world.now // 60))
    assert minutes >= set(range(1, 60))


def test_a_report_that_fails_does_not_end_the_following(world: World) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=world.follower.run, args=(0.01, stop), daemon=True)

    def served(version: str) -> bool:
        deadline = time.monotonic() + 5
        while world.served().get("part-class") != (version, "ledger"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def full(task: str, left: str | None, reached: str, revision: int) -> None:
        raise OSError(28, "No space left on device")

    world.heard.moved = full  # type: ignore[method-assign]
    world.ledger.move(NEW)
    thread.start()
    try:
        assert served("1.1.0")
        world.ledger.move(OLD)
        assert served("1.0.0")
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join()
    assert "unreachable" in world.heard.messages


def test_a_ledger_that_goes_away_leaves_the_last_good_pointers(world: World) -> None:
    world.ledger.move(OLD)
    world.poll()
    world.ledger.table.away = True
    for _ in range(100):
        world.poll(5)

    assert world.follower.state.ready
    assert world.served() == {"part-class": ("1.0.0", "ledger")}
    assert world.heard.messages.count("lost") == 1
    assert "snapshot" not in world.heard.messages

    world.ledger.move(NEW)
    world.ledger.table.away = False
    world.poll()
    assert world.served() == {"part-class": ("1.1.0", "ledger")}
    assert world.heard.messages[-2:] == ["found 2", "part-class 1.0.0 -> 1.1.0 at 2"]


def test_a_snapshot_leaves_out_what_did_harm(world: World) -> None:
    """The ledger is away at the start: the image's ways back are served, not its bad champions."""
    world.ledger.table.away = True
    image = replace(IMAGE, snapshot={"part-class": OLD})
    world.follower = LedgerPoller(image, world.ledger, world.heard, clock=lambda: world.now)
    world.poll()
    world.poll(after=61)
    assert world.served() == {"part-class": ("1.0.0", "snapshot")}
